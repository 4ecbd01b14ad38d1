"""The same orders in backtrader, over real and made-up bars, to 1e-9."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine import Account, Costs, Orders, TargetUnits, simulate
from engine.adapters import backtrader as peer
from engine.adapters import compare
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

pytest.importorskip("backtrader", reason="backtrader is not installed")

ACCOUNT = Account(cash=1_000_000.0)
COSTS = Costs(commission_bps=5.0, commission_per_share=0.01)
SLIPPAGE = replace(COSTS, slippage_bps=30.0)
RULES = profile("backtrader")


@pytest.fixture(params=MARKETS)
def bars(request):
    if request.param == "recorded":
        return real_bars(request.getfixturevalue("shared_data"), ("AAPL", "IBM", "XOM"), "2007-01-01", "2008-12-31")
    return wild_bars(11 if request.param == "made up" else request.param, n_bars=500)


def both(bars, decisions, *, costs=COSTS, execution=RULES):
    options = {"account": ACCOUNT, "costs": costs, "execution": execution}
    return simulate(bars, decisions, **options), peer.run(bars, decisions, **options)


def waits(bars, order):
    """Whether backtrader lets a stop-limit wait a bar though the close of the bar that triggers it is at the limit.

    Triggered inside a bar, with the limit on the far side of the stop, it fills there only where the bar's body
    points towards the limit.
    """
    side = np.sign(order.quantity)
    if order.kind != "stop_limit" or side * (order.limit_price - order.stop_price) >= 0.0:
        return False
    asset = bars.symbols.index(order.symbol)
    first = int(np.searchsorted(bars.bar_end, order.bar_end.tz_localize(None).to_datetime64())) + 1
    extreme = (bars.high if side > 0 else bars.low)[first:, asset]
    is_reached = side * extreme >= side * order.stop_price
    if not is_reached.any():
        return False
    bar = first + int(np.argmax(is_reached))
    open_, close = bars.open[bar, asset], bars.close[bar, asset]
    is_inside = side * open_ < side * order.stop_price
    points_away = open_ <= close if side > 0 else open_ > close
    return bool(is_inside and side * (order.limit_price - close) >= 0.0 and points_away)


def split(bars, orders):
    """Return the orders on which we agree, and those that wait in backtrader."""
    is_waiting = np.array([waits(bars, order) for order in orders.frame.itertuples()])
    return Orders(orders.frame[~is_waiting]), Orders(orders.frame[is_waiting])


def test_target_units_with_slippage_are_those_of_backtrader(bars):
    decisions = TargetUnits(random_units(np.random.default_rng(1), bars))
    assert_agrees(*both(bars, decisions, costs=SLIPPAGE), n_fills=100)


def test_cheat_on_close_fills_are_those_of_the_same_close(bars):
    units = random_units(np.random.default_rng(2), bars)
    # The last bar's decisions have no bar in which backtrader could look back at its close.
    units[-1] = np.nan
    decisions = TargetUnits(units)
    # What a fill costs reaches backtrader's equity a bar later: without costs there is nothing to be late.
    execution = replace(RULES, timing="same_close")
    assert_agrees(*both(bars, decisions, costs=Costs(), execution=execution), n_fills=100)


@pytest.mark.parametrize("kinds", [("market",), ("limit",), ("stop",), ("stop_limit",), ("trailing_stop",)], ids=str)
def test_orders_of_a_kind_are_those_of_backtrader(bars, kinds):
    orders = random_orders(np.random.default_rng(3), bars, 250, kinds)
    assert_agrees(*both(bars, split(bars, orders)[0]), n_fills=40)


def test_orders_of_all_kinds_together_are_those_of_backtrader(bars):
    kinds = ("market", "moo", "limit", "stop", "stop_limit", "trailing_stop")
    orders = random_orders(np.random.default_rng(4), bars, 400, kinds)
    assert_agrees(*both(bars, split(bars, orders)[0]), n_fills=150)


def test_slippage_stays_within_the_bar_and_spares_limits_inside_it(bars):
    orders = random_orders(np.random.default_rng(5), bars, 300, ("market", "stop", "limit"))
    # A sale at a limit that gaps may slip below the bar's low in backtrader.
    frame = orders.frame
    orders = Orders(frame[(frame["kind"] != "limit") | (frame["quantity"] > 0)])
    assert_agrees(*both(bars, orders, costs=SLIPPAGE), n_fills=100)


@pytest.mark.parametrize("entry", ["market", "limit", "stop"])
def test_brackets_are_those_of_backtrader(bars, entry):
    orders = brackets(np.random.default_rng(6), bars, 120, (entry,))
    assert_agrees(*both(bars, orders), n_fills=80)


def test_groups_that_cancel_each_other_are_those_of_backtrader(bars):
    rng, plan = np.random.default_rng(7), Plan(bars)
    for group in range(120):
        bar, asset = int(rng.integers(bars.n_bars - 5)), int(rng.integers(bars.n_assets))
        close = bars.close[bar, asset]
        for kind, column, sign in (("stop", "stop_price", 1), ("limit", "limit_price", -1)):
            price = float(np.round(close * (1.0 + sign * rng.uniform(0.005, 0.04)), 2))
            plan.add(bar, asset, 10, kind, oco_group=f"entry {group}", **{column: price})
    assert_agrees(*both(bars, plan.orders()), n_fills=100)


def test_backtrader_sells_below_the_low_where_a_limit_gaps_and_we_do_not():
    bars = wild_bars(11, n_bars=500)
    orders = random_orders(np.random.default_rng(8), bars, 400, ("limit",))
    ours, theirs = both(bars, orders, costs=replace(COSTS, slippage_bps=200.0))
    low = bars.low[theirs.fills["bar"], theirs.fills["asset"]]
    assert (theirs.fills["price"] < low - 1e-9).any()
    assert (ours.fills["price"] >= bars.low[ours.fills["bar"], ours.fills["asset"]] - 1e-9).all()


def test_backtrader_lets_a_stop_limit_wait_where_the_close_is_at_its_limit_and_we_fill_it():
    bars = wild_bars(12, n_bars=2000)
    waiting = split(bars, random_orders(np.random.default_rng(9), bars, 2000, ("stop_limit",)))[1]
    assert len(waiting.frame) > 0
    ours, theirs = both(bars, waiting)
    assert compare(ours, theirs).n_fills < len(ours.fills)
