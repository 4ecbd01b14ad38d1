"""The parameter sets of a sweep, each made when it is asked for: a grid of millions is a few short lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

Parameters = dict[str, Any]
Grid = Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]]


class ParameterSets(Protocol):
    """Parameter sets in order."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Parameters: ...

    def __iter__(self) -> Iterator[Parameters]: ...

    def names(self) -> set[str]:
        """Return every parameter that some set has."""

    def integers(self, name: str) -> NDArray[np.int64] | None:
        """Return a parameter of all sets, int64[n]; None where any has none or it is no int."""


def sets_of(grid: Grid) -> ParameterSets:
    """Return the parameter sets of a grid; raises `InputError` where it is none or has none."""
    sets: ParameterSets
    if isinstance(grid, Mapping):
        sets = Combinations({name: _values(name, values) for name, values in grid.items()})
    else:
        sets = Rows(_rows(grid))
    if not len(sets):
        raise InputError("a sweep needs at least one parameter set, had none")
    return sets


class Combinations(Sequence[Parameters]):
    """All combinations of the values of each parameter, the last parameter changing fastest."""

    def __init__(self, values: Mapping[str, tuple[Any, ...]]) -> None:
        self._values = dict(values)
        self._shape = tuple(map(len, self._values.values()))

    def __len__(self) -> int:
        return prod(self._shape) if self._shape else 0

    @overload
    def __getitem__(self, i: int) -> Parameters: ...

    @overload
    def __getitem__(self, i: slice) -> Sequence[Parameters]: ...

    def __getitem__(self, i: int | slice) -> Parameters | Sequence[Parameters]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        places = np.unravel_index(range(len(self))[i], self._shape)
        return {name: values[k] for (name, values), k in zip(self._values.items(), places, strict=True)}

    def __iter__(self) -> Iterator[Parameters]:
        for row in product(*self._values.values()):
            yield dict(zip(self._values, row, strict=True))

    def names(self) -> set[str]:
        """Return every parameter."""
        return set(self._values)

    def integers(self, name: str) -> NDArray[np.int64] | None:
        """Return a parameter of all sets, int64[n]; None where it is no int."""
        column = _integers(self._values[name])
        if column is None:
            return None
        axis = list(self._values).index(name)
        each = np.repeat(column, prod(self._shape[axis + 1 :]))
        return np.tile(each, prod(self._shape[:axis]))


class Rows(tuple[Parameters, ...]):
    """Parameter sets that were given one by one."""

    __slots__ = ()

    def names(self) -> set[str]:
        """Return every parameter that some set has."""
        return set().union(*self)

    def integers(self, name: str) -> NDArray[np.int64] | None:
        """Return a parameter of all sets, int64[n]; None where any has none or it is no int."""
        try:
            return _integers(list(map(itemgetter(name), self)))
        except KeyError:
            return None


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"grid[{name!r}] must be the values to try, was {values!r}")
    return tuple(values)


def _rows(grid: Any) -> Rows:
    if isinstance(grid, (str, bytes)) or not isinstance(grid, Iterable):
        raise InputError(f"grid must be parameter sets or the values of each parameter, was {grid!r}")
    rows = list(grid)
    if not all(issubclass(kind, Mapping) for kind in set(map(type, rows))):
        wrong = next(row for row in rows if not isinstance(row, Mapping))
        raise InputError(f"a parameter set must be a mapping such as {{'fast': 10}}, was {wrong!r}")
    return Rows(map(dict, rows))


def _integers(values: Sequence[Any]) -> NDArray[np.int64] | None:
    if set(map(type, values)) != {int}:
        return None
    try:
        return np.fromiter(values, dtype=np.int64, count=len(values))
    except OverflowError:
        return None
