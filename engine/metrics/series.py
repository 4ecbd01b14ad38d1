"""Series of numbers at the door of the figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import InputError
from engine.kernels.statistics import LANES, growth_nb, returns_nb
from engine.panels import Floats


def series_of(name: str, values: ArrayLike, n_bars: int | None = None) -> Floats:
    """Return values as float64[n_bars], without copying if possible.

    Raises `InputError` where they do not have one axis or the wanted length.
    """
    series = np.ascontiguousarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise InputError(f"{name} must have one axis [n_bars], had shape {series.shape}")
    if n_bars is not None and series.size != n_bars:
        raise InputError(f"{name} must have one value a return ({n_bars}), had {series.size}")
    return series


def lanes_of() -> Floats:
    """Return scratch for the kernels of `engine.kernels.statistics`."""
    return np.empty((3, LANES))


def wealth_of(returns: Floats) -> Floats:
    """Return what 1 grows to with float64[n_bars] returns."""
    wealth = np.empty_like(returns)
    growth_nb(returns, wealth)
    return wealth


def returns_of(equity: Floats, initial_cash: float) -> Floats:
    """Return the return of each bar float64[n_bars], the first against the initial cash; NaN once nothing is left."""
    returns = np.empty_like(equity)
    returns_nb(equity, initial_cash, returns)
    return returns
