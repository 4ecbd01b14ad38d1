"""Orders that a policy cancels, and what it can read of those it has placed."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Bars, Execution, Policy, simulate
from engine.policy import (
    BARS,
    DAY,
    IOC,
    cancel,
    cancel_all,
    cancel_asset,
    is_filled,
    is_open,
    is_rejected,
    limit,
    market,
    moc,
    stop,
    target,
    units_filled,
)
from engine.records import STATUSES
from tests.engine.comparison import assert_same, play, play_slowly, statuses_of
from tests.engine.markets import Market, bars_of, orders_of, random_bars, shaped_bars
from tests.engine.policies import as_policy, seeds_with_orders, tied_at_random

FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize("part", range(8))
def test_cancelled_orders_end_as_those_of_the_slow_reference(part):
    n_cancelled = 0
    for seed in seeds_with_orders()[part::16]:
        given = tied_at_random(seed)
        bar_of = given.decisions.table(given.bars)["bar"].tolist()
        rng = np.random.default_rng(seed)
        # Also at the bar of the decision, and of many that have ended by then.
        cancel_bars = [bar + int(rng.integers(0, 8)) if rng.random() < 0.5 else None for bar in bar_of]
        policy = as_policy(given.decisions, given.bars, cancel_bars)
        fast, slow = simulate(given.bars, policy, **given.settings), play_slowly(given, cancel_bars)
        assert_same(given, fast, slow)
        n_cancelled += sum(a != b for a, b in zip(slow.statuses, play_slowly(given).statuses, strict=True))
    assert n_cancelled > 20


@pytest.mark.parametrize("latency", [0, 2])
@pytest.mark.parametrize("life", range(1, 6))
def test_cancelled_order_lives_as_long_as_one_for_so_many_bars(life, latency):
    bars = random_bars(np.random.default_rng(life), 12, 1)
    price = float(bars.low[2 + latency :, 0].min()) * 1.02
    row = {"bar": 1, "quantity": 5.0, "kind": "limit", "limit_price": price}
    execution = Execution(latency_bars=latency)
    frame = play(Market(bars, orders_of(bars, [row | {"tif": f"bars:{life}"}]), execution=execution))
    # It works in bar 2 + latency first; a cancellation takes the latency too.
    policy = as_policy(orders_of(bars, [row]), bars, [1 + life])
    result = simulate(bars, policy, execution=execution)
    np.testing.assert_array_equal(result.fills, frame.fills)
    ended = statuses_of(frame)[0]
    assert statuses_of(result) == ["cancelled" if ended == "expired" else ended]


def parent_cancelled(t, bars, account, desk, memory, parameters):
    if t == 0:
        limit(desk, 0, 20.0, 100.0)
        stop(desk, 0, -20.0, 95.0, parent=0)
        limit(desk, 0, 20.0, 50.0)
        stop(desk, 0, -20.0, 45.0, parent=2)
    if t == 1:
        cancel(desk, 0)
        cancel(desk, 2)


def test_children_of_a_cancelled_order_work_for_what_it_has_filled_or_end_with_it():
    # A tenth of 100 units a bar: 10 of the first order, none of the second.
    bars = shaped_bars([FLAT, FLAT, FLAT, (100.0, 100.0, 90.0, 92.0)], volume=100.0)
    result = simulate(bars, Policy(parent_cancelled), execution=Execution(participation_rate=0.1))
    assert result.fills[["bar", "order", "quantity"]].tolist() == [(1, 0, 10.0), (3, 1, -10.0)]
    assert statuses_of(result) == ["cancelled", "filled", "cancelled", "cancelled"]


def requotes(t, bars, account, desk, memory, parameters):
    for asset in range(2):
        limit(desk, asset, 1.0, 90.0)
    if t == 1:
        cancel_asset(desk, 1)
        limit(desk, 1, 1.0, 90.0)
    if t == 2:
        target(desk, 1, 5.0)
        cancel_all(desk)
        cancel(desk, 0)
        limit(desk, 0, 1.0, 90.0)


def test_orders_of_an_asset_or_all_of_them_are_cancelled_but_no_target_and_nothing_that_follows():
    bars = bars_of([[100.0, 100.0]] * 4)
    # The second bar cancels 1 and 3, placed before and at that bar; 4 follows.
    assert statuses_of(simulate(bars[:2], Policy(requotes))) == ["open", "cancelled", "open", "cancelled", "open"]
    result = simulate(bars, Policy(requotes))
    assert statuses_of(result) == ["cancelled"] * 7 + ["open"] * 3
    assert result.fills[["bar", "asset", "quantity"]].tolist() == [(3, 1, 5.0)]


def changes_its_mind(t, bars, account, desk, memory, parameters):
    if t == 1:
        cancel(desk, market(desk, 0, 1.0))
        market(desk, 0, 2.0)
        cancel(desk, 1)
        market(desk, 0, 4.0)


@pytest.mark.parametrize("timing", ["next_open", "same_close", "next_close"])
def test_order_cancelled_at_its_own_bar_never_fills(timing):
    result = simulate(bars_of([[100.0]] * 4), Policy(changes_its_mind), execution=Execution(timing=timing))
    assert result.fills["order"].tolist() == [2]
    assert statuses_of(result) == ["cancelled", "cancelled", "filled"]


def too_many(t, bars, account, desk, memory, parameters):
    for _ in range(100):
        number = limit(desk, 0, 1.0, 1.0)
        if number % 2 == 0:
            cancel(desk, number)
        elif number > 1000:
            cancel(desk, number - 1000)


def test_cancelling_finds_room_for_any_number_of_orders():
    result = simulate(bars_of([[100.0]] * 30), Policy(too_many))
    numbers = np.arange(3000)
    is_cancelled = (numbers % 2 == 0) | (numbers < 2000)
    assert statuses_of(result) == ["cancelled" if is_ended else "open" for is_ended in is_cancelled]


def asks(t, bars, account, desk, memory, parameters):
    if t == 1:
        limit(desk, 0, 15.0, 100.0, tif=DAY)
        limit(desk, 0, 15.0, 100.0, tif=BARS, tif_bars=3)
        stop(desk, 0, -25.0, 95.0, parent=1)
        market(desk, 0, 0.25)
        market(desk, 0, 1.0, tif=IOC)
    if t == 6:
        moc(desk, 0, -3.0)
    number = int(parameters[0])
    if t >= 6 or (t >= 1 and number < 5):
        # Told by what is held of the other asset at the next bar.
        told = 1.0 * is_open(desk, number) + 2.0 * is_filled(desk, number) + 4.0 * is_rejected(desk, number)
        target(desk, 1, 1_000.0 * told + 100.0 + units_filled(desk, number))


@pytest.mark.parametrize("number", range(6))
def test_policy_reads_how_far_its_orders_came_as_runs_that_end_there_say(number):
    deep = (100.0, 100.0, 90.0, 92.0)
    shapes = [FLAT, FLAT, FLAT, (100.0, 101.0, 99.0, 100.0), FLAT, FLAT, FLAT, deep, FLAT, FLAT]
    one = shaped_bars(shapes, volume=100.0)
    panels = {name: np.repeat(getattr(one, name), 2, axis=1) for name in ("open", "high", "low", "close", "volume")}
    panels["volume"][:, 1] = 1e9
    bars = Bars(**panels, bar_end=one.bar_end, symbols=("A0", "A1"))
    settings = {"execution": Execution(participation_rate=0.1, lot_size=1.0), "account": Account(cash=1e9)}
    policy = Policy(asks, {"number": number})
    positions = simulate(bars, policy, **settings).positions[:, 1]
    for t in range(1 if number < 5 else 6, bars.n_bars - 1):
        order = simulate(bars[: t + 1], policy, **settings).orders[number]
        status = "open" if STATUSES[order["status"]] == "working" else STATUSES[order["status"]]
        if t == order["bar"]:
            # Refused or not: that is told from the next bar on.
            status = "open"
        told = {"open": 1.0, "filled": 2.0, "rejected": 4.0}.get(status, 0.0)
        assert positions[t + 1] == 1_000.0 * told + 100.0 + (order["quantity"] - order["rest"]), (t, status)


def renews(t, bars, account, desk, memory, parameters):
    if t == 0 or not is_open(desk, int(memory[0])):
        memory[0] = limit(desk, 0, 1.0, 90.0, tif=DAY)


def test_order_that_ends_with_a_bar_is_renewed_at_that_bar():
    result = simulate(bars_of([[100.0]] * 5), Policy(renews))
    assert result.orders["bar"].tolist() == [0, 1, 2, 3, 4]
