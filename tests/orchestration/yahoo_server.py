"""A loopback Yahoo: two made-up companies with a split and a dividend, told as Yahoo tells them at any moment.

What was traded is written down here; the server adjusts it for the splits known at its `now`, as Yahoo does, so that
a test compares what the lake holds with what was traded.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from assets.resources import VendorsResource
from assets.settings import Settings
from orchestration.definitions import definitions_for
from tests.homes import Home, open_home

NEW_YORK = ZoneInfo("America/New_York")
HOLIDAYS = {date(2024, 5, 27), date(2024, 6, 19), date(2024, 7, 4)}
SESSIONS = [
    day
    for day in (date(2024, 4, 1) + timedelta(days=n) for n in range(120))
    if day.weekday() < 5 and day not in HOLIDAYS
]
SYMBOLS = ("ACME", "BOLT")
# New shares for one old one, and dollars for a share as traded that day.
SPLITS = {"ACME": {date(2024, 6, 10): 4}, "BOLT": {}}
DIVIDENDS = {"ACME": {date(2024, 5, 8): 0.5}, "BOLT": {date(2024, 6, 3): 0.25}}
TABLES = ("core/daily_bars", "core/corporate_actions", "core/universe", "features/daily")
DATA = ("raw/yahoo", *TABLES)


@dataclass(frozen=True)
class Bar:
    """A session as it was printed on the tape."""

    open: float
    high: float
    low: float
    close: float
    volume: float


def traded(symbol: str, day: date) -> Bar:
    """Return the bar of a session: prices in eighths, which a split by four keeps exact."""
    n = SESSIONS.index(day)
    shares = 1
    for ex_date, ratio in SPLITS[symbol].items():
        shares *= ratio if day >= ex_date else 1
    base = (400.0 if symbol == "ACME" else 80.0) / shares
    close = base + (n % 7) / 8.0
    return Bar(base + 0.25, max(close, base + 0.25) + 0.5, base - 0.125, close, 4_000.0 * shares + 400 * n)


@dataclass
class YahooServer:
    """Answers chart requests as of `now`.

    A symbol in `broken` gets that status and body instead; one in `late` lacks those sessions, as if not published yet.
    """

    server: HTTPServer
    now: datetime = datetime(2024, 5, 31, 22, 30, tzinfo=UTC)
    broken: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    late: dict[str, set[date]] = field(default_factory=dict)
    sent: dict[str, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        if "/v8/finance/chart/" not in request.path:
            return Response("crumb", content_type="text/plain")
        symbol = request.path.rsplit("/", 1)[1]
        if symbol in self.broken:
            status, body = self.broken[symbol]
            return Response(body, status=status, content_type="application/json")
        body = json.dumps(chart(symbol, self.now, request.args, self.late.get(symbol, set()))).encode()
        if "period1" in request.args:
            self.sent.setdefault(symbol, []).append(body)
        return Response(body, content_type="application/json")


def stamp(day: date, hour: int, minute: int = 0) -> int:
    """Return a New York wall time in Unix seconds."""
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).timestamp())


def chart(symbol: str, now: datetime, asked: Mapping[str, str], late: set[date]) -> dict[str, Any]:
    """Return the chart answer of a moment; without a period, the short one yfinance takes the time zone from."""
    begun = [day for day in SESSIONS if stamp(day, 9, 30) <= now.timestamp()]
    start, end = int(asked.get("period1", stamp(begun[-1], 0))), int(asked.get("period2", now.timestamp()))
    days = [day for day in begun if start <= stamp(day, 9, 30) < end and day not in late]
    if not days:
        said = f"Data doesn't exist for startDate = {start}, endDate = {end}"
        return {"chart": {"result": None, "error": {"code": "Bad Request", "description": said}}}
    splits = {day: ratio for day, ratio in SPLITS[symbol].items() if day in begun}

    def later(day: date) -> float:
        factor = 1.0
        for ex_date, ratio in splits.items():
            factor *= ratio if ex_date > day else 1.0
        return factor

    def events(known: Mapping[date, Any]) -> Iterator[date]:
        return (day for day in known if day in days)

    bars = [(traded(symbol, day), later(day)) for day in days]
    quote = {name: [getattr(bar, name) / factor for bar, factor in bars] for name in ("open", "high", "low", "close")}
    quote["volume"] = [int(bar.volume * factor) for bar, factor in bars]
    last = begun[-1]
    result = {
        "meta": {
            "currency": "USD",
            "symbol": symbol,
            "exchangeName": "NMS",
            "instrumentType": "EQUITY",
            "regularMarketTime": int(min(now.timestamp(), stamp(last, 16, 0) + 1)),
            "gmtoffset": -14400,
            "timezone": "EDT",
            "exchangeTimezoneName": "America/New_York",
            "priceHint": 2,
            "currentTradingPeriod": {"regular": {"start": stamp(last, 9, 30), "end": stamp(last, 16, 0)}},
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1y", "max"],
        },
        "timestamp": [stamp(day, 9, 30) for day in days],
        "events": {
            "splits": {
                str(stamp(day, 9, 30)): {
                    "date": stamp(day, 9, 30),
                    "numerator": splits[day],
                    "denominator": 1,
                    "splitRatio": f"{splits[day]}:1",
                }
                for day in events(splits)
            },
            "dividends": {
                str(stamp(day, 9, 30)): {
                    "date": stamp(day, 9, 30),
                    "amount": DIVIDENDS[symbol][day] / later(day),
                }
                for day in events(DIVIDENDS[symbol])
            },
        },
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }
    return {"chart": {"result": [result], "error": None}}


class VendorsAt(VendorsResource):
    """Vendors asked at a given moment."""

    at: str

    def now(self) -> datetime:
        return datetime.fromisoformat(self.at)


def yahoo_definitions(home: Home, yahoo: YahooServer, symbols: tuple[str, ...] = SYMBOLS) -> dg.Definitions:
    """Return the graph of a home whose settings say `sources: [yahoo]`, asking the loopback server at its `now`."""
    options = {"base_url": yahoo.server.url_for(""), "wait_initial": 0.01, "wait_max": 0.02}
    # A count of its own, and room for the requests of many nights in a minute.
    options |= {"rate_folder": str(home.path.parent / "rate"), "requests_per_minute": 10_000}
    vendors = VendorsAt(
        sources=["yahoo"],
        symbols=list(symbols),
        exchange="XNYS",
        options={"yahoo": options},
        at=yahoo.now.isoformat(),
    )
    config = Settings(home=home.path, sources=("yahoo",), symbols=symbols)
    return definitions_for(config, {"vendors": vendors})


def copy_of(home: Home, folder: Path) -> Iterator[Home]:
    """Return a home with the same tables and an instance of its own."""
    shutil.copytree(home.path, folder / "home", ignore=shutil.ignore_patterns("dagster"))
    yield from open_home(folder / "home")


def stored(home: Home, symbol: str) -> list[date]:
    """Return the sessions of a symbol in core/daily_bars."""
    rows = home.lake.scan("core/daily_bars", columns=["symbol", "session"]).to_pylist()
    return [row["session"] for row in rows if row["symbol"] == symbol]


def between(first: str, last: str) -> list[date]:
    """Return the exchange's sessions of a range, both ends included."""
    return [day for day in SESSIONS if date.fromisoformat(first) <= day <= date.fromisoformat(last)]
