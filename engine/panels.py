"""Panels: arrays of float64[n_bars, n_assets], and how a place in one is named in an error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

Floats = NDArray[np.float64]


def panel(name: str, values: Any, shape: tuple[int, int] | None = None) -> Floats:
    """Return values as a read-only, C-contiguous float64[n_bars, n_assets] panel, without copying if possible.

    Raises `InputError` where values are not numbers or do not have two axes or the wanted shape.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers, was {type(values).__name__} ({error})") from None
    if array.ndim != 2:
        raise InputError(f"{name} must have two axes [n_bars, n_assets], had shape {array.shape}")
    if shape is not None and array.shape != shape:
        raise InputError(f"{name} must have the shape of the bars {shape}, had {array.shape}")
    return read_only(array)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a C-contiguous view that cannot be written through; the caller's array keeps its flags."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def place(where: tuple[int, ...], bar_end: NDArray[np.datetime64], symbols: tuple[str, ...]) -> str:
    """Return `SYMBOL at 2020-03-04` for a (bar, asset) place; the time of day is named if it is not midnight."""
    bar, asset = int(where[0]), int(where[1])
    return f"{symbols[asset]} at {instant(bar_end[bar])}"


def instant(value: np.datetime64) -> str:
    """Return a time as text, seconds and midnight left out."""
    day, _, clock = str(value.astype("datetime64[s]")).partition("T")
    return day if clock in ("", "00:00:00") else f"{day} {clock.removesuffix(':00')} UTC"


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, rule: str) -> float:
    """Return a setting as a float in [low, high], which `rule` words; NaN and text are never in it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{name} must be {rule}, was {value!r}")
    if not low <= float(value) <= high:
        raise InputError(f"{name} must be {rule}, was {value}")
    return float(value)
