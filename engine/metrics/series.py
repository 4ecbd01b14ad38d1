"""Series of numbers at the door of the figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.bounds import MOST
from engine.kernels.statistics import LANES, growth_nb, returns_nb
from engine.panels import Floats, series_of
from engine.settings import number


def rate(name: str, value: Any) -> float:
    """Return a rate, of a bar or of a year."""
    return number(name, value, low=-MOST, high=MOST, rule=f"finite, and at most {MOST:g} in size")


def initial(cash: Any) -> float:
    """Return the ccy before the first bar; NaN, or nothing, makes figures undefined that are measured by it."""
    if isinstance(cash, (float, np.floating)) and math.isnan(cash):
        return math.nan
    return number("initial_cash", cash, rule="a number")


def lanes_of() -> Floats:
    """Return scratch for the kernels of `engine.kernels.statistics`."""
    return np.empty((3, LANES))


def wealth_of(returns: ArrayLike) -> Floats:
    """Return what 1 grows to with float64[n_bars] returns."""
    series = series_of("returns", returns)
    wealth = np.empty_like(series)
    growth_nb(series, wealth)
    return wealth


def returns_of(equity: ArrayLike, initial_cash: float) -> Floats:
    """Return the return of each bar float64[n_bars], the first against the initial cash; NaN once nothing is left."""
    series = series_of("equity", equity)
    returns = np.empty_like(series)
    returns_nb(series, initial(initial_cash), returns)
    return returns
