"""yfinance as a client: what it is told to do, what it may use up, and the recording of what Yahoo answered it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from lakehouse.errors import BadPayload, SourceError
from lakehouse.sources.rate_limit import Rate

_CHART = "/v8/finance/chart/"
_CHUNK = 65_536
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Heard:
    """One chart answer as it came over the wire."""

    status: int
    content: bytes
    headers: Mapping[str, str]
    is_history: bool


_PLACED: list[str | tempfile.TemporaryDirectory[str]] = []


@contextlib.contextmanager
def plain_yfinance(cache_folder: str | None) -> Iterator[None]:
    """Run yfinance with its errors raised, its files in our folder and nothing remembered from earlier calls.

    Its in-process cache of past ranges would answer a retry after one empty answer without asking Yahoo.
    """
    import logging
    import warnings

    import yfinance as yf
    from yfinance.data import YfData

    _place_cache(cache_folder)
    YfData.cache_get.cache_clear()
    hidden = yf.config.debug.hide_exceptions
    logger = logging.getLogger("yfinance")
    silent = logger.disabled
    yf.config.debug.hide_exceptions = False
    logger.disabled = True  # it logs what is raised here with the better text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        yf.config.debug.hide_exceptions = hidden
        logger.disabled = silent


def _place_cache(folder: str | None) -> None:
    """Point yfinance's files at the folder, or at one that lives as long as the process.

    Once a process: yfinance keeps using the first place it opened, and breaks where that is taken away.
    """
    import yfinance as yf

    if _PLACED:
        return
    if folder is None:
        temporary = tempfile.TemporaryDirectory(prefix="quantlake-yahoo-", ignore_cleanup_errors=True)
        _PLACED.append(temporary)
        folder = temporary.name
    else:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _PLACED.append(folder)
    yf.set_tz_cache_location(folder)


def recording_session(
    base_url: str | None, *, timeout: float, max_bytes: int = MAX_BYTES, rate: Rate | None = None
) -> Any:
    """Return a session for yfinance that keeps every chart answer and may send all requests elsewhere.

    No request may take longer than `timeout` seconds: yfinance gives its cookie and crumb 30. One that the limits
    forbid raises an error of ours, which stays in `refusal`: yfinance would take it for a failure of Yahoo's. The
    requests after it are refused, too, until whoever asks clears `heard` and `refusal`.

    Parameters
    ----------
    max_bytes : of one answer, unpacked; the rest is not received
    rate : the limit of requests that all processes keep together, waited for until `give_up_at` of the session
    """
    base, options, receive = _session_class()

    class RecordingSession(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(**options)
            self.heard: list[Heard] = []
            self.refusal: SourceError | None = None
            self.give_up_at = float("inf")

        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            if self.refusal is not None:
                raise self.refusal
            left = max(0.001, self.give_up_at - time.monotonic())
            kwargs["timeout"] = min(timeout, kwargs.get("timeout") or timeout, left)
            send = super().request
            try:
                if rate is not None:
                    rate.wait(give_up_at=self.give_up_at)
                response = receive(
                    lambda **more: send(method, _redirected(url, base_url), *args, **kwargs, **more), max_bytes
                )
            except SourceError as error:
                self.refusal = error
                raise
            if _CHART in url:
                headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
                is_history = "period1" in (kwargs.get("params") or {})
                self.heard.append(Heard(response.status_code, bytes(response.content), headers, is_history))
            return response

    return RecordingSession()


def _session_class() -> tuple[Any, dict[str, Any], Callable[[Callable[..., Any], int], Any]]:
    """Return the class yfinance itself would use: curl_cffi's, and requests' without it.

    Beside it its options, and what receives an answer within a number of bytes.
    """
    if os.environ.get("YF_DISABLE_CURL_CFFI", "").lower() not in ("1", "true", "yes"):
        with contextlib.suppress(ImportError):
            import curl_cffi.requests

            return curl_cffi.requests.Session, {"impersonate": "chrome"}, _received_by_curl
    import requests

    return requests.Session, {}, _received_by_requests


def _received_by_curl(send: Callable[..., Any], max_bytes: int) -> Any:
    """Return the response of `send`, broken off past `max_bytes` of its unpacked body."""
    from curl_cffi.curl import CURL_WRITEFUNC_ERROR
    from curl_cffi.requests.exceptions import RequestException

    body = bytearray()

    def keep(part: bytes) -> int:
        body.extend(part)
        return len(part) if len(body) <= max_bytes else CURL_WRITEFUNC_ERROR

    try:
        response = send(content_callback=keep)
    except RequestException:
        if len(body) > max_bytes:
            raise _too_large(max_bytes) from None
        raise
    response.content = bytes(body)
    return response


def _received_by_requests(send: Callable[..., Any], max_bytes: int) -> Any:
    """Return the response of `send`, broken off past `max_bytes` of its unpacked body."""
    response = send(stream=True)
    body = bytearray()
    for part in response.iter_content(_CHUNK):
        body.extend(part)
        if len(body) > max_bytes:
            response.close()
            raise _too_large(max_bytes)
    # What `requests` itself sets once it has read an answer.
    response._content, response._content_consumed = bytes(body), True
    return response


def _too_large(max_bytes: int) -> BadPayload:
    return BadPayload(f"Yahoo's answer has more than {max_bytes:,} bytes: ask for less, or raise max_bytes")


def _redirected(url: str, base_url: str | None) -> str:
    """Return the URL at `base_url`, and one of Yahoo's own where that is None."""
    if base_url is None:
        return url
    base = urlsplit(base_url)
    asked = urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + asked.path, asked.query, ""))
