"""Figures that have no value, and why."""

from __future__ import annotations

import math
from typing import Self

NO_RETURNS = "no returns"
ONE_RETURN = "fewer than two returns"
BROKEN_RETURN = "a return is not a finite number"
NO_VARIANCE = "no variance in the returns"

# A spread below this share of the mean is rounding: constant returns have no Sharpe ratio, not one of 1e16.
_ROUNDING = 1e-12


class Undefined(float):
    """A NaN that knows its reason: what a figure is where its definition gives no number.

    Attributes
    ----------
    reason : for people, such as `no variance in the returns`.
    """

    __slots__ = ("reason",)
    reason: str

    def __new__(cls, reason: str) -> Self:
        figure = super().__new__(cls, math.nan)
        figure.reason = reason
        return figure

    def __reduce__(self) -> tuple[type[Undefined], tuple[str]]:
        return Undefined, (self.reason,)


def ratio(above: float, below: float, reason: str) -> float:
    """Return above / below; undefined for a reason where below is not positive.

    What is undefined above or below passes its own reason on; a NaN or a quotient that is not finite comes from a
    return that is none.
    """
    for part in (above, below):
        if part != part:
            return part if isinstance(part, Undefined) else Undefined(BROKEN_RETURN)
    if below <= 0.0:
        return Undefined(reason)
    value = float(above) / float(below)
    return value if math.isfinite(value) else Undefined(BROKEN_RETURN)


def spread(mean: float, second: float) -> float:
    """Return the deviation (ddof 0) from the second central moment, or 0 where it is rounding of the mean."""
    deviation = math.sqrt(second) if second == second else math.nan
    return 0.0 if deviation < _ROUNDING * max(1.0, abs(mean)) else deviation


def sample_spread(mean: float, second: float, n: int) -> float:
    """Return the deviation (ddof 1), 0 where it is rounding of the mean; undefined of fewer than two values."""
    return spread(mean, second) * math.sqrt(n / (n - 1)) if n > 1 else Undefined(ONE_RETURN)
