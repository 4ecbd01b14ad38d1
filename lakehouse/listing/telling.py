"""What the parsed answers of all snapshots tell of securities, as the facts that listings are built of."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lakehouse.calendar import session_from, session_open
from lakehouse.listing.facts import CompanyTicker, Renaming, TickerHistory, one_spelling
from lakehouse.listing.traces import NEAR_DAYS
from lakehouse.sources.base import Parsed

if TYPE_CHECKING:
    import pandas as pd

LISTINGS = "core/listings"
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Told:
    """What sources told of securities.

    histories : one a security, as told last
    companies : each list's word on each symbol, a delisted one's of its last day
    delistings : symbol, ex_date, kind and known_at, as the lists tell them
    """

    histories: Sequence[TickerHistory]
    companies: Sequence[CompanyTicker]
    delistings: Sequence[Mapping[str, Any]]


def told_by(parts: Iterable[tuple[Mapping[str, Any], Parsed]], *, exchange: str) -> Told:
    """Return what the answers tell; their order does not matter.

    Rows with a start are one security's history of symbols, those without a list's word on the present.

    Parameters
    ----------
    parts : manifest rows (their source is read), each with its parsed answer
    exchange : calendar of the exchange: a renaming is known at the open of its first session
    """
    histories: list[TickerHistory] = []
    companies: set[CompanyTicker] = set()
    gone: defaultdict[str, dict[CompanyTicker, None]] = defaultdict(dict)
    delistings: dict[tuple[str, dt.date], dt.datetime] = {}
    for row, parsed in parts:
        frame = parsed.tables.get(LISTINGS)
        if frame is None:
            continue
        has_start = frame["start"].notna()
        if has_start.any():
            histories.append(_history(frame[has_start], str(row["source"]), exchange))
        for company, end in _companies(frame[~has_start], str(row["source"])):
            companies.add(company)
            if end is not None:
                gone[one_spelling(company.symbol)][company] = None
                known_at = delistings.get((company.symbol, end), company.known_at)
                delistings[company.symbol, end] = min(known_at, company.known_at)
    in_force = {_in_time(fact, gone.get(one_spelling(fact.symbol), ())) for fact in companies}
    return Told(
        histories=_latest(histories),
        companies=sorted(in_force, key=lambda fact: (fact.known_at, fact.symbol, fact.day, repr(fact))),
        delistings=[
            {"symbol": symbol, "ex_date": end, "kind": "delisting", "known_at": known_at}
            for (symbol, end), known_at in sorted(delistings.items())
        ],
    )


def _history(frame: pd.DataFrame, source: str, exchange: str) -> TickerHistory:
    frame = frame.sort_values("start", kind="stable")
    changed = [stamp.date() for stamp in frame["start"]]
    opens = session_open(exchange, session_from(exchange, changed))
    renamings = (
        Renaming(day, symbol, known_at.to_pydatetime())
        for day, symbol, known_at in zip(changed, frame["symbol"], opens, strict=True)
    )
    first = frame.iloc[0]
    return TickerHistory(
        tuple(renamings),
        first["known_at"].to_pydatetime(),
        source,
        first["name"] or None,
        _number(first["cik"]),
        first["exchange"] or None,
        first["security_id"] or None,
    )


def _companies(frame: pd.DataFrame, source: str) -> Iterable[tuple[CompanyTicker, dt.date | None]]:
    """Yield each row as a fact, with the first day no longer traded where the list tells one."""
    import pandas as pd

    names = ("symbol", "name", "exchange", "security_id", "cik", "end", "known_at")
    for symbol, name, exchange, figi, cik, end, known_at in zip(*(frame[name] for name in names), strict=True):
        gone = None if pd.isna(end) else end.date()
        moment = known_at.to_pydatetime()
        day = moment.date() if gone is None else gone - _DAY
        yield (
            CompanyTicker(symbol, _number(cik), moment, source, name or None, exchange or None, figi or None, day),
            gone,
        )


def _in_time(fact: CompanyTicker, gone: Iterable[CompanyTicker]) -> CompanyTicker:
    """Return the fact, of its security's last day where it came just after that: lists run some days late."""
    for last in gone:
        late = (fact.day - last.day).days
        if fact.is_of(last) and 0 < late <= NEAR_DAYS:
            return replace(fact, spoken_of=last.day)
    return fact


def _latest(histories: Iterable[TickerHistory]) -> list[TickerHistory]:
    """Return the history told last of each security; its company is the one that was told first."""
    found: dict[Any, TickerHistory] = {}
    for history in sorted(histories, key=lambda history: (history.told_at, repr(history))):
        first = history.renamings[0]
        key = (history.source, history.figi or (first.day, first.symbol))
        earlier = found.get(key)
        if earlier is None:
            found[key] = replace(history, first_told=history.words(history.told_at))
        else:
            company = history.cik if earlier.cik is None else earlier.cik
            found[key] = replace(history, cik=company, first_told=earlier.first_told)
    return list(found.values())


def _number(cik: Any) -> int | None:
    import pandas as pd

    return None if pd.isna(cik) else int(cik)
