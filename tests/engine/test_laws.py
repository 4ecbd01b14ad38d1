"""What must hold for every run, with tolerances that do not grow with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Account, Actions, Bars, Costs, Execution, TargetUnits, TargetWeights, simulate
from engine.orders import Orders
from engine.records import DELISTING, FILL_KINDS
from tests.engine.comparison import play
from tests.engine.markets import FAMILIES, Market, bars_of, random_bars, random_market, targets
from tests.engine.transformed import NAMES, changed_from, decided_before, permuted, scaled, split_decisions, with_bars

CCY = 1e-6
COSTS = ("commission", "fees", "spread", "slippage", "impact")

markets = st.builds(random_market, st.integers(0, 10**9), family=st.sampled_from(FAMILIES))
law = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def marks(market):
    """The last close of each bar, split-adjusted where an asset missed bars."""
    mark = np.full(market.bars.n_assets, np.nan)
    rows = []
    for close, split in zip(market.bars.close, market.actions.split, strict=True):
        mark = np.where(np.isnan(close), mark / split, close)
        rows.append(mark)
    return np.array(rows)


def value_of(market, result):
    return np.where(result.positions == 0.0, 0.0, result.positions * marks(market))


@law
@given(markets)
def test_equity_is_cash_and_positions_at_marks(market):
    result = play(market)
    value = value_of(market, result)
    np.testing.assert_allclose(result.cash + value.sum(axis=1), result.equity, rtol=0, atol=CCY)
    np.testing.assert_allclose(np.abs(value).sum(axis=1), result.exposure, rtol=0, atol=CCY)


@law
@given(markets)
def test_change_of_equity_is_trade_pnl_and_cash_flows(market):
    result = play(market)
    # The fraction that cash in lieu pays for is closed by a trade.
    flows = result.cash_flows_frame()
    flows = flows["amount"][flows["kind"] != "cash_in_lieu"].sum()
    change = result.equity[-1] - market.account.cash
    assert result.trades["pnl"].sum() + flows == pytest.approx(change, abs=CCY)


@law
@given(markets)
def test_fills_and_cash_flows_are_all_that_moves_cash(market):
    result = play(market)
    fills, received = result.fills, result.cash_flows["amount"].sum()
    paid = fills["quantity"] * fills["price"] + fills["commission"] + fills["fees"]
    assert market.account.cash - paid.sum() + received == pytest.approx(result.cash[-1], abs=CCY)


@law
@given(markets)
def test_gross_less_net_is_the_sum_of_the_attributed_costs(market):
    result = play(market)
    fills = result.fills
    gross_cash = market.account.cash - (fills["quantity"] * fills["reference_price"]).sum()
    gross = gross_cash + result.cash_flows["amount"].sum() + value_of(market, result)[-1].sum()
    assert gross - result.equity[-1] == pytest.approx(result.costs["total"], abs=CCY)
    assert result.costs["total"] == pytest.approx(sum(fills[name].sum() for name in COSTS), abs=CCY)
    assert result.trades["costs"].sum() == pytest.approx(result.costs["total"], abs=CCY)


@law
@given(markets)
def test_no_fill_is_outside_its_bar_but_by_its_declared_costs(market):
    fills = play(market).fills
    traded = fills[fills["kind"] != DELISTING]
    low, high = (getattr(market.bars, name)[traded["bar"], traded["asset"]] for name in ("low", "high"))
    assert ((traded["reference_price"] >= low) & (traded["reference_price"] <= high)).all()
    for name in COSTS:
        assert (fills[name] >= 0.0).all()
    moved = (traded["spread"] + traded["slippage"] + traded["impact"]) / traded["quantity"]
    np.testing.assert_allclose(traded["price"], traded["reference_price"] + moved, rtol=0, atol=1e-9)
    if market.execution.slip_within_bar:
        assert ((traded["price"] >= low - 1e-9) & (traded["price"] <= high + 1e-9)).all()


@law
@given(markets)
def test_no_limit_order_fills_worse_than_its_limit(market):
    no_ticks = replace(market.costs, slippage_ticks=0.0)
    market = replace(market, costs=no_ticks, execution=replace(market.execution, tick_size=0.0))
    result = play(market)
    fills = result.fills[(result.fills["order"] >= 0) & (result.fills["kind"] == FILL_KINDS.index("limit"))]
    for fill in fills:
        limit = result.orders["limit_price"][fill["order"]]
        if (market.actions.split[fill["bar"] + 1 :, fill["asset"]] == 1.0).all():
            assert np.sign(fill["quantity"]) * (fill["price"] - limit) <= 1e-9 * limit


@law
@given(markets)
def test_fills_splits_and_cash_in_lieu_add_up_to_the_positions(market):
    result = play(market)
    units = np.zeros(market.bars.n_assets)
    flows = result.cash_flows_frame()
    in_lieu = result.cash_flows[(flows["kind"] == "cash_in_lieu").to_numpy()]
    for bar in range(market.bars.n_bars):
        units = units * market.actions.split[bar]
        for records in (in_lieu, result.fills):
            now = records[records["bar"] == bar]
            np.add.at(units, now["asset"], now["quantity"])
        np.testing.assert_allclose(result.positions[bar], units, rtol=0, atol=1e-8)


@law
@given(markets)
def test_participation_is_never_exceeded(market):
    rate, lot = market.execution.participation_rate, market.execution.lot_size
    fills = play(market).fills
    taken = np.zeros(market.bars.close.shape)
    traded = fills[fills["kind"] != DELISTING]
    np.add.at(taken, (traded["bar"], traded["asset"]), np.abs(traded["quantity"]))
    if np.isfinite(rate):
        most = rate * np.nan_to_num(market.bars.volume)
        most = most if lot == 0.0 else np.floor(most / lot + 1e-9) * lot
        assert (taken <= most + 1e-9).all()
    assert (taken[np.isnan(market.bars.close)] == 0.0).all()


@law
@given(markets)
def test_scaling_down_never_spends_cash_that_is_not_there(market):
    market = replace(
        market,
        account=replace(market.account, leverage=1.0, maintenance_margin=0.0, allow_short=False, cash_rate=0.0),
        costs=replace(
            market.costs, commission_fixed=0.0, commission_min=0.0, commission_tiers=(), sell_fee_per_share=0.0
        ),
        execution=replace(market.execution, cash_policy="scale"),
    )
    result = play(market)
    assert result.cash.min() >= -CCY
    assert result.positions.min() >= 0.0


@law
@given(markets)
def test_larger_account_in_a_larger_market_does_the_same(market):
    result, larger = play(market), play(scaled(market, 4.0))
    np.testing.assert_allclose(larger.equity, 4.0 * result.equity, rtol=1e-9, atol=CCY)
    np.testing.assert_allclose(larger.positions, 4.0 * result.positions, rtol=1e-9, atol=1e-9)
    assert larger.fills.size == result.fills.size


@law
@given(markets, st.randoms(use_true_random=False))
def test_order_of_the_assets_does_not_matter(market, random):
    # Tiers and cash at levels inside a bar are given out in sequence, by asset: neither may bind.
    cash = 1e8 if isinstance(market.decisions, Orders) else market.account.cash
    costs = replace(market.costs, commission_tiers=())
    market = replace(market, costs=costs, account=replace(market.account, cash=cash))
    order = list(range(market.bars.n_assets))
    random.shuffle(order)
    other = permuted(market, order)
    result, shuffled = play(market), play(other)
    np.testing.assert_allclose(shuffled.equity, result.equity, rtol=1e-9, atol=CCY)
    np.testing.assert_allclose(shuffled.positions, result.positions[:, order], rtol=1e-9, atol=1e-9)


@law
@given(markets, st.integers(10, 40))
def test_what_is_known_later_changes_nothing_earlier(market, cut):
    whole, changed = play(market), play(changed_from(market, cut))
    np.testing.assert_array_equal(changed.equity[:cut], whole.equity[:cut])
    np.testing.assert_array_equal(changed.cash[:cut], whole.cash[:cut])
    np.testing.assert_array_equal(changed.positions[:cut], whole.positions[:cut])
    for name in ("fills", "cash_flows", "rejections"):
        records, others = getattr(whole, name), getattr(changed, name)
        np.testing.assert_array_equal(others[others["bar"] < cut], records[records["bar"] < cut])


@law
@given(markets)
def test_run_over_a_prefix_is_the_prefix_of_the_run(market):
    days = market.bars.bar_end.astype("datetime64[D]")
    cut = int(np.flatnonzero(days[1:] != days[:-1])[-3]) + 1  # a session ends: orders on its close fill there
    bars, whole = market.bars[:cut], play(market)
    finer = market.finer
    if finer is not None:
        finer = finer[: int(np.searchsorted(finer.bar_end, bars.bar_end[-1], side="right"))]
    decisions = decided_before(market.decisions, market.bars, cut, 0.0)
    if not isinstance(decisions, Orders):
        decisions = type(decisions)(decisions.aligned(market.bars)[:cut])
    part = play(replace(market, bars=bars, finer=finer, actions=market.actions[:cut], decisions=decisions))
    np.testing.assert_array_equal(part.equity, whole.equity[:cut])
    np.testing.assert_array_equal(part.positions, whole.positions[:cut])


@law
@given(markets)
def test_run_repeats_to_the_last_bit_and_changes_none_of_its_inputs(market):
    before = [np.array(getattr(market.bars, name)) for name in NAMES]
    first = play(market)
    _ = first.metrics
    assert play(market).hash == first.hash
    for name, array in zip(NAMES, before, strict=True):
        np.testing.assert_array_equal(getattr(market.bars, name), array)


def test_different_runs_have_different_hashes():
    assert play(random_market(3)).hash != play(random_market(4)).hash


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
    traded = Bars(*(getattr(bars, name) / factor for name in NAMES[:4]), bars.volume, bars.bar_end, bars.symbols)
    actions = Actions(split, np.zeros((100, 3)), np.full((100, 3), np.nan))
    weights = TargetWeights(rng.uniform(-0.2, 0.4, (100, 3)))
    costs = Costs(commission_bps=3.0, spread_bps=2.0)
    plain = simulate(bars, weights, costs=costs)
    rescaled = simulate(traded, weights, costs=costs, actions=actions)
    np.testing.assert_allclose(rescaled.equity, plain.equity, rtol=1e-12)
    np.testing.assert_allclose(rescaled.positions / factor, plain.positions, rtol=1e-9, atol=1e-9)


@law
@given(st.integers(0, 10**9), st.sampled_from(("orders", "brackets", "intrabar", "risk")))
def test_splits_change_no_equity_of_orders_and_levels_of_risk_either(seed, family):
    market = random_market(seed, family=family)
    none = Actions.none(market.bars)
    tick = replace(market.execution, tick_size=0.0, lot_size=0.0, cash_in_lieu=False)
    costs = Costs(commission_bps=3.0, spread_bps=2.0, impact_coefficient=0.5, volume_share_impact=0.1)
    market = replace(market, actions=none, execution=tick, costs=costs)
    at = market.bars.n_bars // 2
    factor = np.ones((market.bars.n_bars, 1))
    factor[at:] = 2.0
    split = none.split.copy()
    split[at] = 2.0
    traded = with_bars(market, lambda name, values: values * factor if name == "volume" else values / factor)
    decisions = split_decisions(market, at)
    rescaled = replace(traded, actions=Actions(split, none.dividend, none.delisting), decisions=decisions)
    plain, result = play(market), play(rescaled)
    np.testing.assert_allclose(result.equity, plain.equity, rtol=1e-9, atol=CCY)
    np.testing.assert_allclose(result.positions / factor, plain.positions, rtol=1e-9, atol=1e-9)


def test_dividend_paid_out_of_the_price_changes_no_equity():
    bars = bars_of([[100.0], [100.0], [98.0], [98.0]])
    dividend = np.zeros((4, 1))
    dividend[2] = 2.0
    actions = Actions(np.ones((4, 1)), dividend, np.full((4, 1), np.nan))
    result = simulate(bars, TargetUnits(targets(4, 1, {(0, 0): 500.0})), actions=actions)
    assert result.equity.tolist() == [100_000.0] * 4


@law
@given(st.integers(0, 10**9))
def test_costs_only_ever_cost_where_the_units_are_fixed(seed):
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, 60, 3)
    units = TargetUnits(rng.uniform(-20.0, 20.0, (60, 3)))
    costs = Costs(commission_bps=5.0, commission_fixed=0.1, spread_bps=4.0, slippage_bps=2.0, impact_coefficient=0.1)
    market = Market(bars, units, account=Account(cash=1e6), execution=Execution())
    gross, net = play(market), play(replace(market, costs=costs))
    assert gross.equity[-1] - net.equity[-1] == pytest.approx(net.costs["total"], abs=CCY)
