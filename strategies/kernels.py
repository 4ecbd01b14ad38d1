"""Recursions along time, which numpy cannot express: exponential averages and moments since the start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel


@kernel
def ema_nb(values: NDArray[np.float64], n: int, out: NDArray[np.float64]) -> None:
    """Fill `out` with exponential averages of each column.

    Missing values leave the average where it was and show NaN; the first n - 1 valid values show NaN too.

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    n : int, span in bars
    out : float64[n_bars, n_assets], modified in place
    """
    n_bars, n_assets = values.shape
    weight = 2.0 / (n + 1.0)
    for j in range(n_assets):
        average = 0.0
        n_seen = 0
        for t in range(n_bars):
            value = values[t, j]
            if np.isnan(value):
                out[t, j] = np.nan
                continue
            average = value if n_seen == 0 else average + weight * (value - average)
            n_seen += 1
            out[t, j] = average if n_seen >= n else np.nan


@kernel
def expanding_std_nb(values: NDArray[np.float64], ddof: int, out: NDArray[np.float64]) -> None:
    """Fill `out` with the standard deviation of all valid values so far (Welford 1962).

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    ddof : int
    out : float64[n_bars, n_assets], modified in place; NaN until more than ddof values were seen
    """
    n_bars, n_assets = values.shape
    for j in range(n_assets):
        mean = 0.0
        squares = 0.0
        n_seen = 0
        for t in range(n_bars):
            value = values[t, j]
            if not np.isnan(value):
                n_seen += 1
                step = value - mean
                mean += step / n_seen
                squares += step * (value - mean)
            out[t, j] = np.sqrt(squares / (n_seen - ddof)) if n_seen > ddof else np.nan
