"""The features the lake keeps, each a causal function of a window.

`warmup_bars` is how many bars before a bar its value looks back on: computed over a slice of history that
begins that many bars earlier, a value is the same (to rounding) as over all of history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from strategies.errors import StrategyError
from strategies.panel import Panel, values_of
from strategies.window import Window


class Feature(NamedTuple):
    """A named function of a window, how far it looks back, and what it means."""

    function: Callable[[Window], Panel]
    warmup_bars: int
    description: str


FEATURES: dict[str, Feature] = {
    "total_return": Feature(
        lambda window: window.total_return,
        1,
        "total return since the asset's previous bar, as a fraction",
    ),
    "momentum_252_21": Feature(
        lambda window: window.index.lag(21) / window.index.lag(252) - 1.0,
        252,
        "total return from 252 bars ago to 21 bars ago, as a fraction",
    ),
    "volatility_21": Feature(
        lambda window: window.total_return.std(21),
        21,
        "standard deviation (ddof 1) of the last 21 total returns, per bar, not annualised",
    ),
    "dollar_volume_21": Feature(
        lambda window: (window.close * window.volume).mean(21),
        20,
        "mean of close times volume over the last 21 bars, as traded, in the price's currency",
    ),
}


def compute(window: Window, names: Iterable[str] | None = None) -> dict[str, NDArray[np.float64]]:
    """Return the named features (all by default), each float64[n_bars, n_assets].

    NaN where a feature has too little history or a bar of its window is missing.

    Raises
    ------
    StrategyError : there is no such feature; the nearest name is given
    """
    return {name: _compute(window, name) for name in (FEATURES if names is None else names)}


def _compute(window: Window, name: str) -> NDArray[np.float64]:
    if name not in FEATURES:
        raise StrategyError(f"there is no feature {name!r}{nearest(name, FEATURES)}")
    return np.array(values_of(window.feature(name)), np.float64)
