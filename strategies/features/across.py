"""One number a bar over all assets, given back to each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.features.prices import bar_return
from strategies.panel import Panel, values_of
from strategies.window import Window


def market_return(window: Window) -> Panel:
    """Return the mean total return, since the bar before, of the members that have one; NaN where none has."""
    returns = bar_return(window).where(window.members)
    return sum_across(returns) / sum_across(returns.is_valid())


def sum_across(values: Panel) -> Panel:
    """Return the sum of a bar's values, missing ones counting as 0; how many are True for a bool panel.

    Added up from the lowest to the highest: another order of the assets, or one more without a value, changes no bit.
    """
    ordered = np.sort(np.asarray(values_of(values), np.float64), axis=1)  # missing ones stand last
    running: NDArray[np.float64] = np.add.accumulate(np.where(np.isnan(ordered), 0.0, ordered), axis=1)
    return values._like(np.repeat(running[:, -1:], ordered.shape[1], axis=1))
