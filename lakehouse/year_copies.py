"""Copies of whole years, for readers: a table in months is hundreds of files, and each costs one of them a millisecond.

A copy holds a year's rows sorted by key, so that one symbol's rows lie together. It is made from the year's data files
and named after them in an index: a year that was written to since has no copy until one is made again. Copies repeat
what the table holds. Losing them loses nothing but time, so one that is damaged is put aside, and the table's own files
are read.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse.parquet import DataFile
from lakehouse.paths import copies_path
from lakehouse.table_schema import TableSchema

# Fewer months of a year than this are read faster from their own files.
MIN_MONTHS = 6
_FORMAT = 1
INDEX = "index.json"
_FIELDS = {"key", "path", "size", "n_rows", "statistics"}


def has_copies(table: TableSchema) -> bool:
    """Return whether a table is one of those that years are copied of: months of days."""
    return table.partition_by == "month" and any(
        column.name == table.month_of and column.type == "date" for column in table.columns
    )


def is_copy(file: DataFile) -> bool:
    """Return whether a file is a copy: those of tables have paths within their folder."""
    return Path(file.path).is_absolute()


def with_copies(
    home: Path, table: TableSchema, files: Sequence[DataFile], where: Iterable[tuple[str, str, Any]]
) -> list[DataFile]:
    """Return the files with those of whole years replaced by their copy, where there is one and it saves time.

    A copy's path is absolute. What holds for the months of `where` decides, years it hardly touches stay as they are.
    """
    folder = copies_path(home, table.name)
    index = read_index(folder)
    if not index:
        return list(files)
    first, last = _months_wanted(table, where)
    found: list[DataFile] = []
    for year, months in by_year(files).items():
        n_wanted = sum(first <= str(file.partition) <= last for file in months)
        copy = index.get(year)
        if copy is None or n_wanted < MIN_MONTHS or copy["key"] != content_key(months):
            found += months
        else:
            found.append(_described(folder, table, copy))
    return found


def forget(home: Path, table: TableSchema) -> None:
    """Put all copies of a table aside: one of them could not be read."""
    with contextlib.suppress(OSError):
        (copies_path(home, table.name) / INDEX).unlink(missing_ok=True)


def by_year(files: Iterable[DataFile]) -> dict[str, list[DataFile]]:
    years: defaultdict[str, list[DataFile]] = defaultdict(list)
    for file in files:
        years[str(file.partition)[:4]].append(file)
    return dict(years)


def content_key(files: Iterable[DataFile]) -> str:
    """Return a name for the content of files, whose own names are hashes of theirs."""
    text = "\n".join(sorted(file.path for file in files))
    return hashlib.sha256(f"{_FORMAT}\n{text}".encode()).hexdigest()


def _months_wanted(table: TableSchema, where: Iterable[tuple[str, str, Any]]) -> tuple[str, str]:
    """Return the first and last month that rows of a condition can lie in."""
    first, last = "0000-00", "9999-99"
    for column, operator, value in where:
        if column in (table.month_of, table.partition_by):
            values = list(value) if operator == "in" else [value]
            months = sorted(str(item)[:7] for item in values) or [last]
            if operator in ("=", "==", ">", ">=", "in"):
                first = max(first, months[0])
            if operator in ("=", "==", "<", "<=", "in"):
                last = min(last, months[-1])
    return first, last


def _described(folder: Path, table: TableSchema, copy: Mapping[str, Any]) -> DataFile:
    """Return a copy of the index as a data file."""
    days = {column.name for column in table.columns if column.type == "date"}
    statistics = {
        name: {key: dt.date.fromisoformat(end) if key in days else end for key, end in ends.items()}
        for name, ends in copy["statistics"].items()
        if name in ("minValues", "maxValues")
    }
    return DataFile(str(folder / copy["path"]), None, copy["size"], copy["n_rows"], statistics)


def read_index(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the copies by year; none where there is no index that can be read."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        years = index["years"] if index["format"] == _FORMAT else {}
        return {year: copy for year, copy in years.items() if set(copy) >= _FIELDS}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_index(folder: Path, index: Mapping[str, Mapping[str, Any]]) -> None:
    if not index and not folder.is_dir():
        return
    stage = folder / f"{INDEX}#{os.getpid()}"
    text = json.dumps({"format": _FORMAT, "years": dict(index)}, sort_keys=True, default=str)
    stage.write_text(text, encoding="utf-8")
    stage.replace(folder / INDEX)
