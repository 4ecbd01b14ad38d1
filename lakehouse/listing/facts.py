"""What sources tell of securities: the tickers one has had, and which company a ticker belongs to.

Facts carry the moment they were known. Each reader here takes one vendor's answer, as stored in a snapshot.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from lakehouse.calendar import session_from, session_open
from lakehouse.errors import BadName, BadPayload
from lakehouse.sources.base import check_symbol

_CLASS = re.compile(r"([A-Z0-9]+)[.\-_/]([A-Z])", re.ASCII)


def one_spelling(symbol: str) -> str:
    """Return the symbol with its share class after a dot: BRK-B, BRK_B and BRK/B are BRK.B; others as they are."""
    match = _CLASS.fullmatch(symbol)
    return f"{match[1]}.{match[2]}" if match else symbol


def share_class(symbol: str) -> str | None:
    """Return the letter of a share class that the symbol names, as B of BRK.B."""
    match = _CLASS.fullmatch(symbol)
    return match[2] if match else None


class Words(NamedTuple):
    """The first words of a source on a security: when, under which symbol, and whose number it gave it.

    figi : the security's own number (https://www.openfigi.com), which it keeps across symbols
    """

    told_at: dt.datetime
    symbol: str
    cik: int | None
    figi: str | None


@dataclass(frozen=True)
class Renaming:
    """A security takes a symbol (its first one, too) on a day; known at a moment."""

    day: dt.date
    symbol: str
    known_at: dt.datetime


@dataclass(frozen=True)
class TickerHistory:
    """All symbols that one security has had, oldest first.

    renamings : ascending days
    told_at : when the source told it; what became of the last symbol later, it does not know
    source : the vendor
    name, cik, exchange : of the security, its company's number with the SEC, where it is listed
    figi : the security's number
    first_told : what was told first, where it was told several times
    """

    renamings: tuple[Renaming, ...]
    told_at: dt.datetime
    source: str
    name: str | None = None
    cik: int | None = None
    exchange: str | None = None
    figi: str | None = None
    first_told: Words | None = None

    def __post_init__(self) -> None:
        days = [renaming.day for renaming in self.renamings]
        if not days or any(later <= earlier for earlier, later in pairwise(days)):
            raise BadPayload(f"a ticker history needs ascending days, was {', '.join(map(str, days)) or 'empty'}")

    def known(self, as_of: dt.datetime) -> TickerHistory | None:
        """Return the history as far as it was known, None where nothing of it was."""
        renamings = tuple(renaming for renaming in self.renamings if renaming.known_at <= as_of)
        return replace(self, renamings=renamings) if renamings else None

    def words(self, told_at: dt.datetime) -> Words:
        """Return what the history calls the security."""
        return Words(told_at, self.renamings[0].symbol, self.cik, self.figi)


@dataclass(frozen=True)
class CompanyTicker:
    """A symbol belongs to a company, as a source says of the moment it tells it.

    cik, figi : numbers of the company and of the security, where the source tells them
    spoken_of : the day it is about, where that is not the moment's
    """

    symbol: str
    cik: int | None
    known_at: dt.datetime
    source: str
    name: str | None = None
    exchange: str | None = None
    figi: str | None = None
    spoken_of: dt.date | None = None

    @property
    def day(self) -> dt.date:
        """The day it is about."""
        return self.known_at.date() if self.spoken_of is None else self.spoken_of

    def differs(self, other: CompanyTicker) -> bool:
        """Return whether the two cannot be about one security."""
        return _differ(self.figi, other.figi) or _differ(self.cik, other.cik)

    def is_of(self, other: CompanyTicker) -> bool:
        """Return whether a number that both have says that they are about one security, or company."""
        shares = (self.figi is not None and self.figi == other.figi) or (self.cik is not None and self.cik == other.cik)
        return shares and not self.differs(other)


def polygon_ticker_history(answer: Mapping[str, Any], *, told_at: dt.datetime, calendar: str) -> TickerHistory:
    """Return what Polygon's `vX/reference/tickers/{id}/events` tells of one security.

    A renaming is known at the open of its first session: it is announced earlier, but the answer does not say
    when. Polygon's days may be some days off, or no session (META: Saturday 2022-06-11, for Thursday 2022-06-09).

    Parameters
    ----------
    answer : the JSON object
    told_at : when it was given
    calendar : of the exchange, e.g. XNYS

    Raises
    ------
    BadPayload : not in the documented form.
    BadName : a ticker that is no symbol.
    """
    try:
        results = answer["results"]
        changes = sorted(
            (dt.date.fromisoformat(event["date"]), check_symbol(event["ticker_change"]["ticker"]))
            for event in results["events"]
            if event["type"] == "ticker_change"
        )
        cik = None if results.get("cik") is None else int(results["cik"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadPayload(f"Polygon's ticker events are not in the documented form: {error!r}") from error
    opens = session_open(calendar, session_from(calendar, [day for day, _ in changes])) if changes else ()
    renamings = tuple(
        Renaming(day, symbol, known_at.to_pydatetime()) for (day, symbol), known_at in zip(changes, opens, strict=True)
    )
    return TickerHistory(renamings, told_at, "polygon", results.get("name"), cik)


def edgar_company_tickers(answer: Mapping[str, Any], *, known_at: dt.datetime) -> list[CompanyTicker]:
    """Return the tickers of an answer of the SEC, in its order.

    Read are `company_tickers.json`, `company_tickers_exchange.json` and a company's `submissions/CIK*.json`.
    Each tells of the present only: a ticker meant the company when the answer was given. Tickers of other
    markets and instruments that are no symbol here are left out.

    Raises
    ------
    BadPayload : none of these forms.
    """
    try:
        rows = [(str(symbol), int(cik), name, exchange) for symbol, cik, name, exchange in _edgar_rows(answer)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadPayload(f"the SEC's tickers are not in a known form: {error!r}") from error
    usable = (row for row in rows if _is_symbol(row[0]))
    return [CompanyTicker(symbol, cik, known_at, "edgar", name, exchange) for symbol, cik, name, exchange in usable]


def _edgar_rows(answer: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Yield (ticker, cik, name, exchange)."""
    if "fields" in answer:
        place = {name: answer["fields"].index(name) for name in ("ticker", "cik", "name", "exchange")}
        for row in answer["data"]:
            yield [row[index] for index in place.values()]
    elif "tickers" in answer:
        for symbol, exchange in zip(answer["tickers"], answer["exchanges"], strict=True):
            yield symbol, answer["cik"], answer["name"], exchange
    else:
        for row in answer.values():
            yield row["ticker"], row["cik_str"], row["title"], None


def _differ(one: object, other: object) -> bool:
    """Return whether both are known and not the same."""
    return one is not None and other is not None and one != other


def _is_symbol(symbol: str) -> bool:
    try:
        check_symbol(symbol)
    except BadName:
        return False
    return True
