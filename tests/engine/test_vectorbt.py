"""The same orders in vectorbt, over real prices, to 1e-9.

vectorbt fills at the close of the signal's bar by default: here its rows are shifted by a bar and priced at the open.
It sizes target weights with `val_price`, here the close of the bar before, which is the bar of the decision.
"""

from __future__ import annotations

import gzip
import importlib.resources
import io

import numpy as np
import pandas as pd
import pytest

from engine import Account, Bars, Costs, TargetUnits, TargetWeights, simulate

vbt = pytest.importorskip("vectorbt")

CASH = 1_000_000.0
COSTS = Costs(commission_bps=5.0, commission_fixed=1.0, slippage_bps=2.0)


@pytest.fixture(scope="module")
def stocks():
    """AAPL, FB, GOOG, IBM and MSFT from March 2000 to 2013, FB and GOOG only since they were listed."""
    packed = (importlib.resources.files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    frame = pd.read_csv(io.BytesIO(gzip.decompress(packed)))
    frame = frame.rename(columns=str.lower).rename(columns={"ticker": "symbol"})
    frame["bar_end"] = pd.to_datetime(frame["date"]).dt.tz_localize("America/New_York") + pd.Timedelta(hours=16)
    # The vendor rounded open, high and low to cents one by one.
    frame["high"] = frame[["open", "high", "low", "close"]].max(axis=1)
    frame["low"] = frame[["open", "high", "low", "close"]].min(axis=1)
    return Bars.from_frame(frame)


@pytest.fixture(scope="module")
def old_stocks(stocks):
    kept = [stocks.symbols.index(symbol) for symbol in ("AAPL", "IBM", "MSFT")]
    names = ("open", "high", "low", "close", "volume")
    return Bars(*(getattr(stocks, name)[:, kept] for name in names), stocks.bar_end, ("AAPL", "IBM", "MSFT"))


def shifted(values):
    """Decisions of bar t in the row of bar t + 1, where vectorbt executes them."""
    return np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])


def weight_orders(bars, weights):
    before = np.vstack([bars.close[:1], bars.close[:-1]])
    priced = pd.DataFrame(before, columns=list(bars.symbols))
    return orders(bars, weights, size_type="targetpercent", val_price=priced)


def orders(bars, size, **options):
    frame = pd.DataFrame(bars.close, columns=list(bars.symbols))
    return vbt.Portfolio.from_orders(
        frame,
        size=pd.DataFrame(shifted(size), columns=frame.columns),
        price=pd.DataFrame(bars.open, columns=frame.columns),
        fees=COSTS.commission_bps / 1e4,
        fixed_fees=COSTS.commission_fixed,
        slippage=COSTS.slippage_bps / 1e4,
        init_cash=CASH,
        cash_sharing=True,
        group_by=True,
        call_seq="auto",
        freq="1D",
        **options,
    )


def assert_same(result, portfolio, bars):
    np.testing.assert_allclose(result.equity, portfolio.value().to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(result.cash, portfolio.cash().to_numpy(), rtol=1e-9, atol=1e-9 * CASH)
    np.testing.assert_allclose(result.positions, portfolio.assets().to_numpy(), rtol=1e-9, atol=1e-9)
    records = portfolio.orders.records
    records = records.sort_values(["idx", "col"])
    fills = np.sort(result.fills, order=["bar", "asset"])
    assert len(fills) == len(records) > 100
    np.testing.assert_array_equal(fills["bar"], records["idx"])
    np.testing.assert_array_equal(fills["asset"], records["col"])
    np.testing.assert_allclose(np.abs(fills["quantity"]), records["size"], rtol=1e-9)
    np.testing.assert_allclose(fills["price"], records["price"], rtol=1e-9)
    np.testing.assert_allclose(fills["commission"], records["fees"], rtol=1e-9)


def crossing_units(bars, fast, slow, units):
    averages = [pd.DataFrame(bars.close).rolling(n).mean().to_numpy() for n in (fast, slow)]
    wanted = np.where(averages[0] > averages[1], units, -units)
    wanted[: slow - 1] = 0.0
    changed = np.vstack([wanted[:1] != 0.0, wanted[1:] != wanted[:-1]])
    return np.where(changed, wanted, np.nan)


def test_fixed_units_long_and_short_are_those_of_vectorbt(old_stocks):
    units = crossing_units(old_stocks, 10, 50, 100.0)
    result = simulate(old_stocks, TargetUnits(units), account=Account(cash=CASH), costs=COSTS)
    assert_same(result, orders(old_stocks, units, size_type="targetamount"), old_stocks)


def test_target_weights_with_shared_cash_are_those_of_vectorbt(old_stocks):
    rng = np.random.default_rng(0)
    weights = np.full(old_stocks.close.shape, np.nan)
    weights[::21] = rng.dirichlet(np.ones(3), size=weights[::21].shape[0]) * 0.8
    result = simulate(old_stocks, TargetWeights(weights), account=Account(cash=CASH), costs=COSTS)
    portfolio = weight_orders(old_stocks, weights)
    assert_same(result, portfolio, old_stocks)


def test_all_in_on_one_asset_spends_the_cash_vectorbt_spends(old_stocks):
    weights = np.full(old_stocks.close.shape, np.nan)
    weights[::10, 1] = 1.0
    weights[5::10, 1] = 0.0
    result = simulate(old_stocks, TargetWeights(weights), account=Account(cash=CASH), costs=COSTS)
    portfolio = weight_orders(old_stocks, weights)
    np.testing.assert_allclose(result.equity, portfolio.value().to_numpy(), rtol=1e-9)
    assert result.fills.size == len(portfolio.orders.records) > 500


def test_sharpe_is_that_of_vectorbt_at_our_sessions_a_year(old_stocks):
    units = crossing_units(old_stocks, 20, 100, 100.0)
    result = simulate(old_stocks, TargetUnits(units), account=Account(cash=CASH), costs=COSTS)
    portfolio = orders(old_stocks, units, size_type="targetamount")
    assert result.metrics["sharpe"] == pytest.approx(portfolio.sharpe_ratio() * np.sqrt(252.0 / 365.0), rel=1e-9)


def test_stocks_listed_late_run_beside_the_others(stocks):
    assert stocks.has_gaps
    weights = np.where(np.isnan(stocks.close), np.nan, 0.18)
    weights[np.arange(stocks.n_bars) % 21 != 0] = np.nan
    result = simulate(stocks, TargetWeights(weights), account=Account(cash=CASH), costs=COSTS)
    facebook = stocks.symbols.index("FB")
    first = int(np.argmax(~np.isnan(stocks.close[:, facebook])))
    assert (result.positions[: first + 1, facebook] == 0.0).all()
    assert result.positions[-1, facebook] > 0.0
    assert result.equity[-1] > CASH
