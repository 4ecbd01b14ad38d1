"""Flat files: one file a dataset and session, with the whole market, delisted symbols included.

https://massive.com/docs/flat-files/quickstart: bucket `flatfiles`, keys by dataset and day, published by about
11:00 New York time of the day after the session. A published file may be replaced later; its ETag tells.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.calendar import session_close, sessions
from lakehouse.errors import EmptyAnswer
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed
from lakehouse.sources.credentials import refuse_echo
from lakehouse.sources.each_symbol import each_symbol
from lakehouse.sources.polygon_bars import BARS, parse_day_file, parse_minute_file
from lakehouse.sources.polygon_csv import NEW_YORK, FlatFileFormat, check_flat_file
from lakehouse.sources.polygon_s3 import FlatFileBucket, FlatFileObject
from lakehouse.sources.polygon_ticks import QUOTES, TRADES, parse_quote_file, parse_trade_file

BUCKET = "flatfiles"
FIRST_SESSION = dt.date(2003, 9, 10)
PUBLISHED_BY = dt.time(11)


@dataclass(frozen=True)
class FlatFileDataset:
    """Where a dataset's files are, what they look like and what they are read by."""

    folder: str
    form: FlatFileFormat
    parse: Callable[..., Parsed]


FLAT_FILES: Mapping[str, FlatFileDataset] = {
    "day": FlatFileDataset("us_stocks_sip/day_aggs_v1", BARS, parse_day_file),
    "minute": FlatFileDataset("us_stocks_sip/minute_aggs_v1", BARS, parse_minute_file),
    "trades": FlatFileDataset("us_stocks_sip/trades_v1", TRADES, parse_trade_file),
    "quotes": FlatFileDataset("us_stocks_sip/quotes_v1", QUOTES, parse_quote_file),
}


def flat_file_key(dataset: str, session: dt.date) -> str:
    """Return the key of a session's file, as us_stocks_sip/day_aggs_v1/2024/01/2024-01-05.csv.gz."""
    return f"{FLAT_FILES[dataset].folder}/{session:%Y/%m/%Y-%m-%d}.csv.gz"


def etags_of(snapshots: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return key -> ETag of the files that manifest rows tell of, the one known last each.

    `request` of a row is a mapping here, not its JSON text.
    """
    found: dict[str, str] = {}
    for row in sorted(snapshots, key=lambda row: row["known_at"]):
        key = row["request"].get("key")
        if key and row["etag"]:
            found[str(key)] = str(row["etag"])
    return found


def due_sessions(exchange: str, start: dt.date, end: dt.date, as_of: dt.datetime) -> list[dt.date]:
    """Return the sessions in [start, end) that have ended at `as_of` and are not before the vendor's first."""
    days = sessions(exchange, max(start, FIRST_SESSION), end)
    if not days:
        return []
    closes = session_close(exchange, days)
    return [day for day, close in zip(days, closes, strict=True) if close <= as_of]


def fetch_flat_files(
    bucket: FlatFileBucket,
    dataset: str,
    days: Sequence[dt.date],
    *,
    source: str,
    as_of: dt.datetime,
    known_etags: Mapping[str, str],
    skip_missing: bool,
    progress: Callable[[str], None] | None,
) -> Iterator[Answer]:
    """Yield the files of the sessions, the newest first; unchanged ones are left out.

    The newest first, since a plan reaches back a number of years: the first file denied ends the fetch, and
    all that the plan includes has come by then. A file that is bad or missing does not keep the others from
    coming: its error is raised after the last. One that is missing before it is due is no error.

    Raises
    ------
    DeniedAccess, RateLimited, SourceUnavailable : at once.
    EmptyAnswer : a file that should be there is not, or has no rows.
    BadPayload : a file is damaged or has another header.
    SourceError : several of these; or a file past the limit of bytes.
    """
    newest_first = {flat_file_key(dataset, day): day for day in sorted(days, reverse=True)}

    def fetch(key: str) -> Iterator[Answer]:
        day = newest_first[key]
        known = known_etags.get(key)
        if known is not None and bucket.etag(key) == known:
            return
        found = bucket.download(key, check=lambda content: _check(content, dataset, key, bucket.secrets))
        if found is not None:
            yield _answer(found, source, dataset, key, day, as_of)
        elif not skip_missing and as_of >= published_by(day):
            raise EmptyAnswer(
                f"there is no {key}, which was due on {published_by(day):%Y-%m-%d %H:%M} UTC: try again later, or go "
                "on without it with the option missing='skip'"
            )

    yield from each_symbol(source, list(newest_first), fetch, progress, units="files")


def _check(content: bytes, dataset: str, key: str, secrets: Mapping[str, str]) -> None:
    """Refuse a file that is not what the vendor documents, or that holds a credential."""

    def refuse(block: bytes) -> None:
        refuse_echo(block, secrets, what=key)

    refuse(content)
    check_flat_file(content, FLAT_FILES[dataset].form, what=key, check_block=refuse)


def _answer(found: FlatFileObject, source: str, dataset: str, key: str, day: dt.date, as_of: dt.datetime) -> Answer:
    return Answer(
        content=found.content,
        source=source,
        dataset=dataset,
        request={"dataset": dataset, "bucket": BUCKET, "key": key, "session": day.isoformat()},
        known_at=as_of,
        media_type="application/gzip" if found.content.startswith(b"\x1f\x8b") else "text/csv",
        etag=found.etag,
        first_session=day,
        last_session=day,
    )


def published_by(session: dt.date) -> dt.datetime:
    """Return when a session's file is due (UTC): 11:00 in New York of the day after."""
    due = dt.datetime.combine(session + dt.timedelta(days=1), PUBLISHED_BY, NEW_YORK)
    return due.astimezone(dt.UTC)
