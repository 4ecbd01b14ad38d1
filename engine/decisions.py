"""Decisions: what a strategy wants to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.bars import Bars
from engine.columns import is_frame, panel_of
from engine.errors import InputError, nearest
from engine.panels import Floats, array_of, panel, read_only
from engine.settings import check_kind, shown
from engine.times import bars_ending_at, check_found, utc_times

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TargetWeights:
    """Fractions of equity wanted, decided at a bar's close and filled at the asset's next open.

    A weight becomes units with the decision bar's equity and close (the last mark where the asset misses that
    bar), so that what is held after the fill differs from the weight by the overnight move. A newer target
    replaces one that is still pending. Once equity is gone, any weight means no position.

    Parameters
    ----------
    weights : float64[n_bars, n_assets] or float64[n_rows, n_assets] or wide pandas frame
        NaN: leave alone; 0: close; negative: short; at most 1e50 in size. A frame has bar_end times as its index
        and symbols as its columns; bars and symbols it does not name are left alone.
    rows : int64[n_rows], optional
        The bars, rising strictly, that the rows of an array are decided at; all others are left alone. A
        strategy that decides monthly needs no panel of all bars.
    """

    weights: Floats | pd.DataFrame
    rows: Rows | None = None

    def __post_init__(self) -> None:
        self.__dict__["weights"] = _checked("weights", self.weights)
        self.__dict__["rows"] = _checked_rows(self.rows, self.weights)

    def values_and_rows(self, bars: Bars) -> tuple[Floats, Rows | None]:
        """Return float64[n_rows, n_assets] weights, C-contiguous, and their bars; None: one row a bar.

        Raises `InputError` where they do not fit the bars.
        """
        return _values_and_rows("weights", self.weights, self.rows, bars)

    def aligned(self, bars: Bars) -> Floats:
        """Return the weights as float64[n_bars, n_assets]; raises `InputError` where they do not fit the bars."""
        return _dense(*self.values_and_rows(bars), bars)


@dataclass(frozen=True, eq=False)
class TargetUnits:
    """Signed units wanted, decided at a bar's close and filled at the asset's next open.

    Units are those of the decision bar: a split before the fill rescales them. Otherwise as `TargetWeights`.

    Parameters
    ----------
    units : float64[n_bars, n_assets] or float64[n_rows, n_assets] or wide pandas frame
        NaN: leave alone; 0: close; negative: short.
    rows : int64[n_rows], optional
        The bars, rising strictly, that the rows of an array are decided at.
    """

    units: Floats | pd.DataFrame
    rows: Rows | None = None

    def __post_init__(self) -> None:
        self.__dict__["units"] = _checked("units", self.units)
        self.__dict__["rows"] = _checked_rows(self.rows, self.units)

    def values_and_rows(self, bars: Bars) -> tuple[Floats, Rows | None]:
        """Return float64[n_rows, n_assets] units, C-contiguous, and their bars; None: one row a bar.

        Raises `InputError` where they do not fit the bars.
        """
        return _values_and_rows("units", self.units, self.rows, bars)

    def aligned(self, bars: Bars) -> Floats:
        """Return the units as float64[n_bars, n_assets]; raises `InputError` where they do not fit the bars."""
        return _dense(*self.values_and_rows(bars), bars)


Decisions = TargetWeights | TargetUnits


def _checked(name: str, values: Any) -> Any:
    return values if is_frame(values) else panel(name, values)


def _checked_rows(rows: Any, values: Any) -> Rows | None:
    """Return rows as read-only int64 that rises strictly from 0 or later; whether bars end there is seen later."""
    if rows is None:
        return None
    if is_frame(values):
        raise InputError("rows go with an array: a frame has its bar_end times")
    given = array_of("rows", rows)
    if given.size and given.dtype.kind not in "iu":
        raise InputError(f"rows must be whole numbers, was {given.dtype}")
    if given.shape != values.shape[:1]:
        raise InputError(f"rows must have one bar a row of values {values.shape[:1]}, had shape {given.shape}")
    if given.size and given.max() > np.iinfo(np.int64).max:
        raise InputError(f"rows must be within the bars, was {given.max()}")
    numbers: Rows = given.astype(np.int64, copy=False)
    if numbers.size and numbers[0] < 0:
        raise InputError(f"rows must not be negative, was {numbers[0]}")
    falls = np.flatnonzero(numbers[1:] <= numbers[:-1])
    if falls.size:
        raise InputError(f"rows must increase strictly, was {numbers[falls[0] + 1]} after {numbers[falls[0]]}")
    return read_only(numbers)


def _values_and_rows(name: str, values: Any, rows: Rows | None, bars: Bars) -> tuple[Floats, Rows | None]:
    check_kind("bars", bars, Bars)
    if is_frame(values):
        return _of_frame(name, values, bars)
    n_rows = bars.n_bars if rows is None else rows.size
    if values.shape != (n_rows, bars.n_assets):
        raise InputError(f"{name} must have the shape of the bars {(n_rows, bars.n_assets)}, had {values.shape}")
    if rows is not None and rows.size and rows[-1] >= bars.n_bars:
        raise InputError(f"rows must be within the {bars.n_bars} bars, was {rows[-1]}")
    return values, rows


def _of_frame(name: str, frame: pd.DataFrame, bars: Bars) -> tuple[Floats, Rows]:
    assets = {symbol: asset for asset, symbol in enumerate(bars.symbols)}
    for column in frame.columns:
        if column not in assets:
            known = nearest(column, bars.symbols) if isinstance(column, str) else ""
            raise InputError(f"no bars for the column {shown(column)} of {name}{known}")
    if not frame.columns.is_unique:
        raise InputError(f"columns of {name} must be unique")
    whose = f"the index of {name}"
    times = utc_times(whose, frame.index)
    if np.unique(times).size != times.size:
        raise InputError(f"bar_end times in {whose} must be unique")
    rows, found = bars_ending_at(bars.bar_end, times)
    check_found(found, times, whose)
    order = np.argsort(rows)
    values = np.full((rows.size, bars.n_assets), np.nan)
    columns = np.array([assets[column] for column in frame.columns], dtype=np.intp)
    values[:, columns] = panel_of(name, frame)[order]
    return read_only(values), read_only(rows[order].astype(np.int64, copy=False))


def _dense(values: Floats, rows: Rows | None, bars: Bars) -> Floats:
    if rows is None:
        return values
    dense = np.full((bars.n_bars, bars.n_assets), np.nan)
    dense[rows] = values
    return read_only(dense)
