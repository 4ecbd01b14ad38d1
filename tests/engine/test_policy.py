"""Policies: compiled bar functions."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Bars, InputError, Orders, Policy, TargetUnits, simulate
from engine.jit import is_compiling
from engine.policy import bracket, limit, market, stop, target, trailing_stop
from tests.engine.markets import random_bars


@pytest.fixture(scope="module")
def bars():
    return random_bars(np.random.default_rng(3), 200, 2)


def buy_and_sell(t, bars, account, desk, memory, parameters):
    if t % 20 == 4:
        market(desk, 0, parameters[0])
    if t % 20 == 14 and account.position[0] > 0.0:
        market(desk, 0, -account.position[0])


def test_orders_of_a_policy_do_what_the_same_orders_in_a_frame_do(bars):
    import pandas as pd

    policy = simulate(bars, Policy(buy_and_sell, {"units": 10.0}))
    ends = pd.DatetimeIndex(bars.bar_end).tz_localize("UTC")
    rows = [(t, 10.0) for t in range(4, 200, 20)] + [(t, -10.0) for t in range(14, 200, 20)]
    frame = pd.DataFrame(
        {"bar_end": [ends[t] for t, _ in rows], "symbol": "A0", "kind": "market", "quantity": [q for _, q in rows]}
    )
    orders = simulate(bars, Orders(frame))
    np.testing.assert_array_equal(policy.equity, orders.equity)
    assert policy.fills.size == orders.fills.size == 20


def hold(t, bars, account, desk, memory, parameters):
    if t == 5:
        target(desk, 1, 7.0)


def test_target_of_a_policy_is_a_target(bars):
    units = np.full(bars.close.shape, np.nan)
    units[5, 1] = 7.0
    np.testing.assert_array_equal(simulate(bars, Policy(hold)).equity, simulate(bars, TargetUnits(units)).equity)


def all_kinds(t, bars, account, desk, memory, parameters):
    price = bars.close[-1, 0]
    if t == 3:
        bracket(desk, 0, 5.0, price * 0.9, price * 1.1)
        limit(desk, 1, 5.0, bars.close[-1, 1])
        stop(desk, 1, -5.0, bars.close[-1, 1] * 0.95)
        trailing_stop(desk, 1, -5.0, 0.03)
    memory[0] += 1.0


def test_policy_places_orders_of_other_kinds(bars):
    result = simulate(bars, Policy(all_kinds))
    assert result.orders.size == 6
    assert set(result.orders_frame()["kind"]) == {"market", "stop", "limit", "trailing_stop"}


def follow(t, bars, account, desk, memory, parameters):
    if bars.close[-1, 0] > bars.close[max(t - 5, 0), 0]:
        target(desk, 0, 3.0)
    else:
        target(desk, 0, 0.0)


def test_policy_sees_nothing_after_its_bar(bars):
    cut = 120
    changed = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for values in changed.values():
        values[cut:] *= 1.7
    whole, other = (
        simulate(b, Policy(follow)) for b in (bars, Bars(**changed, bar_end=bars.bar_end, symbols=bars.symbols))
    )
    np.testing.assert_array_equal(whole.equity[:cut], other.equity[:cut])
    assert not np.array_equal(whole.equity, other.equity)


def peek(t, bars, account, desk, memory, parameters):
    if bars.close[t + 1, 0] > 0.0:
        market(desk, 0, 1.0)


def unknown(t, bars, account, desk, memory, parameters):
    memory[0] = bars.vwap[-1, 0]


def nothing(t, bars, account, desk, memory, parameters):
    market(desk, 0, np.nan)


def nowhere(t, bars, account, desk, memory, parameters):
    target(desk, 9, 1.0)


def dice(t, bars, account, desk, memory, parameters):
    market(desk, 0, np.random.random())  # noqa: NPY002


def test_looking_ahead_is_an_error_that_names_the_policy_and_the_bar(bars):
    with pytest.raises(InputError, match="policy 'peek' looked outside its arrays at 2020-01-01"):
        simulate(bars, Policy(peek))


@pytest.mark.skipif(not is_compiling(), reason="plain Python compiles nothing")
def test_compile_error_names_the_policy_the_line_and_what_is_wrong(bars):
    line = unknown.__code__.co_firstlineno + 1
    with pytest.raises(
        InputError, match=rf"policy 'unknown' does not compile, line {line} of .*test_policy.py: .*vwap"
    ):
        simulate(bars, Policy(unknown))


@pytest.mark.parametrize(("function", "words"), [(nothing, "was market of nan for A0"), (nowhere, "of 1 for asset 9")])
def test_what_is_no_order_is_an_error_that_says_what_it_was(bars, function, words):
    with pytest.raises(InputError, match=words):
        simulate(bars, Policy(function))


def test_policy_that_draws_random_numbers_is_found_out(bars):
    result = simulate(bars, Policy(dice))
    with pytest.raises(InputError, match="must repeat itself to the last bit"):
        _ = result.fills


def flood(t, bars, account, desk, memory, parameters):
    for _ in range(100):
        market(desk, 0, 1e-6)


def test_any_number_of_orders_finds_room(bars):
    assert simulate(bars, Policy(flood)).orders.size == 200 * 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"function": 3}, "needs a function, was int"),
        ({"function": hold, "n_memory": -1}, "n_memory must be a whole number of at least 0, was -1"),
        ({"function": hold, "parameters": {"n": "20"}}, "the parameter n of a policy must be a number, was '20'"),
    ],
)
def test_unfit_settings_of_a_policy_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Policy(**arguments)
