"""Yahoo Finance's bars of days and minutes, fetched through yfinance, kept as the bytes Yahoo sent.

yfinance is the client: it knows the cookie, the crumb and the browser's TLS. A session that records every
chart answer is handed to it, the recorded bytes are what is stored, and what they mean is decided here, since
yfinance gives an empty frame for a delisted symbol, a server error and a web page alike.

Not affiliated with Yahoo; its terms allow personal use, and its data must not be passed on.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import nearest
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
from lakehouse.sources.limits import MAX_ROWS
from lakehouse.sources.quarantine import MAX_BAD_SHARE
from lakehouse.sources.rate_limit import Rate
from lakehouse.sources.resuming import RESUME_WITHIN, Resuming
from lakehouse.sources.retrying import retried, seconds_to_wait
from lakehouse.sources.yahoo_chart import parse_chart
from lakehouse.sources.yahoo_client import MAX_BYTES, Heard, plain_yfinance, recording_session
from lakehouse.sources.yahoo_minutes import minute_requests, parse_minutes, splits_told

DAYS, MINUTES = "chart_1d", "minute"
INTERVALS: Mapping[str, str] = {DAYS: "1d", MINUTES: "1m"}
T = TypeVar("T")
LEAD = dt.timedelta(days=10)
"""Requests begin this much before the start, so that an answer without any bar is suspect and never merely
early."""


class YahooSource(Resuming):
    """Daily bars, splits and dividends ("chart_1d"), or the last 30 days' minutes ("minute"), from Yahoo.

    Parameters
    ----------
    dataset : "chart_1d" or "minute"
    base_url : send every request to this server instead, such as a recording; scheme and host of each are
        replaced
    cache_folder : where yfinance keeps time zones and cookies; by default a temporary folder of the process.
        The first source of a process that fetches decides for all of them
    requests_per_minute : of all processes together; Yahoo publishes no limit, and blocks who asks a lot faster
    rate_folder : where the processes keep count; by default a temporary folder of the user's own
    exchange : whose sessions have minutes, and tell whether a stored answer is still the newest
        (`lakehouse.sources.resuming`)
    resume_within : seconds for which an answer of a fetch that broke off is not asked for again; 0: always asked
    timeout : seconds one HTTP request may take
    deadline : seconds all requests of one `fetch` may take together, retries included
    wait_initial, wait_max : seconds between retries: doubling from the first to the second, with jitter
    max_bytes, max_rows : of one answer
    max_bad_share : fraction of an answer's rows that may be unusable (`lakehouse.sources.quarantine`)
    """

    name = "yahoo"

    def __init__(
        self,
        *,
        dataset: str = DAYS,
        base_url: str | None = None,
        cache_folder: str | None = None,
        requests_per_minute: int = 120,
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
        if dataset not in INTERVALS:
            raise SourceError(f"source 'yahoo' has no dataset {dataset!r}{nearest(str(dataset), INTERVALS)}")
        self.dataset = dataset
        folder = None if rate_folder is None else Path(rate_folder)
        self._rate = Rate("yahoo", requests_per_minute, seconds=60.0, folder=folder)
        self._exchange = exchange
        self._resume_within = resume_within
        self._max_bytes = max_bytes
        self._max_rows = max_rows
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
        """Yield the answers for each symbol: one of days, some of minutes.

        Days are asked for from shortly before `start` up to `as_of`: `end` does not shorten the request, since only
        an answer that reaches to `as_of` holds every split by which its prices are adjusted. Minutes are asked for a
        week a request, as far back as Yahoo has them; a symbol's come together, and a week without any is told.

        A symbol that fails does not keep the others from being fetched: its error is raised after the last answer.
        Throttling and outages end the fetch at once, they would meet every symbol. What a fetch that broke off has
        stored is left out (`lakehouse.sources.resuming`).

        Raises
        ------
        UnknownSymbol, Delisted, EmptyAnswer, BadPayload, BadRows : of one symbol; several are one
            SourceError.
        SourceError : all days asked for are too long ago for minutes.
        RateLimited, SourceUnavailable : after the retries.
        """
        check_asked(start, end, as_of)
        wanted = self.symbols(symbols)
        ranges = self._ranges(start, end, as_of)
        if not ranges:
            return
        asked = f"{ranges[-1][0]}/{ranges[0][1] if self.dataset == MINUTES else ''}"
        questions = {symbol: {"symbol": symbol, "range": asked, "is_last": True} for symbol in wanted}
        wanted = self._left_over(questions, as_of, progress)
        session = recording_session(self._base_url, timeout=self._timeout, max_bytes=self._max_bytes, rate=self._rate)
        session.give_up_at = time.monotonic() + self._deadline
        yield from each_symbol(
            self.name,
            wanted,
            lambda symbol: iter(self._fetch_one(session, questions[symbol], ranges, as_of, progress)),
            progress,
        )

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return an answer's as-traded bars and actions, or rows of core/minute_bars; the request says which."""
        symbol, as_of = str(request["symbol"]), check_as_of(dt.datetime.fromisoformat(str(request["as_of"])))
        limits: dict[str, Any] = {"max_bad_share": self._max_bad_share, "max_rows": self._max_rows}
        # Answers of days were stored without the name of their dataset at first.
        if request.get("dataset", DAYS) == DAYS:
            return parse_chart(content, symbol=symbol, as_of=as_of, **limits)
        return parse_minutes(content, symbol=symbol, as_of=as_of, splits=request["splits"], **limits)

    def _ranges(self, start: dt.date, end: dt.date, as_of: dt.datetime) -> list[tuple[dt.date, dt.date]]:
        """Return the days [first, end) of each request for a symbol, the newest first."""
        if self.dataset == MINUTES:
            return minute_requests(start, end, as_of, exchange=self._exchange)
        return [(start - LEAD, _end(as_of))]

    def _fetch_one(
        self,
        session: Any,
        question: Mapping[str, Any],
        ranges: Sequence[tuple[dt.date, dt.date]],
        as_of: dt.datetime,
        progress: Callable[[str], None] | None,
    ) -> list[Answer]:
        """Return the answers for a symbol, the newest first; the last one is marked as that."""
        symbol = str(question["symbol"])
        request = {**question, "dataset": self.dataset, "as_of": as_of.isoformat(), "is_last": False}
        if self.dataset == MINUTES:
            request["splits"] = self._splits(session, symbol, ranges[-1][0], as_of)
        answers: list[Answer] = []
        empty: EmptyAnswer | None = None
        for first, end in ranges:
            part = {**request, "start": first.isoformat(), "end": end.isoformat()}
            try:
                answers.append(self._tried(session, symbol, partial(self._ask, session, part, as_of)))
            except EmptyAnswer as error:
                empty = error
                if progress is not None and self.dataset == MINUTES:
                    progress(f"{self.name}: {symbol} has no minutes in [{first}, {end})")
        if empty is not None and not answers:
            raise empty
        return [*answers[:-1], replace(answers[-1], request={**answers[-1].request, "is_last": True})]

    def _splits(self, session: Any, symbol: str, first: dt.date, as_of: dt.datetime) -> dict[str, float]:
        """Return the splits from a day up to `as_of`, from the chart of days; of that the request keeps them alone."""
        request = {"dataset": DAYS, "symbol": symbol, "start": first.isoformat(), "end": _end(as_of).isoformat()}

        def ask() -> dict[str, float]:
            heard = self._hear(session, request)
            _check_status(heard, symbol)
            return splits_told(heard.content, symbol)

        return self._tried(session, symbol, ask)

    def _tried(self, session: Any, symbol: str, ask: Callable[[], T]) -> T:
        """Return what is asked for, asked again where that may help."""
        if time.monotonic() >= session.give_up_at:
            raise SourceUnavailable(
                f"the deadline of {self._deadline:.0f} s passed before {symbol}: run it again, what was fetched stays"
            )
        return retried(
            ask,
            give_up_at=session.give_up_at,
            wait_initial=self._wait_initial,
            wait_max=self._wait_max,
        )

    def _ask(self, session: Any, request: Mapping[str, Any], as_of: dt.datetime) -> Answer:
        symbol = str(request["symbol"])
        heard = self._hear(session, request)
        _check_status(heard, symbol)
        # The first request, for the time zone, is one of days; its error, where it is one, says what is wrong.
        read_as = request if heard.is_history else {**request, "dataset": DAYS}
        parsed = self.parse(heard.content, read_as)
        if not heard.is_history:
            raise BadPayload(f"Yahoo's answer for {symbol} names no time zone, its history was not asked for")
        minutes = parsed.tables.get("core/minute_bars")
        days = parsed.bars["session"] if minutes is None else minutes["bar_end"]
        if not len(days):
            raise EmptyAnswer(f"Yahoo's answer for {symbol} has no usable bar ({dict(parsed.counts)}); try again later")
        return Answer(
            content=heard.content,
            source=self.name,
            dataset=self.dataset,
            request=dict(request),
            known_at=as_of,
            media_type=heard.headers.get("content-type", "application/json").partition(";")[0].strip(),
            etag=heard.headers.get("etag"),
            symbol=symbol,
            first_session=days.iloc[0].date(),
            last_session=days.iloc[-1].date(),
        )

    def _hear(self, session: Any, request: Mapping[str, Any]) -> Heard:
        """Let yfinance ask for the history, and return the chart answer that decides."""
        import yfinance as yf

        symbol = str(request["symbol"])
        session.heard.clear()
        session.refusal = None
        problem: Exception | None = None
        with plain_yfinance(self._cache_folder):
            try:
                yf.Ticker(symbol, session=session).history(
                    start=request["start"],
                    end=request["end"],
                    interval=INTERVALS[request["dataset"]],
                    prepost=False,
                    auto_adjust=False,
                    actions=True,
                    timeout=self._timeout,
                )
            except Exception as error:  # judged by what Yahoo answered, below
                problem = error
        if session.refusal is not None:
            raise session.refusal
        answers = [heard for heard in session.heard if heard.is_history] or session.heard
        if answers:
            answer: Heard = answers[-1]
            return answer
        raise SourceUnavailable(
            f"Yahoo gave no answer for {symbol} ({type(problem).__name__}: {str(problem)[:200]}); check "
            "the network and run it again"
        ) from problem


def _end(as_of: dt.datetime) -> dt.date:
    """Return the end of a request that reaches to `as_of`.

    The day after is asked for, too: a split of the day itself is stamped at the session's open.
    """
    return as_of.astimezone(dt.UTC).date() + dt.timedelta(days=2)


def _check_status(heard: Heard, symbol: str) -> None:
    """Raise what the HTTP status means; statuses with an error block of Yahoo's own pass, the block says
    more."""
    status, said = heard.status, heard.content[:200].decode("utf-8", "replace").strip()
    if status == 429 or said.startswith(("Too Many Requests", "Edge: Too Many Requests")):
        after = seconds_to_wait(heard.headers)
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
