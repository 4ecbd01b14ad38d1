"""Files on this machine as a vendor's answers: found by name or pattern, mapped to our names, read whole."""

from __future__ import annotations

import datetime as dt
import glob
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import nearest
from lakehouse.asked import near
from lakehouse.errors import SourceError, SourceUnavailable

MAX_FILE_BYTES = 2 * 1024**3
ENDINGS = (".csv", ".csv.gz", ".parquet")
# Day, month and year differ in each, so that no two letters stand for the same; one of each century.
_DAYS = (dt.date(1987, 10, 19), dt.date(2024, 2, 29))


def find_files(pattern: str) -> list[Path]:
    """Return the file of that name, those a pattern such as "prices/*.csv" finds, or a folder's tables, by name.

    Raises
    ------
    SourceUnavailable : there is none; names the nearest.
    """
    if Path(pattern).is_dir():
        return tables_in(Path(pattern))
    found = (Path(name) for name in glob.glob(pattern))  # noqa: PTH207 - the pattern may be absolute
    files = sorted(file for file in found if file.is_file())
    if not files and Path(pattern).is_file():
        files = [Path(pattern)]  # a name that holds the pattern's own characters
    if not files:
        raise missing_file(Path(pattern))
    return files


def tables_in(folder: Path) -> list[Path]:
    """Return the CSV and Parquet files of a folder (not of folders in it) in the order of their names.

    Raises
    ------
    SourceUnavailable : there is none.
    """
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(ENDINGS) and file.is_file())
    if not files:
        raise SourceUnavailable(f"the folder {folder} holds no CSV or Parquet file ({', '.join(ENDINGS)})")
    return files


def missing_file(file: Path) -> SourceUnavailable:
    """Return the error for a file that is not there, with the nearest name beside it."""
    names = [entry.name for entry in file.parent.iterdir()] if file.parent.is_dir() else []
    others = [name for name in names if name != file.name]
    return SourceUnavailable(f"there is no file at {file}{near(file.name, others, 'files') if others else ''}")


def read_file(file: Path, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return the file's bytes.

    Raises
    ------
    SourceError : more than `max_bytes`.
    SourceUnavailable : it cannot be read.
    """
    try:
        size = file.stat().st_size
        if size > max_bytes:
            raise SourceError(f"{file} has {size:,} bytes; the limit is {max_bytes:,} (max_bytes)")
        return file.read_bytes()
    except OSError as error:
        raise SourceUnavailable(f"{file} cannot be read: {error}") from error


def stem(file: Path) -> str:
    """Return the file's name up to its first dot, which "{stem}" stands for in literals."""
    return file.name.partition(".")[0]


def check_columns(columns: Mapping[str, str], *, required: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the mapping of our names to the file's columns, with every required name and known ones only.

    Raises
    ------
    SourceError : an unknown name (names the nearest), a missing one, or one without a column's name.
    """
    for name in columns:
        if name not in known:
            raise SourceError(f"the column mapping has an unknown name {name!r}{nearest(str(name), known)}")
    for name in required:
        if name not in columns:
            raise SourceError(f"the column mapping lacks {name!r}; it needs {', '.join(required)}")
    for name, column in columns.items():
        if not isinstance(column, str) or not column:
            raise SourceError(f"the column mapping gives {name!r} no column name, was {column!r}; quote it in YAML")
    return dict(columns)


def check_date_format(text: str) -> str:
    """Return a way of writing days in strptime's letters, such as %d.%m.%Y.

    Raises
    ------
    SourceError : a letter that is none, or days written so cannot be read back.
    """
    try:
        written = [day.strftime(text) for day in _DAYS]
        is_whole = [dt.datetime.strptime(line, text).date() for line in written] == list(_DAYS)
    except (ValueError, TypeError, re.error):  # re: a letter that stands twice
        is_whole = False
    if not is_whole:
        raise SourceError(
            f"a date format is written in strptime's letters with year, month and day, such as %Y-%m-%d, %d.%m.%Y or"
            f" %Y%m%d; was {text!r}"
        )
    return text


def check_zone(name: str | None) -> str | None:
    """Return the name of a time zone, or None.

    Raises
    ------
    SourceError : unknown; names the nearest.
    """
    if name is not None:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            known = zoneinfo.available_timezones()
            raise SourceError(f"unknown time zone {name!r}{nearest(str(name), known)}") from None
    return name


def media_type(content: bytes) -> str:
    """Return the type of a table's bytes: Parquet, gzip, or else CSV."""
    if content.startswith(b"PAR1"):
        return "application/vnd.apache.parquet"
    return "application/gzip" if content.startswith(b"\x1f\x8b") else "text/csv"
