"""Gzip of lines, unpacked block by block: a day of trades or quotes unpacked would fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from lakehouse.errors import BadPayload
from lakehouse.sources.payload import MAX_GZIP_RATIO

BLOCK_BYTES = 8 << 20
_PACKED_BYTES = 1 << 20
_MAX_LINE = 1 << 20


def whole_lines(content: bytes, *, what: str) -> Iterator[bytes]:
    """Yield the first line, then blocks of whole lines; content that is not gzip is taken as it is.

    Raises
    ------
    BadPayload : damaged or cut gzip, one that grows to more than 100 times its size, or a line without end.
    """
    rest = b""
    is_first = True
    for part in _unpacked(content, what):
        rest += part
        if is_first:
            line, end, after = rest.partition(b"\n")
            if end:
                yield line
                is_first, rest = False, after
        lines, end, last = rest.rpartition(b"\n")
        if not is_first and end:
            yield lines + end
            rest = last
        if len(rest) > _MAX_LINE:
            raise BadPayload(f"{what} has a line of more than {_MAX_LINE:,} bytes: no CSV")
    if rest:
        yield rest


def _unpacked(content: bytes, what: str) -> Iterator[bytes]:
    view = memoryview(content)
    if not content.startswith(b"\x1f\x8b"):
        yield from (bytes(view[at : at + BLOCK_BYTES]) for at in range(0, len(view), BLOCK_BYTES))
        return
    limit = MAX_GZIP_RATIO * len(content) + 65_536
    size = 0
    stream = zlib.decompressobj(wbits=31)
    try:
        for at in range(0, len(view), _PACKED_BYTES):
            packed = bytes(view[at : at + _PACKED_BYTES])
            while True:
                if stream.eof:  # another member follows, or padding
                    packed = packed.lstrip(b"\0")
                    if not packed:
                        break
                    stream = zlib.decompressobj(wbits=31)
                part = stream.decompress(packed, BLOCK_BYTES)
                size += len(part)
                if size > limit:
                    raise BadPayload(
                        f"{what} unpacks to more than {limit:,} bytes from {len(content):,}; the limit is "
                        f"{MAX_GZIP_RATIO} to 1"
                    )
                yield part
                packed = stream.unused_data if stream.eof else stream.unconsumed_tail
                if not packed:
                    break
    except zlib.error as error:
        raise BadPayload(f"{what} is damaged gzip ({error}); fetch it again") from error
    if not stream.eof:
        raise BadPayload(f"{what} is gzip cut short after {size:,} bytes; fetch it again")
