"""What ties orders to each other: groups of which one fills, and children that wait for their parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.settings import shown

if TYPE_CHECKING:
    import pandas as pd

Integers = NDArray[np.int64]
Place = Callable[[int], str]  # from the number of a row to words for an error


def groups_of(column: pd.Series[Any], assets: Integers, at: Place) -> Integers:
    """Return a number for each row's group, counted from 0 by first appearance; -1 where there is none.

    Raises `InputError` where a name cannot be looked up, or a group holds orders of several symbols: its members
    are alternatives for one position.
    """
    groups, names = numbered(column, "oco_group", "a text or a number")
    asset_of = np.full(len(names) + 1, -1, dtype=np.int64)
    asset_of[groups[::-1]] = assets[::-1]
    refuse(
        (groups >= 0) & (asset_of[groups] != assets),
        lambda row: (
            f"an oco_group must hold orders of one symbol, {shown(names[groups[row]])} held others before {at(row)}"
        ),
    )
    return groups


def parents_of(frame: pd.DataFrame, bars: Integers, assets: Integers, groups: Integers, at: Place) -> Integers:
    """Return the position of each row's parent in the frame; -1 where there is none.

    Raises `InputError` where a parent is no row or the row itself, is of another symbol, is decided after its
    child, would cancel its child by filling (one oco_group), or is a descendant of its own child.
    """
    column = frame["parent"]
    children = np.flatnonzero(column.notna().to_numpy())
    parents = np.full(len(frame), -1, dtype=np.int64)
    if not children.size:
        return parents
    if not frame.index.is_unique:
        raise InputError("the index of orders must be unique where a parent refers to it")
    parents[children] = _positions(frame.index, column.iloc[children], children, at)
    has = parents >= 0
    numbers = np.arange(parents.size)
    refuse(parents == numbers, lambda row: f"an order must not be its own parent, was at {at(row)}")
    refuse(
        has & (assets[parents] != assets),
        lambda row: f"a parent must be of the symbol of its child, was {at(parents[row])} for {at(row)}",
    )
    refuse(
        has & (bars[parents] > bars),
        lambda row: f"a parent must be decided at the bar of its child or before, was {at(parents[row])} for {at(row)}",
    )
    refuse(
        has & (groups >= 0) & (groups[parents] == groups),
        lambda row: (
            f"an order and its parent must not share an oco_group, whose other members a fill cancels, "
            f"was {at(parents[row])} for {at(row)}"
        ),
    )
    _refuse_circles(parents, at)
    return parents


def numbered(column: pd.Series[Any], name: str, rule: str) -> tuple[Integers, Any]:
    """Return the number of each row's value among the distinct ones, by first appearance (-1: missing), and those."""
    import pandas as pd

    try:
        numbers, values = pd.factorize(column)
    except TypeError:
        raise InputError(f"{name} must be {rule} in each row") from None
    return numbers.astype(np.int64), values


def refuse(is_wrong: NDArray[np.bool_], text: Callable[[int], str]) -> None:
    """Raise `InputError` with the text for the first row that is wrong, if any is."""
    if is_wrong.any():
        raise InputError(text(int(np.argmax(is_wrong))))


def _positions(index: pd.Index[Any], labels: pd.Series[Any], children: NDArray[np.intp], at: Place) -> Integers:
    import pandas as pd

    try:
        positions = index.get_indexer(pd.Index(labels.to_numpy()))
    except TypeError:
        raise InputError("parent must be a label of the index in each row") from None
    refuse(
        positions < 0,
        lambda i: f"parent must be the label of a row, was {shown(labels.iloc[i])} at {at(int(children[i]))}",
    )
    return positions.astype(np.int64)  # type: ignore[no-any-return]


def _refuse_circles(parents: Integers, at: Place) -> None:
    """Raise where following parents never ends: after n steps, taken by doubling, every line has ended."""
    numbers = np.arange(parents.size)
    if (parents < numbers).all():
        return
    end = parents.size
    ancestor = np.append(np.where(parents >= 0, parents, end), end)
    for _ in range(end.bit_length()):
        ancestor = ancestor[ancestor]
    refuse(
        ancestor[:-1] != end,
        lambda row: f"a parent must not descend from its own child, did for {at(int(ancestor[row]))}",
    )
