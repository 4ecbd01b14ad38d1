"""Reading one table at one version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse import log, year_copies
from lakehouse.commit import live_files, open_table
from lakehouse.errors import CorruptTable, LakeError
from lakehouse.known_files import known_files
from lakehouse.lake import NEVER_WRITTEN
from lakehouse.parquet import DataFile, dataset, has_shared_partition, ordered
from lakehouse.paths import table_path
from lakehouse.remedies import file_remedy
from lakehouse.rows import sort_columns
from lakehouse.schemas import TableSchema

_PIECE_ROWS = 1_048_576
_FEW = 16
_OPERATORS = ("=", "==", "!=", "<", "<=", ">", ">=", "in", "not in")


def scan(
    home: Path,
    table: TableSchema,
    *,
    version: int | None,
    columns: Sequence[str] | None,
    where: Iterable[tuple[str, str, Any]] | None,
    is_ordered: bool = True,
) -> pa.Table:
    """Return rows of the table; see `Lake.scan`."""
    names = [table.column(name).name for name in (table.column_names if columns is None else columns)]
    triples = list(where or [])
    condition = _condition(table, triples)
    path = table_path(home, table.name)
    files = files_at(path, table, version)
    if year_copies.has_copies(table) and (not is_ordered or _is_narrow(table, triples)):
        copied = year_copies.with_copies(home, table, files, triples)
        try:
            return _rows(path, copied, table, condition, names, is_ordered)
        except (OSError, pa.ArrowException, CorruptTable):
            # A copy that was replaced just now, or is damaged: what it repeats is in the files.
            year_copies.forget(home, table)
    try:
        return _rows(path, files, table, condition, names, is_ordered)
    except (OSError, pa.ArrowException) as error:
        remedy = file_remedy(table.name)
        raise CorruptTable(f"{table.name}: a data file is missing or damaged: {error}; {remedy}") from error


def _rows(
    path: Path,
    files: Sequence[DataFile],
    table: TableSchema,
    condition: pc.Expression | None,
    names: Sequence[str],
    is_ordered: bool,
) -> pa.Table:
    """Return the rows of files; those of several in one partition, or of copies, are sorted where order counts."""
    is_sorted = not has_shared_partition(files) and not any(map(year_copies.is_copy, files))
    sort_by = sort_columns(table) if is_ordered and not is_sorted else []
    read = list(dict.fromkeys([*names, *sort_by]))
    rows = dataset(path, files, table, condition).to_table(columns=read, filter=condition)
    if sort_by:
        rows = rows.sort_by([(name, "ascending") for name in sort_by])
    return rows.select(names)


def _is_narrow(table: TableSchema, where: Iterable[tuple[str, str, Any]]) -> bool:
    """Return whether a condition names a few values of the key's first column: few rows are soon sorted."""
    return any(
        column == table.key[0] and (operator in ("=", "==") or (operator == "in" and len(list(value)) <= _FEW))
        for column, operator, value in where
    )


def sorted_pieces(home: Path, table: TableSchema, version: int, partitions: Sequence[str | None]) -> Iterator[pa.Table]:
    """Yield the rows of partitions, sorted by partition and key, in pieces of whole values of the key's first column.

    Files that overlap must be read side by side; a piece holds about `_PIECE_ROWS` rows, or all of one value.
    """
    first = table.key[0]
    for partition in sorted(partitions, key=lambda name: name or ""):
        within = [] if partition is None else [(str(table.partition_by), "=", partition)]
        held = scan(home, table, version=version, columns=[first], where=within).column(first)
        counts = sorted((count["values"], count["counts"]) for count in pc.value_counts(held).to_pylist())
        del held
        for low, high in _spans(counts):
            where = [*within, (first, ">=", low), (first, "<=", high)]
            yield scan(home, table, version=version, columns=None, where=where)


def _spans(counts: Iterable[tuple[Any, int]]) -> Iterator[tuple[Any, Any]]:
    """Yield the first and last value of runs of values that have about `_PIECE_ROWS` rows together."""
    n_rows, low, high = 0, None, None
    for value, count in counts:
        if n_rows and n_rows + count > _PIECE_ROWS:
            yield low, high
            n_rows = 0
        low, high = (value if n_rows == 0 else low), value
        n_rows += count
    if n_rows:
        yield low, high


def files_at(path: Path, table: TableSchema, version: int | None) -> list[DataFile]:
    """Return the data files of a version in reading order; none for a table never written or version -1."""
    if version == NEVER_WRITTEN:
        return []

    def read() -> list[DataFile]:
        delta = open_table(path, table.name, version)
        return [] if delta is None else ordered(live_files(delta, table))

    return known_files(path, version, read)


def contents(home: Path, table: TableSchema, *, version: int | None) -> dict[str | None, tuple[str, ...]]:
    """Return the names of each partition's data files; see `Lake.contents`."""
    names: defaultdict[str | None, list[str]] = defaultdict(list)
    for file in files_at(table_path(home, table.name), table, version):
        names[file.partition].append(file.path.rpartition("/")[2])
    return {partition: tuple(sorted(found)) for partition, found in names.items()}


def history(home: Path, table: TableSchema) -> list[dict[str, Any]]:
    """Return what each commit recorded; see `Lake.history`."""
    path = table_path(home, table.name)
    entries = []
    for version in sorted(log.commit_files(path), reverse=True):
        try:
            commit = log.read_commit(path, version)
        except ValueError as error:
            remedy = log.remedy(path, version)
            raise CorruptTable(f"{table.name} version {version} is damaged: {error}; {remedy}") from error
        if commit.metadata is not None:
            entries.append({"version": version, "timestamp": commit.info.get("timestamp"), **commit.metadata})
    return entries


def _condition(table: TableSchema, where: Iterable[tuple[str, str, Any]] | None) -> Any:
    triples = list(where or [])
    for triple in triples:
        if not isinstance(triple, tuple) or len(triple) != 3:
            raise LakeError(f"a condition is (column, operator, value), was {triple!r}")
        table.column(triple[0])
        if triple[1] not in _OPERATORS:
            raise LakeError(f"unknown operator {triple[1]!r} for {triple[0]}; known: {', '.join(_OPERATORS)}")
    if not triples:
        return None
    try:
        condition = pq.filters_to_expression(triples)
        table.schema.empty_table().filter(condition)  # so that an error in reading is the files', not the condition's
        return condition
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise LakeError(f"{table.name} cannot be read with that condition: {error}") from error
