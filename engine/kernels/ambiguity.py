"""Bars in which both the stop and the target of a position were touched."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.levels import (
    Slice,
    is_beyond_nb,
    is_limit_nb,
    is_stop_nb,
    risk_profit_nb,
    risk_stop_nb,
    stop_level_nb,
)
from engine.kernels.lifecycle import is_active_nb
from engine.kernels.state import AT_OPEN, BEFORE, INSIDE, STOPS_FIRST, WITHIN, Book, Rules


@step
def note_ambiguity_nb(
    book: Book, orders: np.ndarray | None, asset: int, event: int, bar: Slice, t: int, rules: Rules
) -> None:
    """Count a bar in which the event's level and the opposite one of the same position were touched inside.

    Levels that the market had passed where they began to work are not: nothing is ambiguous about them.
    """
    if book.holding[asset]["ambiguous_bar"] == t:
        return
    distance = np.nan
    if event < 0:
        distance = distance_of_risk_nb(book, asset, bar, t, rules)
        units = abs(book.position[asset])
    elif orders is not None:
        distance = distance_of_group_nb(book, orders, event, bar, t, rules)
        units = abs(orders[event]["rest"])
    if not np.isnan(distance):
        book.holding[asset]["ambiguous_bar"] = t
        book.state.n_ambiguous += 1
        book.state.ambiguous_ccy += units * distance


@step
def distance_of_risk_nb(book: Book, asset: int, bar: Slice, t: int, rules: Rules) -> float:
    """Return the distance of a position's stop and target where both were touched inside, NaN otherwise."""
    holding = book.holding[asset]
    side = 1.0 if book.position[asset] > 0.0 else -1.0
    begin = bar.open
    if holding["began_bar"] == t and (holding["began"] == INSIDE or holding["began"] == AT_OPEN):
        begin = holding["begin_price"]
    stop, _ = risk_stop_nb(book, asset, rules)
    profit = risk_profit_nb(book, asset, rules)
    low, high = (bar.low, bar.high) if side > 0.0 else (bar.high, bar.low)
    if np.isnan(stop) or np.isnan(profit) or is_beyond_nb(begin, stop, -side) or is_beyond_nb(begin, profit, side):
        return np.nan
    is_both = is_beyond_nb(low, stop, -side) and is_beyond_nb(high, profit, side)
    return abs(profit - stop) if is_both else np.nan


@step
def distance_of_group_nb(book: Book, orders: np.ndarray, number: int, bar: Slice, t: int, rules: Rules) -> float:
    """Return the distance of an exit from the opposite exit of its group where both were touched, NaN otherwise."""
    order = orders[number]
    if order["oco_group"] < 0 or order["rest"] * book.position[order["asset"]] >= 0.0:
        return np.nan
    if not is_touched_nb(book, orders, number, bar, rules):
        return np.nan
    for i in range(book.state.n_live):
        other = book.live[i]
        partner = orders[other]
        if other == number or partner["oco_group"] != order["oco_group"] or partner["rest"] * order["rest"] <= 0.0:
            continue
        if not is_active_nb(orders, other, t) or is_limit_nb(orders, other) == is_limit_nb(orders, number):
            continue
        if is_touched_nb(book, orders, other, bar, rules):
            return abs(level_nb(orders, other) - level_nb(orders, number))
    return np.nan


@step
def level_nb(orders: np.ndarray, number: int) -> float:
    """Return the price that an order waits for."""
    return orders[number]["limit_price"] if is_limit_nb(orders, number) else stop_level_nb(orders, number)


@step
def is_touched_nb(book: Book, orders: np.ndarray, number: int, bar: Slice, rules: Rules) -> bool:
    """Return whether a bar touches an order's level inside, the market not having been beyond it at its begin."""
    order = orders[number]
    is_limit = is_limit_nb(orders, number)
    if not is_limit and not is_stop_nb(orders, number):
        return False
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    side = -side if is_limit else side
    level = level_nb(orders, number)
    is_old = order["began"] == BEFORE or order["began"] == WITHIN
    if not is_old or (rules.intrabar == STOPS_FIRST and is_limit):
        begin = bar.open if is_old else order["begin_price"]
        if is_beyond_nb(begin, level, side):
            return False
    far = bar.high if side > 0.0 else bar.low
    return is_beyond_nb(far, level, side) and (rules.limit_touch or not is_limit or far != level)
