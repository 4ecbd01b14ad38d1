"""Decisions: what a strategy wants to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.bars import Bars
from engine.errors import InputError, nearest
from engine.panels import Floats, instant, panel

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TargetWeights:
    """Fractions of equity wanted, decided at a bar's close and filled at the asset's next open.

    A weight becomes units with the decision bar's equity and close (the last mark where the asset misses that
    bar), so that what is held after the fill differs from the weight by the overnight move. A newer target
    replaces one that is still pending. Once equity is gone, any weight means no position.

    Parameters
    ----------
    weights : float64[n_bars, n_assets] or wide pandas frame
        NaN: leave alone; 0: close; negative: short. A frame has bar_end times as its index and symbols as its
        columns; bars and symbols it does not name are left alone.
    """

    weights: Floats | pd.DataFrame

    def __post_init__(self) -> None:
        if not _is_frame(self.weights):
            object.__setattr__(self, "weights", panel("weights", self.weights))

    def aligned(self, bars: Bars) -> Floats:
        """Return the weights on the axes of the bars; raises `InputError` where they do not fit."""
        return _aligned("weights", self.weights, bars)


@dataclass(frozen=True, eq=False)
class TargetUnits:
    """Signed units wanted, decided at a bar's close and filled at the asset's next open.

    Units are those of the decision bar: a split before the fill rescales them. Otherwise as `TargetWeights`.

    Parameters
    ----------
    units : float64[n_bars, n_assets] or wide pandas frame
        NaN: leave alone; 0: close; negative: short.
    """

    units: Floats | pd.DataFrame

    def __post_init__(self) -> None:
        if not _is_frame(self.units):
            object.__setattr__(self, "units", panel("units", self.units))

    def aligned(self, bars: Bars) -> Floats:
        """Return the units on the axes of the bars; raises `InputError` where they do not fit."""
        return _aligned("units", self.units, bars)


Decisions = TargetWeights | TargetUnits


def _is_frame(values: Any) -> bool:
    return hasattr(values, "columns") and hasattr(values, "index")


def _aligned(name: str, values: Any, bars: Bars) -> Floats:
    if not _is_frame(values):
        return panel(name, values, (bars.n_bars, bars.n_assets))
    assets = {symbol: asset for asset, symbol in enumerate(bars.symbols)}
    for column in values.columns:
        if column not in assets:
            raise InputError(f"no bars for the column {column!r} of {name}{nearest(str(column), bars.symbols)}")
    if not values.columns.is_unique:
        raise InputError(f"columns of {name} must be unique")
    rows = _rows(name, values.index, bars)
    wide = np.full((bars.n_bars, bars.n_assets), np.nan)
    columns = np.array([assets[column] for column in values.columns], dtype=np.intp)
    wide[np.ix_(rows, columns)] = panel(name, values.to_numpy(dtype=np.float64, na_value=np.nan))
    return panel(name, wide)


def _rows(name: str, index: Any, bars: Bars) -> NDArray[np.intp]:
    if getattr(index, "tz", None) is None:
        raise InputError(f"the index of {name} must be timezone-aware bar_end times, was {index.dtype}")
    times = index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    if np.unique(times).size != times.size:
        raise InputError(f"bar_end times in the index of {name} must be unique")
    rows: NDArray[np.intp] = np.searchsorted(bars.bar_end, times)
    found = rows < bars.n_bars
    found[found] = bars.bar_end[rows[found]] == times[found]
    if not found.all():
        raise InputError(f"no bar ends at {instant(times[int(np.argmin(found))])}, a time in the index of {name}")
    return rows
