"""The parameter sets of a sweep, each made when it is asked for: a grid of millions is a few short lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from engine.bounds import MOST_LISTED, MOST_TRIALS
from engine.errors import InputError
from engine.settings import several, shown

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
    """Return the parameter sets of a grid; raises `InputError` where it is none, has none, or has too many."""
    if not isinstance(grid, Mapping):
        rows = rows_of(grid)
        _check_size(len(rows))
        return rows
    values = {name: _values(name, given) for name, given in grid.items()}
    _check_size(prod(map(len, values.values())) if values else 0)
    return Combinations(values)


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


def _check_size(n: int) -> None:
    if n == 0:
        raise InputError("a sweep needs at least one parameter set, had none")
    if n > MOST_TRIALS:
        raise InputError(f"a sweep must have at most {MOST_TRIALS} parameter sets, had {shown(n)}")


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if not isinstance(name, str):
        raise InputError(f"a parameter's name must be a text, was {shown(name)}")
    text = f"grid[{shown(name)}] must be the values to try, was {shown(values)}"
    return tuple(several(text, values, most=MOST_LISTED))


def rows_of(grid: Any) -> Rows:
    """Return parameter sets that are given one by one; raises `InputError` naming one that is none."""
    text = f"grid must be parameter sets or the values of each parameter, was {shown(grid)}"
    rows = several(text, grid, most=MOST_LISTED)
    if not all(issubclass(kind, Mapping) for kind in set(map(type, rows))):
        wrong = next(row for row in rows if not isinstance(row, Mapping))
        raise InputError(f"a parameter set must be a mapping such as {{'fast': 10}}, was {shown(wrong)}")
    return Rows(map(dict, rows))


def _integers(values: Sequence[Any]) -> NDArray[np.int64] | None:
    if set(map(type, values)) != {int}:
        return None
    try:
        return np.fromiter(values, dtype=np.int64, count=len(values))
    except OverflowError:
        return None
