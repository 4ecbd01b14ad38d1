"""Yahoo Finance's daily bars, fetched through yfinance, kept as the bytes Yahoo sent.

yfinance is the client: it knows the cookie, the crumb and the browser's TLS. A session that records every
chart answer is handed to it, the recorded bytes are what is stored, and what they mean is decided here, since
yfinance gives an empty frame for a delisted symbol, a server error and a web page alike.

Not affiliated with Yahoo; its terms allow personal use, and its data must not be passed on.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lakehouse.errors import (
    BadPayload,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed, check_as_of, check_asked, distinct_symbols
from lakehouse.sources.each_symbol import each_symbol
from lakehouse.sources.quarantine import MAX_BAD_SHARE
from lakehouse.sources.retrying import retried, seconds_to_wait
from lakehouse.sources.yahoo_chart import parse_chart
from lakehouse.sources.yahoo_client import Heard, plain_yfinance, recording_session

LEAD = dt.timedelta(days=10)
"""Requests begin this much before the start, so that an answer without any bar is suspect and never merely
early."""


class YahooSource:
    """Daily bars, splits and dividends from Yahoo.

    Parameters
    ----------
    base_url : send every request to this server instead, such as a recording; scheme and host of each are
        replaced
    cache_folder : where yfinance keeps time zones and cookies; by default a temporary folder of the process.
        The first source of a process that fetches decides for all of them
    timeout : seconds one HTTP request may take
    deadline : seconds all requests of one `fetch` may take together, retries included
    wait_initial, wait_max : seconds between retries: doubling from the first to the second, with jitter
    max_bad_share : fraction of an answer's rows that may be unusable (`lakehouse.sources.quarantine`)
    """

    name = "yahoo"
    dataset = "chart_1d"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        cache_folder: str | None = None,
        timeout: float = 20.0,
        deadline: float = 900.0,
        wait_initial: float = 1.0,
        wait_max: float = 30.0,
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        self._base_url = base_url
        self._cache_folder = cache_folder
        self._timeout = timeout
        self._deadline = deadline
        self._wait_initial = wait_initial
        self._wait_max = wait_max
        self._max_bad_share = max_bad_share

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once, in order.

        Raises
        ------
        SourceError : none is configured; Yahoo has no list to take them from.
        BadName : one is no symbol.
        """
        if not configured:
            raise SourceError("source 'yahoo' needs symbols: name them in the settings, such as [AAPL, MSFT]")
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
        """Yield one answer a symbol, from shortly before `start` up to `as_of`.

        `end` does not shorten the request: only an answer that reaches to `as_of` holds every split by which
        its prices are adjusted. A symbol that fails does not keep the others from being fetched: its error is
        raised after the last answer. Throttling and outages end the fetch at once, they would meet every
        symbol.

        Raises
        ------
        UnknownSymbol, Delisted, EmptyAnswer, BadPayload, BadRows : of one symbol; several are one
            SourceError.
        RateLimited, SourceUnavailable : after the retries.
        """
        check_asked(start, end, as_of)
        session = recording_session(self._base_url, timeout=self._timeout)
        give_up_at = time.monotonic() + self._deadline
        yield from each_symbol(
            self.name,
            self.symbols(symbols),
            lambda symbol: iter([self._fetch_one(session, symbol, start, as_of, give_up_at)]),
            progress,
        )

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the as-traded bars and actions of an answer (`lakehouse.sources.yahoo_chart`)."""
        return parse_chart(
            content,
            symbol=str(request["symbol"]),
            as_of=check_as_of(dt.datetime.fromisoformat(str(request["as_of"]))),
            max_bad_share=self._max_bad_share,
        )

    def _fetch_one(self, session: Any, symbol: str, start: dt.date, as_of: dt.datetime, give_up_at: float) -> Answer:
        if time.monotonic() >= give_up_at:
            raise SourceUnavailable(
                f"the deadline of {self._deadline:.0f} s passed before {symbol}: run it again, what was fetched stays"
            )
        return retried(
            lambda: self._ask(session, symbol, start, as_of),
            give_up_at=give_up_at,
            wait_initial=self._wait_initial,
            wait_max=self._wait_max,
        )

    def _ask(self, session: Any, symbol: str, start: dt.date, as_of: dt.datetime) -> Answer:
        request = {"symbol": symbol, "start": (start - LEAD).isoformat(), "as_of": as_of.isoformat()}
        heard = self._hear(session, symbol, start - LEAD, as_of)
        _check_status(heard, symbol)
        parsed = self.parse(heard.content, request)
        if not heard.is_history:
            raise BadPayload(f"Yahoo's answer for {symbol} names no time zone, its history was not asked for")
        if not len(parsed.bars):
            raise EmptyAnswer(f"Yahoo's answer for {symbol} has no usable bar ({dict(parsed.counts)}); try again later")
        days = parsed.bars["session"]
        return Answer(
            content=heard.content,
            source=self.name,
            dataset=self.dataset,
            request=request,
            known_at=as_of,
            media_type=heard.headers.get("content-type", "application/json").partition(";")[0].strip(),
            etag=heard.headers.get("etag"),
            symbol=symbol,
            first_session=days.iloc[0].date(),
            last_session=days.iloc[-1].date(),
        )

    def _hear(self, session: Any, symbol: str, start: dt.date, as_of: dt.datetime) -> Heard:
        """Let yfinance ask for the history, and return the chart answer that decides."""
        import yfinance as yf

        session.heard.clear()
        problem: Exception | None = None
        # The day after as_of is asked for, too: a split of the day itself is stamped at the session's open.
        end = as_of.astimezone(dt.UTC).date() + dt.timedelta(days=2)
        with plain_yfinance(self._cache_folder):
            try:
                yf.Ticker(symbol, session=session).history(
                    start=start.isoformat(),
                    end=end.isoformat(),
                    interval="1d",
                    auto_adjust=False,
                    actions=True,
                    timeout=self._timeout,
                )
            except Exception as error:  # judged by what Yahoo answered, below
                problem = error
        answers = [heard for heard in session.heard if heard.is_history] or session.heard
        if answers:
            answer: Heard = answers[-1]
            return answer
        raise SourceUnavailable(
            f"Yahoo gave no answer for {symbol} ({type(problem).__name__}: {str(problem)[:200]}); check "
            "the network and run it again"
        ) from problem


def _check_status(heard: Heard, symbol: str) -> None:
    """Raise what the HTTP status means; statuses with an error block of Yahoo's own pass, the block says
    more."""
    status, said = heard.status, heard.content[:200].decode("utf-8", "replace").strip()
    if status == 429 or said.startswith(("Too Many Requests", "Edge: Too Many Requests")):
        after = seconds_to_wait(heard.headers.get("retry-after"))
        asked = f" and asks to wait {after:.0f} s" if after is not None else ""
        raise RateLimited(
            f"Yahoo refused {symbol} for too many requests{asked}: run it again later, what was fetched stays",
            retry_after=after,
        )
    if status >= 500:
        raise SourceUnavailable(f"Yahoo failed on {symbol} with HTTP {status}: run it again later")
    if status in (401, 403):
        raise SourceUnavailable(f"Yahoo denied {symbol} with HTTP {status} (cookie or crumb): run it again later")
    if status >= 400 and not said.startswith("{"):
        if status == 404:
            raise UnknownSymbol(f"Yahoo knows no symbol {symbol} (HTTP 404): check how Yahoo writes it")
        raise BadPayload(f"Yahoo answered for {symbol} with HTTP {status} and no reason")
