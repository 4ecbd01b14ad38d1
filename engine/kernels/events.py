"""What a bar meets next: a level of Risk, or an order, with its place, its price and its rank.

Along a path the place is the rank, stops before limits where they are equal. Without one all of a bar is one place,
and stops rank before limits, orders by their numbers. What a finer bar's open has passed ranks before all that is
inside it.
"""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import available_nb
from engine.kernels.levels import (
    NEVER,
    Slice,
    begins_later_nb,
    is_beyond_nb,
    is_limit_nb,
    is_stop_nb,
    place_nb,
    risk_profit_nb,
    risk_stop_nb,
    stop_level_nb,
)
from engine.kernels.lifecycle import is_active_nb
from engine.kernels.state import AT_OPEN, BEFORE, INSIDE, STOPS_FIRST, WITHIN, Book, Market, Rules
from engine.records import STOP_LIMIT

# What the search finds beside the number of an order.
NOTHING, RISK_STOP, RISK_PROFIT = -3, -2, -1
# Ranks where a bar has no path. Numbers of orders are far smaller than the distance between two of them.
_PASSED_RISK, _PASSED_SALE, _PASSED_BUY = -5e15, -4e15, -3e15
_RISK, _STOPS, _LIMITS, _PROFITS = -2e15, -1e15, 0.0, 1e15
# Along a path, how much later a limit is than a stop at the same place.
_TIE = 1e-12


@step
def is_at_open_nb(key: float, bar: Slice) -> bool:
    """Return whether an event of this rank is met at a finer bar's open."""
    return not bar.is_whole and key < _RISK


@step
def next_risk_nb(
    book: Book, asset: int, bar: Slice, place: float, now: float, t: int, rules: Rules
) -> tuple[int, float, float, float]:
    """Return which level of Risk is met next, its place, price and rank; NOTHING where none is."""
    holding = book.holding[asset]
    event, at, reference, key = NOTHING, NEVER, np.nan, NEVER
    if (holding["entry_bar"] == t and begins_later_nb(book, asset, rules)) or holding["exit_kind"] >= 0:
        return event, at, reference, key
    side = 1.0 if book.position[asset] > 0.0 else -1.0
    has_begun = holding["began_bar"] == t and (holding["began"] == AT_OPEN or holding["began"] == INSIDE)
    is_inside = has_begun and holding["began"] == INSIDE
    begin = holding["begin_price"] if has_begun else bar.open
    level, _ = risk_stop_nb(book, asset, rules)
    if not np.isnan(level):
        is_passed = is_beyond_nb(begin, level, -side)
        if bar.is_path:
            at = place_nb(level, side < 0.0, False, place, now, bar)
            key = at
            reference = now if at == place and is_beyond_nb(now, level, -side) else level
        elif is_beyond_nb(bar.low if side > 0.0 else bar.high, level, -side):
            at, reference = 0.0, begin if is_passed else level
            key = _PASSED_RISK if is_passed and not has_begun and not bar.is_whole else _RISK
        if at < NEVER:
            event = RISK_STOP
    level = risk_profit_nb(book, asset, rules)
    if np.isnan(level):
        return event, at, reference, key
    is_passed = is_beyond_nb(begin, level, side)
    if bar.is_path:
        found = place_nb(level, side > 0.0, False, place, now, bar)
        if found < key:
            price = now if found == place and is_beyond_nb(now, level, side) else level
            return RISK_PROFIT, found, price, found + _TIE
        return event, at, reference, key
    is_gap = is_passed and not has_begun and not bar.is_whole and rules.intrabar != STOPS_FIRST
    rank = _PASSED_RISK if is_gap else _PROFITS
    far = bar.high if side > 0.0 else bar.low
    if is_inside and holding["entry_bar"] == t and holding["entered"] == INSIDE:
        far = bar.close
    if rank < key and is_beyond_nb(far, level, side):
        is_begin = is_gap or (rules.intrabar == STOPS_FIRST and is_passed and not is_inside)
        return RISK_PROFIT, 0.0, begin if is_begin else level, rank
    return event, at, reference, key


