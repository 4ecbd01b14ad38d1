"""The writes of the lake: replace partitions, append a batch once, annotate, make one file of a partition's many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse import commit as protocol
from lakehouse.errors import LakeError
from lakehouse.locks import table_lock
from lakehouse.parquet import DataFile, dataset
from lakehouse.paths import lock_path, table_path
from lakehouse.reading import sorted_pieces
from lakehouse.records import Commit, OnStep
from lakehouse.rows import bad_rows, conform, key_decides_partition, partition_values, split
from lakehouse.schemas import TableSchema
from lakehouse.staging import staged

if TYPE_CHECKING:
    import pandas as pd
    from deltalake import DeltaTable


def replace(
    home: Path,
    table: TableSchema,
    rows: pa.Table | pd.DataFrame,
    *,
    partitions: Sequence[str] | str | None,
    batch_id: str,
    context: Mapping[str, Any] | None,
    timeout: float,
    on_step: OnStep,
) -> Commit:
    """Make the rows the whole content of the partitions; see `Lake.replace`."""
    _check_batch(batch_id)
    names = partition_values(table, partitions)
    checked = conform(rows, table)
    parts = split(checked, table, names)
    path = table_path(home, table.name)
    with table_lock(lock_path(home, table.name), table.name, timeout=timeout):
        on_step("locked")
        delta = protocol.ensure_table(path, table, on_step)
        files = protocol.write_files(path, table, parts, on_step)
        return _commit_changed(path, table, delta, files, names, batch_id, context, on_step)


def replace_sorted(
    home: Path,
    table: TableSchema,
    pieces: Iterable[pa.Table],
    *,
    partitions: Sequence[str] | str | None,
    batch_id: str,
    context: Mapping[str, Any] | None,
    timeout: float,
    on_step: OnStep,
) -> Commit:
    """Make the pieces' rows the whole content of the partitions; see `Lake.replace_sorted`."""
    _check_batch(batch_id)
    names = partition_values(table, partitions)
    path = table_path(home, table.name)
    with (
        staged(path, table, pieces, names, on_step) as files,
        table_lock(lock_path(home, table.name), table.name, timeout=timeout),
    ):
        on_step("locked")
        delta = protocol.ensure_table(path, table, on_step)
        return _commit_changed(path, table, delta, files.publish(), names, batch_id, context, on_step)


def compact(
    home: Path, table: TableSchema, *, partitions: Sequence[str] | str | None, timeout: float, on_step: OnStep
) -> Commit:
    """Rewrite partitions of several files as one file each; see `Lake.compact`."""
    names = partition_values(table, partitions)
    path = table_path(home, table.name)
    with table_lock(lock_path(home, table.name), table.name, timeout=timeout):
        on_step("locked")
        delta = protocol.ensure_table(path, table, on_step)
        live = protocol.live_files(delta, table)
        wanted: list[str | None] = [*names] if table.partition_by else [None]
        scattered = [name for name in wanted if sum(file.partition == name for file in live) > 1]
        if not scattered:
            protocol.sync_commit(path, delta.version())
            return Commit(table.name, delta.version(), 0, False)
        pieces = sorted_pieces(home, table, delta.version(), scattered)
        some = [name for name in scattered if name is not None]
        with staged(path, table, pieces, some, on_step) as files:
            batch_id = f"compact {delta.version()}"
            return _commit_changed(path, table, delta, files.publish(), some, batch_id, None, on_step)


def _commit_changed(
    path: Path,
    table: TableSchema,
    delta: DeltaTable,
    files: Sequence[DataFile],
    names: Sequence[str],
    batch_id: str,
    context: Mapping[str, Any] | None,
    on_step: OnStep,
) -> Commit:
    """Commit the files as the whole content of the partitions, those left out that hold these very files already."""
    changed = _changed_partitions(protocol.live_files(delta, table), files, names if table.partition_by else [None])
    version = delta.version()
    if changed:
        version = protocol.commit(
            path,
            table,
            [file for file in files if file.partition in changed],
            partitions=[name for name in changed if name is not None],
            batch_id=batch_id,
            context=context,
            on_step=on_step,
        )
    else:
        protocol.sync_commit(path, version)
    protocol.check_written(path, table, version, files)
    return Commit(table.name, version, sum(file.n_rows for file in files), bool(changed))


