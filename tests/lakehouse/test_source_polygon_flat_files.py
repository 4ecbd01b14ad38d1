"""Polygon's flat files over S3: a moto server on loopback, and a bare one that misbehaves."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
import requests
from moto.server import ThreadedMotoServer
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import (
    BadName,
    BadPayload,
    DeniedAccess,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
)
from lakehouse.lake import Lake
from lakehouse.snapshots import Answer
from lakehouse.sources.polygon import PolygonSource
from lakehouse.sources.polygon_flat_files import etags_of, flat_file_key
from lakehouse.sources.retrying import TRIES

ACCESS, SECRET = "CANARYACCESSKEY", "canary/secret+key"
FRIDAY, MONDAY = dt.date(2024, 1, 5), dt.date(2024, 1, 8)
AS_OF = dt.datetime(2024, 2, 1, 12, tzinfo=dt.UTC)
HEADER = "ticker,volume,open,close,high,low,window_start,transactions\n"


def new_york_midnight(day: dt.date) -> int:
    """In winter five hours after midnight UTC."""
    return int(dt.datetime(day.year, day.month, day.day, 5, tzinfo=dt.UTC).timestamp()) * 10**9


def day_file(day: dt.date, close: float = 10.0) -> bytes:
    row = f"AAPL,1000.5,{close},{close},{close + 1},{close - 1},{new_york_midnight(day)},7\n"
    return gzip.compress((HEADER + row).encode(), mtime=0)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_S3_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("POLYGON_S3_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """The vendor's bucket as moto keeps it."""

    def __init__(self, url: str) -> None:
        requests.post(f"{url}/moto-api/reset", timeout=5)
        self.url = url
        self._client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
        )
        self._client.create_bucket(Bucket="flatfiles")

    def put(self, day: dt.date, content: bytes, dataset: str = "day") -> None:
        self._client.put_object(Bucket="flatfiles", Key=flat_file_key(dataset, day), Body=content)

    def source(self, **options: Any) -> PolygonSource:
        return PolygonSource(endpoint_url=self.url, **{**QUICK, **options})


QUICK: dict[str, Any] = {"timeout": 5, "deadline": 20, "wait_initial": 0.01, "wait_max": 0.02}


@pytest.fixture
def bucket(moto_url: str) -> Bucket:
    return Bucket(moto_url)


class Misbehaving:
    """An S3 that gives one prepared response after the other, the last one for ever."""

    def __init__(self, server: HTTPServer) -> None:
        self.responses: list[Response | Callable[[Request], Response]] = []
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.url = server.url_for("").rstrip("/")

    def source(self, **options: Any) -> PolygonSource:
        return PolygonSource(endpoint_url=self.url, **{**QUICK, **options})

    def _answer(self, request: Request) -> Response:
        self.asked.append((request.method, request.path))
        self.headers.append(dict(request.headers))
        response = self.responses[0]
        if len(self.responses) > 1:
            self.responses.pop(0)
        return response if isinstance(response, Response) else response(request)


@pytest.fixture
def misbehaving(httpserver: HTTPServer) -> Misbehaving:
    return Misbehaving(httpserver)


def refusal(status: int, code: str, **headers: str) -> Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Refused {ACCESS}</Message></Error>"
    return Response(text, status=status, headers=headers, content_type="application/xml")


def fetch(source: PolygonSource, start: dt.date = FRIDAY, end: dt.date = MONDAY, **options: Any) -> list[Answer]:
    return list(source.fetch([], start, end, **{"as_of": AS_OF, **options}))


