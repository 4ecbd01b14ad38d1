"""Where a chart's points, gridlines and labels go: downsampling and ticks, without drawing anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# (datetime64 unit, step) from fine to coarse; the first one that leaves few enough labels is taken.
_DATE_STEPS = (
    *(("m", step) for step in (1, 5, 15, 30)),
    *(("h", step) for step in (1, 3, 6, 12)),
    *(("D", step) for step in (1, 2, 7, 14)),
    *(("M", step) for step in (1, 2, 3, 6)),
    *(("Y", step) for step in (1, 2, 5, 10, 20, 50)),
)


def downsample(y: NDArray[np.float64], n_points: int = 400) -> NDArray[np.intp]:
    """Return the rows worth drawing: the lowest and the highest of each of `n_points / 2` equal stretches.

    Every maximum and minimum of the series survives, and so do its first and last row. A stretch without a
    finite value keeps its first row, so that the gap stays a gap.

    Parameters
    ----------
    y : float64[n_bars]
    n_points : about how many rows to keep; a shorter series keeps all of its rows.
    """
    n = len(y)
    if n <= n_points:
        return np.arange(n)
    finite = np.isfinite(y)
    low, high = np.where(finite, y, np.inf), np.where(finite, y, -np.inf)
    keep = {0, n - 1}
    edges = np.linspace(0, n, max(n_points // 2 - 1, 1) + 1).astype(int)
    for start, end in pairwise(edges):
        keep.add(start + int(np.argmin(low[start:end])))
        keep.add(start + int(np.argmax(high[start:end])))
    return np.array(sorted(keep))


def round_ticks(low: float, high: float, n_ticks: int = 5) -> list[float]:
    """Return multiples of 1, 2, 2.5 or 5 times a power of ten within [low, high], at most about `n_ticks`."""
    if not (np.isfinite(low) and np.isfinite(high)) or high <= low:
        return [low] if np.isfinite(low) else []
    rough = (high - low) / max(n_ticks, 1)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next((m * power for m in (1.0, 2.0, 2.5, 5.0) if m * power >= rough), 10.0 * power)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    # Rounding removes the 0.30000000000000004 of a multiple, which would reach the labels.
    return [float(np.round(k * step, 12)) for k in range(first, last + 1)]


def log_ticks(low: float, high: float, n_ticks: int = 6) -> list[float]:
    """Return round numbers for a logarithmic axis, at most about `n_ticks`, thinned evenly."""
    if not 0 < low < high:
        return [low] if low > 0 else []
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [d * 10.0**k for k in decades for d in digits if low <= d * 10.0**k <= high]
        if len(ticks) <= n_ticks:
            break
    if len(ticks) < 3:
        return round_ticks(low, high, n_ticks)
    return ticks[:: int(np.ceil(len(ticks) / n_ticks))]


def date_ticks(start: np.datetime64, end: np.datetime64, n_ticks: int = 8) -> list[tuple[np.datetime64, str]]:
    """Return (instant, label) at round dates within [start, end], at most `n_ticks` of them; UTC."""
    if start == end:
        return [(start, f"{date_label(start)} {date_label(start, 'Y')}")]
    # Daily bars have no story within the day, however few they are.
    is_intraday = end - start < np.timedelta64(2, "D")
    for unit, step in _DATE_STEPS:
        if unit in "mh" and not is_intraday:
            continue
        first, last = start.astype(f"datetime64[{unit}]"), end.astype(f"datetime64[{unit}]")
        count = int((last - first).astype(np.int64)) // step + 1
        if count > 4 * n_ticks:
            continue
        # Years count from 1970; shifted, so that steps of five and ten fall on 2005 and 2010.
        offset = 1970 if unit == "Y" else 0
        ticks = [
            (tick.astype("datetime64[us]"), date_label(tick, unit))
            for tick in np.arange(first, last + np.timedelta64(1, unit))
            if (int(tick.astype(np.int64)) + offset) % step == 0 and start <= tick <= end
        ]
        if len(ticks) <= n_ticks:
            return ticks
    return []


def date_label(instant: np.datetime64, unit: str = "D") -> str:
    """Return a date as a person writes it, no finer than `unit` (a datetime64 unit: Y, M, D, h or m)."""
    moment = _EPOCH + timedelta(microseconds=int(instant.astype("datetime64[us]").astype(np.int64)))
    if unit == "Y" or (unit == "M" and moment.month == 1):
        return f"{moment.year}"
    if unit == "M":
        return f"{moment:%b %Y}"
    if unit == "D":
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M}" if moment.hour or moment.minute else f"{moment.day} {moment:%b}"


def padded_range(*arrays: NDArray[np.float64], is_log: bool = False) -> tuple[float, float]:
    """Return (low, high) around every finite value, never empty: a flat series gets room on both sides."""
    flat = np.concatenate([np.asarray(a, dtype=np.float64).ravel() for a in arrays]) if arrays else np.empty(0)
    finite = flat[np.isfinite(flat) & (flat > 0)] if is_log else flat[np.isfinite(flat)]
    if not finite.size:
        return (1.0, 10.0) if is_log else (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if is_log:
        ratio = max((high / low) ** 0.04, 1.005)
        return low / ratio, high * ratio
    room = 0.04 * (high - low) or 0.01 * abs(high) or 1.0
    return low - room, high + room
