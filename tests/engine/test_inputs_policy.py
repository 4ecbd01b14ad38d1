"""Policies that are none, that fail on their own, or that would not end: each is named, with its bar if it has one."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import engine.policy
from engine import InputError, Policy, simulate
from engine.jit import is_compiling
from engine.policy import BARS, market, target
from tests.engine.markets import bars_of

MARKET = bars_of([[10.0], [11.0], [12.0], [11.0]])


def still(t, bars, account, desk, memory, parameters):
    memory[0] += 1.0


def of_five(t, bars, account, desk, memory):
    pass


def of_seven(t, bars, account, desk, memory, parameters, more):
    pass


def of_any(*arguments):
    pass


def with_a_default(t, bars, account, desk, memory, parameters, more=1):
    pass


def a_generator(t, bars, account, desk, memory, parameters):
    yield t


async def a_coroutine(t, bars, account, desk, memory, parameters):
    pass


def itself(t, bars, account, desk, memory, parameters):
    itself(t, bars, account, desk, memory, parameters)


class Callable:
    def __call__(self, t, bars, account, desk, memory, parameters):
        pass

    def method(self, t, bars, account, desk, memory, parameters):
        pass


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (of_five, r"'of_five' must be a function of \(t, bars, .*\), was one of \(t, bars, account, desk, memory\)"),
        (of_seven, "'of_seven' must be a function of .*, was one of .*more"),
        (of_any, "'of_any' must be a function of .*, each of them named"),
        (with_a_default, "'with_a_default' must be a function of .*, each of them named"),
        (a_generator, "must be a plain function, was one with yield or async"),
        (a_coroutine, "must be a plain function, was one with yield or async"),
        (itself, "'itself' must not call itself"),
        (Callable(), "must be a plain function, was Callable"),
        (Callable().method, "must be a plain function, was method"),
        (functools.partial(still), "must be a plain function, was partial"),
        (print, "must be a plain function, was builtin"),
        (Callable, "must be a plain function, was type"),
    ],
)
def test_function_that_is_no_policy_is_refused_when_it_is_given(function, words):
    with pytest.raises(InputError, match=words):
        Policy(function)


@pytest.mark.skipif(not is_compiling(), reason="plain Python compiles nothing")
def test_functions_that_call_each_other_in_a_circle_are_refused_and_compiled_ones_taken():
    import numba

    @numba.njit
    def one(x):
        return 0 if x < 0 else other(x + 1)

    @numba.njit
    def other(x):
        return one(x)

    @numba.njit
    def twice(x):
        return 2.0 * x

    @numba.njit
    def calls(t, bars, account, desk, memory, parameters):
        target(desk, 0, twice(3.0))

    def circles(t, bars, account, desk, memory, parameters):
        memory[0] = one(t)

    with pytest.raises(InputError, match="policy 'circles' must not call itself, nor what it calls; 'one' does"):
        Policy(circles)
    assert simulate(MARKET, Policy(calls, n_memory=np.int64(1))).positions[-1, 0] == 6.0


def fails(t, bars, account, desk, memory, parameters):
    if t == 2:
        raise ValueError("no more")


def wants_too_much(t, bars, account, desk, memory, parameters):
    memory[0] = np.empty(-t - 1).size


def half_an_asset(t, bars, account, desk, memory, parameters):
    market(desk, 0.5, 1.0)


def asset_of_more_bits(t, bars, account, desk, memory, parameters):
    market(desk, 2**32, 1.0)


def half_a_bar(t, bars, account, desk, memory, parameters):
    market(desk, 0, 1.0, tif=BARS, tif_bars=2.5)


def too_large(t, bars, account, desk, memory, parameters):
    target(desk, 0, 1e300)


def too_small(t, bars, account, desk, memory, parameters):
    market(desk, 0, 5e-324)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (fails, r"policy 'fails' raised ValueError at 2020-01-03T21:00:00\.000000: no more"),
        (wants_too_much, "policy 'wants_too_much' raised ValueError at 2020-01-01T21"),
        (half_an_asset, "an order needs an asset"),
        (asset_of_more_bits, "an order needs an asset"),
        (half_a_bar, "tif_bars must be at least 1 with BARS"),
        (too_large, "1e-50 to 1e.50 in size; was target of 1e.300 for A0 at 2020-01-01"),
        (too_small, "1e-50 to 1e.50 in size; was market of"),
    ],
)
def test_policy_that_fails_names_itself_and_its_bar(function, words):
    with pytest.raises(InputError, match=words):
        simulate(MARKET, Policy(function))


def endless(t, bars, account, desk, memory, parameters):
    while t == 1:
        market(desk, 0, 1.0)


def test_policy_that_orders_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(engine.policy, "MOST_ORDERS", 5_000)
    with pytest.raises(InputError, match="policy 'endless' must place at most 5000 orders in a run, placed more"):
        simulate(MARKET, Policy(endless))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_memory": 10**12}, "n_memory must be a whole number from 0 to 1000000, was 1000000000000"),
        ({"n_memory": 2.0}, "n_memory must be a whole number of at least 0, was 2.0"),
        ({"parameters": [1.0]}, r"parameters must be a mapping of names to numbers, was \[1.0\]"),
        ({"parameters": None}, "parameters must be a mapping of names to numbers, was None"),
        ({"parameters": {1: 1.0}}, "a parameter's name must be a text, was 1"),
        ({"parameters": {"n": 10**400}}, "the parameter n of a policy must be a number, was 1000"),
        ({"parameters": {"n": True}}, "the parameter n of a policy must be a number, was True"),
    ],
)
def test_setting_of_a_policy_that_is_none_is_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Policy(still, **settings)
