"""Orders of policies: what they do is what the same orders of a frame do."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Actions, Costs, Policy, simulate
from engine.jit import is_compiling
from engine.policy import _COMPILED, bracket, limit, market, stop
from engine.records import FILL_KINDS
from tests.engine.comparison import assert_same, play, play_slowly, statuses_of
from tests.engine.markets import Market, bars_of, orders_of, random_bars, random_market, session_times, shaped_bars
from tests.engine.policies import (
    assert_policy_does_the_same,
    assert_same_to_the_last_bit,
    seeds_with_orders,
    tied_at_random,
)

FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize("part", range(8))
def test_policy_that_follows_a_frame_of_orders_has_its_run_to_the_last_bit(part):
    for seed in seeds_with_orders()[part::8]:
        assert_policy_does_the_same(random_market(seed))


@pytest.mark.parametrize("part", range(8))
def test_orders_tied_over_many_bars_do_the_same_in_a_policy_a_frame_and_the_slow_reference(part):
    for seed in seeds_with_orders()[part::24]:
        given = tied_at_random(seed)
        assert_same(given, assert_policy_does_the_same(given), play_slowly(given))


def test_random_markets_hold_every_kind_and_time_in_force_and_both_ties():
    kinds, tifs, n_parents, n_groups = set(), set(), 0, 0
    for seed in seeds_with_orders():
        table = random_market(seed).decisions.table(random_market(seed).bars)
        kinds |= {FILL_KINDS[kind] for kind in table["kind"]}
        tifs |= set(table["tif"].tolist())
        n_parents += int((table["parent"] >= 0).sum())
        n_groups += int((table["oco_group"] >= 0).sum())
    assert len(kinds) == 7
    assert tifs == {0, 1, 2, 3}
    assert min(n_parents, n_groups) > 100


def test_session_orders_meet_the_first_and_the_last_bar_of_a_session():
    bars = random_bars(np.random.default_rng(5), 9, 1, bar_end=session_times(9, 3))
    result = assert_policy_does_the_same(
        Market(
            bars,
            orders_of(
                bars,
                [
                    {"bar": 1, "quantity": 1.0, "kind": "moo"},
                    {"bar": 1, "quantity": 2.0, "kind": "moc"},
                    {"bar": 2, "quantity": 3.0, "kind": "moc", "tif": "ioc"},
                    {"bar": 3, "quantity": 4.0, "kind": "market", "tif": "day"},
                ],
            ),
        )
    )
    assert result.fills[["bar", "quantity"]].tolist() == [(2, 2.0), (3, 1.0), (4, 4.0)]
    assert statuses_of(result) == ["filled", "filled", "expired", "filled"]


def test_trailing_stop_by_an_amount_stands_at_its_first_level_until_the_market_moves():
    bars = shaped_bars([FLAT, (100.0, 101.0, 96.0, 100.0), (100.0, 110.0, 99.0, 108.0), (108.0, 108.0, 101.0, 102.0)])
    rows = [
        {"bar": 0, "quantity": -1.0, "kind": "trailing_stop", "trail": 5.0},
        {"bar": 0, "quantity": -2.0, "kind": "trailing_stop", "trail_rate": 0.05},
        {"bar": 0, "quantity": -3.0, "kind": "trailing_stop", "trail": 5.0, "stop_price": 96.5},
    ]
    result = assert_policy_does_the_same(Market(bars, orders_of(bars, rows)))
    # 110 - 5, 110 x 0.95, and 96.5 as it was given.
    assert result.fills[["bar", "quantity", "price"]].tolist() == [(1, -3.0, 96.5), (3, -1.0, 105.0), (3, -2.0, 104.5)]


def tied_later(t, bars, account, desk, memory, parameters):
    if t == 0:
        limit(desk, 0, 1.0, 95.0)
        limit(desk, 0, 1.0, 94.0)
    if t == 1:
        limit(desk, 0, 1.0, 93.0, oco_group=0)
        limit(desk, 0, 1.0, 92.0, oco_group=2)
        stop(desk, 0, -1.0, 90.0, parent=1)
    if t == 3:
        limit(desk, 0, 1.0, 91.0, oco_group=3)


def test_orders_are_tied_to_orders_of_earlier_bars():
    bars = shaped_bars([FLAT, FLAT, (100.0, 100.0, 94.5, 100.0), FLAT, (100.0, 100.0, 80.0, 100.0), FLAT])
    result = simulate(bars, Policy(tied_later))
    group = {"oco_group": "g", "kind": "limit", "quantity": 1.0}
    rows = [
        group | {"bar": 0, "limit_price": 95.0},
        {"bar": 0, "quantity": 1.0, "kind": "limit", "limit_price": 94.0},
        group | {"bar": 1, "limit_price": 93.0},
        group | {"bar": 1, "limit_price": 92.0},
        {"bar": 1, "quantity": -1.0, "kind": "stop", "stop_price": 90.0, "parent": 1.0},
        group | {"bar": 3, "limit_price": 91.0},
    ]
    assert_same_to_the_last_bit(result, play(Market(bars, orders_of(bars, rows))))
    assert statuses_of(result) == ["filled", "filled", "cancelled", "cancelled", "filled", "cancelled"]


def joins_late(t, bars, account, desk, memory, parameters):
    if t == 0:
        market(desk, 0, 1.0)
    if t == 2:
        limit(desk, 0, -1.0, 90.0, oco_group=0)


def test_order_that_joins_one_that_has_filled_is_cancelled():
    assert statuses_of(simulate(bars_of([[100.0]] * 5), Policy(joins_late))) == ["filled", "cancelled"]


def brackets(t, bars, account, desk, memory, parameters):
    if t == 1:
        bracket(desk, 0, 10.0, 97.0, 104.0)


def test_bracket_is_an_entry_with_two_children_in_a_group():
    bars = shaped_bars([FLAT, FLAT, (100.0, 105.0, 99.0, 101.0), FLAT])
    child = {"bar": 1, "quantity": -10.0, "parent": 0.0, "oco_group": "exit"}
    rows = [
        {"bar": 1, "quantity": 10.0, "kind": "market"},
        child | {"kind": "stop", "stop_price": 97.0},
        child | {"kind": "limit", "limit_price": 104.0},
    ]
    given = Market(bars, orders_of(bars, rows))
    assert_same_to_the_last_bit(simulate(bars, Policy(brackets)), play(given))
    assert_same(given, simulate(bars, Policy(brackets)), play_slowly(given))


@pytest.mark.skipif(not is_compiling(), reason="plain Python compiles nothing")
def test_one_loop_runs_every_policy_under_every_setting():
    bars = random_bars(np.random.default_rng(1), 40, 1)
    for function in (brackets, joins_late):
        simulate(bars, Policy(function), costs=Costs(impact_coefficient=0.1))
        simulate(bars, Policy(function), finer=bars)
        simulate(bars, Policy(function), actions=Actions.none(bars), account=Account(cash_rate=0.01))
    assert len(_COMPILED["loop"].signatures) == 1
