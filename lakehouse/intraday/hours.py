"""Trading hours: the sessions of an exchange, with the time before the open and after the close where it counts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakehouse.calendar import session_close, session_open, sessions
from lakehouse.errors import LakeError

Integers = NDArray[np.int64]

_MICROSECOND = dt.timedelta(microseconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Hours:
    """Which minutes of a day count: those of the session, and `before` its open and `after` its close.

    Open and close are the exchange calendar's, so daylight saving, half days and closures are as they were. Midday
    breaks belong to the session: it has no minutes then. A closing auction that prints after the close, as it often
    does, lies in a minute after the session, with its price and volume: take an `after` of a minute to have it in.
    """

    exchange: str = "XNYS"
    before: dt.timedelta = dt.timedelta(0)
    after: dt.timedelta = dt.timedelta(0)

    def __post_init__(self) -> None:
        for name in ("before", "after"):
            if not dt.timedelta(0) <= getattr(self, name) < dt.timedelta(days=1):
                raise LakeError(f"{name} is a time of zero up to a day, was {getattr(self, name)}")


REGULAR = Hours()
# 04:00 to 20:00 in New York; after a half day's close at 13:00 late trading ends at 17:00.
EXTENDED = Hours(before=dt.timedelta(hours=5, minutes=30), after=dt.timedelta(hours=4))


class Sessions(NamedTuple):
    """Sessions in order; times in microseconds since 1970, UTC: a session's hours begin, open, close and end."""

    days: NDArray[np.datetime64]
    start: Integers
    open: Integers
    close: Integers
    end: Integers


def sessions_in(hours: Hours, first: dt.date, last: dt.date) -> Sessions:
    """Return the sessions of [first, last).

    Raises
    ------
    BadName : unknown exchange.
    LakeError : days the calendar does not know, or hours so long that one session's reach into the next one's.
    """
    days = sessions(hours.exchange, first, last)
    opens, closes = (
        np.asarray(times.tz_convert(None), dtype="datetime64[us]").view(np.int64)
        for times in (session_open(hours.exchange, days), session_close(hours.exchange, days))
    )
    found = Sessions(
        np.array(days, dtype="datetime64[D]"),
        opens - hours.before // _MICROSECOND,
        opens,
        closes,
        closes + hours.after // _MICROSECOND,
    )
    is_overlapping = found.start[1:] < found.end[:-1]
    if is_overlapping.any():
        day = found.days[int(np.argmax(is_overlapping))]
        raise LakeError(f"the hours of {hours.exchange} on {day} reach into the next session's: take shorter ones")
    return found


def session_edges(hours: Hours, start: dt.datetime, end: dt.datetime) -> NDArray[np.datetime64]:
    """Return where parts of the sessions in [start, end) begin and end, as datetime64[ns] in UTC, sorted.

    The begin of the hours, open, close and the end of the hours, each once: what no bar made of trades should cross.
    """
    low, high = microseconds(start), microseconds(end)
    near = sessions_in(hours, start.date() - dt.timedelta(days=2), end.date() + dt.timedelta(days=2))
    edges = np.unique(np.concatenate(near[1:]))
    return edges[(edges >= low) & (edges < high)].view("datetime64[us]").astype("datetime64[ns]")


def microseconds(time: dt.datetime) -> int:
    """Return a time in microseconds since 1970.

    Raises
    ------
    LakeError : a time without a zone is ambiguous.
    """
    if time.tzinfo is None:
        raise LakeError(f"a time needs a zone, was {time.isoformat()}: UTC is dt.UTC")
    return (time - EPOCH) // _MICROSECOND
