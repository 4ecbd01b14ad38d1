"""Polygon and EDGAR on loopback: flat files in moto's S3, which counts the requests, and JSON by path."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from lakehouse.sources.polygon_flat_files import flat_file_key
from lakehouse.sources.polygon_ticks import QUOTES, TRADES

NEW_YORK = ZoneInfo("America/New_York")
BAR_HEADER = "ticker,volume,open,close,high,low,window_start,transactions"


class Quiet(WSGIRequestHandler):
    """Writes no line about a request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""


class FlatFiles:
    """The vendor's bucket; `asked` holds the method and key of each request for an object."""

    def __init__(self, url: str, asked: list[tuple[str, str]]) -> None:
        self.url, self.asked = url, asked
        self._client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
        )
        self._client.create_bucket(Bucket="flatfiles")

    def put(self, dataset: str, day: dt.date, header: Iterable[str] | str, rows: Iterable[str]) -> None:
        head = header if isinstance(header, str) else ",".join(header)
        content = gzip.compress("\n".join([head, *rows, ""]).encode(), mtime=0)
        self._client.put_object(Bucket="flatfiles", Key=flat_file_key(dataset, day), Body=content)
        self.asked.clear()


@contextmanager
def flat_files() -> Iterator[FlatFiles]:
    """Run a server for the while."""
    moto = DomainDispatcherApplication(create_backend_app)
    asked: list[tuple[str, str]] = []

    def counting(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        if key:
            asked.append((environ["REQUEST_METHOD"], key))
        return moto(environ, start)

    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield FlatFiles(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()


class Pages:
    """Answers by path and, where a question has one, by the state asked for: "v3/reference/tickers?active=true"."""

    def __init__(self, server: HTTPServer) -> None:
        self.bodies: dict[str, Any] = {}
        self.url = server.url_for("").rstrip("/")
        # The server is one for all modules; the one before may have left its answers.
        server.clear()
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        path = request.path.lstrip("/")
        if "active" in request.args:
            path = f"{path}?active={request.args['active']}&ticker={request.args['ticker']}"
        body = self.bodies.get(path)
        if body is None and "active" in request.args:
            body = {"status": "OK", "results": []}
        if body is None:
            return Response(json.dumps({"status": "NOT_FOUND"}), 404, content_type="application/json")
        content = body if isinstance(body, bytes) else json.dumps(body)
        return Response(content, content_type="application/json")


def nanoseconds(day: dt.date, clock: str) -> int:
    """Return a time in New York as nanoseconds since 1970."""
    return int(dt.datetime.combine(day, dt.time.fromisoformat(clock), NEW_YORK).timestamp()) * 10**9


def bar(symbol: str, day: dt.date, clock: str, close: float, volume: float = 100.0) -> str:
    return f"{symbol},{volume},{close},{close},{close + 1},{close - 1},{nanoseconds(day, clock)},7"


def trade(symbol: str, day: dt.date, clock: str, sequence: int, price: float) -> str:
    at = nanoseconds(day, clock)
    values = {"ticker": symbol, "id": f"T{sequence}", "price": price, "size": 5, "sequence_number": sequence}
    return _row(TRADES.columns, values | {"sip_timestamp": at + 1500, "participant_timestamp": at, "tape": 1})


def quote(symbol: str, day: dt.date, clock: str, sequence: int, bid: float) -> str:
    at = nanoseconds(day, clock)
    values = {"ticker": symbol, "bid_price": bid, "ask_price": bid + 0.5, "sequence_number": sequence, "tape": 1}
    sizes = {"bid_size": 3, "ask_size": 4, "conditions": "1"}
    return _row(QUOTES.columns, values | sizes | {"sip_timestamp": at + 1500, "participant_timestamp": at})


def _row(columns: Iterable[str], values: dict[str, Any]) -> str:
    return ",".join(
        str(values.get(name, 0 if name in ("trf_timestamp", "correction", "exchange") else "")) for name in columns
    )
