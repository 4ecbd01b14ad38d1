"""The features the lake keeps, by name: each a causal function of a window that says how far it looks back.

`FEATURES` is the registry and, in its order, the columns of features/daily. To add one, write its function into a
family's file (or a new one), its row below it, and its column into `lakehouse/schemas.py`; docs/features.md tells more.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from strategies.errors import StrategyError
from strategies.features import fundamental, momentum, rank, trend, volatility, volume
from strategies.features.feature import Feature
from strategies.panel import values_of
from strategies.window import Window

__all__ = ["FAMILIES", "FEATURES", "Feature", "compute"]

FAMILIES: dict[str, dict[str, Feature]] = {
    "momentum": momentum.FEATURES,
    "trend": trend.FEATURES,
    "volatility": volatility.FEATURES,
    "volume": volume.FEATURES,
    "rank": rank.FEATURES,
    "fundamental": fundamental.FEATURES,
}
FEATURES: dict[str, Feature] = {name: feature for family in FAMILIES.values() for name, feature in family.items()}


def compute(window: Window, names: Iterable[str] | None = None) -> dict[str, NDArray[np.float64]]:
    """Return the named features (all by default), each float64[n_bars, n_assets].

    NaN where a feature has too little history or an asset lacks a bar that it needs (docs/features.md).

    Raises
    ------
    StrategyError : there is no such feature (the nearest name is given), or it reads filed figures and the window
        has none
    """
    return {name: _compute(window, name) for name in (FEATURES if names is None else names)}


def _compute(window: Window, name: str) -> NDArray[np.float64]:
    if name not in FEATURES:
        raise StrategyError(f"there is no feature {name!r}{nearest(name, FEATURES)}")
    return np.array(values_of(window.feature(name)), np.float64)
