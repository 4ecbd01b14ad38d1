"""When a vendor is asked again: by what went wrong, with growing pauses, and not for ever."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
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


def seconds_to_wait(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header; a date is not worth a clock and counts as absent."""
    try:
        seconds = float(retry_after) if retry_after is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and seconds >= 0.0 else None


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
