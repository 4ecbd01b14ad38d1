"""Bars from trades, compiled.

All compiled code of this package is in this file and calls nothing compiled elsewhere: Numba's cache notices an edit
to the file of a kernel, but not to a kernel it calls in another file. The options of compiling come from `engine.jit`,
whose cache folder is named after its own source. A test holds both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, step

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TIME, TICK, VOLUME, DOLLAR = 0, 1, 2, 3
FINE, FULL, WRONG = 0, 1, 2
NEVER = np.iinfo(np.int64).max

# The places of `clock`, which with `sums` holds the open bar between calls: trades in the bar, times of its first trade
# and of the last trade of all, when the clock closes the bar, number of the next boundary, begin of the grid of time.
N_TRADES, FIRST, LAST, LIMIT, BOUNDARY, ORIGIN, N_CLOCK = 0, 1, 2, 3, 4, 5, 6
OPEN, HIGH, LOW, CLOSE, VOLUME_SUM, VALUE_SUM, N_SUMS = 0, 1, 2, 3, 4, 5, 6


class Rule(NamedTuple):
    """What closes a bar: one of the kinds, the threshold of trades, units or value, or the step of the clock in ns."""

    kind: int
    threshold: float
    step: int


class BarColumns(NamedTuple):
    """Room for the bars of a call, one array a column, all of one length."""

    start: Integers
    end: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    value: Floats
    n_trades: Integers
    is_whole: NDArray[np.bool_]


@step
def write_bar_nb(
    bar: int,
    times: tuple[int, int],
    prices: tuple[float, float, float, float],
    sums: tuple[float, float],
    n_trades: int,
    is_whole: bool,
    columns_out: BarColumns,
) -> None:
    """Write one bar: (first trade, end), (open, high, low, close), (volume, value)."""
    columns_out.start[bar], columns_out.end[bar] = times
    columns_out.open[bar], columns_out.high[bar], columns_out.low[bar], columns_out.close[bar] = prices
    columns_out.volume[bar], columns_out.value[bar] = sums
    columns_out.n_trades[bar] = n_trades
    columns_out.is_whole[bar] = is_whole


@step
def is_on_clock_nb(rule: Rule, limit: int, origin: int) -> bool:
    """Return whether a bar that ends at `limit` ends with its step of the clock, not at a boundary before."""
    return rule.kind == TIME and (limit - origin) % rule.step == 0


@kernel
def sample_nb(
    clock: Integers,
    sums: Floats,
    times: Integers,
    prices: Floats,
    sizes: Floats,
    boundaries: Integers,
    until: int,
    rule: Rule,
    columns_out: BarColumns,
) -> tuple[int, int, int]:
    """Add trades to the open bar and write each bar they or the clock close.

    Returns the status, the trades read and the bars written. Stops where the output is full (FULL: call again with the
    trades not read) and at a trade that breaks a rule (WRONG). Once all are read, the clock goes on to `until`. `clock`
    and `sums` are modified in place.
    """
    n_trades, first, last = clock[N_TRADES], clock[FIRST], clock[LAST]
    limit, boundary, origin = clock[LIMIT], clock[BOUNDARY], clock[ORIGIN]
    open_, high, low, close = sums[OPEN], sums[HIGH], sums[LOW], sums[CLOSE]
    volume, value = sums[VOLUME_SUM], sums[VALUE_SUM]
    room, n_bars = columns_out.end.size, 0
    status, n_read = FINE, times.size
    for i in range(times.size):
        t, p, s = times[i], prices[i], sizes[i]
        if not ((t >= last) & (p > 0.0) & (p < np.inf) & (s >= 0.0) & (s < np.inf)):
            status, n_read = WRONG, i
            break
        if t >= limit:
            if n_trades > 0:
                is_whole = is_on_clock_nb(rule, limit, origin)
                shape = (open_, high, low, close)
                write_bar_nb(n_bars, (first, limit), shape, (volume, value), n_trades, is_whole, columns_out)
                n_trades, n_bars = 0, n_bars + 1
            while boundary < boundaries.size and boundaries[boundary] <= t:
                origin = boundaries[boundary]
                boundary += 1
            limit = boundaries[boundary] if boundary < boundaries.size else NEVER
            if rule.kind == TIME:
                limit = min(limit, t - (t - origin) % rule.step + rule.step)
            if n_bars == room:
                status, n_read = FULL, i
                break
        if n_trades == 0:
            first, open_, high, low, volume, value = t, p, p, p, 0.0, 0.0
        high, low = p if p > high else high, p if p < low else low
        close, last = p, t
        volume += s
        value += p * s
        n_trades += 1
        if rule.kind == TICK:
            is_closed = n_trades >= rule.threshold
        elif rule.kind == VOLUME:
            is_closed = volume >= rule.threshold
        else:
            is_closed = rule.kind == DOLLAR and value >= rule.threshold
        if is_closed:
            shape = (open_, high, low, close)
            write_bar_nb(n_bars, (first, t), shape, (volume, value), n_trades, True, columns_out)
            n_trades, n_bars = 0, n_bars + 1
            if n_bars == room:
                status, n_read = FULL, i + 1
                break
    if status == FINE and n_trades > 0 and limit <= until:
        is_whole = is_on_clock_nb(rule, limit, origin)
        shape = (open_, high, low, close)
        write_bar_nb(n_bars, (first, limit), shape, (volume, value), n_trades, is_whole, columns_out)
        n_trades, n_bars = 0, n_bars + 1
    clock[N_TRADES], clock[FIRST], clock[LAST] = n_trades, first, last
    clock[LIMIT], clock[BOUNDARY], clock[ORIGIN] = limit, boundary, origin
    sums[OPEN], sums[HIGH], sums[LOW], sums[CLOSE] = open_, high, low, close
    sums[VOLUME_SUM], sums[VALUE_SUM] = volume, value
    return status, n_read, n_bars
