"""yfinance as a client: what it is told to do, and the recording of what Yahoo answered it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_CHART = "/v8/finance/chart/"


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


def recording_session(base_url: str | None, *, timeout: float) -> Any:
    """Return a session for yfinance that keeps every chart answer and may send all requests elsewhere.

    No request may take longer than `timeout` seconds: yfinance gives its cookie and crumb 30.
    """
    base, options = _session_class()

    class RecordingSession(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(**options)
            self.heard: list[Heard] = []

        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = min(timeout, kwargs.get("timeout") or timeout)
            response = super().request(method, _redirected(url, base_url), *args, **kwargs)
            if _CHART in url:
                headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
                is_history = "period1" in (kwargs.get("params") or {})
                self.heard.append(Heard(response.status_code, bytes(response.content), headers, is_history))
            return response

    return RecordingSession()


def _session_class() -> tuple[Any, dict[str, Any]]:
    """Return the class yfinance itself would use, with its options: curl_cffi's, and requests' without it."""
    if os.environ.get("YF_DISABLE_CURL_CFFI", "").lower() not in ("1", "true", "yes"):
        with contextlib.suppress(ImportError):
            import curl_cffi.requests

            return curl_cffi.requests.Session, {"impersonate": "chrome"}
    import requests

    return requests.Session, {}


def _redirected(url: str, base_url: str | None) -> str:
    """Return the URL at `base_url`, and one of Yahoo's own where that is None."""
    if base_url is None:
        return url
    base = urlsplit(base_url)
    asked = urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + asked.path, asked.query, ""))
