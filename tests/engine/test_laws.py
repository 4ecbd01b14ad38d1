"""What must hold for every run, with tolerances that do not grow with it."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Actions, Bars, Costs, TargetUnits, TargetWeights, simulate
from tests.engine.markets import bars_of, random_bars, random_market, targets

SEEDS = range(200, 230)


def marks(market):
    """The last close of each bar, split-adjusted where an asset missed bars."""
    mark = np.full(market.bars.n_assets, np.nan)
    rows = []
    for close, split in zip(market.bars.close, market.actions.split, strict=True):
        mark = np.where(np.isnan(close), mark / split, close)
        rows.append(mark)
    return np.array(rows)


def run(market):
    return simulate(market.bars, market.decisions, **market.settings)


@pytest.mark.parametrize("seed", SEEDS)
def test_equity_is_cash_and_positions_at_marks(seed):
    market = random_market(seed)
    result = run(market)
    value = np.where(result.positions == 0.0, 0.0, result.positions * marks(market))
    np.testing.assert_allclose(result.cash + value.sum(axis=1), result.equity, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.abs(value).sum(axis=1), result.exposure, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_change_of_equity_is_trade_pnl_and_cash_flows(seed):
    market = random_market(seed)
    result = run(market)
    change = result.equity[-1] - market.account.cash
    assert result.trades["pnl"].sum() + result.cash_flows["amount"].sum() == pytest.approx(change, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_fills_and_cash_flows_are_all_that_moves_cash(seed):
    market = random_market(seed)
    result = run(market)
    paid = result.fills["quantity"] * result.fills["price"] + result.fills["commission"]
    gross = result.fills["quantity"] * result.fills["reference_price"]
    received = result.cash_flows["amount"].sum()
    assert market.account.cash - paid.sum() + received == pytest.approx(result.cash[-1], abs=1e-6)
    assert market.account.cash - gross.sum() + received - result.costs["total"] == pytest.approx(
        result.cash[-1], abs=1e-6
    )
    assert result.trades["costs"].sum() == pytest.approx(result.costs["total"], abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_are_never_negative_and_no_fill_is_better_than_its_bar(seed):
    result = run(random_market(seed))
    for name in ("commission", "spread", "slippage"):
        assert (result.fills[name] >= 0.0).all()
    side = np.sign(result.fills["quantity"])
    assert (side * (result.fills["price"] - result.fills["reference_price"]) >= 0.0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_known_later_changes_nothing_earlier(seed):
    market = random_market(seed)
    whole = run(market)
    cut = 30
    rng = np.random.default_rng(seed)
    later = random_bars(rng, market.bars.n_bars, market.bars.n_assets)
    mixed = {
        name: np.concatenate([getattr(market.bars, name)[:cut], getattr(later, name)[cut:]])
        for name in ("open", "high", "low", "close", "volume")
    }
    bars = Bars(**mixed, bar_end=market.bars.bar_end, symbols=market.bars.symbols)
    is_weight = isinstance(market.decisions, TargetWeights)
    values = np.array(market.decisions.weights if is_weight else market.decisions.units)
    values[cut:] = 0.1
    none = Actions.none(bars)
    actions = Actions(
        *(
            np.concatenate([getattr(market.actions, name)[:cut], getattr(none, name)[cut:]])
            for name in ("split", "dividend", "delisting")
        )
    )
    changed = simulate(bars, type(market.decisions)(values), **(market.settings | {"actions": actions}))
    np.testing.assert_array_equal(changed.equity[:cut], whole.equity[:cut])
    np.testing.assert_array_equal(changed.positions[:cut], whole.positions[:cut])
    np.testing.assert_array_equal(changed.fills[changed.fills["bar"] < cut], whole.fills[whole.fills["bar"] < cut])


@pytest.mark.parametrize("seed", SEEDS)
def test_run_over_a_prefix_is_the_prefix_of_the_run(seed):
    market = random_market(seed)
    cut = 41
    is_weight = isinstance(market.decisions, TargetWeights)
    values = market.decisions.weights if is_weight else market.decisions.units
    part = simulate(
        market.bars[:cut],
        type(market.decisions)(values[:cut]),
        **(market.settings | {"actions": market.actions[:cut]}),
    )
    whole = run(market)
    np.testing.assert_array_equal(part.equity, whole.equity[:cut])
    np.testing.assert_array_equal(part.positions, whole.positions[:cut])


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_the_assets_does_not_matter(seed):
    market = random_market(seed)
    order = np.random.default_rng(seed).permutation(market.bars.n_assets)
    names = ("open", "high", "low", "close", "volume")
    bars = Bars(
        *(getattr(market.bars, name)[:, order] for name in names),
        market.bars.bar_end,
        tuple(market.bars.symbols[asset] for asset in order),
    )
    is_weight = isinstance(market.decisions, TargetWeights)
    values = market.decisions.weights if is_weight else market.decisions.units
    actions = Actions(*(getattr(market.actions, name)[:, order] for name in ("split", "dividend", "delisting")))
    other = simulate(bars, type(market.decisions)(values[:, order]), **(market.settings | {"actions": actions}))
    result = run(market)
    np.testing.assert_allclose(other.equity, result.equity, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(other.positions, result.positions[:, order], rtol=1e-9, atol=1e-6)


def test_buy_and_hold_without_costs_earns_the_price_return():
    bars = random_bars(np.random.default_rng(1), 500, 1)
    result = simulate(bars, TargetWeights(targets(500, 1, {(0, 0): 1.0})), account=Account(allow_short=False))
    wanted = bars.close[-1, 0] / bars.open[1, 0]
    units = result.positions[-1, 0]
    rest = result.cash[-1]
    assert result.equity[-1] == pytest.approx(rest + units * bars.open[1, 0] * wanted, rel=1e-12)
    assert units == pytest.approx(min(100_000.0 / bars.close[0, 0], 100_000.0 / bars.open[1, 0]), rel=1e-12)


def test_splits_of_a_made_up_market_change_no_equity():
    rng = np.random.default_rng(5)
    bars = random_bars(rng, 100, 3)
    split = np.where(rng.random((100, 3)) < 0.05, 2.0, 1.0)
    factor = np.cumprod(split, axis=0)
    names = ("open", "high", "low", "close")
    traded = Bars(*(getattr(bars, name) / factor for name in names), bars.volume, bars.bar_end, bars.symbols)
    actions = Actions(split, np.zeros((100, 3)), np.full((100, 3), np.nan))
    weights = TargetWeights(rng.uniform(-0.2, 0.4, (100, 3)))
    costs = Costs(commission_bps=3.0, spread_bps=2.0)
    plain = simulate(bars, weights, costs=costs)
    rescaled = simulate(traded, weights, costs=costs, actions=actions)
    np.testing.assert_allclose(rescaled.equity, plain.equity, rtol=1e-12)
    np.testing.assert_allclose(rescaled.positions / factor, plain.positions, rtol=1e-9, atol=1e-9)


def test_dividend_paid_out_of_the_price_changes_no_equity():
    bars = bars_of([[100.0], [100.0], [98.0], [98.0]])
    dividend = np.zeros((4, 1))
    dividend[2] = 2.0
    actions = Actions(np.ones((4, 1)), dividend, np.full((4, 1), np.nan))
    result = simulate(bars, TargetUnits(targets(4, 1, {(0, 0): 500.0})), actions=actions)
    assert result.equity.tolist() == [100_000.0] * 4


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_only_ever_cost_where_the_units_are_fixed(seed):
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, 60, 3)
    units = TargetUnits(rng.uniform(-20.0, 20.0, (60, 3)))
    costs = Costs(commission_bps=5.0, commission_fixed=0.1, spread_bps=4.0, slippage_bps=2.0)
    account = Account(cash=1e6)
    gross = simulate(bars, units, account=account)
    net = simulate(bars, units, account=account, costs=costs)
    assert gross.equity[-1] - net.equity[-1] == pytest.approx(net.costs["total"], abs=1e-6)
    assert net.costs["total"] == pytest.approx(sum(net.costs[name] for name in ("commission", "spread", "slippage")))


def test_run_repeats_to_the_last_bit():
    assert run(random_market(3)).hash == run(random_market(3)).hash
    assert run(random_market(3)).hash != run(random_market(4)).hash


def test_run_changes_none_of_its_inputs():
    market = random_market(12)
    before = [np.array(getattr(market.bars, name)) for name in ("open", "high", "low", "close", "volume")]
    values = np.array(
        market.decisions.weights if isinstance(market.decisions, TargetWeights) else market.decisions.units
    )
    result = run(market)
    _ = result.metrics, result.hash
    for name, array in zip(("open", "high", "low", "close", "volume"), before, strict=True):
        np.testing.assert_array_equal(getattr(market.bars, name), array)
    after = market.decisions.weights if isinstance(market.decisions, TargetWeights) else market.decisions.units
    np.testing.assert_array_equal(after, values)
