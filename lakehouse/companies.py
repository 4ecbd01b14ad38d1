"""Which company a symbol is, and when: what links prices to filings.

`core/listings` decides for every symbol it holds: over its days a symbol is the company its security is named by.
For a symbol it does not hold, the answers that figures were read from tell: EDGAR was asked for a ticker, and the
SEC's list of that day said which company has it. That list knows the present only, so such a link is taken for all
days; where a ticker has changed hands it gives the prices of one company the figures of another, which only listings
can tell apart.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.listing.facts import one_spelling

if TYPE_CHECKING:
    import pyarrow as pa

_SECURITY = re.compile(r"cik:(\d{1,10})(?:[.:].*)?", re.ASCII)
_NUMBER = re.compile(r"CIK\d{1,10}", re.ASCII)


class CompanyRange(NamedTuple):
    """A symbol is a company's, by the SEC's number, over [start, end); None: no beginning or end is known."""

    start: dt.date | None
    end: dt.date | None
    cik: int


def companies_of(listings: pa.Table, asked: Iterable[Mapping[str, Any]]) -> dict[str, list[CompanyRange]]:
    """Return the companies of each symbol, sorted by time; a symbol without one is absent.

    Symbols are in their one spelling (`lakehouse.listing.one_spelling`): BRK.B, however a source writes it.

    Parameters
    ----------
    listings : rows of core/listings
    asked : rows of raw/snapshots of EDGAR's company facts; of two that say otherwise of a ticker the later known counts
    """
    by_listing = _listed(listings)
    by_ticker = {symbol: [CompanyRange(None, None, cik)] for symbol, cik in _asked(asked).items()}
    return {symbol: ranges for symbol, ranges in (by_ticker | by_listing).items() if ranges}


def _listed(listings: pa.Table) -> dict[str, list[CompanyRange]]:
    """Return the ranges of each symbol held, in its one spelling; none where no company is known of it."""
    ranges: defaultdict[str, set[CompanyRange]] = defaultdict(set)
    for row in listings.select(["security_id", "symbol", "start", "end"]).to_pylist():
        company = _SECURITY.fullmatch(row["security_id"])
        own = ranges[one_spelling(row["symbol"])]
        if company is not None:
            own.add(CompanyRange(row["start"], row["end"], int(company[1])))
    return {symbol: sorted(own, key=lambda found: found.start or dt.date.min) for symbol, own in ranges.items()}


def _asked(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the company of each ticker asked for; who asks by number names no ticker."""
    found: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: row["known_at"]):
        request = json.loads(row["request"])
        symbol, cik = request.get("symbol"), request.get("cik")
        if isinstance(symbol, str) and isinstance(cik, int) and not _NUMBER.fullmatch(symbol):
            found[one_spelling(symbol)] = cik
    return found