def test_an_answer_is_the_file_byte_for_byte(bucket: Bucket) -> None:
    content = day_file(FRIDAY)
    bucket.put(FRIDAY, content)
    (answer,) = fetch(bucket.source())
    assert answer.content == content
    assert (answer.source, answer.dataset, answer.symbol) == ("polygon", "day", None)
    assert (answer.first_session, answer.last_session, answer.known_at) == (FRIDAY, FRIDAY, AS_OF)
    assert answer.media_type == "application/gzip"
    assert answer.etag == f'"{hashlib.md5(content).hexdigest()}"'
    assert answer.request["key"] == "us_stocks_sip/day_aggs_v1/2024/01/2024-01-05.csv.gz"
    parsed = bucket.source().parse(answer.content, json.loads(json.dumps(answer.request)))
    assert parsed.bars.to_dict("records") == [
        {
            "symbol": "AAPL",
            "session": pd.Timestamp(FRIDAY),
            "open": 10.0,
            "high": 11.0,
            "low": 9.0,
            "close": 10.0,
            "volume": 1000.5,
        }
    ]


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [
        ("day", "day_aggs_v1"),
        ("minute", "minute_aggs_v1"),
        ("trades", "trades_v1"),
        ("quotes", "quotes_v1"),
    ],
)
def test_each_dataset_has_its_folder(dataset: str, folder: str) -> None:
    assert flat_file_key(dataset, FRIDAY) == f"us_stocks_sip/{folder}/2024/01/2024-01-05.csv.gz"
    assert PolygonSource(dataset=dataset).dataset == dataset


def test_only_sessions_that_have_ended_are_asked_for(misbehaving: Misbehaving) -> None:
    """From Wednesday to Tuesday around Independence Day 2024, known on Monday during the session."""
    misbehaving.responses = [Response(day_file(dt.date(2024, 7, 3)))]
    as_of = dt.datetime(2024, 7, 8, 19, tzinfo=dt.UTC)
    fetch(misbehaving.source(), dt.date(2024, 7, 3), dt.date(2024, 7, 10), as_of=as_of)
    assert [path.rsplit("/", 1)[1] for _, path in misbehaving.asked] == ["2024-07-05.csv.gz", "2024-07-03.csv.gz"]


def test_nothing_is_asked_for_before_the_vendors_first_session(misbehaving: Misbehaving) -> None:
    misbehaving.responses = [Response(day_file(FRIDAY))]
    fetch(misbehaving.source(), dt.date(2003, 9, 1), dt.date(2003, 9, 12))
    assert [path.rsplit("/", 1)[1] for _, path in misbehaving.asked] == ["2003-09-11.csv.gz", "2003-09-10.csv.gz"]
    assert fetch(misbehaving.source(), dt.date(2000, 1, 1), dt.date(2001, 1, 1)) == []
    with pytest.raises(SourceError, match="range to fetch must not be empty"):
        fetch(misbehaving.source(), MONDAY, MONDAY)


def test_a_file_that_is_not_due_yet_is_no_error(bucket: Bucket) -> None:
    bucket.put(FRIDAY, day_file(FRIDAY))
    before = dt.datetime(2024, 1, 9, 15, 59, tzinfo=dt.UTC)  # 10:59 in New York
    (answer,) = fetch(bucket.source(), FRIDAY, dt.date(2024, 1, 9), as_of=before)
    assert answer.first_session == FRIDAY
    due = dt.datetime(2024, 1, 9, 16, tzinfo=dt.UTC)
    with pytest.raises(
        EmptyAnswer, match=r"no us_stocks_sip/day.*2024-01-08\.csv\.gz, which was due on 2024-01-09 16:00"
    ):
        fetch(bucket.source(), FRIDAY, dt.date(2024, 1, 9), as_of=due)
    (answer,) = fetch(bucket.source(missing="skip"), FRIDAY, dt.date(2024, 1, 9), as_of=due)
    assert answer.first_session == FRIDAY


def test_a_missing_or_bad_file_does_not_keep_the_others_from_coming(bucket: Bucket) -> None:
    days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4), FRIDAY]
    bucket.put(days[0], day_file(days[0]))
    bucket.put(days[1], b"<html>maintenance</html>")
    bucket.put(days[3], day_file(days[3]))
    came = []
    with pytest.raises(SourceError, match=r"2 of 4 .* failed: .*2024-01-04.* \| .*2024-01-03\.csv\.gz is a web page"):
        for answer in bucket.source().fetch([], days[0], MONDAY, as_of=AS_OF):
            came.append(answer.first_session)
    assert came == [days[3], days[0]]


