"""What the contract suite needs of each source: how it is made, what it is asked for, and what must come of it.

A new source, or a dataset of one, is one entry: a function that fills a `Bench` with what the source reads
(files, a server on loopback) and says what a good fetch gives. Bodies are small and in the documented form.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.sources import Source, get_source

AS_OF = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
START, END = dt.date(2024, 1, 2), dt.date(2024, 1, 6)
TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (dt.date(2024, 1, day) for day in (2, 3, 4, 5))
NEW_YORK = ZoneInfo("America/New_York")

CANARIES = {
    "APCA_API_KEY_ID": "CanaryKeyOfAlpaca17",
    "APCA_API_SECRET_KEY": "CanarySecretOfAlpaca18",
    "POLYGON_API_KEY": "CanaryKeyOfPolygon19",
    "POLYGON_S3_ACCESS_KEY_ID": "CANARYACCESSOFPOLYGON20",
    "POLYGON_S3_SECRET_ACCESS_KEY": "CanarySecretOfPolygon21",
    "QUANTLAKE_EDGAR_CONTACT": "canary.contact22@example.com",
}
"""A value for every variable that a source reads a credential from."""


class Vendor:
    """A server on loopback that answers by path, or, where it is broken, with one response to everything.

    A request whose address holds the text `throttled` is refused for too many requests.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.bodies: dict[str, tuple[Any, str]] = {}
        self.broken: Callable[[Request], Response] | None = None
        self.throttled: str | None = None
        self.n_requests = 0
        self.sent: list[str] = []
        self.url = server.url_for("").rstrip("/")
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def serve(self, path: str, body: Any, content_type: str = "application/json") -> None:
        """Answer requests for the path; a body that is not bytes is sent as JSON, one that is a function is asked."""
        self.bodies[path] = body, content_type

    def _answer(self, request: Request) -> Response:
        self.n_requests += 1
        self.sent.append(f"{request.url} {dict(request.headers)}")
        if self.broken is not None:
            return self.broken(request)
        if self.throttled is not None and self.throttled in unquote(request.url):
            return Response(b"Too Many Requests", status=429, headers={"Retry-After": "400"})
        body, content_type = self.bodies.get(request.path, (b"{}", "application/json"))
        body = body(request) if callable(body) else body
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        status = 200 if request.path in self.bodies else 404
        return Response(body, status=status, content_type=content_type)


@dataclass
class Bench:
    """Where an entry puts what its source reads."""

    folder: Path
    vendor: Vendor

    @property
    def quick(self) -> dict[str, Any]:
        """Options of a source that asks a server: no longer pauses than needed."""
        return {"timeout": 5, "deadline": 20, "wait_initial": 0.01, "wait_max": 0.02}

    @property
    def limited(self) -> dict[str, Any]:
        """Those of a source that limits its requests, with a count of its own."""
        return {**self.quick, "rate_folder": str(self.folder / "rate")}


@dataclass(frozen=True)
class Entry:
    """A source and what it must give.

    options : it is made with
    symbols : asked for
    rows : what the answers hold together, by table ("bars", "actions", "core/..."), as numbers of rows
    first, last : sessions that the answers cover together; None where they state none
    known_from : when the first row of a table with times of knowing could be known
    needs_symbols : without any, `symbols` refuses
    by_lines : content that is cut between two lines is whole
    several : symbols that a fetch of the source asks for one by one, and what is in the address of each request
    """

    name: str
    symbols: tuple[str, ...]
    rows: Mapping[str, int]
    first: dt.date | None
    last: dt.date | None
    options: Mapping[str, Any] = field(default_factory=dict)
    end: dt.date = END
    n_answers: int = 1
    known_from: str = ""
    needs_symbols: bool = False
    by_lines: bool = False
    has_server: bool = False
    start: dt.date = START
    several: Mapping[str, str] = field(default_factory=dict)

    def source(self) -> Source:
        """Return the source, made anew."""
        return get_source(self.name, self.options)

    def reader(self) -> Source:
        """Return the source as who only reads its snapshots makes it: without files, servers and keys."""
        options = {name: value for name, value in self.options.items() if name == "dataset"}
        return get_source(self.name, options)


STOCKS_AT_ALPACA = {symbol: f"symbols={symbol}" for symbol in ("AAPL", "MSFT", "IBM")}


def one_page(bars: list[dict[str, Any]]) -> Callable[[Request], Any]:
    """Give the bars to whatever symbol is asked for."""
    return lambda request: {"bars": {request.args["symbols"]: bars}, "next_page_token": None}


