"""Panels: arrays of float64[n_bars, n_assets], how a place in one is named in an error, and checks of settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, nearest

Floats = NDArray[np.float64]

LARGEST = math.nextafter(math.inf, 0.0)
SMALLEST = math.nextafter(0.0, 1.0)


def panel(name: str, values: Any, shape: tuple[int, ...] | None = None) -> Floats:
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


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, rule: str) -> float:
    """Return a setting as a float in [low, high], which `rule` words; NaN and text are never in it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{name} must be {rule}, was {value!r}")
    if not low <= float(value) <= high:
        raise InputError(f"{name} must be {rule}, was {value}")
    return float(value)


def amount(name: str, value: Any) -> float:
    """Return a setting as a float that is zero or positive, and finite."""
    return number(name, value, low=0.0, high=LARGEST, rule="zero or positive, and finite")


def positive(name: str, value: Any) -> float:
    """Return a setting as a float that is positive and finite."""
    return number(name, value, low=SMALLEST, high=LARGEST, rule="positive and finite")


def whole(name: str, value: Any, *, low: int) -> int:
    """Return a setting as an int of at least `low`; a float is refused, even a whole one."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise InputError(f"{name} must be a whole number of at least {low}, was {value!r}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return a setting that is True or False; 1 and 0 are neither."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, was {value!r}")
    return value


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return a setting that is one of the choices, the nearest of which is named where it is not."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, was {value!r}{nearest(str(value), choices)}")
    return str(value)
