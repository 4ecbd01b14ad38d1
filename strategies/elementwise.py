"""What a panel holds, and its arithmetic: operations on the values of one bar and asset, blind to others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from strategies.closed import Closed
from strategies.errors import ClosedPanelError, StrategyError

Number = int | float | bool | np.number[Any] | np.bool_
Values = NDArray[np.float64] | NDArray[np.bool_]
_NUMBERS = (int, float, np.number, np.bool_)
P = TypeVar("P", bound="Elementwise")


@dataclass(frozen=True, eq=False, slots=True)
class Axes:
    """What the rows and columns of a window's panels stand for; panels of different axes do not mix.

    bar_end : datetime64[us, n_bars], UTC; symbols : one per column; members : bool[n_bars, n_assets]
    """

    bar_end: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    members: NDArray[np.bool_]


def _operator(function: Callable[..., Any], *, is_reflected: bool = False) -> Callable[[P, object], P]:
    """Return an operator method that applies a numpy function to the values."""

    def operation(self: P, other: object) -> P:
        left, right = self._floats, self._operand(other)
        if is_reflected:
            left, right = right, left
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self._like(function(left, right))

    return operation


def _logical(function: Callable[..., Any], sign: str) -> Callable[[P, object], P]:
    """Return an operator method between bool panels, or a bool panel and True or False."""

    def operation(self: P, other: object) -> P:
        right = other if isinstance(other, bool | np.bool_) else self._other_bools(other, sign)
        return self._like(function(self._bools(sign), right))

    return operation


def _differs(left: Any, right: Any) -> Any:
    return (left < right) | (left > right)  # numpy's != is True beside NaN, our comparisons are not


class Elementwise(Closed):
    """Values per bar and asset with arithmetic (+ - * / % **), comparison (< <= > >= == !=) and & | ~ on bool
    values.

    Operators work with values of the same window and with plain numbers, by the rules of IEEE arithmetic (x /
    0 is infinite or NaN); a comparison with a missing value is False.
    """

    __slots__ = ("_axes", "_memory", "_values")
    __hash__ = None  # type: ignore[assignment]  # == compares values, so a panel is no key

    def __init__(self, values: Values, axes: Axes) -> None:
        shape = (len(axes.bar_end), len(axes.symbols))
        if values.shape != shape:
            raise StrategyError(f"a panel must have the shape {shape} of its window, was {values.shape}")
        self._values = values.view()
        self._values.setflags(write=False)
        self._axes = axes
        # What was made of these values before, where they are worth it; see `Panel._remembering`.
        self._memory: dict[tuple[str, int], Any] | None = None

    def __repr__(self) -> str:
        n_bars, n_assets = self._values.shape
        return f"{type(self).__name__}({self._values.dtype}, {n_bars} bars x {n_assets} assets)"

    __add__ = __radd__ = _operator(np.add)
    __mul__ = __rmul__ = _operator(np.multiply)
    __sub__ = _operator(np.subtract)
    __rsub__ = _operator(np.subtract, is_reflected=True)
    __truediv__ = _operator(np.true_divide)
    __rtruediv__ = _operator(np.true_divide, is_reflected=True)
    __mod__ = _operator(np.mod)
    __pow__ = _operator(np.power)
    __rpow__ = _operator(np.power, is_reflected=True)
    __lt__ = _operator(np.less)
    __le__ = _operator(np.less_equal)
    __gt__ = _operator(np.greater)
    __ge__ = _operator(np.greater_equal)
    __eq__ = _operator(np.equal)  # type: ignore[assignment]
    __ne__ = _operator(_differs)  # type: ignore[assignment]
    __and__ = __rand__ = _logical(np.logical_and, "&")
    __or__ = __ror__ = _logical(np.logical_or, "|")

    def __abs__(self) -> Self:
        return self._like(np.abs(self._floats))

    def __neg__(self) -> Self:
        return self._like(-self._floats)

    def __invert__(self) -> Self:
        return self._like(~self._bools("~"))

    def where(self, condition: Elementwise, other: Elementwise | Number = np.nan) -> Self:
        """Return the values where `condition` is True, `other` elsewhere (by default NaN: leave alone)."""
        return self._like(np.where(self._other_bools(condition, "where"), self._floats, self._operand(other)))

    def is_valid(self) -> Self:
        """Return True where there is a value."""
        return self._like(~np.isnan(self._floats))

    def fill(self, value: Number) -> Self:
        """Return the values with missing ones replaced by a number."""
        return self._like(np.where(np.isnan(self._floats), self._operand(value), self._floats))

    def clip(self, low: float, high: float) -> Self:
        """Return the values moved into [low, high]."""
        return self._like(np.clip(self._floats, low, high))

    def sign(self) -> Self:
        """Return -1.0, 0.0 or 1.0."""
        return self._like(np.sign(self._floats))

    def log(self) -> Self:
        """Return the natural logarithm; NaN for negative values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._like(np.log(self._floats))

    @property
    def _is_bool(self) -> bool:
        return self._values.dtype == np.bool_

    @property
    def _floats(self) -> NDArray[np.float64]:
        return self._values.astype(np.float64, copy=False)

    def _like(self, values: Any) -> Self:
        return type(self)(values, self._axes)

    def _bools(self, operation: str) -> NDArray[np.bool_]:
        if not self._is_bool:
            raise StrategyError(f"{operation} needs a bool panel, such as `score > 0`, was {self!r}")
        return self._values.astype(np.bool_, copy=False)

    def _other_bools(self, other: object, operation: str) -> NDArray[np.bool_]:
        if not isinstance(other, Elementwise):
            raise StrategyError(f"{operation} needs a bool panel of the same window, was {type(other).__name__}")
        self._operand(other)
        return other._bools(operation)

    def _operand(self, other: object) -> Any:
        """Return what an operator works with: a panel's values, or the number itself."""
        if isinstance(other, Elementwise):
            if other._axes is not self._axes:
                raise StrategyError("panels of two windows do not mix: one of them was made outside this decision")
            return other._floats
        if isinstance(other, _NUMBERS):
            return other
        raise ClosedPanelError(
            f"a panel combines with panels and numbers, not with {type(other).__name__}: "
            "an array could hold the future; pass it to the window as a feature"
        )
