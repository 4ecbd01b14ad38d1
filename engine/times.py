"""Times: from whatever a caller has to datetime64[us] in UTC, losing nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.panels import instant

Times = NDArray[np.datetime64]

_MICROSECONDS = np.dtype("datetime64[us]")


def microseconds(name: str, times: Times) -> Times:
    """Return datetime64 times as datetime64[us], not copied if they are; NaT stays.

    Raises `InputError` where a time is finer than a microsecond, or too far away to be counted in them: NumPy
    would cut the one and wrap the other around in silence.
    """
    if times.dtype == _MICROSECONDS:
        return times
    converted = times.astype(_MICROSECONDS)
    is_lost = (converted.astype(times.dtype) != times) & ~np.isnat(times)
    if is_lost.any():
        value = times[int(np.argmax(is_lost))]
        raise InputError(f"{name} must be whole microseconds that fit 64 bits, was {value}")
    return converted


def utc_times(name: str, values: Any) -> Times:
    """Return a pandas column or index of timezone-aware times as datetime64[us] in UTC; missing ones are NaT.

    Raises `InputError` where the times are naive: a time without a zone is a guess.
    """
    import pandas as pd

    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        raise InputError(f"{name} must be timezone-aware times, was {values.dtype}")
    return microseconds(name, pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None).to_numpy())


def bars_ending_at(bar_end: Times, times: Times) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the bar that ends at each time, and whether there is one (else the bar after it)."""
    rows = np.searchsorted(bar_end, times)
    found = rows < bar_end.size
    found[found] = bar_end[rows[found]] == times[found]
    return rows, found


def check_found(found: NDArray[np.bool_], times: Times, whose: str) -> None:
    """Raise `InputError` naming the first time at which no bar ends; `whose` says where it stands."""
    if not found.all():
        raise InputError(f"no bar ends at {instant(times[int(np.argmin(found))])}, a time in {whose}")