def test_the_newest_files_come_before_the_plan_ends(misbehaving: Misbehaving) -> None:
    misbehaving.responses = [Response(day_file(FRIDAY)), refusal(403, "AccessDenied")]
    came = []
    with pytest.raises(DeniedAccess, match=r"denied .*2024-01-04\.csv\.gz \(HTTP 403, AccessDenied\)"):
        for answer in misbehaving.source().fetch([], dt.date(2024, 1, 2), MONDAY, as_of=AS_OF):
            came.append(answer.first_session)
    assert came == [FRIDAY]
    assert len(misbehaving.asked) == 2


def test_unchanged_files_are_not_downloaded_again_and_replaced_ones_are(bucket: Bucket, tmp_path: Path) -> None:
    store = Lake(tmp_path).snapshots
    days = [dt.date(2024, 1, 4), FRIDAY]
    for day in days:
        bucket.put(day, day_file(day))
    assert len(store.put(bucket.source().fetch([], days[0], MONDAY, as_of=AS_OF))) == 2

    def known() -> dict[str, str]:
        rows = store.find("polygon", "day")
        return etags_of({**row, "request": json.loads(row["request"])} for row in rows)

    assert sorted(known()) == [flat_file_key("day", day) for day in days]
    assert fetch(bucket.source(known_etags=known()), days[0]) == []
    bucket.put(FRIDAY, day_file(FRIDAY, close=12.0))
    later = AS_OF + dt.timedelta(days=1)
    (snapshot,) = store.put(bucket.source(known_etags=known()).fetch([], days[0], MONDAY, as_of=later))
    assert snapshot.was_new
    assert fetch(bucket.source(known_etags=known()), days[0]) == []


def test_an_unchanged_file_costs_a_head_request(misbehaving: Misbehaving) -> None:
    misbehaving.responses = [Response(day_file(FRIDAY), headers={"ETag": '"same"'})]
    known = {flat_file_key("day", FRIDAY): '"same"'}
    assert fetch(misbehaving.source(known_etags=known)) == []
    assert [method for method, _ in misbehaving.asked] == ["HEAD"]
    (answer,) = fetch(misbehaving.source(known_etags={flat_file_key("day", FRIDAY): '"other"'}))
    assert answer.etag == '"same"'
    assert [method for method, _ in misbehaving.asked[1:]] == ["HEAD", "GET"]


def test_progress_names_each_file(bucket: Bucket) -> None:
    bucket.put(FRIDAY, day_file(FRIDAY))
    said: list[str] = []
    fetch(bucket.source(), progress=said.append)
    assert said == ["polygon: us_stocks_sip/day_aggs_v1/2024/01/2024-01-05.csv.gz (1 of 1)"]


