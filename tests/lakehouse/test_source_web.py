"""The client of REST vendors, against loopback servers that fail in every way a vendor does."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import (
    BadPayload,
    DeniedAccess,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.sources.credentials import credential
from lakehouse.sources.reply import Reply
from lakehouse.sources.retrying import TRIES, seconds_to_wait
from lakehouse.sources.web import Web

CANARY = "canary-5f2e-secret"
VARIABLE = "TEST_VENDOR_KEY"
GOOD = b'{"ok": true}'


class Vendor:
    """Answers with the queued responses, the last one for ever, and keeps the requests."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[Request] = []
        self.queue: list[Response] = []
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.url = server.url_for("")

    def serve(self, *answers: bytes | Response) -> None:
        self.queue = [answer if isinstance(answer, Response) else said(answer) for answer in answers]

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return self.queue.pop(0) if len(self.queue) > 1 else self.queue[0]


def said(body: bytes = GOOD, status: int = 200, media_type: str = "application/json", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status=status, content_type=media_type, headers=named)


@pytest.fixture
def vendor(httpserver: HTTPServer) -> Vendor:
    return Vendor(httpserver)


def web(url: str, **options: Any) -> Web:
    options = {"wait_initial": 0.01, "wait_max": 0.02, "timeout": 5.0, "variables": [VARIABLE], **options}
    return Web("Vendor", url, headers=lambda: {"Authorization": f"Bearer {CANARY}"}, **options)


def test_the_answer_is_the_bytes_the_vendor_sent(vendor: Vendor) -> None:
    vendor.serve(said(GOOD, ETag='"abc"'))
    with web(vendor.url) as client:
        reply = client.get("v2/bars", {"symbols": "BRK.B,A/B", "limit": 10})
    assert (reply.content, reply.status, reply.media_type) == (GOOD, 200, "application/json")
    assert reply.headers["etag"] == '"abc"'
    (request,) = vendor.requests
    assert request.path == "/v2/bars"
    assert dict(request.args) == {"symbols": "BRK.B,A/B", "limit": "10"}
    assert request.headers["Authorization"] == f"Bearer {CANARY}"
    assert CANARY not in repr(reply) + repr(client) + reply.url_without_secrets


def test_headers_are_asked_for_once_a_fetch(vendor: Vendor) -> None:
    vendor.serve(GOOD)
    calls: list[int] = []

    def headers() -> dict[str, str]:
        calls.append(1)
        return {}

    with Web("Vendor", vendor.url, headers=headers) as client:
        client.get("a")
        client.get("b")
    assert (len(calls), len(vendor.requests)) == (1, 2)


