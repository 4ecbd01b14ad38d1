"""Search spaces: which values a study may try for each parameter.

In a spec, a number has `{low, high, step}` (both ends included; `step` may be left out: 1 for whole numbers,
any value between for fractions), and any parameter may have `{choices: [...]}`. Turning a space into an
optimiser's own types is the optimiser's side's business.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import nearest
from strategies.errors import SpecError, StrategyError
from strategies.registry import Parameter, Value

_TOLERANCE = 1e-9  # of a step: 0.1 + 0.1 + 0.1 is on the grid of 0.1
_DECIMALS = 12  # 0.1 + 2 * 0.1 is shown as 0.3
_LARGEST_GRID = 1_000_000


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, in steps from `low`; step None: all fractions between."""

    low: int | float
    high: int | float
    step: int | float | None = None

    @property
    def values(self) -> tuple[int | float, ...]:
        """All values on the steps; SpecError where there are infinitely many."""
        if self.step is None:
            raise SpecError(f"a range from {self.low} to {self.high} has no grid without a step")
        n_steps = math.floor((self.high - self.low) / self.step + _TOLERANCE)
        return tuple(self._at(i) for i in range(n_steps + 1))

    @property
    def midpoint(self) -> int | float:
        """The middle of the range, on the step at or below it."""
        if self.step is None:
            return (self.low + self.high) / 2.0
        n_steps = math.floor((self.high - self.low) / self.step + _TOLERANCE)
        return self._at(n_steps // 2)

    def _at(self, i: int) -> int | float:
        value = self.low + i * (self.step or 0)
        return round(value, _DECIMALS) if isinstance(value, float) else value

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(self.low, int) and not isinstance(value, int):
            return False
        slack = _TOLERANCE * (self.step or 0.0)
        if not self.low - slack <= value <= self.high + slack:
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) <= _TOLERANCE

    def to_dict(self) -> dict[str, object]:
        """Return the range as a spec writes it."""
        range_ = {"low": self.low, "high": self.high, "step": self.step}
        return {name: value for name, value in range_.items() if value is not None}


@dataclass(frozen=True)
class Choices:
    """One of these values; the order means nothing."""

    values: tuple[Value, ...]

    @property
    def midpoint(self) -> Value:
        """The value in the middle of the list (of two the former)."""
        return self.values[(len(self.values) - 1) // 2]

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in self.values)

    def to_dict(self) -> dict[str, object]:
        """Return the choices as a spec writes them."""
        return {"choices": list(self.values)}


Space = Mapping[str, Range | Choices]


def parse_domain(parameter: Parameter, domain: object) -> Range | Choices:
    """Return what a spec's search says about one parameter.

    Raises
    ------
    SpecError : a key is unknown, a value is not of the parameter's kind, or the range is empty
    """
    if not isinstance(domain, Mapping):
        raise SpecError(f"must be {{low, high, step}} or {{choices: [...]}}, was {domain!r}")
    keys = ["choices"] if "choices" in domain else ["low", "high", "step"]
    for key in domain:
        if key not in keys:
            raise SpecError(f"has no {key!r}{nearest(str(key), keys)}")
    return _choices(parameter, domain["choices"]) if "choices" in domain else _range(parameter, domain)


def _choices(parameter: Parameter, values: object) -> Choices:
    if not isinstance(values, list | tuple) or not values:
        raise SpecError(f"choices must be a list with at least one value, was {values!r}")
    choices = Choices(tuple(_checked(parameter, value) for value in values))
    if len(set(choices.values)) < len(choices.values):
        raise SpecError(f"choices must differ, were {list(choices.values)}")
    return choices


def _range(parameter: Parameter, domain: Mapping[str, object]) -> Range:
    if parameter.kind not in (int, float):
        raise SpecError(f"must be {{choices: [...]}}, since {parameter.name} is {parameter.kind.__name__}")
    for key in ("low", "high"):
        if key not in domain:
            raise SpecError(f"must have {key!r}")
    given = {key: _number(parameter, value) for key, value in domain.items() if value is not None}
    step = given.get("step", 1 if parameter.kind is int else None)
    if given["low"] > given["high"]:
        raise SpecError(f"low must not be above high, was {given['low']} against {given['high']}")
    if step is not None and step <= 0:
        raise SpecError(f"step must be positive, was {step}")
    return Range(given["low"], given["high"], step)


def _number(parameter: Parameter, value: object) -> int | float:
    checked = _checked(parameter, value)
    assert not isinstance(checked, str)
    return checked


def _checked(parameter: Parameter, value: object) -> Value:
    try:
        return parameter.check(value)
    except StrategyError as error:
        raise SpecError(str(error)) from None


def size(space: Space) -> float:
    """Return how many points the space has, infinity where a range has no step; 1 for an empty space."""
    n_points = 1.0
    for domain in space.values():
        is_open = isinstance(domain, Range) and domain.step is None and domain.low < domain.high
        n_points *= math.inf if is_open else len(domain.values)
    return n_points


def grid(space: Space) -> list[dict[str, Value]]:
    """Return all points of the space, the last parameter changing fastest.

    Raises
    ------
    SpecError : a range has no step, or there are more than a million points
    """
    for name, domain in space.items():
        if isinstance(domain, Range) and domain.step is None:
            raise SpecError(f"{name}: a range from {domain.low} to {domain.high} has no grid without a step")
    if size(space) > _LARGEST_GRID:
        raise SpecError(
            f"the grid has {size(space):,.0f} points, at most {_LARGEST_GRID:,} are tried: take longer steps"
        )
    return [
        dict(zip(space, values, strict=True))
        for values in itertools.product(*(domain.values for domain in space.values()))
    ]


def contains(space: Space, point: Mapping[str, object]) -> bool:
    """Return whether a point names exactly the space's parameters, each with a value it allows."""
    return set(point) == set(space) and all(point[name] in domain for name, domain in space.items())


def midpoint(space: Space) -> dict[str, Value]:
    """Return the point in the middle of each range, on its steps."""
    return {name: domain.midpoint for name, domain in space.items()}
