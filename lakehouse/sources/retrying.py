"""When a vendor is asked again: by what went wrong, with growing pauses, and not for ever."""

from __future__ import annotations

import datetime as dt
import functools
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

from lakehouse.errors import BadPayload, EmptyAnswer, RateLimited, SourceError, SourceUnavailable

MAX_RETRY_AFTER = 300.0
TRIES: dict[type[SourceError], int] = {RateLimited: 3, SourceUnavailable: 5, EmptyAnswer: 2, BadPayload: 3}
"""How often a request is made at most, by what went wrong; other errors are final at once."""

T = TypeVar("T")


def retried(ask: Callable[[], T], *, give_up_at: float, wait_initial: float, wait_max: float) -> T:
    """Return what `ask` gives, called again after the errors of `TRIES` until it does or they are used up.

    A vendor that asks for a pause gets it, up to 300 s and not past the end; else pauses double from
    `wait_initial` to `wait_max` seconds, with jitter. The error that ends it is raised as it is.

    Parameters
    ----------
    give_up_at : when to stop at the latest, in seconds of `time.monotonic`
    """
    import stamina

    tries: dict[type[SourceError], int] = {}
    attempts = stamina.retry_context(
        on=functools.partial(_worth_another_try, tries, give_up_at),
        attempts=max(TRIES.values()),
        timeout=max(0.001, give_up_at - time.monotonic()),
        wait_initial=wait_initial,
        wait_jitter=wait_initial,
        wait_max=wait_max,
    )
    for attempt in attempts:
        with attempt:
            return ask()
    raise AssertionError("stamina gives an answer or raises")


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds an answer asks to be left alone; None where it does not say, or not legibly.

    Retry-After is seconds or a moment (RFC 9110, 10.2.3). A moment is counted from the answer's own Date, so that
    both are of the vendor's clock; only an answer without one is counted from ours. A moment gone by is no pause.

    Parameters
    ----------
    headers : names in lower case
    """
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        seconds = float(said)
    except ValueError:
        until, sent = _moment(said), _moment(headers.get("date", ""))
        return None if until is None else max(0.0, until - (time.time() if sent is None else sent))
    return seconds if seconds >= 0.0 else None


def _moment(text: str) -> float | None:
    """Return a date of HTTP's in seconds since 1970, None where it is none."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)).timestamp()


def _worth_another_try(tries: dict[type[SourceError], int], give_up_at: float, error: Exception) -> bool | float:
    """Return whether to ask again, or in how many seconds where a pause is asked for; counts in `tries`."""
    kind = next((kind for kind in TRIES if isinstance(error, kind)), None)
    if kind is None:
        return False
    tries[kind] = tries.get(kind, 0) + 1
    if tries[kind] >= TRIES[kind]:
        return False
    pause = getattr(error, "retry_after", None)
    if pause is None:
        return True
    return pause if pause <= MAX_RETRY_AFTER and time.monotonic() + pause < give_up_at else False