def test_a_password_file_of_the_user_does_not_overwrite_the_key(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password hidden\nmachine 127.0.0.1 login me password hidden\n")
    monkeypatch.setenv("NETRC", str(netrc))
    vendor.serve(GOOD)
    web(vendor.url).get("a")
    assert vendor.requests[0].headers["Authorization"] == f"Bearer {CANARY}"


PAGE = b"<!DOCTYPE html><html><body>maintenance</body></html>"


def failures() -> list[Any]:
    table: list[tuple[str, Response, type[SourceError], str]] = [
        ("401", said(b'{"message": "no such key"}', 401), DeniedAccess, f"HTTP 401 .*no such key.*{VARIABLE}"),
        ("403", said(b"forbidden.", 403), DeniedAccess, f"HTTP 403 .forbidden.*{VARIABLE}"),
        ("404", said(b"{}", 404), UnknownSymbol, "knows no AAPL"),
        ("400", said(b'{"message": "bad start"}', 400), SourceError, "HTTP 400 .*bad start"),
        ("429", said(b"", 429), RateLimited, "too many requests"),
        ("503 page", said(PAGE, 503, "text/html"), SourceUnavailable, "HTTP 503"),
        ("500", said(b"oops", 500), SourceUnavailable, "HTTP 500 .oops"),
        ("page with 200", said(PAGE, 200, "text/html"), BadPayload, "web page"),
        ("page said to be JSON", said(PAGE), BadPayload, "web page"),
        ("page with mark", said(b"\xef\xbb\xbf" + PAGE), BadPayload, "web page"),
        ("wrong type", said(b"a,b", 200, "text/csv"), BadPayload, "'text/csv', not application/json"),
        ("empty", said(b""), BadPayload, "is empty"),
        ("throttled with 200", said(b"Request Rate Threshold Exceeded", 200), RateLimited, "too many requests"),
        ("throttled with 403", said(b"Request Rate Threshold Exceeded", 403), RateLimited, "too many requests"),
        ("not gzip", said(GOOD, Content_Encoding="gzip"), BadPayload, "is no gzip"),
        ("odd packing", said(GOOD, Content_Encoding="br"), BadPayload, "packed as 'br'"),
        ("cut gzip", said(gzip.compress(GOOD * 9)[:-9], Content_Encoding="gzip"), BadPayload, "cut short"),
    ]
    return [pytest.param(*case, id=name) for name, *case in table]


@pytest.mark.parametrize(("answer", "kind", "text"), failures())
def test_every_way_to_fail_has_its_own_error_and_number_of_requests(
    vendor: Vendor, answer: Response, kind: type[SourceError], text: str
) -> None:
    vendor.serve(answer)
    client = web(vendor.url, throttle_marks=["Request Rate Threshold Exceeded"])
    with pytest.raises(kind, match=text) as caught:
        client.get("v2/bars", what="AAPL")
    assert type(caught.value) is kind
    assert "AAPL" in str(caught.value) and "Vendor" in str(caught.value)
    assert len(vendor.requests) == next((n for tried, n in TRIES.items() if issubclass(kind, tried)), 1)


@pytest.mark.parametrize("hiccup", [said(b"", 500), said(b"", 429, Retry_After="0"), said(PAGE), said(b"")])
def test_a_hiccup_is_retried(vendor: Vendor, hiccup: Response) -> None:
    vendor.serve(hiccup, GOOD)
    assert web(vendor.url).get("v2/bars").content == GOOD
    assert len(vendor.requests) == 2


def test_what_the_caller_finds_wrong_is_retried_by_its_kind(vendor: Vendor) -> None:
    vendor.serve(b'{"bars": {}}')

    def check(reply: Reply) -> None:
        raise EmptyAnswer("no bars")

    with pytest.raises(EmptyAnswer):
        web(vendor.url).get("a", check=check)
    assert len(vendor.requests) == TRIES[EmptyAnswer]


def test_a_pause_asked_for_is_kept_and_one_too_long_is_final(vendor: Vendor) -> None:
    vendor.serve(said(b"", 429, Retry_After="0.3"), GOOD)
    began = time.monotonic()
    web(vendor.url).get("a")
    assert time.monotonic() - began >= 0.3
    vendor.requests.clear()
    vendor.serve(said(b"", 429, Retry_After="301"))
    with pytest.raises(RateLimited, match="wants a pause of 301 s") as caught:
        web(vendor.url).get("a")
    assert caught.value.retry_after == 301
    assert len(vendor.requests) == 1


def test_a_pause_past_the_deadline_is_not_begun(vendor: Vendor) -> None:
    vendor.serve(said(b"", 429, Retry_After="5"))
    with pytest.raises(RateLimited):
        web(vendor.url, deadline=2.0).get("a")
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1.5", 1.5),
        ("0", 0.0),
        ("-1", None),
        ("nan", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 32 Oct 2015 07:27:00 GMT", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_pause_is_seconds_or_a_moment_of_the_vendors_clock(header: str | None, seconds: float | None) -> None:
    said = {} if header is None else {"retry-after": header}
    assert seconds_to_wait({**said, "date": "Wed, 21 Oct 2015 07:27:30 GMT"}) == seconds


def test_a_moment_in_an_answer_without_its_own_is_counted_from_now() -> None:
    assert seconds_to_wait({"retry-after": formatdate(time.time() + 100.0, usegmt=True)}) == pytest.approx(99.0, abs=3)
    assert seconds_to_wait({"retry-after": formatdate(time.time() - 100.0, usegmt=True), "date": "x"}) == 0.0


def test_a_moment_to_ask_again_is_waited_for_and_one_past_the_deadline_is_final(vendor: Vendor) -> None:
    def throttled() -> Response:
        return said(b"", 429, Retry_After=formatdate(time.time() + 2.0, usegmt=True))

    vendor.serve(throttled(), GOOD)
    began = time.monotonic()
    web(vendor.url).get("a")
    assert 0.9 <= time.monotonic() - began < 4.0
    vendor.requests.clear()
    vendor.serve(throttled())
    with pytest.raises(RateLimited, match="wants a pause of [12] s"):
        web(vendor.url, deadline=0.9).get("a")
    assert len(vendor.requests) == 1


def test_the_deadline_counts_over_all_requests_of_a_fetch(vendor: Vendor) -> None:
    vendor.serve(GOOD)
    client = web(vendor.url, deadline=0.2)
    client.get("a")
    time.sleep(0.2)
    with pytest.raises(SourceUnavailable, match=r"deadline of 0\.2 s passed before Vendor was asked for AAPL"):
        client.get("b", what="AAPL")
    assert len(vendor.requests) == 1


def test_a_host_without_a_name_or_a_server_is_named() -> None:
    with pytest.raises(SourceUnavailable, match="gave no answer for AAPL .ConnectionError"):
        web("http://127.0.0.1:9").get("a", what="AAPL")
    with pytest.raises(SourceUnavailable, match="gave no answer for AAPL .ConnectionError"):
        web("http://nobody.invalid").get("a", what="AAPL")


class RawServer:
    """Hands each connection's socket, after the request's headers came, to a function; counts connections."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._behave = behave
        self.n_connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.n_connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(4096)
            try:
                self._behave(peer)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], RawServer]]:
    servers: list[RawServer] = []

    def start(behave: Callable[[socket.socket], None]) -> RawServer:
        servers.append(RawServer(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def reset_in_the_body(peer: socket.socket) -> None:
    peer.sendall(HEAD + b"Content-Length: 100\r\n\r\n" + b"1" * 10)
    time.sleep(0.05)
    reset(peer)


def cut_short(peer: socket.socket) -> None:
    peer.sendall(HEAD + b"Content-Length: 100\r\n\r\n" + b"[1, 2]")


def cut_in_a_chunk(peer: socket.socket) -> None:
    peer.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n[1, 2]")


def no_http(peer: socket.socket) -> None:
    peer.sendall(b"220 smtp.example ready\r\n")


@pytest.mark.parametrize(
    ("behave", "text"),
    [
        (reset, "gave no answer for AAPL"),
        (reset_in_the_body, "broke off in the middle of the answer for AAPL"),
        (cut_short, "broke off in the middle of the answer for AAPL"),
        (cut_in_a_chunk, "broke off in the middle of the answer for AAPL"),
        (no_http, "gave no answer for AAPL"),
    ],
)
def test_a_broken_connection_is_tried_again_and_named(
    raw: Callable[..., RawServer], behave: Callable[[socket.socket], None], text: str
) -> None:
    server = raw(behave)
    with pytest.raises(SourceUnavailable, match=text):
        web(server.url).get("a", what="AAPL")
    assert server.n_connections == TRIES[SourceUnavailable]


def silence(peer: socket.socket) -> None:
    while peer.recv(4096):
        pass


def test_a_server_that_hangs_is_given_up(raw: Callable[..., RawServer]) -> None:
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"did not answer AAPL within 0|deadline of 0\.4 s passed"):
        web(raw(silence).url, timeout=0.1, deadline=0.4).get("a", what="AAPL")
    assert time.monotonic() - began < 3.0


def drip_body(peer: socket.socket) -> None:
    peer.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    for _ in range(1_000):
        peer.sendall(b"1")
        time.sleep(0.01)


def drip_chunk(peer: socket.socket) -> None:
    peer.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n")
    for _ in range(1_000):
        peer.sendall(b"1")
        time.sleep(0.01)


def drip_headers(peer: socket.socket) -> None:
    peer.sendall(HEAD + b"X-Slow: ")
    for _ in range(1_000):
        peer.sendall(b"1")
        time.sleep(0.01)


@pytest.mark.parametrize("behave", [drip_body, drip_chunk, drip_headers])
def test_an_answer_that_comes_byte_by_byte_is_given_up(
    raw: Callable[..., RawServer], behave: Callable[[socket.socket], None]
) -> None:
    server = raw(behave)
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"did not answer AAPL within 0|deadline of 0\.5 s passed"):
        web(server.url, answer_timeout=0.2, deadline=0.5).get("a", what="AAPL")
    assert time.monotonic() - began < 3.0
    while behave is not drip_headers and any(thread.name == "quantlake-web" for thread in threading.enumerate()):
        assert time.monotonic() - began < 5.0, "the reading threads go on for as long as the server does"
        time.sleep(0.01)


def test_an_answer_without_end_is_cut_off_at_the_limit(raw: Callable[..., RawServer]) -> None:
    sent: list[int] = []

    def endless(peer: socket.socket) -> None:
        peer.sendall(HEAD + b"\r\n")
        while True:
            sent.append(peer.send(b"1" * 65_536))

    with pytest.raises(BadPayload, match="has more than 1,000,000 bytes"):
        web(raw(endless).url, max_bytes=1_000_000).get("a")
    assert sum(sent) < 100_000_000


def test_a_compressed_answer_is_unpacked_within_the_limits(vendor: Vendor) -> None:
    vendor.serve(said(gzip.compress(GOOD), Content_Encoding="gzip"))
    assert web(vendor.url).get("a").content == GOOD
    assert vendor.requests[0].headers["Accept-Encoding"] == "gzip"
    vendor.serve(said(gzip.compress(b"1" * 50_000_000), Content_Encoding="gzip"))
    with pytest.raises(BadPayload, match="unpacks to more than"):
        web(vendor.url).get("a")
    vendor.serve(said(gzip.compress(os.urandom(3_000)), Content_Encoding="gzip"))
    with pytest.raises(BadPayload, match="unpacks to more than 2,999 bytes|more than 2,999 bytes"):
        web(vendor.url, max_bytes=2_999).get("a")


def test_a_page_is_none_of_any_media_type(vendor: Vendor) -> None:
    vendor.serve(said(b"a,b", 200, "text/csv"))
    assert web(vendor.url).get("a", media_types=()).content == b"a,b"
    vendor.serve(said(b"Access is blocked", 200, "text/html"))
    with pytest.raises(BadPayload, match="web page"):
        web(vendor.url).get("a", media_types=())


def test_redirects_stay_on_the_host(vendor: Vendor) -> None:
    vendor.serve(said(b"", 302, Location="/moved?x=1"), GOOD)
    assert web(vendor.url).get("a").content == GOOD
    assert vendor.requests[-1].full_path == "/moved?x=1"
    vendor.serve(said(b"", 302, Location="/again"))
    with pytest.raises(SourceError, match="without end"):
        web(vendor.url).get("a")


def test_a_redirect_to_another_host_is_refused_before_anything_is_sent(
    vendor: Vendor, raw: Callable[..., RawServer]
) -> None:
    other = raw(cut_short)
    vendor.serve(said(b"", 307, Location=f"{other.url}/steal?api_key=k3y"))
    with pytest.raises(SourceError, match=r"the redirect of AAPL to .*refused") as caught:
        web(vendor.url).get("a", what="AAPL")
    assert other.n_connections == 0
    assert "k3y" not in str(caught.value)
    assert len(vendor.requests) == 1


def test_a_next_page_stays_on_the_host(vendor: Vendor, raw: Callable[..., RawServer]) -> None:
    vendor.serve(GOOD)
    client = web(vendor.url)
    client.get(f"{vendor.url.rstrip('/')}/v3/page?cursor=abc%3D")
    assert vendor.requests[0].args["cursor"] == "abc="
    other = raw(cut_short)
    for url in (
        f"{other.url}/v3",
        vendor.url.replace("http:", "https:"),
        vendor.url.replace("http://", "http://me:x@"),
    ):
        with pytest.raises(SourceError, match="is not on Vendor's host") as caught:
            client.get(url)
        assert "me:x" not in str(caught.value)
    assert (other.n_connections, len(vendor.requests)) == (0, 1)


@pytest.mark.parametrize("url", ["ftp://host/x", "/tmp/file", "https://", "https://me:hidden@host/"])
def test_a_base_url_must_be_a_web_address(url: str) -> None:
    with pytest.raises(SourceError, match="base_url of Vendor must be") as caught:
        Web("Vendor", url)
    assert "hidden" not in str(caught.value)


def test_no_error_holds_the_key(vendor: Vendor, raw: Callable[..., RawServer], capfd: Any) -> None:
    """The vendor repeats it, the network fails with it: neither text nor cause nor log shows it."""
    echo = json.dumps({"error": f"Unknown API key {CANARY}"}).encode()
    texts: list[str] = []
    for status in (400, 401, 404, 500):
        vendor.serve(said(echo, status))
        with pytest.raises(SourceError) as caught:
            web(vendor.url).get("a")
        texts.append(str(caught.value))
    for url in (raw(reset).url, "http://127.0.0.1:9"):
        with pytest.raises(SourceError) as caught:
            web(url).get("a")
        texts.append(str(caught.value))
    broken = Web("Vendor", vendor.url, headers=lambda: {"Key": f"{CANARY}\n"}, wait_initial=0.01)
    with pytest.raises(SourceError) as caught:
        broken.get("a")
    error: BaseException | None = caught.value
    while error is not None:
        texts.append(repr(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    out, err = capfd.readouterr()
    assert CANARY not in "\n".join([*texts, out, err])
    assert sum("***" in text for text in texts) >= 4


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DeniedAccess, match=f"Vendor needs a key: set the environment variable {VARIABLE}"):
        credential(VARIABLE, vendor="Vendor")
    monkeypatch.setenv(VARIABLE, f" {CANARY}\n")
    assert credential(VARIABLE, vendor="Vendor") == CANARY
    for value in (f"{CANARY} two", f"{CANARY}\nX: y", f"{CANARY}é"):
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(DeniedAccess, match=VARIABLE) as caught:
            credential(VARIABLE, vendor="Vendor")
        assert CANARY not in str(caught.value)
