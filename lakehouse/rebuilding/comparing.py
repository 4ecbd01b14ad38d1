"""Whether a partition holds what it should: by the hash of its sorted rows, after checking its files' own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lakehouse.files import make_folder, sha256_of_file, sync
from lakehouse.parquet import DataFile, dataset, encode, ordered
from lakehouse.rows import sort_columns
from lakehouse.table_schema import TableSchema

SAME, DIFFERS, MISSING, DAMAGED, REBUILT = "same", "differs", "missing", "damaged", "rebuilt"


@dataclass(frozen=True)
class Outcome:
    """One partition as stored and as made anew.

    partition : its value; None for a table without partitions
    state : "same", "differs", "missing" (nothing is stored, and rows were made), "damaged" (the stored files are not
        as written), or "rebuilt" with the whole table
    rows_stored : None where they cannot be read
    sha256 : of the rows made, in order of their key; None for no rows
    was_replaced : whether the stored rows were replaced
    """

    partition: str | None
    state: str
    rows_stored: int | None
    rows_made: int
    sha256: str | None
    was_replaced: bool = False


def compare(
    path: Path, table: TableSchema, partition: str | None, stored: Sequence[DataFile], made: pa.Table | None
) -> Outcome:
    """Return how the stored files of a partition compare with the rows made anew.

    Both sides are put into the same form here and now, so that rows an older library wrote in other bytes are equal.

    Parameters
    ----------
    stored : the partition's files in the table's current version
    made : its rows as `lakehouse.rows.split` gives them; None for no rows
    """
    n_made = 0 if made is None else made.num_rows
    file = None if made is None else encode(made, table, partition)[0]
    digest = None if file is None else file.sha256
    if any(is_damaged(path, each) for each in stored):
        return Outcome(partition, DAMAGED, None, n_made, digest)
    n_stored = sum(each.n_rows for each in stored)
    if n_made and not n_stored:
        return Outcome(partition, MISSING, 0, n_made, digest)
    if {each.path for each in stored} == ({file.path} if file is not None else set()):
        return Outcome(partition, SAME, n_stored, n_made, digest)
    held = _rows(path, table, partition, stored)
    state = SAME if held.num_rows == n_made and (not n_made or _digest(held, table, partition) == digest) else DIFFERS
    return Outcome(partition, state, n_stored, n_made, digest)


def is_damaged(path: Path, file: DataFile) -> bool:
    """Return whether a data file is missing, has another size, or not the bytes its name says."""
    found = path / file.path
    if not found.is_file() or found.stat().st_size != file.size:
        return True
    return file.sha256 is not None and sha256_of_file(found) != file.sha256


def keep_aside(path: Path, aside: Path, files: Sequence[DataFile]) -> bool:
    """Give the damaged files among these a second name below `aside`; return whether there were any to keep."""
    kept = False
    for file in files:
        found = path / file.path
        if found.is_file() and is_damaged(path, file):
            target = aside / file.path
            make_folder(target.parent)
            os.link(found, target)
            sync(target.parent)
            kept = True
    return kept


def _rows(path: Path, table: TableSchema, partition: str | None, stored: Sequence[DataFile]) -> pa.Table:
    # Sorted here: another tool's file may hold its rows in any order.
    rows = dataset(path, ordered(stored), table).to_table()
    rows = rows.sort_by([(name, "ascending") for name in sort_columns(table)])
    return rows if table.partition_by is None else rows.drop_columns([table.partition_by])


def _digest(rows: pa.Table, table: TableSchema, partition: str | None) -> str | None:
    return encode(rows.combine_chunks(), table, partition)[0].sha256
