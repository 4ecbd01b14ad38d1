"""Objects of the vendor's S3 bucket: read whole, with limits, and every failure named by what to do about it.

https://massive.com/docs/flat-files/quickstart describes the endpoint and the bucket. The keys come from the
environment and from nowhere else: profile files, other variables of AWS and instance roles are not read.
"""

from __future__ import annotations

import importlib
import io
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import DeniedAccess, RateLimited, SourceError, SourceUnavailable
from lakehouse.sources.credentials import credential, known_values, redacted, refuse_echo
from lakehouse.sources.retrying import retried, seconds_to_wait

ACCESS_KEY, SECRET_KEY = "POLYGON_S3_ACCESS_KEY_ID", "POLYGON_S3_SECRET_ACCESS_KEY"
_CHUNK = 1 << 20
_MISSING = {"404", "NoSuchKey"}
_THROTTLED = {"429", "SlowDown", "TooManyRequests", "RequestLimitExceeded", "Throttling"}


@dataclass(frozen=True)
class FlatFileObject:
    """One object as it came: its bytes and its ETag, quotation marks included."""

    content: bytes
    etag: str | None


class FlatFileBucket:
    """The bucket, for one fetch: requests share a deadline.

    Parameters
    ----------
    endpoint_url : the S3 endpoint
    bucket : the bucket's name
    timeout : seconds to wait for a connection, and for each part of an answer
    give_up_at : when to stop at the latest, in seconds of `time.monotonic`
    wait_initial, wait_max : seconds between retries
    max_bytes : an object with more is refused, by its stated length before it is downloaded

    Attributes
    ----------
    secrets : the credentials in use, by their variables' names; what holds one is refused

    Raises
    ------
    SourceError : boto3 is not installed, or the endpoint is no address.
    DeniedAccess : a key is not set.
    """

    def __init__(
        self,
        endpoint_url: str,
        bucket: str,
        *,
        timeout: float,
        give_up_at: float,
        wait_initial: float,
        wait_max: float,
        max_bytes: int,
    ) -> None:
        self._client = _client(endpoint_url, timeout)
        self._exceptions = importlib.import_module("botocore.exceptions")
        self._http_error = importlib.import_module("urllib3.exceptions").HTTPError
        self._place = f"{bucket} at {endpoint_url}"
        self._bucket = bucket
        self._give_up_at = give_up_at
        self._waits = {"give_up_at": give_up_at, "wait_initial": wait_initial, "wait_max": wait_max}
        self._max_bytes = max_bytes
        self.secrets = known_values((ACCESS_KEY, SECRET_KEY))

    def etag(self, key: str) -> str | None:
        """Return the object's ETag without downloading it; None where there is no such object.

        Raises
        ------
        DeniedAccess, RateLimited, SourceUnavailable, BadPayload, SourceError : as `download`.
        """
        head = retried(lambda: self._ask("head_object", key), **self._waits)
        return None if head is None else self._checked_etag(head, key)

    def download(self, key: str, *, check: Callable[[bytes], None]) -> FlatFileObject | None:
        """Return the object; None where there is no such object.

        `check` raises what is wrong with the content, so that a bad one is asked for again, too.

        Raises
        ------
        DeniedAccess : the keys are wrong, or the plan does not include the object; not asked again.
        RateLimited, SourceUnavailable, BadPayload : after the retries; an object that ends before its stated
            length is SourceUnavailable.
        SourceError : no such bucket, or an object past `max_bytes`.
        """

        def ask() -> FlatFileObject | None:
            found = self._download(key)
            if found is not None:
                check(found.content)
            return found

        return retried(ask, **self._waits)

    def _download(self, key: str) -> FlatFileObject | None:
        answer = self._ask("get_object", key)
        if answer is None:
            return None
        body = answer["Body"]
        try:
            return FlatFileObject(self._read(body, key, answer.get("ContentLength")), self._checked_etag(answer, key))
        finally:
            body.close()

    def _checked_etag(self, answer: Mapping[str, Any], key: str) -> str | None:
        etag = answer.get("ETag")
        refuse_echo(str(etag), self.secrets, what=f"the ETag of {key}")
        return None if etag is None else str(etag)

    def _read(self, body: Any, key: str, size: int | None) -> bytes:
        """Return the body of the stated size; a server that drips is given up at the deadline."""
        if size is not None and size > self._max_bytes:
            raise SourceError(f"{key} has {size:,} bytes; the limit is {self._max_bytes:,} (max_bytes)")
        # At most one read of the socket a time: botocore's own would wait for bytes that come one by one.
        read = getattr(body._raw_stream, "read1", body.read)
        content = io.BytesIO()
        try:
            while chunk := read(_CHUNK):
                content.write(chunk)
                if content.tell() > self._max_bytes:
                    raise SourceError(f"{key} has more than {self._max_bytes:,} bytes, the limit (max_bytes)")
                if time.monotonic() > self._give_up_at:
                    raise SourceUnavailable(f"the deadline passed while {key} was downloaded: run it again")
        except (self._exceptions.BotoCoreError, self._http_error, OSError) as error:
            raise self._unreachable(error, key) from None
        if size is not None and content.tell() != size:
            raise SourceUnavailable(f"{key} is cut short: {content.tell():,} of {size:,} bytes; run it again later")
        return content.getvalue()

    def _ask(self, operation: str, key: str) -> Mapping[str, Any] | None:
        if time.monotonic() >= self._give_up_at:
            raise SourceUnavailable(f"the deadline passed before {key}: run it again, what was fetched stays")
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(Bucket=self._bucket, Key=key)
        except self._exceptions.ClientError as error:
            if _is_missing(error.response):
                return None
            # Chained, the vendor's error would carry the signed request along.
            raise self._refusal(error.response, key) from None
        except (self._exceptions.BotoCoreError, OSError) as error:
            raise self._unreachable(error, key) from None
        return answer

    def _refusal(self, response: Mapping[str, Any], key: str) -> SourceError:
        """Return the error that says what the vendor's refusal means."""
        status, code = _status(response)
        said = f"HTTP {status}, {redacted(code, self.secrets.values())[:100] or 'no code'}"
        if code == "NoSuchBucket":
            return SourceError(f"there is no bucket {self._place}: check endpoint_url")
        if status == 429 or code in _THROTTLED:
            headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            after = seconds_to_wait(headers)
            asked = f" and asks to wait {after:.0f} s" if after is not None else ""
            return RateLimited(
                f"the flat files refused {key} for too many requests ({said}){asked}: run it again later",
                retry_after=after,
            )
        if status in (401, 403):
            return DeniedAccess(
                f"the flat files denied {key} ({said}): {ACCESS_KEY} and {SECRET_KEY} are wrong, or the plan "
                "does not include this dataset or a day this long ago"
            )
        if status >= 500 or code == "RequestTimeout":
            return SourceUnavailable(f"the flat files failed on {key} ({said}): run it again later")
        return SourceError(f"the flat files refused {key} ({said}): check endpoint_url")

    def _unreachable(self, error: Exception, key: str) -> SourceUnavailable:
        said = redacted(str(error), self.secrets.values())[:200]
        return SourceUnavailable(
            f"the flat files gave no whole answer for {key} ({type(error).__name__}: {said}); check the network and "
            "run it again"
        )


