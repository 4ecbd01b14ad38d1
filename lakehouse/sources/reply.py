"""A vendor's HTTP answer, and what its status and form mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.errors import (
    BadPayload,
    DeniedAccess,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.sources.retrying import seconds_to_wait

_HEAD = 20_000
_PAGE = re.compile(rb"(?i)(\xef\xbb\xbf)?\s*(<!doctype\s+html|<html|<head|<body)")


@dataclass(frozen=True)
class Reply:
    """What a vendor answered.

    content : the body, unpacked where the transport packed it
    headers : names in lower case
    url_without_secrets : what was asked, fit for a request's record
    """

    content: bytes = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    url_without_secrets: str

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty where the vendor sent none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_status(
    reply: Reply,
    vendor: str,
    what: str,
    *,
    variables: Sequence[str],
    throttle_marks: Sequence[bytes],
    throttle_pause: float | None,
    public: Callable[[str], str],
) -> None:
    """Raise what any status but 200 means.

    Parameters
    ----------
    variables : environment variables that hold the vendor's credentials
    throttle_marks : texts in the body that mean too many requests whatever the status
    throttle_pause : seconds to wait then, where the vendor does not say
    public : returns a text of the vendor's as it may be shown
    """
    status, said = reply.status, public(reply.content[:1000].decode("utf-8", "replace"))
    if status == 429 or any(mark in reply.content[:_HEAD] for mark in throttle_marks):
        after = seconds_to_wait(reply.headers)
        after = throttle_pause if after is None else after
        asked = f" and wants a pause of {after:.0f} s" if after is not None else ""
        raise RateLimited(
            f"{vendor} refused {what} for too many requests{asked}: run it again later, what was fetched stays",
            retry_after=after,
        )
    if status == 200:
        return
    if status in (401, 403):
        names = " and ".join(variables)
        remedy = f"check what the environment has in {names}" if names else "it is open to nobody, or blocks you"
        raise DeniedAccess(f"{vendor} denied {what} with HTTP {status} ({said}): {remedy}")
    if status == 404:
        raise UnknownSymbol(f"{vendor} knows no {what} (HTTP 404: {said}): check how {vendor} writes it")
    if status >= 500 or status == 408:
        raise SourceUnavailable(f"{vendor} failed on {what} with HTTP {status} ({said}): run it again later")
    raise SourceError(f"{vendor} refused {what} with HTTP {status} ({said}): check what was asked for")


def check_form(reply: Reply, vendor: str, what: str, *, media_types: Sequence[str]) -> None:
    """Raise BadPayload where the body is empty, a web page, or of another media type."""
    answer = f"{vendor}'s answer for {what}"
    if not reply.content:
        raise BadPayload(f"{answer} is empty; fetch it again")
    if reply.media_type == "text/html" or _PAGE.match(reply.content[:200]):
        raise BadPayload(f"{answer} is a web page (consent, block or maintenance page); try again later")
    if media_types and reply.media_type and reply.media_type not in media_types:
        raise BadPayload(f"{answer} is {reply.media_type[:60]!r}, not {' or '.join(media_types)}; try again later")
