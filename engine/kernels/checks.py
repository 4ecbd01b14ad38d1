"""One pass over bars that says whether all is fine; if not, the door looks for what is wrong."""

from __future__ import annotations

from engine.bounds import LEAST, MOST, MOST_CCY
from engine.jit import kernel, step
from engine.kernels.state import Curves, Floats, Integers

FINE, HAS_GAPS, WRONG = 0, 1, 2


@kernel
def check_bars_nb(open_: Floats, high: Floats, low: Floats, close: Floats, volume: Floats) -> int:
    """Return whether the values of bars, each float64[n_bars x n_assets], follow the rules, and if some are missing.

    A bar is there if LEAST <= low <= open, close <= high <= MOST, and missing if all four are NaN, for which both
    comparisons are false; anything else is wrong, as is a volume that is neither 0 nor of their size. No branch inside
    the loop, so that it runs on several values at once.
    """
    n_missing, n_wrong = 0, 0
    for i in range(close.size):
        o, h, lo, c, v = open_[i], high[i], low[i], close[i], volume[i]
        is_there = (lo >= LEAST) & (lo <= o) & (lo <= c) & (o <= h) & (c <= h) & (h <= MOST)
        is_missing = (o != o) & (h != h) & (lo != lo) & (c != c)
        n_missing += is_missing
        n_wrong += (not (is_there | is_missing)) | ((v < LEAST) & (v != 0.0)) | (v > MOST)
    if n_wrong > 0:
        return WRONG
    return HAS_GAPS if n_missing > 0 else FINE


@kernel
def check_times_nb(times: Integers) -> int:
    """Return whether int64 times increase strictly; NaT, the smallest int64, can then only be the first."""
    n_wrong = 0
    for i in range(1, times.size):
        n_wrong += times[i] <= times[i - 1]
    return WRONG if n_wrong > 0 else FINE


@step
def is_countable_nb(curves: Curves) -> bool:
    """Return whether equity and exposure, and so cash, are numbers within bounds at every bar."""
    n_wrong = 0
    for values in (curves.equity, curves.exposure):
        for i in range(values.size):
            n_wrong += not abs(values[i]) <= MOST_CCY
    return n_wrong == 0
