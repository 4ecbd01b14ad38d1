"""Reading one table at one version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse import log
from lakehouse.commit import live_files, open_table
from lakehouse.errors import CorruptTable, LakeError
from lakehouse.parquet import REMEDY, DataFile, dataset, has_shared_partition, ordered
from lakehouse.paths import table_path
from lakehouse.rows import sort_columns
from lakehouse.schemas import TableSchema

_OPERATORS = ("=", "==", "!=", "<", "<=", ">", ">=", "in", "not in")


def scan(
    home: Path,
    table: TableSchema,
    *,
    version: int | None,
    columns: Sequence[str] | None,
    where: Iterable[tuple[str, str, Any]] | None,
) -> pa.Table:
    """Return rows of the table; see `Lake.scan`."""
    names = [table.column(name).name for name in (table.column_names if columns is None else columns)]
    condition = _condition(table, where)
    path = table_path(home, table.name)
    files = files_at(path, table, version)
    sort_by = sort_columns(table) if has_shared_partition(files) else []
    read = list(dict.fromkeys([*names, *sort_by]))
    try:
        rows = dataset(path, files, table, condition).to_table(columns=read, filter=condition)
    except (OSError, pa.ArrowException) as error:
        raise CorruptTable(f"{table.name}: a data file is missing or damaged: {error}; {REMEDY}") from error
    if sort_by:
        rows = rows.sort_by([(name, "ascending") for name in sort_by])
    return rows.select(names)


def files_at(path: Path, table: TableSchema, version: int | None) -> list[DataFile]:
    """Return the data files of a version in reading order; none for a table never written or version -1."""
    delta = None if version == -1 else open_table(path, table.name, version)
    return [] if delta is None else ordered(live_files(delta, table))


def history(home: Path, table: TableSchema) -> list[dict[str, Any]]:
    """Return what each commit recorded; see `Lake.history`."""
    path = table_path(home, table.name)
    entries = []
    for version in sorted(log.commit_files(path), reverse=True):
        try:
            commit = log.read_commit(path, version)
        except ValueError as error:
            raise CorruptTable(f"{table.name} version {version} is damaged: {error}; {log.REMEDY}") from error
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
