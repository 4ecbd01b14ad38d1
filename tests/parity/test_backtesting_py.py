"""The same orders in backtesting.py, over real and made-up bars of one asset, to 1e-9."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine import Account, Bars, Costs, Orders, TargetUnits, simulate
from engine.adapters import backtesting_py as peer
from engine.profiles import profile
from tests.parity.markets import (
    MARKETS,
    Plan,
    assert_agrees,
    brackets,
    random_orders,
    random_units,
    real_bars,
    wild_bars,
)

pytest.importorskip("backtesting", reason="backtesting is not installed")

ACCOUNT = Account(cash=10_000_000.0)
COSTS = Costs(commission_bps=5.0, commission_per_share=0.01)
RULES = profile("backtesting.py")


@pytest.fixture(params=MARKETS)
def bars(request):
    if request.param == "recorded":
        return real_bars(request.getfixturevalue("shared_data"), ("XOM",), "2006-01-01", "2008-12-31")
    return wild_bars(21 if request.param == "made up" else request.param, n_bars=700, n_assets=1)


def both(bars, decisions, *, costs=COSTS, execution=RULES):
    options = {"account": ACCOUNT, "costs": costs, "execution": execution}
    return simulate(bars, decisions, **options), peer.run(bars, decisions, **options)


def test_target_units_are_those_of_backtesting_py(bars):
    decisions = TargetUnits(random_units(np.random.default_rng(1), bars, rate=0.2))
    assert_agrees(*both(bars, decisions), n_fills=80)


def test_trade_on_close_is_the_same_close(bars):
    units = random_units(np.random.default_rng(2), bars, rate=0.2)
    # The last bar's decisions have no bar in which it could look back at its close.
    units[-1] = np.nan
    decisions = TargetUnits(units)
    # Its commission reaches equity a bar late: without one there is nothing to be late.
    execution = replace(RULES, timing="same_close")
    assert_agrees(*both(bars, decisions, costs=Costs(), execution=execution), n_fills=80)


@pytest.mark.parametrize("kinds", [("limit",), ("stop",), ("market", "limit", "stop")], ids=str)
def test_entries_are_those_of_backtesting_py(bars, kinds):
    orders = random_orders(np.random.default_rng(3), bars, 200, kinds)
    assert_agrees(*both(bars, orders), n_fills=50)


def test_stop_limits_that_are_triggered_inside_a_bar_are_those_of_backtesting_py(bars):
    orders = random_orders(np.random.default_rng(4), bars, 200, ("stop_limit",))
    assert_agrees(*both(bars, Orders(orders.frame[without_disputes(bars, orders.frame)])), n_fills=20)


def without_disputes(bars, frame):
    """Stop-limits beyond their stop that are not triggered by a gap, where it fills at the stop beside the open."""
    kept = []
    for order in frame.itertuples():
        first = int(np.searchsorted(bars.bar_end, order.bar_end.tz_localize(None).to_datetime64())) + 1
        side = np.sign(order.quantity)
        reached = side * (bars.high if side > 0 else bars.low)[first:, 0] >= side * order.stop_price
        bar = first + int(np.argmax(reached))
        is_gap = bool(reached.any()) and side * bars.open[bar, 0] >= side * order.stop_price
        kept.append(side * (order.limit_price - order.stop_price) > 0.0 and not is_gap)
    return kept


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("entry", ["market", "limit"])
def test_stop_losses_and_take_profits_are_those_of_backtesting_py(bars, entry, side):
    orders = brackets(np.random.default_rng(5), bars, 120, (entry,), sides=(side,))
    assert_agrees(*both(bars, orders), n_fills=100)


@pytest.mark.parametrize("side", [1, -1])
def test_stop_losses_and_take_profits_work_after_trade_on_close(bars, side):
    orders = brackets(np.random.default_rng(6), bars, 100, sides=(side,))
    execution = replace(RULES, timing="same_close")
    assert_agrees(*both(bars, orders, costs=Costs(), execution=execution), n_fills=100)


def test_an_opposite_order_takes_its_stop_loss_with_it_and_leaves_ours_working():
    close = np.array([100.0, 100.0, 100.0, 100.0, 100.0, 90.0])[:, None]
    open_ = np.full_like(close, 100.0)
    days = np.datetime64("2020-01-01T21:00", "us") + np.arange(len(close)) * np.timedelta64(1, "D")
    bars = Bars(open_, open_, close, close, np.full_like(close, 1e6), days, ("A",))
    plan = Plan(bars)
    entry = plan.add(0, 0, 10, "market")
    plan.add(0, 0, -10, "stop", stop_price=95.0, parent=entry)
    plan.add(2, 0, -10, "market")
    ours, theirs = both(bars, plan.orders(), costs=Costs())
    assert theirs.fills["quantity"].tolist() == [10.0, -10.0]
    assert ours.fills["quantity"].tolist() == [10.0, -10.0, -10.0]
