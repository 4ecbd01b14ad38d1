"""When a symbol went from one security to another, as lists tell that are asked for again and again.

A list says what a symbol means on its day alone. Between two lists that say otherwise the symbol changed hands: with
the first bar after a silence, where there was one, else on the later list's day.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from lakehouse.listing.claims import Claim
from lakehouse.listing.facts import CompanyTicker, one_spelling
from lakehouse.listing.ids import Listing
from lakehouse.listing.traces import NEAR_DAYS, Trace

_Key = TypeVar("_Key")
Ends = Mapping[str, Sequence[tuple[dt.date, dt.datetime]]]
"""By symbol the first days of another security, and when they were known."""


def with_handovers(
    ends: Ends, companies: Iterable[CompanyTicker], traces: Mapping[str, Trace], claims: Mapping[str, Sequence[Claim]]
) -> dict[str, list[tuple[dt.date, dt.datetime]]]:
    """Return the ends with those that show only by lists: of symbols that mean another security in a later one, and of
    securities that a later one has under another symbol."""
    answer = {symbol: list(found) for symbol, found in ends.items()}
    for earlier, later in _handovers(list(companies)):
        symbol = one_spelling(earlier.symbol)
        known = [day for day, _ in answer.get(symbol, [])]
        known += [day for claim in claims.get(symbol, ()) for day in (claim.start, claim.end) if day is not None]
        if any(earlier.day < day <= later.day for day in known):
            continue
        day = _first_bar(traces.get(symbol), earlier.day, later.day)
        answer.setdefault(symbol, []).append((day, later.known_at))
    return {symbol: sorted(found) for symbol, found in answer.items()}


def beyond_bars(told: Sequence[Listing], companies: Iterable[CompanyTicker], ends: Ends) -> Iterator[Listing]:
    """Yield what lists tell of symbols on days on which no row has them: known from the first list that says so."""
    rows: defaultdict[str, list[Listing]] = defaultdict(list)
    for row in told:
        rows[one_spelling(row.symbol)].append(row)
    for symbol, facts in _by(companies, lambda fact: one_spelling(fact.symbol)).items():
        begins = [(row.start, row.known_at) for row in rows[symbol]]
        found: Listing | None = None
        for fact in facts:
            if any(row.covers(fact.day) for row in rows[symbol]):
                continue
            if found is not None and found.covers(fact.day):
                continue
            if found is not None:
                yield found
            end, end_known_at = min(
                ((day, at) for day, at in [*ends.get(symbol, ()), *begins] if day > fact.day), default=(None, None)
            )
            start = Listing(fact.symbol, fact.day, end, fact.known_at, end_known_at, fact.source)
            found = start.told_by(fact)
        if found is not None:
            yield found


def _handovers(companies: Sequence[CompanyTicker]) -> Iterator[tuple[CompanyTicker, CompanyTicker]]:
    """Yield the last word on a symbol and security, and the first one after it that takes them apart."""
    for facts in _by(companies, lambda fact: one_spelling(fact.symbol)).values():
        before = facts[0]
        for fact in facts[1:]:
            if fact.differs(before):
                yield before, fact
                before = fact
            else:
                cik, figi = fact.cik, fact.figi
                before = replace(
                    fact, cik=before.cik if cik is None else cik, figi=before.figi if figi is None else figi
                )
    for figi, facts in _by(companies, lambda fact: fact.figi).items():
        for earlier, later in pairwise(facts if figi is not None else []):
            if one_spelling(earlier.symbol) != one_spelling(later.symbol):
                yield earlier, later


def _by(companies: Iterable[CompanyTicker], key: Callable[[CompanyTicker], _Key]) -> dict[_Key, list[CompanyTicker]]:
    """Return the facts of each key by the day they speak of."""
    groups: defaultdict[_Key, list[CompanyTicker]] = defaultdict(list)
    for fact in sorted(companies, key=lambda fact: (fact.day, fact.known_at, fact.symbol)):
        groups[key(fact)].append(fact)
    return dict(groups)


def _first_bar(trace: Trace | None, after: dt.date, until: dt.date) -> dt.date:
    """Return the first bar after the last silence between two days, else the second day."""
    for bar in reversed([] if trace is None else trace.gaps(NEAR_DAYS)):
        if trace is not None and after < trace.date(bar) <= until:
            return trace.date(bar)
    return until