def append_once(
    home: Path,
    table: TableSchema,
    rows: pa.Table | pd.DataFrame,
    *,
    batch_id: str,
    context: Mapping[str, Any] | None,
    timeout: float,
    on_step: OnStep,
) -> Commit:
    """Add the rows unless the batch was added before; see `Lake.append_once`."""
    _check_batch(batch_id)
    checked = conform(rows, table)
    names = []
    if table.partition_by is not None and checked.num_rows:
        names = partition_values(table, checked.column(table.partition_by).unique().to_pylist())
    path = table_path(home, table.name)
    with table_lock(lock_path(home, table.name), table.name, timeout=timeout):
        on_step("locked")
        delta = protocol.ensure_table(path, table, on_step)
        if delta.transaction_version(batch_id) is not None:
            protocol.sync_commit(path, delta.version())
            return Commit(table.name, delta.version(), checked.num_rows, False)
        _refuse_known_keys(path, table, delta, checked)
        files = protocol.write_files(path, table, split(checked, table, names), on_step)
        version = protocol.commit(
            path, table, files, partitions=None, batch_id=batch_id, context=context, on_step=on_step
        )
        protocol.check_written(path, table, version, files)
        return Commit(table.name, version, checked.num_rows, True)


def annotate(
    home: Path,
    table: TableSchema,
    *,
    batch_id: str,
    context: Mapping[str, Any],
    timeout: float,
    on_step: OnStep,
) -> Commit:
    """Commit a context and no row; see `Lake.annotate`."""
    _check_batch(batch_id)
    path = table_path(home, table.name)
    with table_lock(lock_path(home, table.name), table.name, timeout=timeout):
        on_step("locked")
        protocol.ensure_table(path, table, on_step)
        version = protocol.commit(path, table, [], partitions=None, batch_id=batch_id, context=context, on_step=on_step)
        protocol.check_written(path, table, version, [])
        return Commit(table.name, version, 0, True)


def _check_batch(batch_id: str) -> None:
    if not isinstance(batch_id, str) or not batch_id:
        raise LakeError(f"a batch_id is a text that names the write, was {batch_id!r}")


def _changed_partitions(
    live: Sequence[DataFile], written: Sequence[DataFile], names: Sequence[str | None]
) -> list[str | None]:
    """Return the partitions whose files differ from the ones written; names hold the content's hash."""
    changed = []
    for name in names:
        before = {file.path for file in live if file.partition == name}
        after = {file.path for file in written if file.partition == name}
        if before != after:
            changed.append(name)
    return changed


def _refuse_known_keys(path: Path, table: TableSchema, delta: DeltaTable, rows: pa.Table) -> None:
    """A key is unique over the table, so a batch may not bring one that is there."""
    if not rows.num_rows:
        return
    first = table.key[0]
    same = pc.field(first).isin(rows.column(first).unique())
    for name in table.key[1:]:
        ends = pc.min_max(rows.column(name))
        same = same & (pc.field(name) >= ends["min"]) & (pc.field(name) <= ends["max"])
    if table.partition_by is not None and key_decides_partition(table):
        same = same & pc.field(table.partition_by).isin(rows.column(table.partition_by).unique())
    held = dataset(path, protocol.live_files(delta, table), table, same)
    known = held.to_table(columns=list(table.key), filter=same)
    if not known.num_rows:
        return
    repeated = rows.join(known, keys=list(table.key), join_type="inner")
    if repeated.num_rows:
        key = ", ".join(table.key)
        raise bad_rows(table, f"the key ({key}) is in the table already, from another batch", "unique key", repeated)
