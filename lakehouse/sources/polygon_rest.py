"""Polygon's REST interface: what is asked for, page by page; each page is an answer of its own.

https://massive.com/docs/rest/stocks: custom bars, splits and dividends (`/stocks/v1`, which took the place of
`/v3/reference`), all tickers, and ticker events. A page names the next one in `next_url`, on the same host. The
key goes in the header Authorization, never in an address.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lakehouse.errors import BadPayload, EmptyAnswer, SourceError, UnknownSymbol
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed
from lakehouse.sources.credentials import credential
from lakehouse.sources.each_symbol import each_symbol
from lakehouse.sources.polygon_aggregates import parse_aggregates
from lakehouse.sources.polygon_csv import NEW_YORK
from lakehouse.sources.polygon_page import read_page
from lakehouse.sources.polygon_reference import parse_dividends, parse_splits, parse_ticker_events, parse_tickers
from lakehouse.sources.reply import Reply
from lakehouse.sources.web import Web

API_KEY = "POLYGON_API_KEY"
MAX_PAGES = 10_000
LEAD = dt.timedelta(days=10)
"""Bars are asked for from this much before the start, so that an answer without any is suspect and never merely
early."""
_N_TICKERS = 100

Parser = Callable[..., Parsed]
PARSERS: Mapping[str, Parser] = {
    "aggregates": parse_aggregates,
    "splits": parse_splits,
    "dividends": parse_dividends,
    "tickers": parse_tickers,
    "ticker_events": parse_ticker_events,
}
BY_SYMBOL = ("aggregates", "ticker_events")
"""Datasets that are asked for symbol by symbol; the others are of the whole market where none is named."""


@dataclass(frozen=True)
class Question:
    """One thing asked for, over one page or several.

    what : named in errors and progress
    symbol : that it is about alone
    first, last : the days it covers, both inclusive; None where the answer itself tells
    """

    what: str
    path: str
    params: Mapping[str, str | int]
    symbol: str | None = None
    first: dt.date | None = None
    last: dt.date | None = None


def api_headers() -> dict[str, str]:
    """Return the header that carries the key.

    Raises
    ------
    DeniedAccess : the environment variable is not set.
    """
    return {"Authorization": f"Bearer {credential(API_KEY, vendor='Polygon')}"}


def questions(dataset: str, symbols: Sequence[str], start: dt.date, end: dt.date, as_of: dt.datetime) -> list[Question]:
    """Return what to ask for a dataset, the sessions in [start, end) and some symbols; none means all.

    Raises
    ------
    SourceError : the dataset needs symbols, and none is named.
    """
    if dataset in BY_SYMBOL and not symbols:
        raise SourceError(
            f"dataset {dataset!r} of source 'polygon' needs symbols: name them in the settings, as [AAPL]"
        )
    params: dict[str, str | int]
    today = as_of.astimezone(NEW_YORK).date()
    last = min(end - dt.timedelta(days=1), today)
    if dataset == "aggregates":
        first = start - LEAD
        if last < first:
            raise SourceError(f"the range to fetch begins {start}, more than {LEAD.days} days after {today}")
        days = f"{first.isoformat()}/{last.isoformat()}"
        params = {"adjusted": "false", "sort": "asc", "limit": 50_000}
        return [
            Question(symbol, f"v2/aggs/ticker/{quote(symbol, safe='')}/range/1/day/{days}", params, symbol)
            for symbol in symbols
        ]
    if dataset == "ticker_events":
        params = {"types": "ticker_change"}
        return [
            Question(symbol, f"vX/reference/tickers/{quote(symbol, safe='')}/events", params, symbol)
            for symbol in symbols
        ]
    if dataset == "tickers":
        return _tickers(symbols)
    return _actions(dataset, symbols, start, last)


def fetch_pages(
    web: Web,
    dataset: str,
    asked: Sequence[Question],
    *,
    source: str,
    as_of: dt.datetime,
    skip_missing: bool,
    max_bad_share: float,
    progress: Callable[[str], None] | None,
) -> Iterator[Answer]:
    """Yield the pages of each answer.

    Raises
    ------
    DeniedAccess, RateLimited, SourceUnavailable : at once.
    UnknownSymbol, EmptyAnswer, BadPayload, BadRows : of one question; several are one SourceError after the last.
    """
    by_name = {question.what: question for question in asked}

    def fetch(what: str) -> Iterator[Answer]:
        try:
            yield from _pages(web, dataset, by_name[what], source, as_of, max_bad_share)
        except (EmptyAnswer, UnknownSymbol):
            if not skip_missing:
                raise

    yield from each_symbol(source, list(by_name), fetch, progress, units="requests")


def parse_page(content: bytes, request: Mapping[str, Any], *, max_bad_share: float) -> Parsed:
    """Return the rows of one page; the request says of what."""
    return PARSERS[str(request["dataset"])](
        content,
        what=f"Polygon's answer for {request['what']}",
        symbol=request.get("symbol"),
        as_of=dt.datetime.fromisoformat(str(request["as_of"])),
        max_bad_share=max_bad_share,
    )


def _pages(
    web: Web, dataset: str, question: Question, source: str, as_of: dt.datetime, max_bad_share: float
) -> Iterator[Answer]:
    request: dict[str, Any] = {
        "dataset": dataset,
        "what": question.what,
        "symbol": question.symbol,
        "path": question.path,
        "params": dict(question.params),
        "as_of": as_of.isoformat(),
    }
    address, params = question.path, question.params
    seen = {address}
    for page in range(1, MAX_PAGES + 1):
        asked = {**request, "page": page}
        found: list[Parsed] = []

        def check(reply: Reply, asked: Mapping[str, Any] = asked, found: list[Parsed] = found) -> None:
            parsed = parse_page(reply.content, asked, max_bad_share=max_bad_share)
            if dataset == "aggregates" and asked["page"] == 1 and not len(parsed.bars):
                raise EmptyAnswer(
                    f"Polygon has no usable bar of {question.what} in {question.path.partition('/day/')[2]} "
                    f"({dict(parsed.counts)}): it is misspelt, did not trade then, or the plan does not reach back "
                    "that far. Stored bars stay as they are"
                )
            found[:] = [parsed]

        reply = web.get(address, params, what=question.what, check=check)
        following = read_page(reply.content, what=f"Polygon's answer for {question.what}").get("next_url")
        yield _answer(reply, source, question, {**asked, "is_last": not following}, found[0], as_of)
        if not following:
            return
        if not isinstance(following, str) or following in seen:
            raise BadPayload(f"Polygon's pages for {question.what} lead nowhere new after page {page}; try again later")
        seen.add(following)
        address, params = following, {}
    raise BadPayload(f"Polygon's answer for {question.what} has more than {MAX_PAGES:,} pages: ask for less")


def _answer(
    reply: Reply, source: str, question: Question, request: Mapping[str, Any], parsed: Parsed, as_of: dt.datetime
) -> Answer:
    days = parsed.bars["session"]
    return Answer(
        content=reply.content,
        source=source,
        dataset=str(request["dataset"]),
        request=dict(request),
        known_at=as_of,
        media_type=reply.media_type or "application/json",
        etag=reply.headers.get("etag"),
        symbol=question.symbol,
        first_session=days.iloc[0].date() if len(days) else question.first,
        last_session=days.iloc[-1].date() if len(days) else question.last,
    )


def _tickers(symbols: Sequence[str]) -> list[Question]:
    """Return the questions for all tickers, or for some: those that trade, and those that no longer do."""
    asked = []
    for active in ("true", "false"):
        params: dict[str, str | int] = {"market": "stocks", "active": active, "sort": "ticker", "limit": 1000}
        state = "active" if active == "true" else "delisted"
        if symbols:
            asked += [
                Question(f"{state} ticker {symbol}", "v3/reference/tickers", {**params, "ticker": symbol}, symbol)
                for symbol in symbols
            ]
        else:
            asked.append(Question(f"{state} tickers", "v3/reference/tickers", params))
    return asked


def _actions(dataset: str, symbols: Sequence[str], start: dt.date, last: dt.date) -> list[Question]:
    """Return the questions for splits or dividends with ex-dates from start to last, both inclusive."""
    if last < start:
        return []
    day = "execution_date" if dataset == "splits" else "ex_dividend_date"
    params: dict[str, str | int] = {
        f"{day}.gte": start.isoformat(),
        f"{day}.lte": last.isoformat(),
        "sort": f"{day}.asc",
        "limit": 5000,
    }
    path = f"stocks/v1/{dataset}"
    if not symbols:
        return [Question(f"{dataset} of all symbols", path, params, first=start, last=last)]
    groups = [list(symbols[at : at + _N_TICKERS]) for at in range(0, len(symbols), _N_TICKERS)]
    return [
        Question(
            f"{dataset} of {group[0]}" + (f" and {len(group) - 1} more" if len(group) > 1 else ""),
            path,
            {**params, "ticker.any_of": ",".join(group)},
            group[0] if len(group) == 1 else None,
            start,
            last,
        )
        for group in groups
    ]