CUT = day_file(FRIDAY)[:-12]
DAMAGED = day_file(FRIDAY)[:20] + b"\xff" * 8 + day_file(FRIDAY)[28:]
FAULTS: dict[str, tuple[Response, type[SourceError], str]] = {
    "throttled": (refusal(503, "SlowDown"), RateLimited, "too many requests"),
    "throttled with 429": (refusal(429, "TooManyRequests"), RateLimited, "too many requests"),
    "internal error": (refusal(500, "InternalError"), SourceUnavailable, "HTTP 500"),
    "gateway error as page": (
        Response("<html>bad gateway</html>", status=502, content_type="text/html"),
        SourceUnavailable,
        "HTTP 502",
    ),
    "page with 200": (Response("<html>maintenance</html>"), BadPayload, "web page"),
    "empty with 200": (Response(b""), EmptyAnswer, "is empty"),
    "header alone": (Response(gzip.compress(HEADER.encode())), EmptyAnswer, "no rows below its header"),
    "cut gzip": (Response(CUT), BadPayload, "cut short"),
    "damaged gzip": (Response(DAMAGED), BadPayload, "gzip"),
    "another header": (Response(gzip.compress(b"ticker,o,h,l,c\n")), BadPayload, "not the documented one"),
    "denied": (refusal(403, "AccessDenied"), DeniedAccess, "POLYGON_S3_ACCESS_KEY_ID"),
    "wrong key": (refusal(401, "InvalidAccessKeyId"), DeniedAccess, "POLYGON_S3_SECRET_ACCESS_KEY"),
    "no bucket": (refusal(404, "NoSuchBucket"), SourceError, "no bucket flatfiles at http"),
    "not there": (refusal(404, "NoSuchKey"), EmptyAnswer, "which was due"),
    "something else": (refusal(400, "Odd"), SourceError, "HTTP 400, Odd"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_way_to_fail_has_its_own_error_and_tries_and_shows_no_key(misbehaving: Misbehaving, fault: str) -> None:
    response, kind, text = FAULTS[fault]
    misbehaving.responses = [response]
    source = misbehaving.source()
    with pytest.raises(kind, match=text) as caught:
        fetch(source)
    assert type(caught.value) is kind
    n_tries = 1 if fault in ("not there", "denied") else TRIES.get(kind, 1)
    assert len(misbehaving.asked) == n_tries
    shown = "".join(traceback.format_exception(caught.value)) + repr(source) + repr(vars(source))
    assert ACCESS not in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    "fault",
    [
        "throttled",
        "internal error",
        "gateway error as page",
        "page with 200",
        "empty with 200",
        "cut gzip",
        "damaged gzip",
    ],
)
def test_a_hiccup_is_asked_again(misbehaving: Misbehaving, fault: str) -> None:
    misbehaving.responses = [FAULTS[fault][0], Response(day_file(FRIDAY))]
    (answer,) = fetch(misbehaving.source())
    assert answer.content == day_file(FRIDAY)
    assert len(misbehaving.asked) == 2


def test_a_pause_asked_for_is_kept_and_one_too_long_ends_the_fetch(misbehaving: Misbehaving) -> None:
    pause = {"Retry-After": "0.4"}
    misbehaving.responses = [refusal(429, "TooManyRequests", **pause), Response(day_file(FRIDAY))]
    began = time.monotonic()
    assert len(fetch(misbehaving.source())) == 1
    assert time.monotonic() - began >= 0.4
    misbehaving.responses = [refusal(429, "TooManyRequests", **{"Retry-After": "400"})]
    misbehaving.asked.clear()
    with pytest.raises(RateLimited, match="asks to wait 400 s") as caught:
        fetch(misbehaving.source())
    assert caught.value.retry_after == 400
    assert len(misbehaving.asked) == 1


def test_a_throttled_head_request_is_asked_again(misbehaving: Misbehaving) -> None:
    misbehaving.responses = [Response(status=503), Response(headers={"ETag": '"same"'})]
    assert fetch(misbehaving.source(known_etags={flat_file_key("day", FRIDAY): '"same"'})) == []
    assert len(misbehaving.asked) == 2


class BareServer:
    """A server of raw bytes: what `serve` does with each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.n_connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> BareServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.n_connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            try:
                self._serve(connection)
            except OSError:
                return


def head(size: int) -> bytes:
    return f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "x"\r\nConnection: close\r\n\r\n'.encode()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up_in_the_body(connection: socket.socket) -> None:
    content = day_file(FRIDAY)
    connection.sendall(head(len(content)) + content[:-20])


def reset_in_the_body(connection: socket.socket) -> None:
    connection.sendall(head(10_000) + b"\x1f\x8b")
    time.sleep(0.02)
    reset(connection)


@pytest.mark.parametrize("serve", [reset, hang_up_in_the_body, reset_in_the_body])
def test_a_connection_that_breaks_is_an_outage_and_asked_again(serve: Callable[[socket.socket], None]) -> None:
    with BareServer(serve) as server:
        source = PolygonSource(endpoint_url=server.url, **QUICK)
        with pytest.raises(SourceUnavailable, match="2024-01-05"):
            fetch(source)
        assert server.n_connections == TRIES[SourceUnavailable]


def test_a_server_that_hangs_is_given_up() -> None:
    with BareServer(lambda connection: time.sleep(10.0)) as server:
        source = PolygonSource(endpoint_url=server.url, **{**QUICK, "timeout": 0.1, "deadline": 0.5})
        began = time.monotonic()
        with pytest.raises(SourceUnavailable):
            fetch(source)
        assert time.monotonic() - began < 5.0


def test_a_server_that_drips_is_given_up_at_the_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(head(1_000_000))
        for _ in range(1000):
            connection.sendall(b"\x1f")
            time.sleep(0.02)

    with BareServer(drip) as server:
        source = PolygonSource(endpoint_url=server.url, **{**QUICK, "timeout": 1.0, "deadline": 1.5})
        began = time.monotonic()
        with pytest.raises(SourceUnavailable, match="deadline passed while"):
            fetch(source)
        assert time.monotonic() - began < 10.0


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(SourceUnavailable, match=r"no whole answer for us_stocks_sip.*check the network"):
        fetch(PolygonSource(endpoint_url="http://127.0.0.1:9", **QUICK))


def test_a_file_past_the_limit_is_refused_before_it_is_downloaded() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(head(5_000_000_000) + b"\x1f\x8b")
        time.sleep(10.0)

    with BareServer(serve) as server:
        source = PolygonSource(endpoint_url=server.url, **QUICK)
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"has 5,000,000,000 bytes; the limit is 2,147,483,648 \(max_bytes\)"):
            fetch(source)
        assert time.monotonic() - began < 5.0
        assert server.n_connections == 1


def test_a_file_that_hides_its_size_is_refused_at_the_limit() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000)

    with BareServer(serve) as server, pytest.raises(SourceError, match="has more than 1,000 bytes, the limit"):
        fetch(PolygonSource(endpoint_url=server.url, **QUICK, max_bytes=1_000))


@pytest.mark.parametrize("variable", ["POLYGON_S3_ACCESS_KEY_ID", "POLYGON_S3_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_key_that_is_not_set_is_named_before_anything_is_asked(
    misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    with pytest.raises(DeniedAccess, match=variable):
        fetch(misbehaving.source())
    assert misbehaving.asked == []


def test_keys_come_from_the_two_variables_alone(
    misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[other]\naws_access_key_id = FROMFILE\naws_secret_access_key = x\naws_session_token = TOKEN\n")
    for name, value in {
        "AWS_PROFILE": "nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CONFIG_FILE": str(file),
        "AWS_ACCESS_KEY_ID": "FROMENVIRONMENT",
        "AWS_SESSION_TOKEN": "TOKEN",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    misbehaving.responses = [Response(day_file(FRIDAY))]
    (answer,) = fetch(misbehaving.source())
    (sent,) = misbehaving.headers
    assert f"Credential={ACCESS}/" in sent["Authorization"]
    assert "X-Amz-Security-Token" not in sent
    assert SECRET not in repr(sent)
    assert ACCESS not in json.dumps(answer.request) + repr(answer)


def test_without_boto3_the_extra_is_named(misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SourceError, match=r"pip install 'quantlake\[polygon\]'"):
        fetch(misbehaving.source())


@pytest.mark.parametrize("address", ["files.massive.com", "", "ftp:/x", "http://a b"])
def test_an_endpoint_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SourceError, match="endpoint_url must be"):
        fetch(PolygonSource(endpoint_url=address))


def test_options_are_checked_and_the_nearest_named() -> None:
    with pytest.raises(SourceError, match="no dataset 'minutes'; did you mean 'minute'"):
        PolygonSource(dataset="minutes")
    with pytest.raises(SourceError, match="missing must be 'refuse' or 'skip', was 'ignore'"):
        PolygonSource(missing="ignore")
    with pytest.raises(BadName):
        PolygonSource(only=["aapl"])
    assert PolygonSource().symbols(["MSFT", "AAPL", "MSFT"]) == ["MSFT", "AAPL"]
    assert PolygonSource().symbols([]) == []


def test_a_clock_without_a_zone_is_refused() -> None:
    with pytest.raises(SourceError, match="timezone-aware"):
        fetch(PolygonSource(), as_of=dt.datetime(2024, 2, 1))
