"""Comparisons of the assets with each other at one bar; nothing here looks along time.

All functions take float64[n_bars, n_assets] and bool[n_bars, n_assets] (who takes part). Whoever takes no
part, or has no value, gets NaN (scores), False (choices) or 0.0 (weights).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def rank(values: Floats, taking_part: Bools) -> Floats:
    """Return each asset's rank at its bar: 1.0 the lowest, ties share the mean of their ranks."""
    shown = np.where(taking_part, values, np.nan)
    order = np.argsort(shown, axis=1, kind="stable")
    ordered = np.take_along_axis(shown, order, axis=1)
    place = np.arange(shown.shape[1], dtype=np.float64)
    is_new = np.ones(shown.shape, dtype=np.bool_)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(is_new, place, 0.0), axis=1)
    is_last = np.ones(shown.shape, dtype=np.bool_)
    is_last[:, :-1] = is_new[:, 1:]
    last = np.minimum.accumulate(np.where(is_last, place, np.inf)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(shown.shape)
    np.put_along_axis(ranks, order, (first + last) / 2.0 + 1.0, axis=1)
    return np.where(np.isnan(shown), np.nan, ranks)


def top(values: Floats, taking_part: Bools, k: int) -> Bools:
    """Return who is among the k highest; of equal values the asset that stands first in the universe wins."""
    from strategies.kernels import top_nb

    chosen = np.empty(values.shape, dtype=np.bool_)
    top_nb(values, taking_part, k, np.empty(values.shape[1], dtype=np.uint64), chosen)
    return chosen


def demean(values: Floats, taking_part: Bools) -> Floats:
    """Return the values less the bar's mean."""
    shown = np.where(taking_part, values, np.nan)
    is_valid = ~np.isnan(shown)
    count = is_valid.sum(axis=1, keepdims=True)
    total = np.where(is_valid, shown, 0.0).sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(shown - total / count)


def zscore(values: Floats, taking_part: Bools) -> Floats:
    """Return the values less the bar's mean, over the bar's standard deviation (ddof 1).

    NaN where fewer than two assets have a value; 0.0 where all values are equal: nobody stands out.
    """
    centred = demean(values, taking_part)
    is_valid = ~np.isnan(centred)
    count = is_valid.sum(axis=1, keepdims=True)
    squares = np.square(np.where(is_valid, centred, 0.0)).sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(squares / (count - 1.0))
        scores = np.where(deviation > 0.0, centred / deviation, 0.0)
    return np.where(is_valid & (count > 1), scores, np.nan)


def equal_weight(chosen: Bools, taking_part: Bools, gross: float) -> Floats:
    """Return `gross / k` for each of the k assets chosen at a bar, 0.0 for the others."""
    held = chosen & taking_part
    count = held.sum(axis=1, keepdims=True)
    return np.where(held, gross / np.maximum(count, 1), 0.0)


def normalize(values: Floats, taking_part: Bools, gross: float) -> Floats:
    """Return the values scaled so that their absolute values add up to `gross` at each bar.

    A missing value counts as 0.0; a bar with nothing but zeros stays all zeros.
    """
    weights = np.where(taking_part & ~np.isnan(values), values, 0.0)
    total = np.abs(weights).sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0.0, weights / total * gross, 0.0)
