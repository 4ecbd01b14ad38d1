"""Which version of a table was the last one at a moment."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

from lakehouse import log
from lakehouse.errors import CorruptTable, LakeError
from lakehouse.schemas import TableSchema

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def version_at(path: Path, table: TableSchema, at: dt.datetime) -> int:
    """Return the last version of a table that was committed at a moment or before, -1 where there was none.

    Commits are stamped by the clock of the process that made them. One that was stamped before the commit it
    follows, since a clock was set back, counts as made with that one: versions never go back in time.

    Raises
    ------
    LakeError : `at` has no time zone.
    CorruptTable : the log is damaged.
    """
    if at.tzinfo is None:
        raise LakeError(f"a moment needs a time zone, such as 2024-05-01T16:00+00:00, was {at.isoformat()}")
    log.checked_version(path, table.name, None)
    versions = list(log.commit_files(path))
    stamps = list(accumulate((_stamp(path, table, version) for version in versions), max))
    place = bisect_right(stamps, (at - _EPOCH) // dt.timedelta(milliseconds=1))
    return versions[place - 1] if place else -1


def _stamp(path: Path, table: TableSchema, version: int) -> int:
    """Return when a version was committed, ms since 1970 UTC."""
    try:
        return int(log.read_commit(path, version).info["timestamp"])
    except (ValueError, KeyError, TypeError) as error:
        remedy = log.remedy(path, version)
        raise CorruptTable(f"{table.name} version {version} is damaged: {error}; {remedy}") from error
