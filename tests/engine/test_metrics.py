"""Figures against hand-computed ones, NumPy, and the recorded answers of another library."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from engine import Account, Actions, Costs, InputError, TargetUnits, simulate
from engine import metrics as figures
from engine.metrics import metrics
from engine.records import TRADE
from tests.engine.markets import bars_of, targets

FIXTURE = [-0.05, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05]


@pytest.fixture
def golden(shared_data):
    return json.loads((shared_data / "golden" / "empyrical.json").read_text())


def series(golden, name, missing=None):
    values = golden["series"][name]
    return np.array(
        [missing if value is None else value for value in values if value is not None or missing is not None]
    )


def test_figures_agree_with_empyrical_where_the_definitions_do(golden):
    wanted = golden["expected"]["mixed_returns"]
    whole, known = series(golden, "mixed_returns", missing=0.0), series(golden, "mixed_returns")
    assert whole.size == known.size + 1
    assert figures.sharpe(known) == pytest.approx(wanted["sharpe"], rel=1e-12)
    assert figures.sortino(known) == pytest.approx(wanted["sortino"], rel=1e-12)
    assert figures.volatility(known) == pytest.approx(wanted["annual_volatility"], rel=1e-12)
    assert figures.omega(known) == pytest.approx(wanted["omega(rf0,req0)"], rel=1e-12)
    assert figures.omega(known, threshold_rate=0.01) == pytest.approx(wanted["omega_rf_flat_line_1"], rel=1e-12)
    assert figures.cagr(whole) == pytest.approx(wanted["annual_return(cagr)"], rel=1e-12)
    assert figures.calmar(whole) == pytest.approx(wanted["calmar"], rel=1e-12)
    assert figures.max_drawdown(whole) == pytest.approx(wanted["max_drawdown"], rel=1e-12)
    assert figures.tail_ratio(known) == pytest.approx(wanted["tail_ratio(1dp)"], abs=0.05)


def test_one_sided_returns_agree_with_empyrical_unless_it_says_infinite(golden):
    wanted = golden["expected"]
    falling, rising = series(golden, "negative_returns"), series(golden, "positive_returns")
    assert figures.sharpe(falling) == pytest.approx(wanted["negative_returns"]["sharpe"], rel=1e-12)
    assert figures.sortino(falling) == pytest.approx(wanted["negative_returns"]["sortino"], rel=1e-12)
    assert figures.max_drawdown(falling) == pytest.approx(wanted["negative_returns"]["max_drawdown"], abs=1e-7)
    assert figures.sharpe(rising) == pytest.approx(wanted["positive_returns"]["sharpe"], rel=1e-12)
    assert figures.max_drawdown(rising) == 0.0
    assert math.isnan(figures.sortino(rising))


@pytest.mark.parametrize("value", [0.01, 0.0, -0.003, 1e-9])
def test_constant_returns_have_no_ratio_and_nothing_is_infinite(value):
    row = metrics(np.full(756, value))
    assert math.isnan(row["sharpe"])
    assert math.isnan(row["skew"])
    assert math.isnan(row["kurtosis"])
    assert not any(math.isinf(figure) for figure in row.values())


@pytest.mark.parametrize("returns", [[], [0.01], [math.nan, 0.01, 0.02], [-1.0, math.nan]])
def test_figures_of_short_or_broken_returns_are_undefined_and_never_infinite(returns):
    row = metrics(returns)
    assert math.isnan(row["sharpe"])
    assert not any(math.isinf(figure) for figure in row.values())


def test_moments_agree_with_numpy():
    returns = np.random.default_rng(0).normal(0.001, 0.02, 1_000) ** 3 + 0.01
    centred = (returns - returns.mean()) / returns.std()
    assert figures.skew(returns) == pytest.approx((centred**3).mean(), rel=1e-10)
    assert figures.kurtosis(returns) == pytest.approx((centred**4).mean(), rel=1e-10)
    assert figures.volatility(returns) == pytest.approx(returns.std(ddof=1) * math.sqrt(252), rel=1e-10)


@pytest.mark.parametrize("tail", [0.0, 0.01, 0.05, 0.37, 0.95, 1.0])
def test_value_at_risk_is_the_linear_quantile(tail):
    returns = np.random.default_rng(1).normal(size=253)
    assert figures.value_at_risk(returns, tail_rate=tail) == pytest.approx(np.quantile(returns, tail), rel=1e-12)


def test_expected_shortfall_counts_the_last_return_by_its_fraction():
    assert figures.expected_shortfall(FIXTURE, tail_rate=0.25) == pytest.approx(-0.036, abs=1e-15)
    assert figures.expected_shortfall(FIXTURE, tail_rate=0.05) == pytest.approx(-0.05, abs=1e-15)
    assert figures.expected_shortfall(FIXTURE, tail_rate=1.0) == pytest.approx(np.mean(FIXTURE), abs=1e-15)


def test_initial_cash_is_a_peak():
    assert figures.max_drawdown([-0.1, 0.05]) == pytest.approx(-0.1)
    assert metrics([-0.1, 0.05])["max_drawdown"] == pytest.approx(-0.1)


def test_length_of_the_deepest_drawdown_is_from_its_peak_to_its_recovery():
    wealth = np.array([1.0, 1.1, 1.0, 0.9, 1.0, 1.1, 1.05, 1.2])
    returns = np.diff(wealth, prepend=1.0) / np.concatenate([[1.0], wealth[:-1]])
    returns[5] += 1e-12
    assert figures.max_drawdown(returns) == pytest.approx(0.9 / 1.1 - 1.0)
    assert figures.max_drawdown_bars(returns) == 4
    assert figures.max_drawdown_bars([0.1, -0.2, 0.01]) == 2
    assert figures.max_drawdown_bars([-0.2, 0.01]) == 2
    assert figures.max_drawdown_bars([0.1, 0.1]) == 0


def test_sharpe_of_an_excess_return():
    returns = np.array([0.02, -0.01, 0.03])
    wanted = (returns.mean() - 0.001) / returns.std(ddof=1) * math.sqrt(12)
    assert figures.sharpe(returns, risk_free_rate=0.001, periods_per_year=12) == pytest.approx(wanted, rel=1e-12)


def test_growth_of_a_lost_account_is_minus_one():
    assert figures.cagr([0.1, -1.0]) == -1.0


def test_trade_figures_leave_open_trades_out():
    trades = np.zeros(5, dtype=TRADE)
    trades["pnl"] = [100.0, -50.0, 0.0, 30.0, 1e6]
    trades["is_open"][4] = True
    row = figures.trade_metrics(trades)
    pnl = np.array([100.0, -50.0, 0.0, 30.0])
    assert (row["n_trades"], row["n_open_trades"]) == (4, 1)
    assert row["win_rate"] == 0.5
    assert row["profit_factor"] == pytest.approx(130.0 / 50.0)
    assert row["expectancy"] == pytest.approx(20.0)
    assert row["sqn"] == pytest.approx(2.0 * pnl.mean() / pnl.std(ddof=1))


def test_trade_figures_of_no_trades_and_of_no_losses_are_undefined():
    row = figures.trade_metrics(np.zeros(0, dtype=TRADE))
    assert row["n_trades"] == 0
    assert all(math.isnan(row[name]) for name in ("win_rate", "profit_factor", "expectancy", "sqn"))
    winner = np.zeros(1, dtype=TRADE)
    winner["pnl"] = 5.0
    assert math.isnan(figures.trade_metrics(winner)["profit_factor"])


def test_run_reports_turnover_exposure_and_time_in_market():
    bars = bars_of([[10.0]] * 4)
    units = TargetUnits(targets(4, 1, {(0, 0): 50.0, (2, 0): 0.0}))
    row = simulate(bars, units, account=Account(cash=1_000.0), periods_per_year=4.0).metrics
    assert row["turnover"] == pytest.approx(0.5)
    assert row["exposure"] == pytest.approx(0.25)
    assert row["time_in_market"] == 0.5
    assert (row["n_fills"], row["n_trades"], row["n_open_trades"]) == (2.0, 1.0, 0.0)


def test_trades_are_first_in_first_out_and_split_adjusted():
    bars = bars_of([[100.0], [100.0], [110.0], [60.0], [60.0]])
    split = np.ones((5, 1))
    split[3] = 2.0
    actions = Actions(split, np.zeros((5, 1)), np.full((5, 1), np.nan))
    units = TargetUnits(targets(5, 1, {(0, 0): 10.0, (1, 0): 15.0, (3, 0): 5.0}))
    result = simulate(bars, units, actions=actions, costs=Costs(commission_per_share=0.1))
    frame = result.trades_frame()
    assert frame["quantity"].tolist() == [20.0, 5.0, 5.0]
    assert frame["entry_price"].tolist() == [50.0, 55.0, 55.0]
    assert frame["exit_price"].tolist() == [60.0, 60.0, 60.0]
    assert frame["is_open"].tolist() == [False, False, True]
    assert frame["commission"].tolist() == pytest.approx([1.0 + 2.0, 0.25 + 0.5, 0.25])
    assert frame["pnl"].tolist() == pytest.approx([197.0, 24.25, 24.75])
    assert result.trades["pnl"].sum() == pytest.approx(result.equity[-1] - 100_000.0)


def test_equity_must_fit_the_returns():
    with pytest.raises(InputError, match=r"equity must have one value a return \(2\), had 3"):
        metrics([0.1, 0.2], equity=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="returns must have one axis"):
        figures.sharpe([[0.1, 0.2]])


def test_closed_position_leaves_no_open_lot_of_rounding():
    rng = np.random.default_rng(0)
    for _ in range(50):
        steps = np.cumsum([*rng.uniform(0.1, 1.0, 20), rng.uniform(1e5, 1e6), rng.uniform(1e-5, 1e-4)])
        units = np.concatenate([steps, [0.0, np.nan]]).reshape(-1, 1)
        bars = bars_of(np.full((units.size, 1), 1.0))
        result = simulate(bars, TargetUnits(units), account=Account(cash=1e9))
        assert result.positions[-1, 0] == 0.0
        assert not result.trades["is_open"].any()
        assert result.trades.size == 22