def _is_missing(response: Mapping[str, Any]) -> bool:
    status, code = _status(response)
    return code != "NoSuchBucket" and (status == 404 or code in _MISSING)


def _status(response: Mapping[str, Any]) -> tuple[int, str]:
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status, str(response.get("Error", {}).get("Code", ""))


def _client(endpoint_url: str, timeout: float) -> Any:
    try:
        boto3 = importlib.import_module("boto3")
        botocore_session = importlib.import_module("botocore.session")
        config = importlib.import_module("botocore.config").Config
    except ModuleNotFoundError as error:
        raise SourceError(
            "source 'polygon' reads flat files with boto3, which is not installed: pip install 'quantlake[polygon]'"
        ) from error
    nowhere = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session = boto3.session.Session(
        aws_access_key_id=credential(ACCESS_KEY, vendor="Polygon"),
        aws_secret_access_key=credential(SECRET_KEY, vendor="Polygon"),
        region_name="us-east-1",
        botocore_session=botocore_session.Session(session_vars=nowhere),
    )
    options = config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=timeout,
        read_timeout=timeout,
        # Asking again is decided here, by what went wrong.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Other stores than AWS's own do not know its newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
    )
    try:
        client = session.client("s3", endpoint_url=endpoint_url, config=options)
    except ValueError:
        raise SourceError(
            f"endpoint_url must be an address such as https://files.massive.com, was {endpoint_url!r}"
        ) from None
    # After AWS's own habit of asking for a bucket's region; a store that redirects each such question too would be
    # asked without end.
    client.meta.events.register_last("before-parameter-build.s3", _mark_as_redirected)
    return client


def _mark_as_redirected(context: dict[str, Any], **_: Any) -> None:
    context.setdefault("s3_redirect", {})["redirected"] = True
