"""Exchange sessions with their opens and closes, and month keys.

Sessions come from exchange_calendars, always with an explicit range: its default reaches back twenty years
only, and ends relative to today. Building a calendar takes 0.1 s for XNYS and up to 1.2 s (XKRX), and
importing it 0.4 s, so both happen at first use and once a process.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import nearest
from lakehouse.errors import BadName, LakeError

if TYPE_CHECKING:
    import pandas as pd

FIRST_DATE = dt.date(1960, 1, 1)
LAST_DATE = dt.date(2040, 12, 31)


@functools.cache
def _calendar(exchange: str) -> tuple[Any, dt.date, dt.date]:
    """Build a calendar, with the first day it knows and the day after the last."""
    import exchange_calendars as xcals

    names = xcals.get_calendar_names(include_aliases=True)
    if exchange not in names:
        raise BadName(f"unknown exchange {exchange!r}{nearest(str(exchange), names)}")
    code = xcals.resolve_alias(exchange)
    kind = xcals.calendar_utils.global_calendar_dispatcher._calendar_factories[code]
    first, last = kind.bound_min(), kind.bound_max()
    start = FIRST_DATE if first is None else max(FIRST_DATE, first.date())
    end = LAST_DATE if last is None else min(LAST_DATE, last.date())
    try:
        calendar = kind(start=start.isoformat(), end=end.isoformat())
    except (NotImplementedError, ValueError) as error:
        # Some calendars (ASEX, XTAE) do not get along with every pandas.
        raise LakeError(f"the calendar of {exchange} cannot be built here: {str(error)[:200]}") from error
    return calendar, start, end + dt.timedelta(days=1)


def exchanges() -> list[str]:
    """Return the names `sessions` knows: ISO codes (XNYS), their aliases (NYSE) and 24/7."""
    import exchange_calendars as xcals

    return sorted(xcals.get_calendar_names(include_aliases=True))


def sessions(exchange: str, start: dt.date, end: dt.date) -> list[dt.date]:
    """Return the exchange's sessions in [start, end), in order.

    Raises
    ------
    BadName : unknown exchange; names the nearest.
    LakeError : part of the range lies outside what the calendar knows (at most 1960 to 2040).
    """
    calendar, known_from, known_to = _calendar(exchange)
    if start >= end:
        return []
    if start < known_from or end > known_to:
        raise LakeError(
            f"the calendar of {exchange} knows sessions in [{known_from}, {known_to}), asked for [{start}, {end})"
        )
    index = calendar.sessions
    low, high = index.searchsorted([_stamp(start), _stamp(end)], side="left")
    return list(index[low:high].date)


def session_close(exchange: str, days: Iterable[dt.date]) -> pd.DatetimeIndex:
    """Return the close of each session as UTC timestamps in microseconds, in the order given.

    Half days close early (XNYS on 2024-11-29: 18:00Z). A session of 24/7 closes at the following midnight.

    Raises
    ------
    BadName : unknown exchange.
    LakeError : a day that is not a session; names the first.
    """
    return _times(exchange, days, "closes")


def session_open(exchange: str, days: Iterable[dt.date]) -> pd.DatetimeIndex:
    """Return the open of each session as UTC timestamps in microseconds, in the order given.

    Half days open as always. A session of 24/7 opens at its own midnight, and one of the far east on the UTC
    day before (XASX in summer).

    Raises
    ------
    BadName : unknown exchange.
    LakeError : a day that is not a session; names the first.
    """
    return _times(exchange, days, "opens")


def session_from(exchange: str, days: Iterable[dt.date]) -> list[dt.date]:
    """Return the first session at or after each day, in the order given.

    Raises
    ------
    BadName : unknown exchange.
    LakeError : a day before what the calendar knows, or after its last session; names the first.
    """
    import pandas as pd

    calendar, known_from, known_to = _calendar(exchange)
    wanted = pd.DatetimeIndex(list(days)).as_unit(calendar.sessions.unit)
    position = calendar.sessions.searchsorted(wanted, side="left")
    outside = (position >= len(calendar.sessions)) | (wanted < _stamp(known_from))
    if outside.any():
        day = wanted[outside][0].date()
        raise LakeError(f"the calendar of {exchange} knows sessions in [{known_from}, {known_to}), asked from {day} on")
    return list(calendar.sessions[position].date)


def is_session(exchange: str, day: dt.date) -> bool:
    """Return whether the exchange trades on the day."""
    return sessions(exchange, day, day + dt.timedelta(days=1)) == [day]


def month_key(day: dt.date) -> str:
    """Return the month a day is in, as "2000-03"."""
    return f"{day.year:04d}-{day.month:02d}"


def month_range(key: str) -> tuple[dt.date, dt.date]:
    """Return the first day of the month "2000-03" and of the month after it.

    Raises
    ------
    BadName : not a month in that form.
    """
    try:
        first = dt.datetime.strptime(key, "%Y-%m").date()
    except (TypeError, ValueError):
        first = None
    if first is None or month_key(first) != key:
        raise BadName(f"a month is written like '2000-03', was {key!r}")
    return first, (first.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


def month_keys(start: dt.date, end: dt.date) -> list[str]:
    """Return the months that [start, end) touches, in order."""
    keys: list[str] = []
    day = start.replace(day=1)
    while day < end and start < end:
        keys.append(month_key(day))
        day = month_range(keys[-1])[1]
    return keys


def _times(exchange: str, days: Iterable[dt.date], which: Literal["opens", "closes"]) -> pd.DatetimeIndex:
    import pandas as pd

    calendar, _, _ = _calendar(exchange)
    wanted = pd.DatetimeIndex(list(days)).as_unit(calendar.sessions.unit)
    position = calendar.sessions.get_indexer(wanted)
    if (position < 0).any():
        day = wanted[position < 0][0].date()
        raise LakeError(f"{day} is not a session of {exchange}")
    times = pd.DatetimeIndex(getattr(calendar, which).array.take(position))
    return times.tz_convert("UTC").as_unit("us").rename(None)


def _stamp(day: dt.date) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(day)
