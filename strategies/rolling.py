"""Statistics over the last n bars of each column, the same to the bit however many bars follow.

A window of n bars ending at bar t is the tail of one block of n bars and the head of the next. Running totals
inside the blocks, forwards and backwards, therefore give every window with one operation per value and
without ever taking anything away (van Herk 1992; Gil and Werman 1993). So a missing or huge value leaves no
trace after its last window, and nothing depends on bars after t: the blocks are counted from the first bar.

All functions take and return float64[n_bars, n_assets]. A result is NaN until n bars have passed, and where
any of the last n values is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _in_blocks(values: Floats, n: int) -> Floats:
    """Return the values as [n_blocks, n, n_assets]; the bars missing from the last block are NaN."""
    n_bars, n_assets = values.shape
    n_blocks = -(-n_bars // n)
    blocks = np.full((n_blocks * n, n_assets), np.nan)
    blocks[:n_bars] = values
    return blocks.reshape(n_blocks, n, n_assets)


def _join(head: Floats, tail: Floats, combine: np.ufunc, n_bars: int) -> Floats:
    """Return the windows' results from running results in blocks: `head` forwards, `tail` backwards."""
    _, n, n_assets = head.shape
    result = np.full((n_bars, n_assets), np.nan)
    heads = head.reshape(-1, n_assets)[n - 1 : n_bars]
    tails = tail.reshape(-1, n_assets)[: n_bars - n + 1]
    result[n - 1 :] = combine(tails, heads)
    result[n - 1 :: n] = heads[::n]  # here the window is the block itself
    return result


def _scan(values: Floats, n: int, combine: np.ufunc) -> Floats:
    if n > len(values):
        return np.full(values.shape, np.nan)
    if n == 1:
        return values.copy()
    blocks = _in_blocks(values, n)
    head = combine.accumulate(blocks, axis=1)
    tail = combine.accumulate(blocks[:, ::-1], axis=1)[:, ::-1]
    return _join(head, tail, combine, len(values))


def rolling_sum(values: Floats, n: int) -> Floats:
    """Return the sum of the last n values; the rounding error is that of adding n values one by one."""
    return _scan(values, n, np.add)


def rolling_mean(values: Floats, n: int) -> Floats:
    """Return the mean of the last n values."""
    return rolling_sum(values, n) / n


def rolling_min(values: Floats, n: int) -> Floats:
    """Return the smallest of the last n values."""
    return _scan(values, n, np.minimum)


def rolling_max(values: Floats, n: int) -> Floats:
    """Return the largest of the last n values."""
    return _scan(values, n, np.maximum)


def rolling_std(values: Floats, n: int, ddof: int) -> Floats:
    """Return the standard deviation of the last n values, with `n - ddof` in the denominator.

    Deviations are taken from one value inside the window (the first of the later block), so a level of a
    million costs no digits, a constant window gives exactly 0.0, and the subtraction of squares loses at most
    log10(n) digits.
    """
    n_bars = len(values)
    if n > n_bars:
        return np.full(values.shape, np.nan)
    blocks = _in_blocks(values, n)
    own_first = blocks[:, :1]
    next_first = np.full_like(own_first, np.nan)
    next_first[:-1] = own_first[1:]
    with np.errstate(invalid="ignore", over="ignore"):
        head, tail = blocks - own_first, (blocks - next_first)[:, ::-1]
        total, squares = (
            _join(
                np.add.accumulate(function(head), axis=1),
                np.add.accumulate(function(tail), axis=1)[:, ::-1],
                np.add,
                n_bars,
            )
            for function in (np.positive, np.square)
        )
        variance = (squares - total * total / n) / (n - ddof)
        return np.sqrt(np.maximum(variance, 0.0))


def rolling_apply(values: Floats, n: int, function: Callable[[Floats], Floats]) -> Floats:
    """Return `function` of each bar's last n rows; NaN until n bars have passed.

    The function gets its own copy, float64[n, n_assets], NaN included, and returns float64[n_assets] (or one
    number for all). One Python call a bar: about a microsecond a bar plus what the function costs.
    """
    result = np.full(values.shape, np.nan)
    for end in range(n, len(values) + 1):
        result[end - 1] = function(values[end - n : end].copy())
    return result


def since_start(values: Floats, combine: np.ufunc, empty: float) -> tuple[Floats, Floats]:
    """Return the running result over all valid values so far, and how many there were.

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    combine : numpy.add, numpy.minimum or numpy.maximum
    empty : what a missing value counts as (0 for a sum, +inf for a minimum)
    """
    missing = np.isnan(values)
    running = combine.accumulate(np.where(missing, empty, values), axis=0)
    count = np.add.accumulate(~missing, axis=0, dtype=np.float64)
    return np.where(count > 0, running, np.nan), count
