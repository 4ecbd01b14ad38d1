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


def rolling_sum(values: Floats, n: int) -> Floats:
    """Return the sum of the last n values; the rounding error is that of adding n values one by one."""
    from strategies.rolling_kernels import rolling_sum_nb

    out = np.empty(values.shape)
    rolling_sum_nb(values, n, _scratch(values, n), out)
    return out


def rolling_mean(values: Floats, n: int) -> Floats:
    """Return the mean of the last n values."""
    return rolling_sum(values, n) / n


def rolling_min(values: Floats, n: int) -> Floats:
    """Return the smallest of the last n values."""
    return _extreme(values, n, -1.0)


def rolling_max(values: Floats, n: int) -> Floats:
    """Return the largest of the last n values."""
    return _extreme(values, n, 1.0)


def _extreme(values: Floats, n: int, sign: float) -> Floats:
    from strategies.rolling_kernels import rolling_extreme_nb

    out = np.empty(values.shape)
    rolling_extreme_nb(values, n, sign, _scratch(values, n), out)
    return out


def rolling_std(values: Floats, n: int, ddof: int) -> Floats:
    """Return the standard deviation of the last n values, with `n - ddof` in the denominator.

    Deviations are taken from one value inside the window (the first of the later block), so a level of a
    million costs no digits, a constant window gives exactly 0.0, and the subtraction of squares loses at most
    log10(n) digits.
    """
    from strategies.rolling_kernels import rolling_variance_nb

    out = np.empty(values.shape)
    rolling_variance_nb(values, n, ddof, _scratch(values, n + 1), _scratch(values, n + 1), out)
    return np.sqrt(out)


def _scratch(values: Floats, n: int) -> Floats:
    """Return room for n rows; of a window longer than there are bars no row is looked at."""
    return np.empty((min(n, len(values) + 1), values.shape[1]))


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
