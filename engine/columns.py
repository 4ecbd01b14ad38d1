"""Columns of pandas frames at the door: which have to be there, and which hold plain numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import InputError, nearest
from engine.panels import Floats
from engine.settings import shown

if TYPE_CHECKING:
    import pandas as pd

# What pandas calls columns of plain numbers; "empty": nothing but missing values.
_NUMBERS = ("floating", "integer", "integer-na", "mixed-integer-float", "empty")


def is_frame(value: Any) -> bool:
    """Return whether a value is a pandas frame; where pandas was never imported, there is none."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def check_frame(name: str, value: Any) -> None:
    """Refuse what is no pandas frame."""
    if not is_frame(value):
        raise InputError(f"{name} must be a pandas frame, was {type(value).__name__}")


def check_columns(name: str, frame: pd.DataFrame, needed: Iterable[str]) -> None:
    """Refuse a frame in which a needed column is missing, naming the nearest one there is, or stands twice."""
    columns = frame.columns.tolist()
    for column in needed:
        n = columns.count(column)
        if n == 0:
            raise InputError(f"{name} need the column {column!r}{nearest(column, texts(columns))}")
        if n > 1:
            raise InputError(f"columns of {name} must be unique, {column!r} stands {n} times")


def texts(columns: Sequence[Any]) -> list[str]:
    """Return the names of columns as text, as Python writes those that are none."""
    return [column if isinstance(column, str) else shown(column) for column in columns]


def numbers_of(name: str, column: pd.Series[Any]) -> Floats:
    """Return a column of numbers as float64, NaN where they are missing; text is none, even if it reads like one."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind not in _NUMBERS:
        raise InputError(f"{name} must be numbers, was {kind}")
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]
    except (OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers ({error})") from None


def panel_of(name: str, frame: pd.DataFrame) -> Floats:
    """Return a frame whose columns are all numbers as float64[n_rows, n_columns], NaN where they are missing."""
    if all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in frame.dtypes):
        return frame.to_numpy(dtype=np.float64)  # type: ignore[no-any-return]
    panel = np.empty(frame.shape)
    for i, column in enumerate(frame.columns):
        panel[:, i] = numbers_of(f"the column {shown(column)} of {name}", frame.iloc[:, i])
    return panel
