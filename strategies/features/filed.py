"""Figures of companies as they were known at each bar: from filings to arrays a window takes as features.

`known_figures` walks through the filings in the order in which they became known and notes each figure's new value;
`on_bars` looks up, at each bar's end, the last one noted. A later filing, restatements included, changes nothing before
it. A figure about too old a day is no value: the company has stopped filing, or files what is not understood here.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategies.features.trailing import last_four_quarters

Floats = NDArray[np.float64]
_DAY_US = 86_400_000_000


class Figure(NamedTuple):
    """What a figure is made of.

    concepts : names in the taxonomies, the preferred first; is_trailing : of the last four quarters, else of the last
    day told; max_age_days : from the day it is about to the bar
    """

    concepts: tuple[str, ...]
    unit: str
    is_trailing: bool
    max_age_days: int


# A year, its report half a year later at the latest: what is filed once a year has a value all year.
_YEARLY = 550
FIGURES: dict[str, Figure] = {
    "net_income": Figure(("NetIncomeLoss",), "USD", True, _YEARLY),
    "gross_profit": Figure(("GrossProfit",), "USD", True, _YEARLY),
    "equity": Figure(("StockholdersEquity",), "USD", False, _YEARLY),
    "assets": Figure(("Assets",), "USD", False, _YEARLY),
    # Counted for the cover of each report, so never much older than the report before; splits are known as far back.
    "shares": Figure(("EntityCommonStockSharesOutstanding",), "shares", False, 400),
}


class Fact(NamedTuple):
    """A row of core/fundamentals: days since 1970, `known_at` in microseconds since 1970, UTC."""

    known_at: int
    cik: int
    concept: str
    unit: str
    start: int
    end: int
    value: float


class Steps(NamedTuple):
    """A figure of a company over time: from `known_at[k]` on it was `value[k]`, about the day `about[k]`."""

    known_at: NDArray[np.int64]
    about: NDArray[np.int64]
    value: Floats


class Company(NamedTuple):
    """A symbol is a company's, by the SEC's number, over [start, end); days since 1970."""

    start: int
    end: int
    cik: int


class Split(NamedTuple):
    """New shares per old from a day on; days since 1970."""

    ex_date: int
    ratio: float


def window_name(figure: str) -> str:
    """Return the name of a figure among a window's features."""
    return f"filed.{figure}"


def concepts() -> list[str]:
    """Return the names of all concepts that figures are made of."""
    return sorted({concept for figure in FIGURES.values() for concept in figure.concepts})


def known_figures(facts: Iterable[Fact]) -> dict[tuple[int, str], Steps]:
    """Return the steps of each (company, figure) that the facts tell of; the facts may come in any order."""
    by_concept = {
        (concept, figure.unit): (name, rank)
        for name, figure in FIGURES.items()
        for rank, concept in enumerate(figure.concepts)
    }
    grouped: defaultdict[tuple[int, str], list[tuple[int, int, Fact]]] = defaultdict(list)
    for fact in facts:
        if (fact.concept, fact.unit) in by_concept:
            name, rank = by_concept[fact.concept, fact.unit]
            # Of two concepts filed together the preferred one comes last, and so counts.
            grouped[fact.cik, name].append((fact.known_at, -rank, fact))
    return {key: _steps(sorted(found), FIGURES[key[1]]) for key, found in grouped.items()}


def _steps(found: Sequence[tuple[int, int, Fact]], figure: Figure) -> Steps:
    periods: defaultdict[int, dict[int, float]] = defaultdict(dict)
    steps: list[tuple[int, int, float]] = []
    for place, (known_at, _, fact) in enumerate(found):
        periods[fact.end][fact.start] = fact.value
        if place + 1 < len(found) and found[place + 1][0] == known_at:
            continue
        latest = last_four_quarters(periods) if figure.is_trailing else _last_day(periods)
        if latest is not None and (not steps or steps[-1][1:] != latest):
            steps.append((known_at, *latest))
    return Steps(
        np.array([step[0] for step in steps], np.int64),
        np.array([step[1] for step in steps], np.int64),
        np.array([step[2] for step in steps], np.float64),
    )


def _last_day(periods: Mapping[int, Mapping[int, float]]) -> tuple[int, float] | None:
    """Return the last day that a figure about a moment is about, and the figure."""
    moments = [end for end, starts in periods.items() if end in starts]
    return (max(moments), periods[max(moments)][max(moments)]) if moments else None


def on_bars(
    figures: Mapping[tuple[int, str], Steps],
    companies: Mapping[str, Sequence[Company]],
    splits: Mapping[str, Sequence[Split]],
    *,
    bar_end: NDArray[np.datetime64],
    symbols: Sequence[str],
) -> dict[str, Floats]:
    """Return each figure by its name among a window's features, float64[n_bars, n_assets], NaN where none is known.

    Shares are multiplied by the splits between the day they were counted and the bar, so that they fit the close as
    traded.

    Parameters
    ----------
    figures : from `known_figures`
    companies : of each symbol, ranges that do not overlap; a symbol may be absent
    splits : of each symbol, sorted by day; from `max_age_days` of the shares before the first bar on
    bar_end : datetime64[us, n_bars], UTC
    symbols : one a column
    """
    moments = bar_end.astype("datetime64[us]").astype(np.int64)
    days = moments // _DAY_US
    arrays = {window_name(name): np.full((len(bar_end), len(symbols)), np.nan) for name in FIGURES}
    for column, symbol in enumerate(symbols):
        for company in companies.get(symbol, ()):
            rows = slice(*np.searchsorted(days, (company.start, company.end)))
            for name, figure in FIGURES.items():
                steps = figures.get((company.cik, name))
                if steps is None or not len(steps.value):
                    continue
                value, about = _as_of(steps, moments[rows])
                if name == "shares":
                    value = value * _growth(splits.get(symbol, ()), about, days[rows])
                is_young = days[rows] - about <= figure.max_age_days
                arrays[window_name(name)][rows, column] = np.where(is_young, value, np.nan)
    return arrays


def _as_of(steps: Steps, moments: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the value and the day it is about at each moment; NaN before the first."""
    place = np.searchsorted(steps.known_at, moments, side="right") - 1
    value = np.where(place >= 0, steps.value[np.maximum(place, 0)], np.nan)
    return value, steps.about[np.maximum(place, 0)]


def _growth(splits: Sequence[Split], since: NDArray[np.int64], until: NDArray[np.int64]) -> Floats:
    """Return how many shares one of the day `since` is at the end of the day `until`."""
    ex_dates = np.array([split.ex_date for split in splits], np.int64)
    shares = np.concatenate([[1.0], np.cumprod([split.ratio for split in splits])])
    growth: Floats = (
        shares[np.searchsorted(ex_dates, until, "right")] / shares[np.searchsorted(ex_dates, since, "right")]
    )
    return growth


def day_number(day: dt.date) -> int:
    """Return a day as its number since 1970."""
    return day.toordinal() - dt.date(1970, 1, 1).toordinal()
