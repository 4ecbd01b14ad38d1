"""What a vendor may do wrong, over real sockets: its class, its number of requests, and what is kept of the others.

Alpaca stands for every source that asks through `lakehouse.sources.web`; Yahoo's client and Polygon's S3 are tested
with their sources.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from assets.settings import Settings
from lakehouse import Lake
from lakehouse.errors import (
    BadPayload,
    BadRows,
    DeniedAccess,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.sources import get_source
from lakehouse.sources.retrying import TRIES
from orchestration.definitions import definitions_for
from orchestration.materialize import MaterializeError, materialize
from tests.homes import Home
from tests.lakehouse.contract import AS_OF, CANARIES, END, START

BAR = {"t": "2024-01-02T05:00:00Z", "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.5, "v": 1000, "n": 5, "vw": 10.1}


def page(bars: list[dict[str, object]], symbol: str = "BAD") -> bytes:
    return json.dumps({"bars": {symbol: bars}, "next_page_token": None}).encode()


def said(content: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(content, status=status, headers=fields, content_type=kind)


GOOD = page([BAR], "GOOD")
FAULTS: dict[str, tuple[Response, type[Exception], str]] = {
    "cut JSON": (said(page([BAR])[:40]), BadPayload, "is not JSON"),
    "a page": (said(b"<html>consent</html>", kind="text/html"), BadPayload, "web page"),
    "a page said to be JSON": (said(b"<!DOCTYPE html><html>"), BadPayload, "web page"),
    "empty body": (said(b""), BadPayload, "is empty"),
    "damaged gzip": (said(gzip.compress(page([BAR]), mtime=0)[:-9], Content_Encoding="gzip"), BadPayload, "gzip"),
    "no gzip": (said(page([BAR]), Content_Encoding="gzip"), BadPayload, "no gzip"),
    "another charset": (said(page([BAR]).decode().encode("utf-16")), BadPayload, "is not JSON"),
    "NaN": (said(page([BAR]).replace(b"11.5", b"NaN")), BadPayload, "NaN is no JSON number"),
    "a key twice": (said(b'{"bars": {}, "bars": {}}'), BadPayload, "twice"),
    "nested without end": (said(b"[" * 200_000), BadPayload, "is not JSON"),
    "a bomb": (said(gzip.compress(b" " * 30_000_000, mtime=0), Content_Encoding="gzip"), BadPayload, "unpacks to more"),
    "no bars": (said(page([])), EmptyAnswer, "BAD"),
    "null for bars": (said(b'{"bars": null, "next_page_token": null}'), EmptyAnswer, "BAD"),
    "a price as text": (said(page([{**BAR, "c": "11,5"}])), BadPayload, "BAD"),
    "prices of nothing": (said(page([{**BAR, "l": 0.0, "c": -1.0}])), BadRows, "unusable"),
    "a field renamed": (
        said(page([BAR]).replace(b'"c":', b'"cl":')),
        BadPayload,
        "no c (close) in any row; did you mean",
    ),
    "a field removed": (said(page([{k: v for k, v in BAR.items() if k != "v"}])), BadPayload, "no v (volume) in any"),
    "time in seconds": (said(page([{**BAR, "t": 1704171600}])), BadPayload, "BAD"),
    "a time to come": (said(page([{**BAR, "t": "2031-01-02T05:00:00Z"}])), BadPayload, "BAD"),
    "denied": (said(b"no", 401), DeniedAccess, "APCA_API_KEY_ID and APCA_API_SECRET_KEY"),
    "forbidden": (said(b"plan", 403), DeniedAccess, "APCA_API_KEY_ID and APCA_API_SECRET_KEY"),
    "not there": (said(b"no", 404), UnknownSymbol, "knows no BAD"),
    "too many": (said(b"slow", 429), RateLimited, "run it again later"),
    "too many, wait": (said(b"slow", 429, Retry_After="0"), RateLimited, "wants a pause of 0 s"),
    "too many, for hours": (said(b"slow", 429, Retry_After="7200"), RateLimited, "wants a pause of 7200 s"),
    "failing": (said(b"oops", 500), SourceUnavailable, "HTTP 500"),
    "a bad gateway": (said(b"oops", 502), SourceUnavailable, "HTTP 502"),
    "down": (said(b"oops", 503), SourceUnavailable, "HTTP 503"),
    "redirected without end": (said(b"", 302, Location="/v2/stocks/bars?symbols=BAD"), SourceError, "without end"),
}
ENDS_THE_FETCH = (DeniedAccess, RateLimited, SourceUnavailable)


class Alpaca:
    """Answers for GOOD as it should, and for BAD as told; counts requests."""

    def __init__(self, server: HTTPServer) -> None:
        self.bad: Response = said(GOOD)
        self.asked: dict[str, int] = {}
        self.url = server.url_for("").rstrip("/")
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        symbol = request.args["symbols"]
        self.asked[symbol] = self.asked.get(symbol, 0) + 1
        return self.bad if symbol == "BAD" else said(GOOD.replace(b"GOOD", symbol.encode()))

    def options(self, folder: Path) -> dict[str, object]:
        quick = {"timeout": 5, "deadline": 20, "wait_initial": 0.01, "wait_max": 0.02}
        return {"base_url": self.url, "rate_folder": str(folder / "rate"), **quick}


@pytest.fixture
def alpaca(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Alpaca:
    for variable, value in CANARIES.items():
        monkeypatch.setenv(variable, value)
    return Alpaca(httpserver)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_its_class_its_tries_and_takes_no_other_symbol_along(
    alpaca: Alpaca, tmp_path: Path, fault: str
) -> None:
    alpaca.bad, kind, text = FAULTS[fault]
    lake = Lake(tmp_path / "lake")
    source = get_source("alpaca", {"dataset": "stock_day", **alpaca.options(tmp_path)})
    with pytest.raises(kind, match=re.escape(text)) as caught:
        for answer in source.fetch(("GOOD", "BAD", "LATER"), START, END, as_of=AS_OF):
            lake.snapshots.put([answer])
    kept = [row["symbol"] for row in lake.scan("raw/snapshots").to_pylist()]
    is_outage = isinstance(caught.value, ENDS_THE_FETCH)
    assert sorted(kept) == (["GOOD"] if is_outage else ["GOOD", "LATER"])
    tries = next((TRIES[each] for each in TRIES if isinstance(caught.value, each)), 1)
    tries = {"too many, for hours": 1, "redirected without end": 6}.get(fault, tries)
    assert alpaca.asked == {"GOOD": 1, "BAD": tries, **({} if is_outage else {"LATER": 1})}
    assert lake.verify() == []


def test_a_symbol_without_bars_is_suspect_and_never_delisted(alpaca: Alpaca, tmp_path: Path) -> None:
    """Vendors that throttle may answer "no data": what was stored stays, no action says that the symbol ended."""
    lake = Lake(tmp_path / "lake")
    source = get_source("alpaca", {"dataset": "stock_day", **alpaca.options(tmp_path)})
    alpaca.bad = said(GOOD.replace(b"GOOD", b"BAD"))
    lake.snapshots.put(source.fetch(("BAD",), START, END, as_of=AS_OF))
    stored = lake.scan("raw/snapshots")
    alpaca.bad = said(page([]))
    with pytest.raises(EmptyAnswer, match="Stored bars stay as they are"):
        lake.snapshots.put(source.fetch(("BAD",), START, END, as_of=AS_OF + dt.timedelta(days=1)))
    assert lake.scan("raw/snapshots").equals(stored)
    (row,) = lake.snapshots.find("alpaca", "stock_day")
    parsed = source.parse(lake.snapshots.read(row["snapshot_id"]), json.loads(row["request"]))
    assert len(parsed.bars) == 1 and len(parsed.actions) == 0


def test_a_vendor_that_recovers_is_asked_again_within_the_pause_it_wants(alpaca: Alpaca, tmp_path: Path) -> None:
    answers = iter([said(b"slow", 429, Retry_After="1"), said(b"oops", 503), said(GOOD.replace(b"GOOD", b"BAD"))])
    began = time.monotonic()
    with HTTPServer() as server:
        server.expect_request(re.compile(".*")).respond_with_handler(lambda request: next(answers))
        options = {**alpaca.options(tmp_path), "base_url": server.url_for("").rstrip("/")}
        source = get_source("alpaca", {"dataset": "stock_day", **options})
        (answer,) = source.fetch(("BAD",), START, END, as_of=AS_OF)
    assert json.loads(answer.content)["bars"]["BAD"] == [BAR]
    assert 1.0 <= time.monotonic() - began < 5.0


@pytest.fixture
def graph(alpaca: Alpaca, home: Home) -> Iterator[Callable[[], dg.ExecuteInProcessResult]]:
    settings = Settings(
        home=home.path,
        sources=("alpaca",),
        symbols=("GOOD", "BAD"),
        options={"alpaca": alpaca.options(home.path)},
    )
    definitions = definitions_for(settings)
    tables = ("raw/alpaca", "core/daily_bars")
    yield lambda: materialize(home.instance, tables, partition="2024-01", definitions=definitions)


@pytest.mark.parametrize("fault", ["cut JSON", pytest.param("failing", marks=pytest.mark.slow)])
def test_a_run_that_fails_on_a_vendor_keeps_what_came_ends_as_failed_and_the_next_one_finishes(
    alpaca: Alpaca, home: Home, graph: Callable[[], dg.ExecuteInProcessResult], fault: str
) -> None:
    alpaca.bad, _, text = FAULTS[fault]
    with pytest.raises(MaterializeError, match=text):
        graph()
    (run,) = home.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert [row["symbol"] for row in home.lake.scan("raw/snapshots").to_pylist()] == ["GOOD"]
    assert not home.lake.exists("core/daily_bars")
    alpaca.bad = said(GOOD.replace(b"GOOD", b"BAD"))
    graph()
    bars = home.lake.scan("core/daily_bars", columns=["symbol", "close"]).to_pylist()
    assert bars == [{"symbol": "BAD", "close": 11.5}, {"symbol": "GOOD", "close": 11.5}]
    assert home.lake.verify() == []
