"""One client for vendors' REST interfaces: bounded in bytes, time and tries, and silent about credentials.

Credentials travel in headers, which are asked for once a fetch and shown in no error; an answer that holds one is
refused. Redirects stay on the vendor's host, as pages of an answer must.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from lakehouse.errors import BadPayload, SourceError, SourceUnavailable
from lakehouse.sources.credentials import known_values, redacted, refuse_echo
from lakehouse.sources.payload import gunzip
from lakehouse.sources.rate_limit import Rate
from lakehouse.sources.reply import Reply, check_form, check_status
from lakehouse.sources.retrying import retried

MAX_BYTES = 64 * 1024 * 1024
JSON = ("application/json",)
_MAX_REDIRECTS = 5
_CHUNK = 65_536
_SHOWN = 200
_SECRET_FIELDS = re.compile(
    r"(?i)(api|access|secret|private)?[-_]?(key|secret|signature|password)|(access[-_]?)?token|sig"
)

T = TypeVar("T")


class Web:
    """A vendor's web interface during one fetch; make one for each, in a `with` block.

    Parameters
    ----------
    vendor : its name, for errors
    base_url : scheme, host and path that the asked paths are below
    headers : returns the headers of every request; called once, before the first
    variables : environment variables that hold the credentials, named where the vendor denies access
    timeout : seconds to connect, and seconds without a byte
    answer_timeout : seconds one answer may take from the request to its last byte
    deadline : seconds all requests together may take, from the first one on, pauses included
    wait_initial, wait_max : seconds between tries: doubling from the first to the second, with jitter
    rate : the limit that all processes keep together
    max_bytes : of one answer, packed and unpacked
    throttle_marks : texts that mean too many requests whatever the status, for vendors that say so with another
    throttle_pause : seconds to wait after too many requests where the vendor does not say; by default as after any
        other error
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        variables: Sequence[str] = (),
        timeout: float = 20.0,
        answer_timeout: float = 300.0,
        deadline: float = 900.0,
        wait_initial: float = 1.0,
        wait_max: float = 30.0,
        rate: Rate | None = None,
        max_bytes: int = MAX_BYTES,
        throttle_marks: Sequence[str] = (),
        throttle_pause: float | None = None,
    ) -> None:
        scheme, host = _origin(base_url)
        if scheme not in ("http", "https") or not host or "@" in host:
            raise SourceError(f"base_url of {vendor} must be http(s)://host/..., was {_shown(base_url)!r}")
        self.vendor = vendor
        self._base_url = base_url.rstrip("/") + "/"
        self._headers = headers
        self._variables = tuple(variables)
        self._timeout = timeout
        self._answer_timeout = answer_timeout
        self._deadline = deadline
        self._wait_initial = wait_initial
        self._wait_max = wait_max
        self._rate = rate
        self._max_bytes = max_bytes
        self._throttle_marks = tuple(mark.encode() for mark in throttle_marks)
        self._throttle_pause = throttle_pause
        self._secrets: dict[str, str] = {}
        self._session: Any = None
        self._sent_headers: dict[str, str] | None = None
        self._give_up_at: float | None = None

    def __enter__(self) -> Web:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def get(
        self,
        path_or_url: str,
        params: Mapping[str, str | int] | None = None,
        *,
        what: str = "",
        media_types: Sequence[str] = JSON,
        check: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Return the answer to a GET request, asked again where that may help (`lakehouse.sources.retrying`).

        Parameters
        ----------
        path_or_url : below `base_url`, or a whole URL on the same host, such as the vendor's own next page
        params : the query; never credentials
        what : what is asked for, such as "AAPL", for errors; by default the path
        media_types : that the answer may have; none means any
        check : raises what is wrong with the content, so that a bad answer is asked for again, too

        Raises
        ------
        DeniedAccess : credentials are missing or refused (401, 403).
        UnknownSymbol : not there (404).
        RateLimited, SourceUnavailable, BadPayload : after the tries; also what `check` raises.
        SourceError : any other refusal, or a URL on another host.
        """
        url = self._url(path_or_url, params)
        named = what or urlsplit(url).path
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._deadline
        self._seconds_left(named)
        if self._sent_headers is None:
            self._sent_headers = dict(self._headers())
            self._secrets = known_values(self._variables)

        def ask() -> Reply:
            reply = self._ask(url, named, media_types)
            if check is not None:
                check(reply)
            return reply

        return retried(ask, give_up_at=self._give_up_at, wait_initial=self._wait_initial, wait_max=self._wait_max)

    def _url(self, path_or_url: str, params: Mapping[str, str | int] | None) -> str:
        is_whole = path_or_url.startswith(("http://", "https://"))
        url = path_or_url if is_whole else self._base_url + path_or_url.lstrip("/")
        self._check_host(url, "the address")
        if params:
            parts = urlsplit(url)
            query = [*parse_qsl(parts.query, keep_blank_values=True), *params.items()]
            url = urlunsplit(parts._replace(query=urlencode(query)))
        return url

    def _check_host(self, url: str, what: str) -> None:
        if _origin(url) != _origin(self._base_url):
            raise SourceError(
                f"{what} {_shown(url)} is not on {self.vendor}'s host {urlsplit(self._base_url).netloc}: refused, "
                "credentials go nowhere else; set base_url if the vendor has moved"
            )

    def _ask(self, url: str, what: str, media_types: Sequence[str]) -> Reply:
        """Send the request once, and return its answer or raise what the answer means."""
        assert self._give_up_at is not None
        for _ in range(1 + _MAX_REDIRECTS):
            if self._rate is not None:
                self._rate.wait(give_up_at=self._give_up_at)
            reply = self._exchange(url, what, min(self._answer_timeout, self._seconds_left(what)))
            location = reply.headers.get("location")
            if reply.status not in (301, 302, 303, 307, 308) or not location:
                check_status(
                    reply,
                    self.vendor,
                    what,
                    variables=self._variables,
                    throttle_marks=self._throttle_marks,
                    throttle_pause=self._throttle_pause,
                    public=self._public,
                )
                self._refuse_echo(reply, what)
                check_form(reply, self.vendor, what, media_types=media_types)
                return reply
            refuse_echo(location, self._secrets, what=f"{self.vendor}'s redirect of {what}")
            url = urljoin(url, location)
            self._check_host(url, f"the redirect of {what} to")
        raise SourceError(f"{self.vendor} redirects {what} without end: try again later")

    def _seconds_left(self, what: str) -> float:
        """Return the seconds until the deadline, which must be some."""
        assert self._give_up_at is not None
        left = self._give_up_at - time.monotonic()
        if left <= 0.0:
            raise SourceUnavailable(
                f"the deadline of {self._deadline:g} s passed before {self.vendor} was asked for {what}: run it "
                "again, what was fetched stays"
            )
        return left

    def _exchange(self, url: str, what: str, seconds: float) -> Reply:
        """Send a request and return its answer of any status; network errors become SourceUnavailable."""
        import requests
        import urllib3

        try:
            return _within(seconds, lambda: self._receive(url, what, time.monotonic() + seconds))
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            limit = seconds if isinstance(error, TimeoutError) else min(self._timeout, seconds)
            problem = f"did not answer {what} within {limit:.3g} s"
        except urllib3.exceptions.ProtocolError:
            problem = f"broke off in the middle of the answer for {what}"
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            problem = f"gave no answer for {what} ({type(error).__name__}: {self._public(str(error))})"
        self.close()
        # Raised here, without the error behind it: that one may hold the request with its headers.
        raise SourceUnavailable(f"{self.vendor} {problem}: check the network and run it again")

    def _receive(self, url: str, what: str, give_up_at: float) -> Reply:
        """Send a request and read its whole answer, within the limits of bytes and time."""
        answer = f"{self.vendor}'s answer for {what}"
        session = self._opened()
        seconds = max(0.001, min(self._timeout, give_up_at - time.monotonic()))
        with session.get(
            url, headers=self._sent_headers, timeout=seconds, allow_redirects=False, stream=True
        ) as response:
            headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
            body = bytearray()
            # At most one read of the socket a time: a larger one would wait for bytes that come one by one.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                body += chunk
                if len(body) > self._max_bytes:
                    raise BadPayload(f"{answer} has more than {self._max_bytes:,} bytes: ask for less")
                if time.monotonic() >= give_up_at:
                    raise TimeoutError
        content = _unpacked(bytes(body), headers, answer, self._max_bytes)
        return Reply(content, response.status_code, headers, _shown(url))

    def _public(self, text: str) -> str:
        """Return the start of a text on one line, without any value that was sent in a header."""
        sent = [part for value in (self._sent_headers or {}).values() for part in (value, *value.split())]
        shown = redacted(text, [*self._secrets.values(), *(part for part in sent if len(part) >= 6)])
        return " ".join(shown.split())[:_SHOWN] or "no reason given"

    def _refuse_echo(self, reply: Reply, what: str) -> None:
        """Refuse an answer that holds a credential, before anything reads, quotes or keeps it."""
        answer = f"{self.vendor}'s answer for {what}"
        refuse_echo(" ".join(reply.headers.values()), self._secrets, what=answer)
        refuse_echo(reply.content, self._secrets, what=answer)

    def _opened(self) -> Any:
        if self._session is None:
            import requests

            self._session = requests.Session()
            self._session.headers["Accept-Encoding"] = "gzip"
            # Else a password file of the user (.netrc) would overwrite the header Authorization.
            self._session.auth = lambda request: request
        return self._session


def _unpacked(body: bytes, headers: Mapping[str, str], answer: str, max_bytes: int) -> bytes:
    """Return the body without the compression of the transport."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if not body or encoding in ("identity", ""):
        return body
    if encoding != "gzip" or not body.startswith(b"\x1f\x8b"):
        raise BadPayload(f"{answer} is said to be packed as {encoding[:20]!r} and is no gzip; fetch it again")
    return gunzip(body, what=answer, max_bytes=max_bytes)


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` gives within so many seconds.

    It runs in a thread, since neither the look-up of a name nor headers that come byte by byte can be timed out
    otherwise; a thread past its time is left behind and ends with its connection.

    Raises
    ------
    TimeoutError : it took longer.
    """
    done: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, name="quantlake-web", daemon=True).start()
    try:
        result, error = done.get(timeout=max(0.001, seconds))
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and host with the port, where it is not the scheme's own."""
    parts = urlsplit(url)
    port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return parts.scheme, parts.netloc.lower().removesuffix(port)


def _shown(url: str) -> str:
    """Return the URL without user, password and what looks like credentials in its query."""
    parts = urlsplit(url)
    fields = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, "***" if _SECRET_FIELDS.fullmatch(name) else value) for name, value in fields]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(kept, safe="*,:/"), ""))
