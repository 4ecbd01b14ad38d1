"""What was made anew, piece by piece, and which of the partitions that are stored it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.lake import Lake
from lakehouse.origins import require_origins
from lakehouse.parquet import DataFile
from lakehouse.restating import WATCHED
from lakehouse.table_schema import TableSchema


@dataclass(frozen=True)
class Piece:
    """Rows that fill some partitions: all their rows and no others'.

    partitions : empty for a table without partitions
    batch_id, context : as of `Lake.replace`
    """

    partitions: Sequence[str]
    rows: pa.Table
    batch_id: str
    context: Mapping[str, Any] = field(default_factory=dict)


Make = Callable[[Sequence[str] | None], Iterator[Piece]]
"""Makes the rows of the partitions named, piece by piece; of None every partition that can be made."""


def pieces(make: Make, partitions: Sequence[str] | None, stored: Iterable[str]) -> Iterator[Piece]:
    """Yield the pieces of the partitions named; of None all that can be made, then those that are stored beside."""
    if partitions is not None:
        yield from make(partitions)
        return
    made: set[str] = set()
    for piece in make(None):
        made |= set(piece.partitions)
        yield piece
    others = sorted(set(stored) - made)
    if others:
        yield from make(others)


def is_foreign(stored: Mapping[str | None, Sequence[DataFile]], partition: str | None) -> bool:
    """Return whether the partition has a file of another tool's, whose name carries no hash."""
    return any(file.sha256 is None for file in stored.get(partition, []))


def check_origins(lake: Lake, table: TableSchema, piece: Piece, partitions: Sequence[str | None]) -> None:
    """Refuse in a check what a rebuild would refuse: to take away rows of which the manifest lost the origin."""
    if table.name in WATCHED and partitions:
        where = None if table.partition_by is None else [(table.partition_by, "in", list(partitions))]
        stored = lake.scan(table.name, where=where)
        require_origins(lake, table.name, stored, rows_of(table, piece, partitions))


def rows_of(table: TableSchema, piece: Piece, partitions: Sequence[str | None]) -> pa.Table:
    """Return the piece's rows of these partitions."""
    if table.partition_by is None:
        return piece.rows
    names = pa.array([name for name in partitions if name is not None], pa.string())
    return piece.rows.filter(pc.is_in(piece.rows.column(table.partition_by), value_set=names))


def names_of(table: TableSchema, piece: Piece) -> list[str | None]:
    """Return the partitions a piece fills, in order; None for the one of a table without partitions."""
    return [None] if table.partition_by is None else [*sorted(piece.partitions)]
