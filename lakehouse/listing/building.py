"""From facts to the rows of `core/listings`: which security a symbol meant when.

A symbol alone says little: companies take new ones, and exchanges give old ones to other companies. The facts,
the stronger first:

1. ticker histories: a security took this symbol on that day, and left it for that other one;
2. delistings: what trades under the symbol from that day on is another security;
3. bars: a symbol that is silent for longer than `max_gap_days` and comes back is another security, unless a
   history or the company's number says otherwise. A shorter silence is a suspension;
4. company tickers: the symbol belonged to that company on the day it was told.

Only facts known at `as_of` count. What becomes one security, and its name, is in `lakehouse.listing.ids`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from lakehouse.columns import known
from lakehouse.listing.claims import Claim, claims_of
from lakehouse.listing.facts import CompanyTicker, TickerHistory, one_spelling
from lakehouse.listing.handing_over import beyond_bars, with_handovers
from lakehouse.listing.ids import Listing, assign_ids
from lakehouse.listing.traces import Clock, Trace, clocks_of, traces_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_GAP_DAYS = 180
"""Suspensions of US stocks last weeks. An exchange may give a symbol away sooner; only a fact can tell that."""

_DAY = dt.timedelta(days=1)
_Ends = Sequence[tuple[dt.date, dt.datetime]]


def build_listings(
    bars: pa.Table,
    *,
    as_of: dt.datetime,
    histories: Sequence[TickerHistory] = (),
    companies: Sequence[CompanyTicker] = (),
    delistings: pa.Table | None = None,
    previous: pa.Table | None = None,
    max_gap_days: int = MAX_GAP_DAYS,
    only_told: bool = False,
) -> pa.Table:
    """Return the rows of core/listings that the facts known at `as_of` make, sorted by key.

    A row is known with its symbol's first bar, after a renaming with the renaming. An end is known when its fact
    is: the renaming or delisting, the next security's first bar, or the first bar of any symbol that the source
    has after a silence of `max_gap_days`. The security's name is a label that tells nothing of the market,
    so a company number found later does not make the row known later.

    Parameters
    ----------
    bars : symbol, session, known_at and source of core/daily_bars, all there are
    histories, companies : see `lakehouse.listing.facts`
    delistings : rows of core/corporate_actions; those of kind delisting are read
    previous : the rows of core/listings up to now; a security keeps the name it has there
    only_told : leave out securities that neither a history nor a company's ticker tells of, whose names could not
        stay; add those told of that have no bar; where a symbol's company is another one than before, begin anew

    Raises
    ------
    BadRows : two histories claim a symbol for the same day.
    LakeError : `as_of` has no time zone.
    """
    import pyarrow as pa

    from lakehouse.schemas import table_schema

    traces = traces_of(known(bars, as_of))
    told = [part for history in histories if (part := history.known(as_of)) is not None]
    claims = claims_of(told, traces, max_gap_days)
    ends = {} if delistings is None else _ends(known(delistings, as_of))
    told_of = [fact for fact in companies if fact.known_at <= as_of]
    if only_told:
        ends = with_handovers(ends, told_of, traces, claims)
    clocks = clocks_of(traces)
    rows: list[Listing] = []
    for symbol in sorted({*traces, *claims}):
        own = claims.get(symbol, [])
        facts = own, [fact for fact in ends.get(symbol, []) if not any(claim.outlasts(fact[0]) for claim in own)]
        shown = list(_of_bars(traces[symbol], *facts, clocks, max_gap_days)) if symbol in traces else []
        rows += [*shown, *_of_claims(shown, *facts)]
    rows = _with_companies(rows, told_of, max_gap_days)
    if only_told:
        rows = [row for row in rows if row.words is not None]
        rows += beyond_bars(rows, told_of, ends)
    else:
        rows = [replace(row, words=None) for row in rows]
    named = zip(assign_ids(rows, previous), rows, strict=True)
    found = [{"security_id": security_id, **row.as_row()} for security_id, row in named]
    found.sort(key=lambda row: (row["security_id"], row["symbol"], row["start"]))
    return pa.Table.from_pylist(found, schema=table_schema("core/listings").schema)


def _ends(actions: pa.Table) -> dict[str, list[tuple[dt.date, dt.datetime]]]:
    """Return the days of each symbol's delistings and when they were known, in order."""
    ends: defaultdict[str, list[tuple[dt.date, dt.datetime]]] = defaultdict(list)
    for row in actions.select(["symbol", "ex_date", "kind", "known_at"]).to_pylist():
        if row["kind"] == "delisting":
            ends[one_spelling(row["symbol"])].append((row["ex_date"], row["known_at"]))
    return {symbol: sorted(found) for symbol, found in ends.items()}


