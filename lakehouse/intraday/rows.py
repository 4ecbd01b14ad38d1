"""Bars as arrays: what resampling computes with, from and to Arrow tables."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadRows, UnknownColumn
from lakehouse.intraday.hours import EPOCH, Integers

if TYPE_CHECKING:
    import pyarrow as pa

VALUES = ("open", "high", "low", "close", "volume")
NEEDED = ("symbol", "bar_end", *VALUES)

Floats = NDArray[np.float64]


class BarRows(NamedTuple):
    """Bars of several symbols, each numbered in the order of `names`; times in microseconds since 1970, UTC."""

    names: pa.Array
    symbol: Integers
    start: Integers
    end: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    n_minutes: Integers
    known_at: Integers

    def take(self, rows: NDArray[Any]) -> BarRows:
        """Return the rows of an index."""
        return BarRows(self.names, *(values[rows] for values in self[1:]))

    def where(self, wanted: NDArray[np.bool_]) -> BarRows:
        """Return the rows of a mask, not copied if these are all."""
        return self if wanted.all() else self.take(wanted)


def read_bars(bars: pa.Table) -> BarRows:
    """Return the rows of a table sorted by symbol and end.

    Of bars that do not tell their start it is only known that they end; each counts as one minute.

    Raises
    ------
    UnknownColumn : a column is missing.
    BadRows : a (symbol, bar_end) stands twice, or a value is missing.
    """
    for name in NEEDED:
        if name not in bars.column_names:
            raise UnknownColumn(f"bars need the column {name!r}, have {', '.join(bars.column_names)}")
    symbol, names = symbol_numbers(bars)
    end = times(bars, "bar_end")
    start = times(bars, "bar_start") if "bar_start" in bars.column_names else end - 1
    known_at = times(bars, "known_at") if "known_at" in bars.column_names else end
    has_counts = "n_minutes" in bars.column_names
    n_minutes = bars.column("n_minutes").to_numpy() if has_counts else np.ones(end.size, dtype=np.int64)
    open_, high, low, close, volume = (bars.column(name).to_numpy() for name in VALUES)
    known_at = np.maximum(known_at, end)
    rows = BarRows(names, symbol, start, end, open_, high, low, close, volume, n_minutes, known_at)
    if not _is_sorted(rows):
        rows = rows.take(np.lexsort((rows.end, rows.symbol)))
    _check(rows)
    return rows


def as_table(rows: BarRows) -> pa.Table:
    """Return the rows with the columns symbol, bar_start, bar_end, the values, n_minutes and known_at."""
    import pyarrow as pa

    instant = pa.timestamp("us", tz="UTC")
    columns = {
        "symbol": rows.names.take(pa.array(rows.symbol)),
        "bar_start": pa.array(rows.start).view(instant),
        "bar_end": pa.array(rows.end).view(instant),
        **{name: pa.array(getattr(rows, name)) for name in VALUES},
        "n_minutes": pa.array(rows.n_minutes),
        "known_at": pa.array(rows.known_at).view(instant),
    }
    return pa.table(columns)


def symbol_numbers(bars: pa.Table) -> tuple[Integers, pa.Array]:
    """Return the number of each row's symbol among the names, which are sorted, and the names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = bars.column("symbol").combine_chunks().dictionary_encode()
    order = pc.sort_indices(words.dictionary)
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[np.asarray(order)] = np.arange(len(order))
    return numbers[np.asarray(words.indices)], words.dictionary.take(order).cast(pa.string())


def times(bars: pa.Table, name: str) -> Integers:
    """Return a column of times in microseconds since 1970, UTC.

    Raises
    ------
    BadRows : not times with a zone, or one is missing.
    """
    import pyarrow as pa

    column = bars.column(name)
    if not pa.types.is_timestamp(column.type) or column.type.tz is None or column.null_count:
        raise BadRows(f"{name} must be times with a zone, none missing, was {column.type}", rule="type")
    found: Integers = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return found


def instant(time: int) -> dt.datetime:
    """Return a time in microseconds since 1970 as a UTC time."""
    return EPOCH + dt.timedelta(microseconds=int(time))


def _is_sorted(rows: BarRows) -> bool:
    symbol, end = rows.symbol, rows.end
    later = (symbol[1:] > symbol[:-1]) | ((symbol[1:] == symbol[:-1]) & (end[1:] >= end[:-1]))
    return bool(later.all())


def _check(rows: BarRows) -> None:
    twice = (rows.symbol[1:] == rows.symbol[:-1]) & (rows.end[1:] == rows.end[:-1])
    if twice.any():
        raise BadRows(f"a bar must stand once, {place(rows, int(np.argmax(twice)))} stands twice", rule="unique key")
    for name in VALUES:
        values = getattr(rows, name)
        if values.dtype != np.float64 or np.isnan(values).any():
            row = int(np.argmax(np.isnan(values.astype(np.float64))))
            text = f"{name} must be a float64 in every row, was {values[row]} for {place(rows, row)}"
            raise BadRows(text, rule="type")


def place(rows: BarRows, row: int) -> str:
    """Return the name and end of a row's bar."""
    return f"{rows.names[int(rows.symbol[row])]} at {instant(rows.end[row]):%Y-%m-%d %H:%M:%S} UTC"
