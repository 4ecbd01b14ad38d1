"""Minute bars of the lake by symbol and range, alone or with the coarser bars closed by then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lakehouse.asked import check_symbols, symbol_list
from lakehouse.calendar import month_keys
from lakehouse.errors import LakeError
from lakehouse.intraday.closed import with_latest_closed
from lakehouse.intraday.coarser import coarser
from lakehouse.intraday.grid import bar_grid
from lakehouse.intraday.hours import REGULAR, Hours, microseconds
from lakehouse.intraday.rows import instant

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.lake import Lake

MINUTES = "core/minute_bars"
COLUMNS = ("symbol", "bar_end", "open", "high", "low", "close", "volume", "known_at")
# About two million minutes.
_SYMBOL_MONTHS = 240
_HISTORY = dt.timedelta(days=75)


def minute_bars(
    lake: Lake,
    symbols: Iterable[str] | str,
    start: dt.datetime,
    end: dt.datetime,
    *,
    columns: Sequence[str] = COLUMNS,
    version: int | None = None,
) -> pa.Table:
    """Return the minute bars that lie in [start, end): they end after `start` and no later than `end`.

    Only the months asked for are opened, and in them only the row groups that hold a wanted symbol. Rows are ordered by
    month (of bar_end, UTC), symbol and bar_end. A symbol without bars in the range has no rows.

    Parameters
    ----------
    symbols : one as text, or several.
    start, end : times with a zone.
    columns : of core/minute_bars.
    version : the table's version, as `Lake.pins` gives it; None: the last.

    Raises
    ------
    BadName : a symbol that the table does not have at all; names the nearest.
    LakeError : a time without a zone. Others as `Lake.scan`.
    """
    names = symbol_list(symbols)
    read = columns if "symbol" in columns else [*columns, "symbol"]
    rows = read_minutes(lake, names, start, end, columns=read, version=version)
    check_symbols(lake, MINUTES, names, rows, version=version)
    return rows.select(list(columns))


def read_minutes(
    lake: Lake,
    symbols: Iterable[str],
    start: dt.datetime,
    end: dt.datetime,
    *,
    columns: Sequence[str] = COLUMNS,
    version: int | None = None,
) -> pa.Table:
    """Return what `minute_bars` does, for symbols that the caller has checked or will check."""
    low, high = instant(microseconds(start)), instant(microseconds(end))
    months = month_keys(low.date(), high.date() + dt.timedelta(days=1)) if low < high else []
    names = sorted(set(symbols))
    where = [
        # An empty list has no type; nothing has an empty name.
        ("month", "in", months or [""]),
        ("symbol", "in", names or [""]),
        ("bar_end", ">", low),
        ("bar_end", "<=", high),
    ]
    return lake.scan(MINUTES, version=version, columns=list(columns), where=where)


def coarser_bars(
    lake: Lake,
    symbols: Iterable[str] | str,
    start: dt.datetime,
    end: dt.datetime,
    size: str,
    *,
    hours: Hours = REGULAR,
    version: int | None = None,
) -> pa.Table:
    """Return the bars of a size that lie in [start, end) as a whole, made of the lake's minutes; see `coarser`.

    Minutes are read a few symbols at a time, about two million rows, so that memory holds those and the result.

    Raises
    ------
    BadName : a symbol that core/minute_bars does not have at all; names the nearest. Others as `coarser`.
    """
    import pyarrow as pa

    names = sorted(set(symbol_list(symbols)))
    fixed = fixed_version(lake, MINUTES, version)
    n_read = max(1, _SYMBOL_MONTHS // max(1, round((end - start) / dt.timedelta(days=30))))
    parts = [
        coarser(
            read_minutes(lake, names[first : first + n_read], start, end, version=fixed),
            size,
            hours=hours,
            since=start,
            until=end,
        )
        for first in range(0, len(names), n_read)
    ]
    made = pa.concat_tables(parts) if parts else coarser(read_minutes(lake, [], start, end, version=fixed), size)
    check_symbols(lake, MINUTES, names, made, version=fixed)
    return made


def timeframes(
    lake: Lake,
    symbols: Iterable[str] | str,
    start: dt.datetime,
    end: dt.datetime,
    *,
    sizes: Sequence[str],
    hours: Hours = REGULAR,
    n_before: int = 1,
    version: int | None = None,
) -> pa.Table:
    """Return the minute bars in [start, end) beside the bar of each coarser size that was the last known at their end.

    Nothing of a coarse bar is seen before it ended: its columns, such as ``session_close`` or ``1h_high``, hold the one
    that had, and are null where none had. Of each size, `n_before` bars of the calendar before `start` are looked at.

    Parameters
    ----------
    sizes : as in `coarser`.
    hours : which minutes the coarse bars are made of; the fine ones are all returned.

    Raises
    ------
    BadName : a symbol that core/minute_bars does not have at all; names the nearest.
    LakeError : no such size, or a range the calendar does not know.
    """
    names = symbol_list(symbols)
    fixed = fixed_version(lake, MINUTES, version)
    fine = minute_bars(lake, names, start, end, version=fixed)
    for size in sizes:
        grid = bar_grid(size, hours, start - _HISTORY, end)
        begins = grid.start[grid.end <= microseconds(start)]
        if n_before < 1 or begins.size < n_before:
            raise LakeError(f"n_before is 1 to {begins.size} bars of {size} before {start}, was {n_before}")
        since = instant(begins[-n_before])
        made = coarser_bars(lake, names, since, end, size, hours=hours, version=fixed)
        fine = with_latest_closed(fine, made, prefix=f"{size}_")
    return fine


def fixed_version(lake: Lake, table: str, version: int | None) -> int:
    """Return the version, or the last one where none is given, so that several reads see the same rows."""
    return lake.pins([table])[table] if version is None else version
