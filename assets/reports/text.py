"""How numbers are written for people: units, signs, and words where there is no number."""

from __future__ import annotations

import math
from collections.abc import Mapping

_MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"
_THOUSANDS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def number(value: float, digits: int = 2) -> str:
    """Return a plain number with separated thousands: `1,234.50`; `undefined` where it is not finite."""
    if not math.isfinite(value):
        return "undefined"
    return _signed(f"{value:,.{digits}f}")


def percent(rate: float, digits: int = 1) -> str:
    """Return a rate (a fraction) in percent: 0.125 is `12.5 %`."""
    return "undefined" if not math.isfinite(rate) else _signed(f"{100 * rate:,.{digits}f}") + f"{_SPACE}%"


def money(value: float, currency: str = "") -> str:
    """Return an amount without cents where it is large: `12,345 USD`, `3.20 USD`."""
    if not math.isfinite(value):
        return "undefined"
    return _signed(f"{value:,.{0 if abs(value) >= 100 or value == 0 else 2}f}") + (
        _SPACE + currency if currency else ""
    )


def axis_label(value: float, unit: str) -> str:
    """Return a tick's label: money as 250k, a rate in percent, anything else in its shortest form."""
    if unit == "rate":
        return _signed(f"{round(100 * value, 6):.6g}") + f"{_SPACE}%"
    if unit == "money":
        for size, letter in _THOUSANDS:
            # Below ten thousand the thousands are spelled out: 9,500 rather than 9.5k.
            if abs(value) >= size and abs(value) >= 1e4:
                return _signed(f"{value / size:.6g}{letter}")
        return _signed(f"{value:,.6g}")
    return _signed(f"{value:.6g}")


def plain(value: object) -> str:
    """Return any value the way a table shows it: floats shortened, yes and no, lists and mappings joined."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _signed(f"{value:.6g}") if math.isfinite(value) else "undefined"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(item)}" for name, item in value.items()) or "none"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(plain(item) for item in value)
    return "none" if value is None else str(value)


def _signed(text: str) -> str:
    """Return the text with a real minus sign, and without one before a zero."""
    if text.startswith("-"):
        body = text[1:]
        return _MINUS + body if any(c in "123456789" for c in body) else body
    return text
