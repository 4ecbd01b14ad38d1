"""Stretches of bars in which positions only wait for their levels of Risk."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.levels import risk_profit_nb, risk_stop_nb
from engine.kernels.state import HELD, Book, Floats, Market, Rules

# Bars that are looked through at once, without asking in between whether one was met.
_BLOCK = 32


@step
def first_met_bar_nb(book: Book, market: Market, start: int, end: int, rules: Rules) -> int:
    """Return the first bar of [start, end) in which a level may be met, or the end of those that were looked at.

    What trails is moved by the bars before it.
    """
    if book.state.n_held > 1:
        # The others are looked through again after each bar that is met.
        end = min(end, start + _BLOCK)
    for i in range(book.state.n_held):
        asset = book.lists[HELD, i]
        holding = book.holding[asset]
        if holding["exit_kind"] >= 0:
            return start
        if rules.time_stop > 0:
            end = max(min(end, holding["entry_bar"] + rules.time_stop), start)
        high, low = market.high[start:end, asset], market.low[start:end, asset]
        profit = risk_profit_nb(book, asset, rules)
        if rules.trailing > 0.0:
            n = first_trailed_nb(book, high, low, asset, profit, rules)
        elif book.position[asset] > 0.0:
            stop, _ = risk_stop_nb(book, asset, rules)
            n = first_beyond_nb(high, low, profit, stop)
        else:
            stop, _ = risk_stop_nb(book, asset, rules)
            n = first_beyond_nb(high, low, stop, profit)
        end = start + n
    if rules.trailing > 0.0:
        for i in range(book.state.n_held):
            trail_stretch_nb(book, market, book.lists[HELD, i], start, end)
    return end


@step
def first_beyond_nb(high: Floats, low: Floats, above: float, below: float) -> int:
    """Return the first bar that reaches a level above or below (NaN: none), or the number of bars."""
    n = high.size
    whole = n - n % _BLOCK
    first = 0
    while first < whole:
        is_met = False
        for k in range(_BLOCK):
            is_met |= (high[first + k] >= above) | (low[first + k] <= below)
        if is_met:
            break
        first += _BLOCK
    while first < n and not (high[first] >= above or low[first] <= below):
        first += 1
    return first


@step
def first_trailed_nb(book: Book, high: Floats, low: Floats, asset: int, profit: float, rules: Rules) -> int:
    """Return the first bar that reaches the level that trails those before it, a fixed one or the profit's."""
    extreme = book.holding[asset]["extreme"]
    is_long = book.position[asset] > 0.0
    side = 1.0 if is_long else -1.0
    fixed = np.nan
    if rules.stop_loss > 0.0:
        fixed = book.holding[asset]["entry_price"] * (1.0 - side * rules.stop_loss)
    far, near = (high, low) if is_long else (low, high)
    for t in range(high.size):
        trailing = extreme * (1.0 - side * rules.trailing)
        is_stopped = side * near[t] <= side * trailing or side * near[t] <= side * fixed
        if is_stopped or side * far[t] >= side * profit:
            return t
        if side * far[t] > side * extreme:
            extreme = far[t]
    return int(high.size)


@step
def trail_stretch_nb(book: Book, market: Market, asset: int, start: int, end: int) -> None:
    """Move the extreme of a position by whole bars, as `trail_positions_nb` does bar by bar."""
    extreme = book.holding[asset]["extreme"]
    is_long = book.position[asset] > 0.0
    for t in range(start, end):
        reach = market.high[t, asset] if is_long else market.low[t, asset]
        if (reach > extreme) if is_long else (reach < extreme):
            extreme = reach
    book.holding[asset]["extreme"] = extreme
