"""What a policy asks for in vain ends its run with the rule, the value, the policy and the bar."""

from __future__ import annotations

import numpy as np
import pytest

from engine import InputError, Policy, simulate
from engine.policy import (
    BARS,
    DAY,
    NONE,
    cancel,
    cancel_asset,
    is_filled,
    is_open,
    is_rejected,
    limit,
    market,
    stop,
    stop_limit,
    trailing_stop,
    units_filled,
)
from tests.engine.markets import bars_of


def wrong_tif(t, bars, account, desk, memory, parameters):
    if t == 2:
        limit(desk, 0, 1.0, 90.0, tif=7)


def huge_tif(t, bars, account, desk, memory, parameters):
    if t == 2:
        limit(desk, 0, 1.0, 90.0, tif=2**32)


def negative_bars(t, bars, account, desk, memory, parameters):
    if t == 2:
        stop(desk, 0, 1.0, 110.0, tif=BARS, tif_bars=-3)


def no_bars(t, bars, account, desk, memory, parameters):
    if t == 2:
        market(desk, 0, 1.0, tif=BARS)


def idle_bars(t, bars, account, desk, memory, parameters):
    if t == 2:
        market(desk, 0, 1.0, tif=DAY, tif_bars=3)


def unknown_cancelled(t, bars, account, desk, memory, parameters):
    if t == 2:
        market(desk, 0, 1.0)
        cancel(desk, 1)


def nothing_cancelled(t, bars, account, desk, memory, parameters):
    if t == 2:
        cancel(desk, NONE)


def unknown_asset_cancelled(t, bars, account, desk, memory, parameters):
    if t == 2:
        cancel_asset(desk, 1)


def unknown_read(t, bars, account, desk, memory, parameters):
    if t == 2 and is_open(desk, 0):
        market(desk, 0, np.nan)


def unknown_units(t, bars, account, desk, memory, parameters):
    if t == 2 and units_filled(desk, 3) == 0.0 and not is_filled(desk, 4) and not is_rejected(desk, 5):
        memory[0] = 1.0


def own_parent(t, bars, account, desk, memory, parameters):
    if t == 2:
        market(desk, 0, 1.0, parent=0)


def group_of_none(t, bars, account, desk, memory, parameters):
    if t == 2:
        market(desk, 0, 1.0, oco_group=-2)


def rival_parent(t, bars, account, desk, memory, parameters):
    if t == 2:
        entry = market(desk, 0, 1.0)
        stop(desk, 0, -1.0, 90.0, parent=entry, oco_group=entry)


def two_trails(t, bars, account, desk, memory, parameters):
    if t == 2:
        trailing_stop(desk, 0, -1.0, trail_rate=0.1, trail=2.0)


def no_trail(t, bars, account, desk, memory, parameters):
    if t == 2:
        trailing_stop(desk, 0, -1.0)


def wide_trail(t, bars, account, desk, memory, parameters):
    if t == 2:
        trailing_stop(desk, 0, -1.0, 1.5)


def wrong_first_level(t, bars, account, desk, memory, parameters):
    if t == 2:
        trailing_stop(desk, 0, -1.0, 0.1, stop_price=-5.0)


def wrong_limit(t, bars, account, desk, memory, parameters):
    if t == 2:
        stop_limit(desk, 0, -1.0, 90.0, 0.0)


def wrong_stop(t, bars, account, desk, memory, parameters):
    if t == 2:
        stop_limit(desk, 0, -1.0, np.inf, 90.0)


AT = "A0 at 2020-01-03 21:00 UTC"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (wrong_tif, f"tif must be GTC, DAY, IOC or BARS; was limit of 1, limit_price 90, tif 7 for {AT}"),
        (huge_tif, "tif must be GTC, DAY, IOC or BARS"),
        (negative_bars, f"tif_bars must be at least 1 with BARS.*was stop of 1, .*, tif BARS, tif_bars -3 for {AT}"),
        (no_bars, f"tif_bars must be at least 1 with BARS.*was market of 1, tif BARS for {AT}"),
        (idle_bars, "and 0 with every other tif; was market of 1, tif DAY, tif_bars 3"),
        (unknown_cancelled, "named order 1 at 2020-01-03 21:00 UTC: it has placed 1 order"),
        (nothing_cancelled, "named order -1 at 2020-01-03 21:00 UTC: it has placed 0 orders"),
        (unknown_asset_cancelled, "named asset 1 at 2020-01-03 21:00 UTC: assets are 0 to 0"),
        (unknown_read, "named order 0 at 2020-01-03 21:00 UTC"),
        (unknown_units, "named order 3 at 2020-01-03 21:00 UTC"),
        (own_parent, f"parent must be .* placed before; was market of 1, parent 0 for {AT}"),
        (group_of_none, f"oco_group must be .* placed before; was market of 1, oco_group -2 for {AT}"),
        (rival_parent, "must not share an oco_group.*stop_price 90, parent 0, oco_group 0"),
        (two_trails, "either trail, .*; was trailing_stop of -1, trail 2, trail_rate 0.1"),
        (no_trail, "either trail, .*; was trailing_stop of -1 for"),
        (wide_trail, "either trail, .*; was trailing_stop of -1, trail_rate 1.5 for"),
        (wrong_first_level, "stop_price must be positive and finite.*; was .*stop_price -5"),
        (wrong_limit, "limit_price must be positive and finite.*; was stop_limit of -1, limit_price 0, stop_price 90"),
        (wrong_stop, "stop_price must be positive and finite.*; was stop_limit of -1, limit_price 90, stop_price inf"),
    ],
)
def test_what_is_no_order_and_the_number_of_none_are_errors_with_the_policy_and_the_bar(function, words):
    with pytest.raises(InputError, match=f"^policy '{function.__name__}' .*{words}"):
        simulate(bars_of([[100.0]] * 4), Policy(function))


def other_asset(t, bars, account, desk, memory, parameters):
    if t == 2:
        first = market(desk, 0, 1.0)
        if parameters[0] > 0.0:
            market(desk, 1, 1.0, parent=first)
        else:
            market(desk, 1, 1.0, oco_group=first)


@pytest.mark.parametrize(("is_parent", "word"), [(1.0, "parent"), (-1.0, "oco_group")])
def test_orders_are_tied_to_orders_of_their_asset_alone(is_parent, word):
    with pytest.raises(InputError, match=f"{word} must be the number of an order of the same asset.* for A1 at 2020"):
        simulate(bars_of([[100.0, 100.0]] * 4), Policy(other_asset, {"is_parent": is_parent}))
