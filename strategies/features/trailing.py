"""Figures over the last four quarters, made of what filings tell: years, and years to date.

A quarterly report tells of the fiscal year so far and, beside it, of the same part of the year before; its fourth
quarter no company reports alone. So the last four quarters are

    the last fiscal year + the present year so far - the same part of the last year

of which each is a figure as filed, and a fiscal year as it is on the day it ends. Days are numbers since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping

Periods = Mapping[int, Mapping[int, float]]
"""Figures by last and first day."""

_YEAR_DAYS = (350, 380)
"""A fiscal year has 52 or 53 weeks, or twelve months."""
_NEAR_DAYS = 10
"""As far apart may the days be on which the same part of two fiscal years ends."""


def last_four_quarters(periods: Periods) -> tuple[int, float] | None:
    """Return the last day, and the figure, of the latest four quarters that the periods tell; None where none are."""
    for end in sorted(periods, reverse=True):
        value = _year_to(end, periods)
        if value is not None:
            return end, value
    return None


def _year_to(end: int, periods: Periods) -> float | None:
    year = _fiscal_year(end, periods)
    if year is not None:
        return periods[end][year]
    for start in sorted(periods[end]):
        last_end = start - 1
        last_start = _fiscal_year(last_end, periods)
        if last_start is None:
            continue
        same_part = _same_part(last_start, last_start + end - start, periods)
        if same_part is not None:
            return periods[last_end][last_start] + periods[end][start] - same_part
    return None


def _fiscal_year(end: int, periods: Periods) -> int | None:
    """Return the first day of the fiscal year that ends on a day."""
    shortest, longest = _YEAR_DAYS
    starts = [start for start in periods.get(end, ()) if shortest <= end - start + 1 <= longest]
    return max(starts, default=None)


def _same_part(start: int, end: int, periods: Periods) -> float | None:
    """Return the figure from a day to about another, to the nearest one told."""
    for distance in range(_NEAR_DAYS + 1):
        for near in (end - distance, end + distance):
            if start in periods.get(near, ()):
                return periods[near][start]
    return None
