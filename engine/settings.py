"""Checks of single values at the door: numbers, counts, flags, names, kinds and functions.

Each returns what it was given in the declared type, or raises `InputError` with the rule, the value and the name.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from engine.bounds import LEAST, MOST, MOST_BARS
from engine.errors import InputError, nearest

LARGEST = math.nextafter(math.inf, 0.0)
SMALLEST = math.nextafter(0.0, 1.0)
_LINE = 200


def shown(value: Any) -> str:
    """Return a value as an error writes it: as Python does, not NumPy, and no longer than a line or two."""
    try:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    except Exception:
        # Python writes no int of more than 4,300 digits, and an object of the caller's may have no words at all.
        return f"a value of the type {type(value).__name__}"
    return text if len(text) <= _LINE else f"{text[:_LINE]}..."


def is_number(value: Any) -> bool:
    """Return whether a value is a plain real number of Python or NumPy: no bool, text, Decimal or array."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, rule: str) -> float:
    """Return a number as a float in [low, high], which `rule` words; NaN, text and what no float holds never are."""
    if type(value) is float and low <= value <= high:
        return value
    if not is_number(value):
        raise InputError(f"{name} must be {rule}, was {shown(value)}")
    try:
        figure = float(value)
    except OverflowError:
        figure = math.inf
    if not low <= figure <= high or (math.isinf(figure) and figure != value):
        raise InputError(f"{name} must be {rule}, was {shown(value)}")
    return figure


def finite(name: str, value: Any, *, low: float = -LARGEST, rule: str = "finite") -> float:
    """Return a setting as a float from `low` on that is 0 or of a size with which a run can count."""
    figure = number(name, value, low=low, high=LARGEST, rule=rule)
    if figure != 0.0 and not LEAST <= abs(figure) <= MOST:
        raise InputError(f"{name} must be 0 or between {LEAST:g} and {MOST:g} in size, was {shown(value)}")
    return figure


def amount(name: str, value: Any) -> float:
    """Return a setting as a float that is zero or positive, and finite."""
    return finite(name, value, low=0.0, rule="zero or positive, and finite")


def positive(name: str, value: Any) -> float:
    """Return a setting as a float that is positive and finite."""
    return finite(name, value, low=SMALLEST, rule="positive and finite")


def limit(name: str, value: Any, *, low: float, rule: str) -> float:
    """Return a setting as a float of at least `low`, where infinity is no limit at all."""
    figure = number(name, value, low=low, rule=rule)
    return figure if math.isinf(figure) else finite(name, figure, low=low, rule=rule)


def periods(value: Any) -> float:
    """Return the bars a year, for annual figures."""
    rule = "positive and finite, from 1e-9 to 1e12"
    return number("periods_per_year", value, low=1e-9, high=1e12, rule=rule)


def whole(name: str, value: Any, *, low: int, high: int = MOST_BARS) -> int:
    """Return a setting as an int from `low` to `high`; a float is refused, even a whole one."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise InputError(f"{name} must be a whole number of at least {low}, was {shown(value)}")
    if value > high:
        raise InputError(f"{name} must be a whole number from {low} to {high}, was {shown(value)}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return a setting that is True or False; 1 and 0 are neither."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, was {shown(value)}")
    return value


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return a setting that is one of the choices, the nearest of which is named where it is not."""
    return listed(f"{name} must be one of {', '.join(choices)}, was {shown(value)}", value, choices)


def listed(text: str, value: Any, known: Collection[str]) -> str:
    """Return a name that is known; raises `InputError` with the text and the nearest known name where it is not."""
    if not isinstance(value, str) or value not in known:
        raise InputError(text + nearest(value if isinstance(value, str) else "", known))
    return str(value)


def several(text: str, values: Any, *, most: int) -> list[Any]:
    """Return values as a list, of which there may be `most`; raises `InputError` with the text where they are none.

    An iterator may have no end, and is not followed beyond that.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(text)
    try:
        listed = list(islice(values, most + 1))
    except TypeError:
        # An array without an axis has an iterator, which refuses.
        raise InputError(text) from None
    if len(listed) > most:
        raise InputError(f"{text} (at most {most} values)")
    return listed


def check_kind(name: str, value: object, *kinds: type) -> None:
    """Refuse a value that is of none of the kinds."""
    if not isinstance(value, kinds):
        wanted = " or ".join(f"{kind.__name__}(...)" for kind in kinds)
        raise InputError(f"{name} must be {wanted}, was {type(value).__name__}")


def check_function(name: str, value: Any, arguments: Sequence[str], *, otherwise: str = "") -> None:
    """Refuse what is no function of these arguments; a class is none, since what it makes would be no answer.

    `otherwise` names what else would do, such as `a rule or `.
    """
    form = f"{otherwise}a function of ({', '.join(arguments)})"
    if not callable(value) or isinstance(value, type):
        raise InputError(f"{name} must be {form}, was {shown(value)}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise InputError(f"{name} must be {form}, was one of {signature}") from None


def is_slice(time: Any) -> bool:
    """Return whether a value is a slice of whole numbers that runs forward."""
    if not isinstance(time, slice):
        return False
    parts = [part for part in (time.start, time.stop, time.step) if part is not None]
    return all(isinstance(part, (int, np.integer)) for part in parts) and (time.step is None or time.step >= 1)
