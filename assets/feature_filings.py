"""What features need of filings: the figures of companies as they became known, and which company a symbol is."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lakehouse.sources.catalogue import BARS, FUNDAMENTALS, LISTINGS
from strategies.features.filed import Company, Fact, Split, Steps, concepts, day_number, known_figures, on_bars

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from engine import Bars
    from lakehouse.companies import CompanyRange
    from lakehouse.lake import Lake
    from lakehouse.market_assets import MarketAssets
    from lakehouse.securities import Securities

SNAPSHOTS = "raw/snapshots"
_COLUMNS = ["known_at", "cik", "concept", "unit", "start", "end", "value"]
_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)
_NO_BEGINNING, _NO_END = -(1 << 40), 1 << 40


@dataclass(frozen=True)
class Filings:
    """Figures by company, the companies of each symbol, and hashes of what was known by when.

    figures : see `strategies.features.filed.known_figures`
    companies : by symbol in its one spelling
    hashes : of each company the moments its facts became known (microseconds since 1970, UTC), and the hash of all
        facts known by then
    securities : of core/listings; None where there are none
    """

    figures: Mapping[tuple[int, str], Steps] = field(default_factory=dict)
    companies: Mapping[str, Sequence[Company]] = field(default_factory=dict)
    hashes: Mapping[int, tuple[Sequence[int], Sequence[str]]] = field(default_factory=dict)
    securities: Securities | None = None

    def known_hash(self, month: str) -> str:
        """Return the sha256 (hex) of all that was filed until the month's end and is of use in it.

        What is filed later, or by a company without a symbol in the month, changes nothing.
        """
        from lakehouse.calendar import month_range

        first, after = map(day_number, month_range(month))
        known = []
        for symbol, ranges in sorted(self.companies.items()):
            for start, end, cik in ranges:
                if start < after and end > first:
                    moments, digests = self.hashes.get(cik, ((), ()))
                    place = bisect_right(moments, after * 86_400_000_000)
                    known.append((symbol, max(start, first), min(end, after), cik, digests[place - 1] if place else ""))
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def listed_hash(self, first: str, last: str) -> str:
        """Return the sha256 (hex) of what listings tell of the symbols' days in a range of months, both included."""
        from lakehouse.calendar import month_range

        begin, end = day_number(month_range(first)[0]), day_number(month_range(last)[1])
        told = [] if self.securities is None else self.securities.within(begin, end)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def on_bars(self, bars: Bars, actions: pd.DataFrame, assets: MarketAssets) -> dict[str, np.ndarray]:
        """Return the figures at each bar as features of a window, float64[n_bars, n_assets].

        Parameters
        ----------
        actions : by the labels of the assets, see `MarketAssets.named_actions`
        """
        from lakehouse.listing.facts import one_spelling

        companies = {
            label: [
                Company(max(found.start, start), min(found.end, end), found.cik)
                for start, end, symbol in assets.tickers[asset]
                for found in self.companies.get(one_spelling(symbol), ())
                if found.start < end and start < found.end
            ]
            for asset, label in enumerate(assets.labels)
        }
        splits: defaultdict[str, list[Split]] = defaultdict(list)
        for row in actions.to_dict("records"):
            if row["kind"] == "split":
                splits[row["symbol"]].append(Split(day_number(row["ex_date"]), row["value"]))
        ordered = {symbol: sorted(found) for symbol, found in splits.items()}
        return on_bars(self.figures, companies, ordered, bar_end=bars.bar_end, symbols=bars.symbols)


def read_filings(lake: Lake, pins: Mapping[str, int]) -> Filings:
    """Return what the lake knows of filings at pinned versions of core/fundamentals, core/listings, raw/snapshots."""
    from lakehouse.companies import asked_symbols, companies_of
    from lakehouse.securities import Securities

    listings = lake.scan(LISTINGS, version=pins[LISTINGS])
    securities = Securities(listings, as_of=_EVER) if listings.num_rows else None
    rows = lake.scan(FUNDAMENTALS, version=pins[FUNDAMENTALS], columns=_COLUMNS, where=[("concept", "in", concepts())])
    if not rows.num_rows:
        return Filings(securities=securities)
    asked = lake.scan(
        SNAPSHOTS,
        version=pins[SNAPSHOTS],
        columns=["request", "known_at"],
        where=[("source", "=", "edgar"), ("dataset", "=", "companyfacts")],
    )
    questions = asked.to_pylist()
    symbols, bars = asked_symbols(questions), None
    if symbols:
        columns, where = ["symbol", "session"], [("symbol", "in", symbols)]
        bars = lake.scan(BARS, version=pins[BARS], columns=columns, where=where, is_ordered=False)
    return replace(filings_of(rows, companies_of(listings, questions, bars)), securities=securities)


def filings_of(rows: pa.Table, companies: Mapping[str, Sequence[CompanyRange]]) -> Filings:
    """Return filings from rows of core/fundamentals and the companies of each symbol."""
    facts = sorted(_facts(rows))
    return Filings(
        known_figures(facts),
        {symbol: [_company(found) for found in ranges] for symbol, ranges in companies.items()},
        _hashes(facts),
    )


def _facts(rows: pa.Table) -> Iterable[Fact]:
    from lakehouse.columns import days, microseconds

    columns = (
        microseconds(rows.column("known_at")).tolist(),
        *(rows.column(name).to_pylist() for name in ("cik", "concept", "unit")),
        *(days(rows.column(name)).tolist() for name in ("start", "end")),
        rows.column("value").to_pylist(),
    )
    return (Fact(*values) for values in zip(*columns, strict=True))


def _hashes(facts: Sequence[Fact]) -> dict[int, tuple[list[int], list[str]]]:
    """Return running hashes of each company's facts, which come in the order they became known."""
    running: defaultdict[int, Any] = defaultdict(hashlib.sha256)
    noted: dict[int, dict[int, str]] = {}
    for fact in facts:
        running[fact.cik].update(repr(tuple(fact)).encode())
        noted.setdefault(fact.cik, {})[fact.known_at] = running[fact.cik].hexdigest()
    return {cik: (list(moments), list(moments.values())) for cik, moments in noted.items()}


def _company(found: CompanyRange) -> Company:
    start = _NO_BEGINNING if found.start is None else day_number(found.start)
    return Company(start, _NO_END if found.end is None else day_number(found.end), found.cik)
