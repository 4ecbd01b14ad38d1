"""The SEC's EDGAR: figures that companies filed, and the filings themselves.

https://www.sec.gov/search-filings/edgar-application-programming-interfaces. The SEC asks for a contact in each
request and at most 10 of them a second from one user: the contact is the environment variable
QUANTLAKE_EDGAR_CONTACT, and all processes of the user together stay at 8.

A symbol is a ticker, looked up in the SEC's list of today's, or a company's number, such as CIK0000320193: a
ticker that has changed hands is another company's today.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import nearest
from lakehouse.errors import BadPayload, DeniedAccess, SourceError, UnknownSymbol
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed, check_as_of, check_asked, distinct_symbols
from lakehouse.sources.each_symbol import each_symbol
from lakehouse.sources.edgar_facts import parse_facts
from lakehouse.sources.edgar_filings import older_pages, parse_filings
from lakehouse.sources.limits import MAX_ROWS
from lakehouse.sources.payload import load_json
from lakehouse.sources.rate_limit import Rate
from lakehouse.sources.reply import Reply
from lakehouse.sources.resuming import RESUME_WITHIN, Resuming
from lakehouse.sources.web import MAX_BYTES, Web

BASE_URL = "https://data.sec.gov"
TICKERS_URL = "https://www.sec.gov"
TICKERS_PATH = "files/company_tickers.json"
CONTACT_VARIABLE = "QUANTLAKE_EDGAR_CONTACT"
PATHS = {"companyfacts": "api/xbrl/companyfacts/CIK{cik:010d}.json", "submissions": "submissions/CIK{cik:010d}.json"}
REQUESTS_PER_SECOND = 8
THROTTLED = "Request Rate Threshold Exceeded"
BLOCKED_SECONDS = 600.0
"""How long the SEC shuts out who asks too fast; it counts again from each request made meanwhile."""

_CIK = re.compile(r"CIK(\d{1,10})", re.ASCII)
_EMAIL = re.compile(r"[!-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)


class EdgarSource(Resuming):
    """Figures ("companyfacts") or lists of filings ("submissions") from EDGAR.

    Parameters
    ----------
    dataset : "companyfacts" gives rows of core/fundamentals, "submissions" rows of core/series
    base_url, tickers_url : of other servers, such as recordings
    rate_folder : where the processes keep count of requests; by default a temporary folder of the user's own
    exchange : whose sessions tell whether a stored answer is still the newest (`lakehouse.sources.resuming`)
    resume_within : seconds for which an answer of a fetch that broke off is not asked for again; 0: always asked
    timeout, deadline, wait_initial, wait_max : as `lakehouse.sources.web.Web`
    max_bytes, max_rows : of one answer
    """

    name = "edgar"

    def __init__(
        self,
        *,
        dataset: str = "companyfacts",
        base_url: str = BASE_URL,
        tickers_url: str = TICKERS_URL,
        rate_folder: str | None = None,
        exchange: str = "XNYS",
        resume_within: float = RESUME_WITHIN,
        timeout: float = 20.0,
        deadline: float = 900.0,
        wait_initial: float = 1.0,
        wait_max: float = 30.0,
        max_bytes: int = MAX_BYTES,
        max_rows: int = MAX_ROWS,
    ) -> None:
        if dataset not in PATHS:
            raise SourceError(f"source 'edgar' has no dataset {dataset!r}{nearest(str(dataset), PATHS)}")
        self.dataset = dataset
        self._base_url = base_url
        self._tickers_url = tickers_url
        self._exchange = exchange
        self._resume_within = resume_within
        self._deadline = deadline
        self._max_rows = max_rows
        folder = None if rate_folder is None else Path(rate_folder)
        self._options: dict[str, Any] = {
            "headers": _identity,
            "variables": (CONTACT_VARIABLE,),
            "timeout": timeout,
            "wait_initial": wait_initial,
            "wait_max": wait_max,
            "max_bytes": max_bytes,
            "rate": Rate("edgar", REQUESTS_PER_SECOND, folder=folder),
            "throttle_marks": (THROTTLED,),
            "throttle_pause": BLOCKED_SECONDS,
        }

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once, in order.

        Raises
        ------
        SourceError : none is configured.
        BadName : one is no symbol.
        """
        if not configured:
            raise SourceError(
                "source 'edgar' needs symbols: name tickers or numbers in the settings, such as [AAPL, CIK0001640147]"
            )
        return distinct_symbols(configured)

    def fetch(
        self,
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
        *,
        as_of: dt.datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield each company's answer: all its figures, or its filings, those before `start` as far as they come along.

        Symbols of one company, such as two classes of shares, have its figures once, under the first of them. What a
        fetch that broke off has stored is left out (`lakehouse.sources.resuming`).

        Raises
        ------
        DeniedAccess : no contact is set, or the SEC refuses it.
        UnknownSymbol : no such ticker, or a company without figures.
        BadPayload : of one symbol; several are one SourceError after the last.
        RateLimited, SourceUnavailable : after the retries, at once.
        """
        check_asked(start, end, as_of)
        wanted = self.symbols(symbols)
        give_up_at = time.monotonic() + self._deadline
        companies = self._companies(wanted)
        known = {symbol: cik for symbol in wanted if (cik := _found(symbol, companies)) is not None}
        left = self._left_over({symbol: self._question(cik, start) for symbol, cik in known.items()}, as_of, progress)
        # A ticker that the SEC does not list fails when its turn comes, and keeps no other from coming.
        wanted = [symbol for symbol in wanted if symbol in left or symbol not in known]
        asked: set[int] = set()
        with self._web(self._base_url, give_up_at) as web:

            def fetch_one(symbol: str) -> Iterator[Answer]:
                cik = _cik(symbol, companies)
                if self.dataset == "submissions":
                    yield from self._filings(web, symbol, cik, start, as_of)
                elif cik not in asked:
                    asked.add(cik)
                    request = self._request(symbol, cik, PATHS["companyfacts"].format(cik=cik), start, as_of)
                    yield self._answer(web, request, as_of)

            yield from each_symbol(self.name, wanted, fetch_one, progress)

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return rows of core/fundamentals (`edgar_facts`) or core/series (`edgar_filings`); the request says which."""
        as_of = check_as_of(dt.datetime.fromisoformat(str(request["as_of"])))
        read = parse_facts if request["dataset"] == "companyfacts" else parse_filings
        return read(
            content, symbol=str(request["symbol"]), cik=int(request["cik"]), as_of=as_of, max_rows=self._max_rows
        )

    def _filings(self, web: Web, symbol: str, cik: int, start: dt.date, as_of: dt.datetime) -> Iterator[Answer]:
        request = self._request(symbol, cik, PATHS["submissions"].format(cik=cik), start, as_of)
        newest = self._answer(web, request, as_of)
        older = older_pages(newest.content, symbol=symbol, cik=cik, start=start)
        yield replace(newest, request={**newest.request, "is_last": not older})
        for name in older:
            request = self._request(symbol, cik, f"submissions/{name}", start, as_of)
            yield self._answer(web, {**request, "is_last": name == older[-1]}, as_of)

    def _question(self, cik: int, start: dt.date) -> dict[str, Any]:
        """Return by what the last of a company's answers is known again; only of filings some may come along."""
        since = start.isoformat() if self.dataset == "submissions" else None
        return {"cik": cik, "since": since, "is_last": True}

    def _request(self, symbol: str, cik: int, path: str, start: dt.date, as_of: dt.datetime) -> dict[str, Any]:
        asked = {"dataset": self.dataset, "symbol": symbol, "path": path, "as_of": as_of.isoformat()}
        return {**self._question(cik, start), **asked}

    def _answer(self, web: Web, request: Mapping[str, Any], as_of: dt.datetime) -> Answer:
        symbol = str(request["symbol"])

        def check(reply: Reply) -> None:
            self.parse(reply.content, request)

        reply = web.get(str(request["path"]), what=symbol, check=check)
        return Answer(
            content=reply.content,
            source=self.name,
            dataset=self.dataset,
            request=dict(request),
            known_at=as_of,
            media_type=reply.media_type or "application/json",
            etag=reply.headers.get("etag"),
            symbol=symbol,
        )

    def _companies(self, symbols: Sequence[str]) -> dict[str, int]:
        """Return the SEC's numbers by ticker; nothing is asked for where every symbol is a number."""
        if all(_CIK.fullmatch(symbol) for symbol in symbols):
            return {}
        found: dict[str, int] = {}

        def check(reply: Reply) -> None:
            found.update(_tickers(reply.content))

        with self._web(self._tickers_url, time.monotonic() + self._deadline) as web:
            web.get(TICKERS_PATH, what="the list of tickers", check=check)
        return found

    def _web(self, base_url: str, give_up_at: float) -> Web:
        return Web("the SEC", base_url, deadline=max(0.001, give_up_at - time.monotonic()), **self._options)


def _identity() -> dict[str, str]:
    contact = os.environ.get(CONTACT_VARIABLE, "").strip()
    if not _EMAIL.fullmatch(contact):
        problem = "is not set" if not contact else "holds no e-mail address"
        raise DeniedAccess(
            f"the SEC asks for a contact in each request and {CONTACT_VARIABLE} {problem}: set it to your e-mail "
            f"address, such as `export {CONTACT_VARIABLE}=you@example.com`"
        )
    return {"User-Agent": f"quantlake {contact}"}


def _tickers(content: bytes) -> dict[str, int]:
    what = "the SEC's list of tickers"
    rows = load_json(content, what=what)
    if not isinstance(rows, dict) or not rows:
        raise BadPayload(f"{what} is no object of companies; try again later")
    found: dict[str, int] = {}
    for row in rows.values():
        if not isinstance(row, dict) or not isinstance(row.get("ticker"), str) or type(row.get("cik_str")) is not int:
            raise BadPayload(f"{what} has a company without ticker and cik_str: {str(row)[:100]}")
        found[row["ticker"].upper()] = row["cik_str"]
    return found


def _cik(symbol: str, companies: Mapping[str, int]) -> int:
    """Return the company's number, which must be known."""
    cik = _found(symbol, companies)
    if cik is not None:
        return cik
    raise UnknownSymbol(
        f"the SEC lists no ticker {symbol!r}{nearest(symbol, companies)}; a company that no longer trades has a "
        "number only, such as CIK0000320193"
    )


def _found(symbol: str, companies: Mapping[str, int]) -> int | None:
    """Return the company's number, None where nobody knows it; the SEC writes classes of shares as BRK-B."""
    number = _CIK.fullmatch(symbol)
    if number:
        return int(number[1])
    return next((companies[name] for name in (symbol, symbol.replace(".", "-")) if name in companies), None)
