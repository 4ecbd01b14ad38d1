"""Coarser bars beside finer ones: at each moment the last that had closed, never the one still forming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lakehouse.errors import LakeError
from lakehouse.intraday.hours import Integers
from lakehouse.intraday.rows import symbol_numbers, times

if TYPE_CHECKING:
    import pyarrow as pa


def latest_closed(known_at: Integers, at: Integers) -> Integers:
    """Return, for each time, the last bar known by then: the greatest i with known_at[i] <= at, -1 where none is.

    Parameters
    ----------
    known_at : int64[n_bars], bars in order of their ends. A bar is known at its end, or later where it was corrected
        (then the one before it stays the last until the correction is known).
    at : int64[n], in any order, in the same unit.
    """
    order = np.argsort(known_at, kind="stable")
    latest = np.maximum.accumulate(np.append(-1, order))
    return latest[np.searchsorted(known_at[order], at, side="right")]


def with_latest_closed(fine: pa.Table, coarse: pa.Table, *, prefix: str) -> pa.Table:
    """Return the fine bars with the columns of the coarse bar of their symbol that was the last known at their end.

    A coarse bar is seen from its known_at on (its bar_end where it has no known_at), by a fine bar that ends in that
    very moment too. Nulls where no coarse bar was known yet. How old the coarse bar is tells its own bar_end.

    Parameters
    ----------
    fine : any table with symbol and bar_end; rows keep their order.
    coarse : of `coarser`, or any table with symbol and bar_end; each of these once, rows in any order.
    prefix : goes before the names of the coarse columns: ``session_`` gives session_bar_end, session_open, ...

    Raises
    ------
    BadRows : bar_end is not a time with a zone in every row.
    LakeError : a name that the fine bars have already.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    new = [name for name in coarse.column_names if name != "symbol"]
    for name in new:
        if prefix + name in fine.column_names:
            raise LakeError(f"the finer bars have a column {prefix + name!r} already: take another prefix")
    at = times(fine, "bar_end")
    coarse = coarse.sort_by([("symbol", "ascending"), ("bar_end", "ascending")])
    known_at = times(coarse, "known_at" if "known_at" in coarse.column_names else "bar_end")
    numbers, names = symbol_numbers(coarse)
    symbols = pc.index_in(fine.column("symbol"), value_set=names).fill_null(-1).to_numpy()
    first = np.searchsorted(numbers, np.arange(len(names) + 1))
    row = np.full(at.size, -1, dtype=np.int64)
    for number in range(len(names)):
        own = np.flatnonzero(symbols == number)
        found = latest_closed(known_at[first[number] : first[number + 1]], at[own])
        row[own] = np.where(found < 0, -1, found + first[number])
    taken = coarse.take(pa.array(row, mask=row < 0))
    for name in new:
        fine = fine.append_column(prefix + name, taken.column(name))
    return fine
