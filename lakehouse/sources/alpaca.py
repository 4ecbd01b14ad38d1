"""Alpaca's market data: bars of US stocks and of crypto pairs, and corporate actions, as traded.

https://docs.alpaca.markets/reference/stockbars, .../cryptobars-1 and .../corporateactions-1. The keys come from
the environment variables APCA_API_KEY_ID and APCA_API_SECRET_KEY. Prices are asked for unadjusted; a split or a
dividend is an action of its own (dataset "corporate_actions").

Each page of an answer is an answer of its own: what came before a failure is kept. Symbols are written as
everywhere here, crypto pairs with a hyphen: BTC-USD for Alpaca's BTC/USD.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import nearest
from lakehouse.errors import BadPayload, EmptyAnswer, SourceError
from lakehouse.snapshots import Answer
from lakehouse.sources.alpaca_actions import parse_actions
from lakehouse.sources.alpaca_bars import CRYPTO, parse_bars
from lakehouse.sources.alpaca_page import next_page_token
from lakehouse.sources.base import Parsed, check_as_of, check_asked, distinct_symbols
from lakehouse.sources.credentials import credential
from lakehouse.sources.each_symbol import each_symbol
from lakehouse.sources.limits import MAX_ROWS
from lakehouse.sources.quarantine import MAX_BAD_SHARE
from lakehouse.sources.rate_limit import Rate
from lakehouse.sources.reply import Reply
from lakehouse.sources.resuming import RESUME_WITHIN, Resuming
from lakehouse.sources.web import MAX_BYTES, Web

BASE_URL = "https://data.alpaca.markets"
KEY_VARIABLE, SECRET_VARIABLE = "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"
ACTIONS = "corporate_actions"
PATHS = {
    "stock_day": "v2/stocks/bars",
    "stock_minute": "v2/stocks/bars",
    "crypto_day": "v1beta3/crypto/us/bars",
    "crypto_minute": "v1beta3/crypto/us/bars",
    ACTIONS: "v1/corporate-actions",
}
FEEDS = ("sip", "iex", "otc", "boats")
MAX_PAGES = 10_000

DELAY = dt.timedelta(minutes=15)
"""The newest bars asked for are this old: without a subscription Alpaca denies the consolidated tape's younger
ones, and with one they may still change."""

LEAD = dt.timedelta(days=10)
"""Bars are asked for from this much before the start, so that an answer without any is suspect and never merely
early."""

PROCESSED_WITHIN = dt.timedelta(days=180)
"""Actions are listed by the day they are processed; a dividend's is the day it is paid, months after its
ex-date at most."""

_NEW_YORK = "America/New_York"


class AlpacaSource(Resuming):
    """Bars or corporate actions from Alpaca.

    Parameters
    ----------
    dataset : "stock_day", "stock_minute", "crypto_day", "crypto_minute" or "corporate_actions"
    feed : of stocks: "sip" (all US exchanges), "iex", "otc" or "boats"
    base_url : of another server, such as a recording
    page_size : bars or actions a page has at most; the vendor's limits are 10,000 and 1,000
    requests_per_minute : of all processes together; 200 without a subscription
    rate_folder : where the processes keep count; by default a temporary folder of the user's own
    exchange : whose sessions tell whether a stored answer is still the newest (`lakehouse.sources.resuming`)
    resume_within : seconds for which an answer of a fetch that broke off is not asked for again; 0: always asked
    timeout, deadline, wait_initial, wait_max : as `lakehouse.sources.web.Web`
    max_bytes, max_rows : of one page
    max_bad_share : fraction of a page's rows that may be unusable (`lakehouse.sources.quarantine`)
    """

    name = "alpaca"

    def __init__(
        self,
        *,
        dataset: str = "stock_day",
        feed: str = "sip",
        base_url: str = BASE_URL,
        page_size: int | None = None,
        requests_per_minute: int = 200,
        rate_folder: str | None = None,
        exchange: str = "XNYS",
        resume_within: float = RESUME_WITHIN,
        timeout: float = 20.0,
        deadline: float = 900.0,
        wait_initial: float = 1.0,
        wait_max: float = 30.0,
        max_bytes: int = MAX_BYTES,
        max_rows: int = MAX_ROWS,
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        if dataset not in PATHS:
            raise SourceError(f"source 'alpaca' has no dataset {dataset!r}{nearest(str(dataset), PATHS)}")
        if feed not in FEEDS:
            raise SourceError(f"source 'alpaca' has no feed {feed!r}{nearest(str(feed), FEEDS)}")
        self.dataset = dataset
        self._feed = feed
        self._page_size = page_size if page_size is not None else 1_000 if dataset == ACTIONS else 10_000
        self._exchange = exchange
        self._resume_within = resume_within
        self._max_rows = max_rows
        self._max_bad_share = max_bad_share
        folder = None if rate_folder is None else Path(rate_folder)
        self._options: dict[str, Any] = {
            "base_url": base_url,
            "timeout": timeout,
            "deadline": deadline,
            "wait_initial": wait_initial,
            "wait_max": wait_max,
            "max_bytes": max_bytes,
            "rate": Rate("alpaca", requests_per_minute, seconds=60.0, folder=folder),
        }

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once, in order.

        Raises
        ------
        SourceError : none is configured, or a crypto pair without its hyphen.
        BadName : one is no symbol.
        """
        if not configured:
            raise SourceError("source 'alpaca' needs symbols: name them in the settings, such as [AAPL, MSFT]")
        found = distinct_symbols(configured)
        for symbol in found:
            if self.dataset in CRYPTO and symbol.count("-") != 1:
                raise SourceError(f"a crypto pair is written like BTC-USD, was {symbol!r}")
        return found

    def fetch(
        self,
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
        *,
        as_of: dt.datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield the pages of each symbol's answer, for the sessions in [start, end) up to shortly before `as_of`.

        What a fetch that broke off has stored is left out (`lakehouse.sources.resuming`).

        Raises
        ------
        DeniedAccess : the keys are missing or refused, or the subscription does not hold the feed.
        EmptyAnswer, BadPayload, BadRows : of one symbol; several are one SourceError after the last.
        RateLimited, SourceUnavailable : after the retries, at once.
        """
        check_asked(start, end, as_of)
        wanted = self.symbols(symbols)
        asked = self._left_over({symbol: self._question(symbol, start, end) for symbol in wanted}, as_of, progress)
        with Web("Alpaca", headers=_keys, variables=(KEY_VARIABLE, SECRET_VARIABLE), **self._options) as web:
            yield from each_symbol(
                self.name, asked, lambda symbol: self._pages(web, symbol, start, end, as_of), progress
            )

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return a page's daily bars, rows of core/minute_bars, or actions; the request says which."""
        dataset, symbol = str(request["dataset"]), str(request["symbol"])
        as_of = check_as_of(dt.datetime.fromisoformat(str(request["as_of"])))
        if dataset == ACTIONS:
            return parse_actions(content, symbol=symbol, as_of=as_of, max_rows=self._max_rows)
        return parse_bars(
            content,
            dataset=dataset,
            symbol=symbol,
            as_of=as_of,
            max_bad_share=self._max_bad_share,
            max_rows=self._max_rows,
        )

    def _pages(self, web: Web, symbol: str, start: dt.date, end: dt.date, as_of: dt.datetime) -> Iterator[Answer]:
        query = self._query(symbol, start, end, as_of)
        request = {**self._question(symbol, start, end), "dataset": self.dataset, "as_of": as_of.isoformat(), **query}
        token: str | None = None
        seen: set[str] = set()
        for page in range(1, MAX_PAGES + 1):
            answer, token = self._page(web, {**request, "page": page, "page_token": token}, query, as_of)
            yield answer
            if token is None:
                return
            if token in seen:
                raise BadPayload(
                    f"Alpaca's pages for {symbol} lead back to an earlier one after {page}; try again later"
                )
            seen.add(token)
        raise BadPayload(f"Alpaca's answer for {symbol} has more than {MAX_PAGES:,} pages: ask for a shorter range")

    def _page(
        self, web: Web, request: Mapping[str, Any], query: Mapping[str, str | int], as_of: dt.datetime
    ) -> tuple[Answer, str | None]:
        symbol, token = str(request["symbol"]), request["page_token"]
        found: list[tuple[Parsed, str | None]] = []

        def check(reply: Reply) -> None:
            following = next_page_token(reply.content, symbol)
            parsed = self.parse(reply.content, request)
            if self.dataset != ACTIONS and token is None and following is None and not _n_rows(parsed):
                raise EmptyAnswer(
                    f"Alpaca has no usable bar of {symbol} from {query['start']} to {query['end']} "
                    f"({dict(parsed.counts)}): it is misspelt, did not trade there, or is not in the feed; check the "
                    "symbol. Stored bars stay as they are"
                )
            found[:] = [(parsed, following)]

        params = {**query, **({} if token is None else {"page_token": str(token)})}
        reply = web.get(PATHS[self.dataset], params, what=symbol, check=check)
        parsed, following = found[0]
        first, last = _coverage(parsed)
        answer = Answer(
            content=reply.content,
            source=self.name,
            dataset=self.dataset,
            request={**request, "is_last": following is None},
            known_at=as_of,
            media_type=reply.media_type or "application/json",
            etag=reply.headers.get("etag"),
            symbol=symbol,
            first_session=first,
            last_session=last,
        )
        return answer, following

    def _question(self, symbol: str, start: dt.date, end: dt.date) -> dict[str, Any]:
        """Return by what the last page of a symbol's answer is known again; the query's end moves with `as_of`."""
        feed = self._feed if self.dataset.startswith("stock") else None
        return {"symbol": symbol, "range": f"{start}/{end}", "feed": feed, "is_last": True}

    def _query(self, symbol: str, start: dt.date, end: dt.date, as_of: dt.datetime) -> dict[str, str | int]:
        """Return what is asked for; Alpaca's ranges hold both their ends."""
        if self.dataset == ACTIONS:
            last = end - dt.timedelta(days=1) + PROCESSED_WITHIN
            dates = {"start": start.isoformat(), "end": last.isoformat()}
            return {"symbols": symbol, **dates, "limit": self._page_size, "sort": "asc"}
        is_crypto = self.dataset in CRYPTO
        zone: dt.tzinfo = dt.UTC if is_crypto else zoneinfo.ZoneInfo(_NEW_YORK)
        first = dt.datetime.combine(start - LEAD, dt.time(), zone).astimezone(dt.UTC)
        until = min(dt.datetime.combine(end, dt.time(), zone), as_of - DELAY).astimezone(dt.UTC)
        if not first < until:
            raise SourceError(
                f"the range to fetch begins {start}, more than {LEAD.days} days after {as_of.isoformat()}"
            )
        query: dict[str, str | int] = {
            "symbols": symbol.replace("-", "/") if is_crypto else symbol,
            "timeframe": "1Day" if self.dataset.endswith("_day") else "1Min",
            "start": _rfc3339(first),
            "end": _rfc3339(until - dt.timedelta(seconds=1)),
            "limit": self._page_size,
            "sort": "asc",
        }
        return query if is_crypto else {**query, "adjustment": "raw", "feed": self._feed}


def _keys() -> dict[str, str]:
    return {
        "APCA-API-KEY-ID": credential(KEY_VARIABLE, vendor="Alpaca"),
        "APCA-API-SECRET-KEY": credential(SECRET_VARIABLE, vendor="Alpaca"),
    }


def _rfc3339(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _n_rows(parsed: Parsed) -> int:
    return len(parsed.bars) + len(parsed.actions) + sum(len(table) for table in parsed.tables.values())


def _coverage(parsed: Parsed) -> tuple[dt.date | None, dt.date | None]:
    """Return the first and last day a page has rows of; for minutes by UTC, for actions none, they are sparse."""
    minutes = parsed.tables.get("core/minute_bars")
    days = parsed.bars["session"] if minutes is None else minutes["bar_end"]
    return (days.min().date(), days.max().date()) if len(days) else (None, None)
