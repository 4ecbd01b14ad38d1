"""Reading what came from outside: gzip and JSON, with caps and without Python's lenient defaults."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import nearest
from lakehouse.errors import BadPayload

MAX_BYTES = 512 * 1024 * 1024
MAX_GZIP_RATIO = 100
_GZIP_MAGIC = b"\x1f\x8b"
MAX_JSON_BYTES = 64 * 1024 * 1024


def gunzip(content: bytes, *, what: str, max_bytes: int = MAX_BYTES, max_ratio: int = MAX_GZIP_RATIO) -> bytes:
    """Return the bytes behind gzip; content that is not gzip is returned as it is.

    Raises
    ------
    BadPayload : damaged or cut gzip, or one that grows past `max_bytes` or past `max_ratio` times its size.
    """
    if not content.startswith(_GZIP_MAGIC):
        if len(content) > max_bytes:
            raise BadPayload(f"{what} has {len(content):,} bytes; the limit is {max_bytes:,}")
        return content
    limit = min(max_bytes, max_ratio * len(content) + 65_536)
    parts: list[bytes] = []
    size = 0
    rest = content
    try:
        while rest:
            stream = zlib.decompressobj(wbits=31)
            parts.append(stream.decompress(rest, limit - size + 1))
            size += len(parts[-1])
            if size > limit:
                raise BadPayload(
                    f"{what} unpacks to more than {limit:,} bytes from {len(content):,}; "
                    f"the limit is {max_ratio} to 1 and {max_bytes:,} bytes"
                )
            if not stream.eof:
                raise BadPayload(f"{what} is gzip cut short after {size:,} bytes; fetch it again")
            rest = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise BadPayload(f"{what} is damaged gzip ({error}); fetch it again") from None
    return b"".join(parts)


def load_json(content: bytes, *, what: str) -> Any:
    """Return strict JSON: UTF-8, no NaN or Infinity, no whole number past 64 bits, no key twice, at most 64 MiB.

    Raises
    ------
    BadPayload : the content is not that; the text says whether it looks like a web page, or is empty.
    """
    head = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise BadPayload(f"{what} is empty; fetch it again")
    if head.startswith(b"<"):
        raise BadPayload(f"{what} is a web page, not JSON (consent, block or maintenance page); try again later")
    if len(content) > MAX_JSON_BYTES:
        raise BadPayload(f"{what} has {len(content):,} bytes; the limit is {MAX_JSON_BYTES:,}")
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            parse_constant=_no_constant,
            parse_int=_whole_number,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"{what} is not JSON ({error}); fetch it again") from None


def require_fields(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, str], *, what: str) -> None:
    """Refuse rows none of which has a field: one that a row lacks is missing, one that all lack was renamed.

    Parameters
    ----------
    fields : the vendor's name of each, and ours

    Raises
    ------
    BadPayload : names the field, and the nearest of those that are there.
    """
    present = {name for row in rows for name in row}
    for field, name in fields.items():
        if rows and field not in present:
            unknown = sorted(map(str, present - set(fields)))
            hint = nearest(field, unknown) if unknown else ""
            raise BadPayload(f"{what} has no {field} ({name}) in any row{hint}; the vendor has renamed or removed it")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _whole_number(text: str) -> int:
    """Return a whole number that an int64 holds: past it, neither numpy nor a float would take it."""
    number = int(text) if len(text) <= 20 else 2**63
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"a whole number of {len(text.lstrip('-'))} digits does not fit 64 bits")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} twice")
    return found
