"""Where bars of a size begin and end: the calendar's answer, whatever was traded."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

import numpy as np

from engine.errors import nearest
from lakehouse.errors import LakeError
from lakehouse.intraday.hours import Hours, Integers, Sessions, microseconds, sessions_in

PERIODS = ("session", "week", "month")
_STEP = re.compile(r"([1-9]\d{0,3})(min|h)")
_MINUTE = 60_000_000
# The longest period, and the longest time without a session that a calendar knows.
_MARGIN = dt.timedelta(days=45)


class Grid(NamedTuple):
    """Bars over (start, end], in order, none overlapping; microseconds since 1970, UTC."""

    start: Integers
    end: Integers


def bar_grid(size: str, hours: Hours, start: dt.datetime, end: dt.datetime) -> Grid:
    """Return the bars of a size that share time with [start, end).

    ``5min``, ``30min``, ``1h`` and the like are counted from the open, back to the begin of the hours before it and on
    to the close, and from the close on; what is shorter ends there. So no bar mixes a session with the hours around it,
    and the session's bars are the same with those hours or without. A ``session`` is one bar from the begin of its
    hours to their end, a ``week`` (Monday to Sunday) and a ``month`` last from their first session's begin to their
    last one's end, both of the calendar.

    Raises
    ------
    LakeError : no such size, times without a zone, or days that the calendar does not know.
    """
    low, high = microseconds(start), microseconds(end)
    step = step_of(size)
    margin = _MARGIN if step is None else dt.timedelta(days=2)
    found = sessions_in(hours, start.date() - margin, end.date() + margin)
    grid = _periods(found, size) if step is None else _steps(found, step)
    wanted = slice(np.searchsorted(grid.end, low, side="right"), np.searchsorted(grid.start, high, side="left"))
    return Grid(grid.start[wanted], grid.end[wanted])


def step_of(size: str) -> int | None:
    """Return the microseconds of a size such as ``5min`` or ``1h``, None for a session, week or month."""
    if size in PERIODS:
        return None
    match = _STEP.fullmatch(str(size))
    if match is None:
        known = ("1min", "5min", "15min", "30min", "1h", "2h", *PERIODS)
        raise LakeError(f"a size of bars is like {', '.join(known)}, was {size!r}{nearest(str(size), known)}")
    return int(match[1]) * (60 if match[2] == "h" else 1) * _MINUTE


def _steps(found: Sessions, step: int) -> Grid:
    lines = [
        np.unique(
            np.concatenate(
                [
                    np.array([start, close, end]),
                    np.arange(open_, start, -step),
                    np.arange(open_, close, step),
                    np.arange(close, end, step),
                ]
            )
        )
        for start, open_, close, end in zip(*(times.tolist() for times in found[1:]), strict=True)
    ]
    none = np.zeros(0, dtype=np.int64)
    starts, ends = [line[:-1] for line in lines], [line[1:] for line in lines]
    return Grid(np.concatenate([none, *starts]), np.concatenate([none, *ends]))


def _periods(found: Sessions, size: str) -> Grid:
    if size == "session" or not found.days.size:
        return Grid(found.start, found.end)
    if size == "month":
        period = found.days.astype("datetime64[M]").view(np.int64)
    else:
        # 1970-01-01 was a Thursday.
        period = (found.days.view(np.int64) + 3) // 7
    first = np.flatnonzero(np.diff(period, prepend=period[0] - 1))
    last = np.append(first[1:] - 1, period.size - 1)
    return Grid(found.start[first], found.end[last])
