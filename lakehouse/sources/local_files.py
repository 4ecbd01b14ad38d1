"""Files on this machine as a vendor's answers: found by name or pattern, mapped to our names, read whole."""

from __future__ import annotations

import glob
import zoneinfo
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import nearest
from lakehouse.errors import SourceError, SourceUnavailable

MAX_FILE_BYTES = 2 * 1024**3


def find_files(pattern: str) -> list[Path]:
    """Return the file of that name, or those a pattern such as "prices/*.csv" finds, in the order of their names.

    Raises
    ------
    SourceUnavailable : there is none; names the nearest.
    """
    found = (Path(name) for name in glob.glob(pattern))  # noqa: PTH207 - the pattern may be absolute
    files = sorted(file for file in found if file.is_file())
    if not files and Path(pattern).is_file():
        files = [Path(pattern)]  # a name that holds the pattern's own characters
    if not files:
        folder = Path(pattern).parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        raise SourceUnavailable(f"there is no file at {pattern}{nearest(Path(pattern).name, names)}")
    return files


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