def _of_bars(
    trace: Trace, claims: Sequence[Claim], ends: _Ends, clocks: Mapping[str, Clock], max_gap_days: int
) -> Iterator[Listing]:
    """Yield the listings of one symbol's bars: those between two cuts are one, for each spelling."""
    cuts = _cuts(trace, claims, ends, max_gap_days)
    edges = [0, *sorted(cuts), len(trace.day)]
    previous = None
    for begin, stop in pairwise(edges):
        first = trace.date(begin)
        claim = next((claim for claim in claims if claim.covers(first)), None)
        end, end_known_at = _end(trace, begin, stop, cuts.get(stop), claim, ends, clocks, max_gap_days)
        known_at = max(trace.known(begin), cuts.get(begin, trace.known(begin)))
        row = Listing("", first, end, known_at, end_known_at, str(trace.source[begin]))
        if claim is not None:
            row = _claimed(row, claim, is_first=claim is not previous)
        previous = claim
        last = trace.date(stop - 1)
        for spelling in sorted(set(trace.spelling[begin:stop].tolist())):
            yield replace(row, symbol=spelling, last=last)


def _cuts(trace: Trace, claims: Sequence[Claim], ends: _Ends, max_gap_days: int) -> dict[int, dt.datetime]:
    """Return the bars, but the first, with which another listing begins, and when that was known."""
    told = [(claim.start, claim.known_at) for claim in claims]
    told += [(claim.end, claim.end_known_at) for claim in claims if claim.end and claim.end_known_at]
    found = [(trace.before(day), known_at) for day, known_at in [*told, *ends]]
    found += [
        (bar, trace.known(bar))
        for bar in trace.gaps(max_gap_days)
        if not any(claim.covers(trace.date(bar - 1)) and claim.covers(trace.date(bar)) for claim in claims)
    ]
    cuts: dict[int, dt.datetime] = {}
    for bar, known_at in found:
        if 0 < bar < len(trace.day):
            cuts[bar] = min(known_at, cuts.get(bar, known_at))
    return cuts


def _end(
    trace: Trace,
    begin: int,
    stop: int,
    cut_known_at: dt.datetime | None,
    claim: Claim | None,
    ends: _Ends,
    clocks: Mapping[str, Clock],
    max_gap_days: int,
) -> tuple[dt.date | None, dt.datetime | None]:
    """Return the first day after a listing, and when that was known; None while nothing tells of an end."""
    last = trace.date(stop - 1)
    following = None if cut_known_at is None else trace.date(stop)
    if claim is not None and claim.end is not None:
        return claim.end, claim.end_known_at
    for day, known_at in ends:
        if trace.date(begin) < day and (following is None or day <= following):
            return day, known_at
    silent_at = clocks[str(trace.source[stop - 1])].passed(last, max_gap_days)
    told = [known_at for known_at in (cut_known_at, silent_at) if known_at is not None]
    return (last + _DAY, min(told)) if told else (None, None)


def _claimed(row: Listing, claim: Claim, *, is_first: bool) -> Listing:
    """Return the row as its history tells it: with the claim's beginning, if it is the first one under it."""
    history = claim.history
    if is_first:
        known_at = claim.known_at if claim.is_joined else min(row.known_at, claim.known_at)
        row = replace(row, start=claim.start, known_at=known_at)
    return replace(
        row,
        source=history.source,
        owner=claim.owner,
        cik=history.cik,
        name=history.name,
        exchange=history.exchange,
        figi=history.figi,
        words=history.first_told or history.words(history.told_at),
    )


def _of_claims(shown: Sequence[Listing], claims: Sequence[Claim], ends: _Ends) -> Iterator[Listing]:
    """Yield what histories tell of a symbol beyond its bars."""
    begins = [(row.start, row.known_at) for row in shown] + [(claim.start, claim.known_at) for claim in claims]
    for claim in claims:
        if any(row.owner == claim.owner and row.start == claim.start for row in shown):
            continue
        end, end_known_at = claim.end, claim.end_known_at
        gone = [(day, known_at) for day, known_at in [*ends, *begins] if day > claim.start]
        if end is None and gone:
            end, end_known_at = min(gone)
        row = Listing(claim.symbol, claim.start, end, claim.known_at, end_known_at, claim.history.source)
        yield _claimed(row, claim, is_first=True)


def _with_companies(rows: Sequence[Listing], companies: Sequence[CompanyTicker], max_gap_days: int) -> list[Listing]:
    """Return the rows with what companies tell of those alive at that moment; the first word on a row stays.

    A row whose bars had long ended then, without a sign of its end, is left alone: the symbol may be another's.
    """
    answer = list(rows)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[one_spelling(row.symbol)].append(place)
    for fact in sorted(companies, key=lambda fact: fact.known_at):
        day = fact.day
        for place in places[one_spelling(fact.symbol)]:
            row = answer[place]
            is_fresh = row.last is None or (day - row.last).days <= max_gap_days
            if row.covers(day) and is_fresh and _agree(row.cik, fact.cik) and _agree(row.figi, fact.figi):
                answer[place] = row.told_by(fact)
    return answer


def _agree(one: object, other: object) -> bool:
    """Return whether two numbers are the same, as far as both are known."""
    return one is None or other is None or one == other
