"""Polygon, whose name is Massive today: flat files of the whole US market, and its REST interface.

    day, minute         bars of a session from flat files          core/daily_bars, core/minute_bars
    trades, quotes      every tick of a session from flat files    core/trades, core/quotes
    aggregates          daily bars of a symbol                     core/daily_bars
    splits, dividends   of some symbols, or of all                 core/corporate_actions
    tickers             listed and delisted                        rows for core/listings
    ticker_events       the tickers a security has had             rows for core/listings

Prices are as traded everywhere. Needed are a plan of the vendor's and its keys in the environment:
POLYGON_S3_ACCESS_KEY_ID and POLYGON_S3_SECRET_ACCESS_KEY for flat files, POLYGON_API_KEY for the others. Its
terms forbid passing data on, and ask that it is deleted when the plan ends.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from engine.errors import nearest
from lakehouse.errors import SourceError
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed, check_asked, check_symbol, distinct_symbols
from lakehouse.sources.polygon_csv import MAX_ROWS
from lakehouse.sources.polygon_flat_files import BUCKET, FLAT_FILES, due_sessions, etags_of, fetch_flat_files
from lakehouse.sources.polygon_rest import API_KEY, PARSERS, Question, api_headers, fetch_pages, parse_page, questions
from lakehouse.sources.polygon_s3 import FlatFileBucket
from lakehouse.sources.quarantine import MAX_BAD_SHARE
from lakehouse.sources.rate_limit import Rate
from lakehouse.sources.resuming import RESUME_WITHIN, Resuming
from lakehouse.sources.web import Web

MAX_FILE_BYTES = 2 * 1024**3
DATASETS = (*FLAT_FILES, *PARSERS)
_MISSING = ("refuse", "skip")


class PolygonSource(Resuming):
    """One dataset of Polygon's.

    Parameters
    ----------
    dataset : as above
    endpoint_url : of the flat files' S3
    base_url : of the REST interface
    requests_per_minute : to the REST interface, of all processes together; 5 without a paid plan, else no limit
    rate_folder : where the processes keep count; by default a temporary folder of the user's own
    exchange : whose sessions have flat files, and tell whether a page of REST is still the newest
        (`lakehouse.sources.resuming`)
    resume_within : seconds for which a page of a fetch that broke off is not asked for again; 0: always asked
    known_etags : key -> ETag of flat files that are already there, which are not downloaded again while the
        vendor's have the same (`lakehouse.sources.polygon_flat_files.etags_of`)
    missing : "refuse" a session without a file once it is due, or a symbol without an answer, or "skip" it
    only : symbols that parsing a flat file keeps; by default all, which for trades and quotes fits no memory
    timeout : seconds to connect, and seconds without a byte
    deadline : seconds one `fetch` may take, retries included
    wait_initial, wait_max : seconds between retries: doubling from the first to the second, with jitter
    max_bytes : of one flat file, packed
    max_rows : of one flat file, kept
    max_bad_share : fraction of an answer's rows that may be unusable
    """

    name = "polygon"

    def __init__(
        self,
        *,
        dataset: str = "day",
        endpoint_url: str = "https://files.massive.com",
        base_url: str = "https://api.massive.com",
        requests_per_minute: int | None = None,
        rate_folder: str | None = None,
        exchange: str = "XNYS",
        resume_within: float = RESUME_WITHIN,
        known_etags: Mapping[str, str] | None = None,
        missing: str = "refuse",
        only: Sequence[str] = (),
        timeout: float = 30.0,
        deadline: float = 7200.0,
        wait_initial: float = 1.0,
        wait_max: float = 30.0,
        max_bytes: int = MAX_FILE_BYTES,
        max_rows: int = MAX_ROWS,
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        if dataset not in DATASETS:
            raise SourceError(f"source 'polygon' has no dataset {dataset!r}{nearest(str(dataset), DATASETS)}")
        if missing not in _MISSING:
            raise SourceError(f"missing must be 'refuse' or 'skip', was {missing!r}")
        self.dataset = dataset
        self._endpoint_url = endpoint_url
        self._base_url = base_url
        self._rate = None
        if requests_per_minute is not None:
            folder = None if rate_folder is None else Path(rate_folder)
            self._rate = Rate("polygon", requests_per_minute, seconds=60.0, folder=folder)
        self._exchange = exchange
        self._resume_within = resume_within
        self._known_etags = dict(known_etags or {})
        self._skip_missing = missing == "skip"
        self._only = [check_symbol(symbol) for symbol in only]
        self._timeout = timeout
        self._deadline = deadline
        self._wait_initial = wait_initial
        self._wait_max = wait_max
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._max_bad_share = max_bad_share

    def remembering(self, stored: Iterable[Mapping[str, Any]]) -> Self:
        """Return the same source, which leaves out flat files whose ETag is still the same, and of REST what a fetch
        that broke off has stored.

        Parameters
        ----------
        stored : rows of raw/snapshots, of files whose bytes are there
        """
        rows = list(stored)
        known = etags_of({**row, "request": json.loads(row["request"])} for row in rows)
        other = super().remembering(rows)
        other._known_etags = {**self._known_etags, **known}
        return other

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once, in order; none means all.

        Raises
        ------
        BadName : one is no symbol.
        """
        return distinct_symbols(configured)

    def fetch(
        self,
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
        *,
        as_of: dt.datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield the dataset's answers for the sessions in [start, end) that have ended at `as_of`.

        Flat files come whole, with all symbols whichever are asked for, the newest session first. Of the REST
        interface each page is an answer.

        Raises
        ------
        SourceError : of several files or symbols; boto3 is not installed; an empty range; symbols are needed.
        DeniedAccess : a key is not set or wrong, or the plan does not include what is asked for.
        RateLimited, SourceUnavailable : after the retries.
        EmptyAnswer, BadPayload, BadRows, UnknownSymbol : of one file or symbol, after the last.
        """
        check_asked(start, end, as_of)
        wanted = self.symbols(symbols)
        if self.dataset in FLAT_FILES:
            return self._fetch_files(start, end, as_of, progress)
        return self._fetch_pages(questions(self.dataset, wanted, start, end, as_of), as_of, progress)

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the rows of an answer.

        Raises
        ------
        BadPayload : not what the vendor documents.
        BadRows : more than `max_bad_share` of the rows are unusable.
        EmptyAnswer : a flat file without rows.
        """
        dataset = str(request["dataset"])
        if dataset not in FLAT_FILES:
            return parse_page(content, request, max_bad_share=self._max_bad_share)
        return FLAT_FILES[dataset].parse(
            content,
            what=str(request["key"]),
            session=dt.date.fromisoformat(str(request["session"])),
            only=self._only,
            max_bad_share=self._max_bad_share,
            max_rows=self._max_rows,
        )

    def _fetch_files(
        self, start: dt.date, end: dt.date, as_of: dt.datetime, progress: Callable[[str], None] | None
    ) -> Iterator[Answer]:
        days = due_sessions(self._exchange, start, end, as_of)
        if not days:
            return
        bucket = FlatFileBucket(
            self._endpoint_url,
            BUCKET,
            timeout=self._timeout,
            give_up_at=time.monotonic() + self._deadline,
            wait_initial=self._wait_initial,
            wait_max=self._wait_max,
            max_bytes=self._max_bytes,
        )
        yield from fetch_flat_files(
            bucket,
            self.dataset,
            days,
            source=self.name,
            as_of=as_of,
            known_etags=self._known_etags,
            skip_missing=self._skip_missing,
            progress=progress,
        )

    def _fetch_pages(
        self, asked: Sequence[Question], as_of: dt.datetime, progress: Callable[[str], None] | None
    ) -> Iterator[Answer]:
        named = {
            question.what: {
                "what": question.what,
                "path": question.path,
                "params": dict(question.params),
                "is_last": True,
            }
            for question in asked
        }
        left = self._left_over(named, as_of, progress)
        asked = [question for question in asked if question.what in left]
        web = Web(
            "Polygon",
            self._base_url,
            headers=api_headers,
            variables=(API_KEY,),
            timeout=self._timeout,
            deadline=self._deadline,
            wait_initial=self._wait_initial,
            wait_max=self._wait_max,
            rate=self._rate,
        )
        with web:
            yield from fetch_pages(
                web,
                self.dataset,
                asked,
                source=self.name,
                as_of=as_of,
                skip_missing=self._skip_missing,
                max_bad_share=self._max_bad_share,
                progress=progress,
            )