@step
def next_order_nb(
    book: Book,
    market: Market,
    orders: np.ndarray,
    asset: int,
    bar: Slice,
    place: float,
    now: float,
    event: int,
    at: float,
    reference: float,
    key: float,
    t: int,
    rules: Rules,
) -> tuple[int, float, float, float]:
    """Return the next event, its place, price and rank: the one known already, or an order that comes before it."""
    for i in range(book.state.n_live):
        number = book.live[i]
        if orders[number]["asset"] != asset or not is_active_nb(orders, number, t):
            continue
        if orders[number]["met_bar"] == t or orders[number]["met_slice"] == bar.number:
            continue
        if is_stop_nb(orders, number):
            found, price, rank = stop_event_nb(book, orders, number, bar, place, now, rules)
        elif is_limit_nb(orders, number):
            found, price, rank = limit_event_nb(book, orders, number, bar, place, now, rules)
        else:
            continue
        # Volume does not keep a stop from being triggered.
        is_fillable = is_stop_nb(orders, number) or available_nb(book, market, asset, t, rules) > 0.0
        if found < NEVER and rank < key and is_fillable:
            event, at, reference, key = number, found, price, rank
    return event, at, reference, key


@step
def begin_of_nb(orders: np.ndarray, number: int, bar: Slice) -> float:
    """Return the market's price where in the bar an order began to work: its open, or its parent's fill."""
    began = orders[number]["began"]
    return orders[number]["begin_price"] if began == INSIDE or began == AT_OPEN else bar.open


@step
def stop_event_nb(
    book: Book, orders: np.ndarray, number: int, bar: Slice, place: float, now: float, rules: Rules
) -> tuple[float, float, float]:
    """Return where a stop is met next (NEVER: not in this bar), at which price, and its rank.

    The price is NaN for a stop limit that is triggered without its limit being met after it.
    """
    order = orders[number]
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    level = stop_level_nb(orders, number)
    if bar.is_path:
        at = place_nb(level, side > 0.0, False, place, now, bar)
        return at, now if at == place and is_beyond_nb(now, level, side) else level, at
    begin = begin_of_nb(orders, number, bar)
    is_passed = is_beyond_nb(begin, level, side)
    if not is_passed and not is_beyond_nb(bar.high if side > 0.0 else bar.low, level, side):
        return NEVER, np.nan, NEVER
    price = begin if is_passed else level
    rank = _STOPS + number
    if is_passed and not bar.is_whole and (order["began"] == BEFORE or order["began"] == WITHIN):
        rank = (_PASSED_SALE if side < 0.0 else _PASSED_BUY) + number
    if order["kind"] == STOP_LIMIT and not is_beyond_nb(price, order["limit_price"], -side):
        # Not marketable where it is triggered: it is a limit for what follows of the bar.
        limit = order["limit_price"]
        is_open = is_passed and order["began"] != INSIDE
        far = (bar.low if side > 0.0 else bar.high) if is_open else bar.close
        is_met = is_beyond_nb(far, limit, -side) and (rules.limit_touch or far != limit)
        price = limit if is_met else np.nan
        rank = _LIMITS + number if is_met and rank < _RISK else rank
    return 0.0, price, rank


@step
def limit_event_nb(
    book: Book, orders: np.ndarray, number: int, bar: Slice, place: float, now: float, rules: Rules
) -> tuple[float, float, float]:
    """Return where a limit is met next (NEVER: not in this bar), at which price, and its rank."""
    order = orders[number]
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    level = order["limit_price"]
    if bar.is_path:
        at = place_nb(level, side < 0.0, not rules.limit_touch, place, now, bar)
        return at, now if at == place and is_beyond_nb(now, level, -side) else level, at + _TIE
    is_inside = order["began"] == INSIDE
    far = bar.close if is_inside else (bar.low if side > 0.0 else bar.high)
    if not is_beyond_nb(far, level, -side) or (not rules.limit_touch and far == level):
        return NEVER, np.nan, NEVER
    begin = begin_of_nb(orders, number, bar)
    is_passed = is_beyond_nb(begin, level, -side)
    is_old = order["began"] == BEFORE or order["began"] == WITHIN
    rank = _LIMITS + number
    is_met = is_passed and (rules.limit_touch or begin != level)
    if is_met and is_old and not bar.is_whole and rules.intrabar != STOPS_FIRST:
        rank = (_PASSED_SALE if side < 0.0 else _PASSED_BUY) + number
    is_begin = not is_old or not bar.is_whole or rules.intrabar == STOPS_FIRST
    return 0.0, begin if is_passed and is_begin else level, rank
