"""Where inside a bar an order or a level of Risk is met, and at which price."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.jit import step
from engine.kernels.state import (
    ADAPTIVE,
    AFTER_MARKET,
    BEFORE,
    NEXT_BAR,
    OHLC,
    Book,
    Rules,
)
from engine.records import LIMIT, MARKET, MOO, STOP, STOP_LIMIT, STOP_LOSS, TARGET, TRAILING_LOSS, TRAILING_STOP

# Places on the path of a bar: 0 at the open, 1 and 2 at its extremes, 3 at the close. Beyond: never.
NEVER = np.inf


class Slice(NamedTuple):
    """A bar, or a finer bar of it: its prices, and the extremes of its path in the order they are visited."""

    open: float
    high: float
    low: float
    close: float
    first: float
    second: float
    number: int  # of the bar, or of the finer bar after all bars
    is_whole: bool
    is_path: bool


@step
def path_nb(open_: float, high: float, low: float, close: float, position: float, rule: int) -> tuple[float, float]:
    """Return the first and the second extreme of a bar's path."""
    high_first = rule == OHLC
    if rule == ADAPTIVE:
        up, down = high - open_, open_ - low
        high_first = up < down or (up == down and position < 0.0)
    return (high, low) if high_first else (low, high)


@step
def is_beyond_nb(price: float, level: float, side: float) -> bool:
    """Return whether a price is at a level or beyond it, upwards (side 1) or downwards (-1)."""
    return side * (price - level) >= 0.0


@step
def place_nb(level: float, is_rise: bool, is_strict: bool, start: float, now: float, bar: Slice) -> float:
    """Return the place from `start` (price `now`) on where a bar's path first is at or beyond a level, else NEVER.

    The path runs from the open by both extremes to the close. `is_rise`: at or above; `is_strict`: not merely at.
    """
    price = now
    side = 1.0 if is_rise else -1.0
    for leg in range(3):
        if start >= leg + 1.0:
            continue
        end = bar.first if leg == 0 else (bar.second if leg == 1 else bar.close)
        begin = max(start, float(leg))
        if is_beyond_nb(price, level, side) and not (is_strict and price == level):
            return begin
        if is_beyond_nb(end, level, side) and not (is_strict and end == level):
            return begin + (level - price) / (end - price) * (leg + 1.0 - begin)
        price = end
    return NEVER


@step
def stop_level_nb(orders: np.ndarray, number: int) -> float:
    """Return the price that triggers a stop, stop limit or trailing stop."""
    order = orders[number]
    if order["kind"] != TRAILING_STOP:
        return order["stop_price"]
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    if np.isnan(order["trail"]):
        return order["reference"] * (1.0 + side * order["trail_rate"])
    return order["reference"] + side * order["trail"]


@step
def is_stop_nb(orders: np.ndarray, number: int) -> bool:
    """Return whether an order waits for the price to move against it: a stop that is not yet triggered."""
    order = orders[number]
    kind = order["kind"]
    return order["is_triggered"] == 0 and (kind == STOP or kind == TRAILING_STOP or kind == STOP_LIMIT)


@step
def is_limit_nb(orders: np.ndarray, number: int) -> bool:
    """Return whether an order works as a limit now."""
    order = orders[number]
    return order["kind"] == LIMIT or (order["kind"] == STOP_LIMIT and order["is_triggered"] == 1)


@step
def begins_later_nb(book: Book, asset: int, rules: Rules) -> bool:
    """Return whether the levels of a position that was entered in this bar work from the next one on."""
    holding = book.holding[asset]
    if holding["entered"] == BEFORE or rules.children_from == NEXT_BAR:
        return True
    kind = holding["entry_kind"]
    return rules.children_from == AFTER_MARKET and kind != TARGET and kind != MARKET and kind != MOO


@step
def risk_stop_nb(book: Book, asset: int, rules: Rules) -> tuple[float, int]:
    """Return the nearer one of a position's stop and trailing level (NaN: none) and its kind."""
    side = 1.0 if book.position[asset] > 0.0 else -1.0
    level, kind = np.nan, STOP_LOSS
    if rules.stop_loss > 0.0:
        level = book.holding[asset]["entry_price"] * (1.0 - side * rules.stop_loss)
    if rules.trailing > 0.0:
        trailing = book.holding[asset]["extreme"] * (1.0 - side * rules.trailing)
        if np.isnan(level) or side * trailing > side * level:
            level, kind = trailing, TRAILING_LOSS
    return level, kind


@step
def risk_profit_nb(book: Book, asset: int, rules: Rules) -> float:
    """Return the level at which a position's profit is taken, NaN: none."""
    if rules.take_profit == 0.0:
        return np.nan
    side = 1.0 if book.position[asset] > 0.0 else -1.0
    return book.holding[asset]["entry_price"] * (1.0 + side * rules.take_profit)
