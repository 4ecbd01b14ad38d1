"""Coarser bars from finer ones: 5 minutes, an hour, a session, a week, a month."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.errors import LakeError
from lakehouse.intraday.grid import Grid, bar_grid
from lakehouse.intraday.hours import REGULAR, Hours, microseconds
from lakehouse.intraday.rows import BarRows, as_table, instant, place, read_bars

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = dt.timedelta(days=1)
_MINUTE = 60_000_000
_NEVER = np.iinfo(np.int64).max


def coarser(
    bars: pa.Table,
    size: str,
    *,
    hours: Hours = REGULAR,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> pa.Table:
    """Return the bars of a size made of finer ones, sorted by symbol and end.

    A fine bar belongs to the coarse one in which it ends: after its start and no later than its end. `bar_end` is the
    calendar's end of the coarse bar (see `bar_grid`), from which it is knowable, though its last trade was earlier.
    Fine bars outside the hours are left out; a coarse bar in which nothing was traded has no row. Made in steps
    (minutes to 5 minutes to sessions) bars are the same as made at once; volumes that are no whole numbers may differ
    by rounding.

    Parameters
    ----------
    bars : minute bars (rows of core/minute_bars), or what this function made of them with the same hours; in any
        order. Columns that are not needed are ignored.
    size : such as ``5min``, ``30min``, ``1h``, ``session``, ``week`` or ``month``.
    since, until : the range in which the fine bars are all there. Coarse bars that begin before or end after it are
        left out, for they would be incomplete: minutes from 10:00 on make no session of that day. By default the range
        is that of the fine bars, from the first one's begin to the last one's end, of any symbol. Where nothing was
        traded in the first minutes of a range that is known as a whole, say since when.

    Returns
    -------
    Columns symbol, bar_start, bar_end, open, high, low, close, volume, n_minutes (how many it is made of) and known_at
    (the latest of the fine bars', and never before bar_end).

    Raises
    ------
    UnknownColumn : a column is missing.
    BadRows : a (symbol, bar_end) stands twice, or a value is missing.
    LakeError : no such size, or a fine bar that is not part of one coarse bar.
    """
    rows = read_bars(bars)
    if not rows.end.size:
        return as_table(rows)
    begin = int(rows.start.min() if "bar_start" in bars.column_names else rows.end.min() - _MINUTE)
    first, last = instant(rows.start.min()) - _DAY, instant(rows.end.max()) + _DAY
    rows = _within(rows, bar_grid("session", hours, first, last), hours)
    grid = bar_grid(size, hours, first, last)
    bar = np.searchsorted(grid.end, rows.end, side="left")
    _check_begins(rows, grid.start[bar], f"bars of {size}")
    low = begin if since is None else microseconds(since)
    high = microseconds(last - _DAY) if until is None else microseconds(until)
    is_whole = (grid.start[bar] >= low) & (grid.end[bar] <= high)
    return as_table(_merged(rows.where(is_whole), bar[is_whole], grid))


def _within(rows: BarRows, sessions: Grid, hours: Hours) -> BarRows:
    """Return the bars that end within the hours, and refuse those that reach into them and end after them."""
    begin = np.append(sessions.start, _NEVER)
    end = np.append(sessions.end, _NEVER)
    is_inside = rows.end > begin[np.searchsorted(sessions.end, rows.end, side="left")]
    later = np.searchsorted(sessions.end, rows.start, side="right")
    reaches_in = ~is_inside & (begin[later] < rows.end) & (end[later] > rows.start)
    if reaches_in.any():
        row = int(np.argmax(reaches_in))
        raise LakeError(
            f"the bar of {place(rows, row)} begins within the hours of {hours.exchange} and ends after them: was it "
            "made with longer hours?"
        )
    return rows.where(is_inside)


def _check_begins(rows: BarRows, start: np.ndarray[tuple[int], np.dtype[np.int64]], what: str) -> None:
    is_across = rows.start < start
    if is_across.any():
        row = int(np.argmax(is_across))
        raise LakeError(
            f"the bar of {place(rows, row)} begins at {instant(rows.start[row])}, before the one of the {what} that it "
            "ends in: these are not made of such bars, take finer ones"
        )


def _merged(rows: BarRows, bar: np.ndarray[tuple[int], np.dtype[np.int64]], grid: Grid) -> BarRows:
    """Return one row for each symbol and bar of the grid that has any."""
    if not bar.size:
        return rows
    is_next = (rows.symbol[1:] != rows.symbol[:-1]) | (bar[1:] != bar[:-1])
    first = np.append(0, np.flatnonzero(is_next) + 1)
    last = np.append(first[1:], bar.size) - 1
    return BarRows(
        names=rows.names,
        symbol=rows.symbol[first],
        start=grid.start[bar[first]],
        end=grid.end[bar[first]],
        open=rows.open[first],
        high=np.maximum.reduceat(rows.high, first),
        low=np.minimum.reduceat(rows.low, first),
        close=rows.close[last],
        volume=np.add.reduceat(rows.volume, first),
        n_minutes=np.add.reduceat(rows.n_minutes, first),
        known_at=np.maximum(grid.end[bar[first]], np.maximum.reduceat(rows.known_at, first)),
    )