def alpaca_day(bench: Bench) -> Entry:
    days = [
        {"t": f"2024-01-0{n}T05:00:00Z", "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.5, "v": 1000 * n, "n": 5, "vw": 10.1}
        for n in (2, 3, 4)
    ]
    bench.vendor.serve("/v2/stocks/bars", one_page(days))
    options = {"dataset": "stock_day", "base_url": bench.vendor.url, **bench.limited}
    return Entry(
        "alpaca",
        ("AAPL",),
        {"bars": 3},
        TUESDAY,
        THURSDAY,
        options,
        needs_symbols=True,
        has_server=True,
        several=STOCKS_AT_ALPACA,
    )


def alpaca_minute(bench: Bench) -> Entry:
    bars = [
        {"t": f"2024-01-02T14:3{n}:00Z", "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.5, "v": 100, "n": 5, "vw": 10.1}
        for n in range(3)
    ]
    bench.vendor.serve("/v2/stocks/bars", one_page(bars))
    options = {"dataset": "stock_minute", "base_url": bench.vendor.url, **bench.limited}
    rows = {"core/minute_bars": 3}
    return Entry(
        "alpaca",
        ("AAPL",),
        rows,
        TUESDAY,
        TUESDAY,
        options,
        needs_symbols=True,
        has_server=True,
        known_from="2024-01-02T14:31:00Z",
        several=STOCKS_AT_ALPACA,
    )


def alpaca_crypto(bench: Bench) -> Entry:
    bars = [
        {"t": f"2024-01-02T00:0{n}:00Z", "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.5, "v": 0.25, "n": 5, "vw": 10.1}
        for n in range(3)
    ]
    bench.vendor.serve("/v1beta3/crypto/us/bars", one_page(bars))
    options = {"dataset": "crypto_minute", "base_url": bench.vendor.url, **bench.limited}
    rows = {"core/minute_bars": 3}
    return Entry(
        "alpaca",
        ("BTC-USD",),
        rows,
        TUESDAY,
        TUESDAY,
        options,
        needs_symbols=True,
        has_server=True,
        known_from="2024-01-02T00:01:00Z",
        several={f"{coin}-USD": f"symbols={coin}/USD" for coin in ("BTC", "ETH", "SOL")},
    )


def alpaca_actions(bench: Bench) -> Entry:
    def found(request: Request) -> Any:
        symbol = request.args["symbols"]
        split = {"id": "a", "symbol": symbol, "ex_date": "2024-01-03", "new_rate": 4, "old_rate": 1}
        dividend = {"id": "b", "symbol": symbol, "ex_date": "2024-01-04", "rate": 0.24}
        by_kind = {"forward_splits": [split], "cash_dividends": [dividend]}
        return {"corporate_actions": by_kind, "next_page_token": None}

    bench.vendor.serve("/v1/corporate-actions", found)
    options = {"dataset": "corporate_actions", "base_url": bench.vendor.url, **bench.limited}
    return Entry(
        "alpaca",
        ("AAPL",),
        {"actions": 2},
        None,
        None,
        options,
        needs_symbols=True,
        has_server=True,
        several=STOCKS_AT_ALPACA,
    )


def alternative(bench: Bench) -> Entry:
    file = bench.folder / "series.csv"
    file.write_text(
        "name,symbol,about,known_at,value\n"
        "mood,AAPL,2024-01-02,2024-01-02T21:30:00Z,0.25\n"
        "mood,AAPL,2024-01-02,2024-01-05T21:30:00Z,0.5\n"
        "mood,,2024-01-03,2024-01-03T16:30:00-05:00,-1\n"
    )
    columns = {name: name for name in ("name", "symbol", "about", "known_at", "value")}
    options = {"path": str(file), "columns": columns}
    return Entry(
        "alternative",
        (),
        {"core/series": 3},
        TUESDAY,
        WEDNESDAY,
        options,
        by_lines=True,
        known_from="2024-01-02T21:30:00Z",
    )


COMPANIES = {"AAPL": 320193, "MSFT": 789019, "IBM": 51143}


def edgar_facts(bench: Bench) -> Entry:
    rows = [
        {"end": "2022-09-24", "val": 5.5, "accn": "a", "fy": 2022, "fp": "FY", "form": "10-K", "filed": "2022-10-28"},
        {"end": "2022-09-24", "val": 6, "accn": "b", "fy": 2023, "fp": "FY", "form": "10-K", "filed": "2023-11-03"},
    ]
    facts = {"us-gaap": {"Cash": {"units": {"USD": rows}}}}
    for cik in COMPANIES.values():
        body = {"cik": cik, "entityName": "X", "facts": facts}
        bench.vendor.serve(f"/api/xbrl/companyfacts/CIK{cik:010d}.json", body)
    return _edgar(bench, "companyfacts", {"core/fundamentals": 2}, "2022-10-29T04:00:00Z")


def edgar_filings(bench: Bench) -> Entry:
    recent = {
        "accessionNumber": ["0000320193-24-000002", "0000320193-23-000106"],
        "filingDate": ["2024-02-02", "2023-11-03"],
        "acceptanceDateTime": ["2024-02-01T23:04:09.000Z", "2023-11-02T22:08:27.000Z"],
        "form": ["10-Q", "10-K"],
    }
    for cik in COMPANIES.values():
        body = {"cik": f"{cik:010d}", "filings": {"recent": recent, "files": []}}
        bench.vendor.serve(f"/submissions/CIK{cik:010d}.json", body)
    return _edgar(bench, "submissions", {"core/series": 2}, "2023-11-03T10:00:00Z")


def _edgar(bench: Bench, dataset: str, rows: Mapping[str, int], known_from: str) -> Entry:
    tickers = {
        str(n): {"cik_str": cik, "ticker": ticker, "title": "X Inc."}
        for n, (ticker, cik) in enumerate(COMPANIES.items())
    }
    bench.vendor.serve("/files/company_tickers.json", tickers)
    url = bench.vendor.url
    options = {"dataset": dataset, "base_url": url, "tickers_url": url, **bench.limited}
    return Entry(
        "edgar",
        ("AAPL",),
        rows,
        None,
        None,
        options,
        needs_symbols=True,
        has_server=True,
        known_from=known_from,
        several={ticker: f"/CIK{cik:010d}" for ticker, cik in COMPANIES.items()},
    )


def files(bench: Bench) -> Entry:
    file = bench.folder / "prices.csv"
    file.write_text(
        "ticker,date,open,high,low,close,volume,div,ratio\n"
        "AAPL,2024-01-02,10,12,9,11,1000,0,1\n"
        "AAPL,2024-01-03,11,12,9,11,1000,0.25,1\n"
        "BRK.B,2024-01-03,10,12,9,11,1000,0,2\n"
    )
    columns = {"symbol": "ticker", "session": "date", "dividend": "div", "split": "ratio"}
    columns |= {name: name for name in ("open", "high", "low", "close", "volume")}
    options = {"path": str(file), "columns": columns}
    rows = {"bars": 3, "actions": 2}
    return Entry("files", ("BRK.B",), rows, TUESDAY, WEDNESDAY, options, by_lines=True)


def membership(bench: Bench) -> Entry:
    file = bench.folder / "sp500.csv"
    file.write_text("ticker,start_date,end_date\nAAPL,2024-01-02,\nIBM,2023-06-05,2024-01-03\nIBM,2024-01-04,\n")
    return Entry(
        "membership",
        (),
        {"core/universe": 3},
        dt.date(2023, 6, 5),
        None,
        {"path": str(file)},
        by_lines=True,
        known_from="2023-06-05T00:00:00Z",
    )


def polygon_day(bench: Bench) -> Entry:
    return _bars(bench, "day", "bars", [("AAPL", 0), ("BRK.B", 0)])


def polygon_minute(bench: Bench) -> Entry:
    return _bars(bench, "minute", "core/minute_bars", [("AAPL", 570), ("AAPL", 571), ("BRK.B", 570)])


def _bars(bench: Bench, dataset: str, table: str, windows: list[tuple[str, int]]) -> Entry:
    """Serve files of bars; windows are symbols and minutes since midnight in New York."""
    for day in (TUESDAY, WEDNESDAY):
        midnight = int(dt.datetime.combine(day, dt.time(), NEW_YORK).timestamp()) * 10**9
        lines = [f"{symbol},1000.5,10.0,10.5,11.0,9.0,{midnight + minute * 60 * 10**9},7" for symbol, minute in windows]
        header = "ticker,volume,open,close,high,low,window_start,transactions"
        _put(bench, f"{dataset}_aggs_v1", day, [header, *lines])
    options = {"dataset": dataset, "endpoint_url": bench.vendor.url, **bench.quick}
    rows = {table: 2 * len(windows)}
    return Entry(
        "polygon",
        (),
        rows,
        TUESDAY,
        WEDNESDAY,
        options,
        THURSDAY,
        2,
        by_lines=True,
        has_server=True,
        known_from="2024-01-02T14:31:00Z" if dataset == "minute" else "",
    )


def polygon_trades(bench: Bench) -> Entry:
    header = "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size"
    rows = ['AAPL,"12,37",0,11,5298,{0},142.99,{1},{0},5,1,0,0', "AAPL,,0,4,5299,{0},143,{1},{0},0.5,3,202,{0}"]
    return _ticks(bench, "trades", f"{header},tape,trf_id,trf_timestamp", rows)


def polygon_quotes(bench: Bench) -> Entry:
    header = "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,conditions,indicators"
    rows = ['AAPL,8,180.0,100,11,164.28,200,"1,81",,{0},{1},{0},2,0', "AAPL,8,,0,11,164.28,200,1,,{0},{1},{0},2,0"]
    return _ticks(
        bench, "quotes", f"{header},participant_timestamp,sequence_number,sip_timestamp,tape,trf_timestamp", rows
    )


def _ticks(bench: Bench, dataset: str, header: str, rows: list[str]) -> Entry:
    """Serve files of ticks; a row's fields {0} and {1} are its time in nanoseconds and its number."""
    for day in (TUESDAY, WEDNESDAY):
        noon = int(dt.datetime.combine(day, dt.time(12), NEW_YORK).timestamp()) * 10**9
        lines = [row.format(noon + 1_000_123 * n, 10 + n) for n, row in enumerate(rows)]
        _put(bench, f"{dataset}_v1", day, [header, *lines])
    options = {"dataset": dataset, "endpoint_url": bench.vendor.url, **bench.quick}
    n_rows = {f"core/{dataset}": 2 * len(rows)}
    return Entry(
        "polygon",
        (),
        n_rows,
        TUESDAY,
        WEDNESDAY,
        options,
        THURSDAY,
        2,
        by_lines=True,
        has_server=True,
        known_from="2024-01-02T17:00:00Z",
    )


def _put(bench: Bench, folder: str, day: dt.date, lines: list[str]) -> None:
    content = gzip.compress("\n".join([*lines, ""]).encode(), mtime=0)
    key = f"/flatfiles/us_stocks_sip/{folder}/{day:%Y/%m/%Y-%m-%d}.csv.gz"
    bench.vendor.serve(key, content, "application/gzip")


def polygon_aggregates(bench: Bench) -> Entry:
    results = [
        {"t": int(dt.datetime.combine(day, dt.time(), NEW_YORK).timestamp()) * 1000, "o": 10.0, "h": 12.0, "l": 9.0}
        | {"c": 11.0, "v": 100.5, "n": 7}
        for day in (TUESDAY, WEDNESDAY, THURSDAY)
    ]
    several = {symbol: f"/ticker/{symbol}/" for symbol in ("AAPL", "MSFT", "IBM")}
    for symbol in several:
        body = {"ticker": symbol, "adjusted": False, "resultsCount": 3, "results": results, "status": "OK"}
        bench.vendor.serve(f"/v2/aggs/ticker/{symbol}/range/1/day/2023-12-23/2024-01-05", body)
    options = {"dataset": "aggregates", "base_url": bench.vendor.url, **bench.quick}
    return Entry("polygon", ("AAPL",), {"bars": 3}, TUESDAY, THURSDAY, options, has_server=True, several=several)


def polygon_splits(bench: Bench) -> Entry:
    row = {"ticker": "AAPL", "execution_date": "2024-01-03", "split_from": 1, "split_to": 4, "id": "E1"}
    return _polygon_reference(bench, "splits", row, "actions")


def polygon_dividends(bench: Bench) -> Entry:
    row = {"ticker": "AAPL", "ex_dividend_date": "2024-01-03", "cash_amount": 0.24, "currency": "USD", "id": "E1"}
    return _polygon_reference(bench, "dividends", {**row, "pay_date": "2024-01-15"}, "actions")


def _polygon_reference(bench: Bench, dataset: str, row: Mapping[str, Any], table: str) -> Entry:
    bench.vendor.serve(f"/stocks/v1/{dataset}", {"results": [row], "status": "OK", "request_id": "x"})
    options = {"dataset": dataset, "base_url": bench.vendor.url, **bench.quick}
    return Entry("polygon", (), {table: 1}, TUESDAY, FRIDAY, options, has_server=True)


def sample(bench: Bench) -> Entry:
    rows = {"bars": 12_154, "actions": 95}
    return Entry("sample", ("AAPL",), rows, dt.date(2000, 3, 1), dt.date(2013, 3, 1))


def synthetic_day(bench: Bench) -> Entry:
    options = {"dataset": "day", "n_symbols": 4, "begin": "2024-01-01", "delisting_rate": 0.0, "missing_rate": 0.0}
    rows = {"bars": 82, "actions": 1}
    symbols = ("SYN00003", "SYN00000")
    return Entry("synthetic", symbols, rows, TUESDAY, dt.date(2024, 2, 29), options, n_answers=2)


def synthetic_minute(bench: Bench) -> Entry:
    options = {"dataset": "minute", "n_symbols": 4, "begin": "2024-01-01", "delisting_rate": 0.0, "missing_rate": 0.0}
    rows = {"core/minute_bars": 14_340}
    symbols = ("SYN00003", "SYN00000")
    return Entry(
        "synthetic",
        symbols,
        rows,
        TUESDAY,
        dt.date(2024, 1, 31),
        options,
        n_answers=2,
        known_from="2024-01-02T14:31:00Z",
    )


def yahoo(bench: Bench) -> Entry:
    first = int(dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC).timestamp())
    dividend = {"date": first + 86_400, "amount": 0.25}
    stamps = [first + 86_400 * n for n in range(3)]
    options = _yahoo(bench, "1d", stamps, {"dividends": {str(dividend["date"]): dividend}})
    rows = {"bars": 3, "actions": 1}
    return Entry(
        "yahoo",
        ("AAPL",),
        rows,
        TUESDAY,
        THURSDAY,
        options,
        needs_symbols=True,
        has_server=True,
        several=SYMBOLS_AT_YAHOO,
    )


def yahoo_minute(bench: Bench) -> Entry:
    day = dt.date(2024, 2, 28)
    first = int(dt.datetime(2024, 2, 28, 14, 30, tzinfo=dt.UTC).timestamp())
    options = _yahoo(bench, "1m", [first + 60 * n for n in range(3)], {})
    return Entry(
        "yahoo",
        ("AAPL",),
        {"core/minute_bars": 3},
        day,
        day,
        {"dataset": "minute", **options},
        needs_symbols=True,
        has_server=True,
        start=day,
        end=dt.date(2024, 3, 1),
        known_from="2024-02-28T14:31:00Z",
        several=SYMBOLS_AT_YAHOO,
    )


SYMBOLS_AT_YAHOO = {symbol: f"/chart/{symbol}?" for symbol in ("AAPL", "MSFT", "IBM")}


def _yahoo(bench: Bench, interval: str, stamps: list[int], events: Mapping[str, Any]) -> dict[str, Any]:
    """Serve the same three bars of each symbol, and return the options of the source."""
    quote: dict[str, Any] = {"open": [10.0, 11.0, 12.0], "high": [12.0, 13.0, 14.0], "low": [9.0, 10.0, 11.0]}
    quote |= {"close": [11.0, 12.0, 13.0], "volume": [1000, 2000, 3000]}

    def chart(symbol: str, asked: Request) -> Any:
        result = {
            "meta": {
                "symbol": symbol,
                "currency": "USD",
                "instrumentType": "EQUITY",
                "exchangeTimezoneName": "America/New_York",
                "gmtoffset": -18000,
                "dataGranularity": interval if asked.args.get("interval") == interval else "1d",
                "validRanges": ["1d", "max"],
            },
            "timestamp": stamps,
            "events": events,
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
        }
        return {"chart": {"result": [result], "error": None}}

    for symbol in SYMBOLS_AT_YAHOO:
        bench.vendor.serve(f"/v8/finance/chart/{symbol}", partial(chart, symbol))
    bench.vendor.serve("/v1/test/getcrumb", b"crumb", "text/plain")
    bench.vendor.serve("/", b"", "text/plain")
    return {"base_url": bench.vendor.url, **bench.limited}


ENTRIES: Mapping[str, Callable[[Bench], Entry]] = {
    make.__name__: make
    for make in (
        alpaca_actions,
        alpaca_crypto,
        alpaca_day,
        alpaca_minute,
        alternative,
        edgar_facts,
        edgar_filings,
        files,
        membership,
        polygon_aggregates,
        polygon_day,
        polygon_dividends,
        polygon_minute,
        polygon_quotes,
        polygon_splits,
        polygon_trades,
        sample,
        synthetic_day,
        synthetic_minute,
        yahoo,
        yahoo_minute,
    )
}
