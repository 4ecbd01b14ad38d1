"""Which company a symbol is, and when: what links prices to filings.

`core/listings` decides for every symbol it holds: over its days a symbol is the company its security is named by.
For a symbol it does not hold, the answers that figures were read from tell: EDGAR was asked for a ticker, and the
SEC's list of that day said which company has it. That list knows the present only: it tells of the bars that the symbol
had then, back to the last silence in which it may have changed hands (`lakehouse.listing.MAX_GAP_DAYS`). Where a ticker
was given away without one, only listings can tell the companies apart.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lakehouse.columns import Ints, days, numbered
from lakehouse.listing import MAX_GAP_DAYS, one_spelling, silences

if TYPE_CHECKING:
    import pyarrow as pa

_SECURITY = re.compile(r"cik:(\d{1,10})(?:[.:].*)?", re.ASCII)
_EPOCH = dt.date(1970, 1, 1)
_NUMBER = re.compile(r"CIK\d{1,10}", re.ASCII)


class CompanyRange(NamedTuple):
    """A symbol is a company's, by the SEC's number, over [start, end); None: no beginning or end is known."""

    start: dt.date | None
    end: dt.date | None
    cik: int


def companies_of(
    listings: pa.Table, asked: Iterable[Mapping[str, Any]], bars: pa.Table | None = None
) -> dict[str, list[CompanyRange]]:
    """Return the companies of each symbol, sorted by time; a symbol without one is absent.

    Symbols are in their one spelling (`lakehouse.listing.one_spelling`): BRK.B, however a source writes it.

    Parameters
    ----------
    listings : rows of core/listings
    asked : rows of raw/snapshots of EDGAR's company facts; of two that say otherwise of a ticker the later known counts
    bars : symbol and session of the bars of all symbols asked for; None: they had no silence
    """
    by_listing = _listed(listings)
    by_ticker = _asked(asked)
    runs = {} if bars is None else _runs(bars, set(by_ticker) - set(by_listing))
    found = {
        symbol: [CompanyRange(*_run_at(runs.get(symbol, ()), day), cik)] for symbol, (cik, day) in by_ticker.items()
    }
    return {symbol: ranges for symbol, ranges in (found | by_listing).items() if ranges}


def asked_symbols(asked: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the tickers EDGAR was asked for, as they were written; sorted."""
    return sorted({row.symbol for row in _questions(asked)})


def _listed(listings: pa.Table) -> dict[str, list[CompanyRange]]:
    """Return the ranges of each symbol held, in its one spelling; none where no company is known of it."""
    ranges: defaultdict[str, set[CompanyRange]] = defaultdict(set)
    for row in listings.select(["security_id", "symbol", "start", "end"]).to_pylist():
        company = _SECURITY.fullmatch(row["security_id"])
        own = ranges[one_spelling(row["symbol"])]
        if company is not None:
            own.add(CompanyRange(row["start"], row["end"], int(company[1])))
    return {symbol: sorted(own, key=lambda found: found.start or dt.date.min) for symbol, own in ranges.items()}


class _Question(NamedTuple):
    symbol: str
    cik: int
    day: dt.date


def _questions(rows: Iterable[Mapping[str, Any]]) -> list[_Question]:
    """Return what was asked for by ticker and answered, in the order it was known; a number names no ticker."""
    found = []
    for row in sorted(rows, key=lambda row: row["known_at"]):
        request = json.loads(row["request"])
        symbol, cik = request.get("symbol"), request.get("cik")
        if isinstance(symbol, str) and isinstance(cik, int) and not _NUMBER.fullmatch(symbol):
            found.append(_Question(symbol, cik, row["known_at"].date()))
    return found


def _asked(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, dt.date]]:
    """Return the company of each ticker asked for, and the day on which it was told."""
    return {one_spelling(symbol): (cik, day) for symbol, cik, day in _questions(rows)}


def _runs(bars: pa.Table, symbols: set[str]) -> dict[str, list[dt.date]]:
    """Return the first days of each symbol's bars after a silence, in order of time."""
    names, number = numbered(bars.column("symbol"))
    day = days(bars.column("session"))
    own: defaultdict[str, list[Ints]] = defaultdict(list)
    for at, symbol in enumerate(names.to_pylist()):
        if one_spelling(symbol) in symbols:
            own[one_spelling(symbol)].append(day[number == at])
    found = {}
    for symbol, parts in own.items():
        traded = np.unique(np.concatenate(parts))
        found[symbol] = [_EPOCH + dt.timedelta(days=int(traded[at])) for at in silences(traded, MAX_GAP_DAYS)]
    return found


def _run_at(begins: Sequence[dt.date], day: dt.date) -> tuple[dt.date | None, dt.date | None]:
    """Return beginning and end of the bars that a symbol has on a day: between the silences before and after it."""
    before, after = [begin for begin in begins if begin <= day], [begin for begin in begins if begin > day]
    return (before[-1] if before else None, after[0] if after else None)
