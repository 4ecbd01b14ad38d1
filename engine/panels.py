"""Panels and series: arrays of float64[n_bars, n_assets] and [n_bars], what is let in, and how a place is named."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, nearest
from engine.settings import is_number, shown

Floats = NDArray[np.float64]

_FLOAT = np.dtype(np.float64)


def panel(name: str, values: Any, shape: tuple[int, ...] | None = None) -> Floats:
    """Return values as a read-only, C-contiguous float64[n_bars, n_assets] panel, without copying if possible.

    Raises `InputError` where values are not plain numbers or do not have two axes or the wanted shape.
    """
    array = numbers(name, values)
    if array.ndim != 2:
        raise InputError(f"{name} must have two axes [n_bars, n_assets], had shape {array.shape}")
    if shape is not None and array.shape != shape:
        raise InputError(f"{name} must have the shape of the bars {shape}, had {array.shape}")
    return read_only(array)


def numbers(name: str, values: Any) -> Floats:
    """Return values as a float64 array of any shape, without copying if possible.

    Raises `InputError` where they are not plain real numbers: bools, text, times, complex numbers, masked values,
    records, and objects of which one is no number.
    """
    if type(values) is np.ndarray and values.dtype == _FLOAT:
        return values
    array = array_of(name, values)
    if array.dtype.kind == "O":
        _check_objects(name, array)
    elif array.dtype.kind not in "iuf":
        raise InputError(f"{name} must be numbers, was {array.dtype}")
    try:
        with np.errstate(over="ignore"):
            return array.astype(np.float64, copy=False)
    except OverflowError:
        raise InputError(f"{name} must be numbers that a float holds, was an int beyond that") from None


def series_of(name: str, values: Any, n_bars: int | None = None) -> Floats:
    """Return values as C-contiguous float64[n_bars], without copying if possible.

    Raises `InputError` where they are not numbers, or do not have one axis or the wanted length.
    """
    series = numbers(name, values)
    if series.ndim != 1:
        raise InputError(f"{name} must have one axis [n_bars], had shape {series.shape}")
    if n_bars is not None and series.size != n_bars:
        raise InputError(f"{name} must have one value a return ({n_bars}), had {series.size}")
    return series if series.flags.c_contiguous else np.ascontiguousarray(series)


def records_of(name: str, values: Any, fields: Iterable[str]) -> NDArray[Any]:
    """Return records that have these fields; raises `InputError` where they are none, or one is missing."""
    known = getattr(getattr(values, "dtype", None), "names", None)
    if not isinstance(values, np.ndarray) or known is None or values.ndim != 1:
        raise InputError(f"{name} must be records, as a `Result` has them, was {type(values).__name__}")
    for field in fields:
        if field not in known:
            raise InputError(f"{name} must have the field {field!r}{nearest(field, known)}")
    return values


def array_of(name: str, values: Any) -> NDArray[Any]:
    """Return values as an array of whatever type; raises `InputError` where they are none, or some are masked."""
    if _is_masked(values):
        raise InputError(f"{name} must have no masked values; fill them with NaN where the rule allows it")
    try:
        return np.asarray(values)
    except Exception as error:
        # An object may fail in any way when it is asked for an array.
        raise InputError(f"{name} must be an array, was {type(values).__name__} ({error})") from None


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a C-contiguous view that cannot be written through; the caller's array keeps its flags."""
    view = array.view() if array.flags.c_contiguous else np.ascontiguousarray(array)
    view.setflags(write=False)
    return view


def place(where: tuple[int, ...], bar_end: NDArray[np.datetime64], symbols: tuple[str, ...]) -> str:
    """Return `SYMBOL at 2020-03-04` for a (bar, asset) place; the time of day is named if it is not midnight."""
    bar, asset = int(where[0]), int(where[1])
    return f"{symbols[asset]} at {instant(bar_end[bar])}"


def instant(value: np.datetime64) -> str:
    """Return a time as text; midnight, and seconds that are zero, are left out."""
    if np.isnat(value):
        return "NaT"
    seconds = value.astype("datetime64[s]")
    day, _, clock = str(seconds if seconds == value else value).partition("T")
    return day if clock in ("", "00:00:00") else f"{day} {clock.removesuffix(':00')} UTC"


def _is_masked(values: Any) -> bool:
    """Return whether a value, or one in a list, is masked; NumPy would read what stands below the mask."""
    masks = sys.modules.get("numpy.ma")
    if masks is None:
        # NumPy imports them when the first masked array is made.
        return False
    parts = values if isinstance(values, (list, tuple)) else (values,)
    return any(isinstance(part, masks.MaskedArray) and masks.is_masked(part) for part in parts)


def _check_objects(name: str, array: NDArray[Any]) -> None:
    for where, value in enumerate(array.ravel().tolist()):
        if not is_number(value):
            at = ", ".join(str(int(i)) for i in np.unravel_index(where, array.shape))
            raise InputError(f"{name} must be numbers, was {shown(value)}{f' at [{at}]' if at else ''}")
