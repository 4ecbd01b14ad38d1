"""What a tear sheet tells about stretches of an equity curve: calendar months and years, and drawdowns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Year:
    """The returns (rates) of one calendar year; NaN in a month without a bar."""

    year: int
    months: tuple[float, ...]
    total: float


@dataclass(frozen=True)
class Drawdown:
    """One fall from a peak: its rows, its depth (a rate below zero), its length.

    `peak` is -1 where it was the initial cash, `end` is None where equity has not recovered.
    """

    peak: int
    trough: int
    end: int | None
    depth: float
    n_bars: int


def calendar_returns(bar_end: NDArray[np.datetime64], equity: NDArray[np.float64], initial_cash: float) -> list[Year]:
    """Return one row a calendar year (UTC): a month's last equity over the one before, less 1.

    The first month starts from `initial_cash`. Bars without a finite equity are left out; a month after
    equity fell to zero or below has no return (NaN).
    """
    known = np.isfinite(equity)
    months = np.asarray(bar_end)[known].astype("datetime64[M]").astype(np.int64)
    values = np.asarray(equity, dtype=np.float64)[known]
    if not values.size:
        return []
    last = np.append(np.flatnonzero(np.diff(months)), months.size - 1)
    ends = {int(months[k]): float(values[k]) for k in last}
    starts = dict(zip(ends, [initial_cash, *list(ends.values())[:-1]], strict=True))
    years = []
    for year in range(int(months[0]) // 12, int(months[-1]) // 12 + 1):
        here = [month for month in range(12 * year, 12 * year + 12) if month in ends]
        if not here:
            continue
        returns = tuple(
            _growth(starts[month], ends[month]) if month in ends else float("nan")
            for month in range(12 * year, 12 * year + 12)
        )
        years.append(Year(1970 + year, returns, _growth(starts[here[0]], ends[here[-1]])))
    return years


def drawdowns(equity: NDArray[np.float64], initial_cash: float) -> NDArray[np.float64]:
    """Return equity / running peak - 1, float64[n_bars] at or below zero; initial cash is the first peak.

    NaN where equity is NaN or no peak was above zero.
    """
    equity = np.asarray(equity, dtype=np.float64)
    peak = np.maximum.accumulate(np.where(np.isfinite(equity), np.maximum(equity, initial_cash), initial_cash))
    share: NDArray[np.float64] = np.divide(equity, peak, out=np.full(equity.shape, np.nan), where=peak > 0)
    return share - 1.0


def worst_drawdowns(equity: NDArray[np.float64], initial_cash: float, n: int = 5) -> list[Drawdown]:
    """Return the `n` deepest drawdowns, deepest first; they do not overlap, and one below 0.01 % is noise.

    `n_bars` counts from the peak's bar to the recovery's, or to the last bar where there was none.
    """
    depth = drawdowns(equity, initial_cash)
    below = np.concatenate([[False], np.nan_to_num(depth, nan=0.0) < 0.0, [False]])
    found = []
    for start, end in pairwise(np.flatnonzero(np.diff(below.astype(np.int8)))):
        if not below[start + 1]:
            continue
        trough = int(start + np.nanargmin(depth[start:end]))
        is_open = end == len(depth)
        n_bars = int(end - start) + (0 if is_open else 1)
        found.append(Drawdown(int(start) - 1, trough, None if is_open else int(end), float(depth[trough]), n_bars))
    deep = [each for each in found if each.depth <= -1e-4]
    return sorted(deep, key=lambda each: (each.depth, each.peak))[:n]


def _growth(start: float, end: float) -> float:
    return end / start - 1.0 if start > 0 else float("nan")
