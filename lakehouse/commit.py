"""The write protocol of a table.

1. Lock the table against other processes.
2. Write each partition's rows as one file named by its hash; sync it and its folder.
3. Where the table already holds exactly these files, stop: the write happened before.
4. Commit: the files of the partitions written replace all others there, in one transaction that carries the
   batch, the caller's context and every file's hash. delta-rs links the commit file, so it appears whole or
   not at all.
5. Sync the commit and its folder (delta-rs syncs nothing), note the version as acknowledged, open the table
   anew and compare.

Killed anywhere, a table is as before or as after, and the same call again ends in the same state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Transaction
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from lakehouse import log, noted
from lakehouse.errors import CorruptTable, LakeError, UnknownFormat
from lakehouse.files import make_folder, storage_errors, store, sync
from lakehouse.parquet import DataFile, encode, statistics_json
from lakehouse.records import OnStep
from lakehouse.remedies import anew_remedy
from lakehouse.schemas import TableSchema

MAX_ATTEMPTS = 3
_WRITERS, _MANY = 4, 16
READER_VERSION = 1
_UNSUPPORTED = re.compile(r"(?i)unsupported|not supported")
PROPERTIES = {
    # Old versions make a run replayable: nothing may expire unless upkeep, which knows the pins, says so.
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.enableExpiredLogCleanup": "false",
}


def live_files(delta: DeltaTable, table: TableSchema) -> list[DataFile]:
    """Return the data files of an opened table's version."""
    files = []
    for action in pa.table(delta.get_add_actions(flatten=False)).to_pylist():
        low = {k: v for k, v in (action.get("min") or {}).items() if k in table.key and v is not None}
        high = {k: v for k, v in (action.get("max") or {}).items() if k in low and v is not None}
        files.append(
            DataFile(
                path=action["path"],
                partition=(action.get("partition") or {}).get(table.partition_by),
                size=action["size_bytes"],
                n_rows=action["num_records"],
                statistics={
                    "minValues": {k: v for k, v in low.items() if k in high},
                    "maxValues": high,
                    "nullCount": action.get("null_count") or {},
                },
            )
        )
    return files


def open_table(path: Path, table: str, version: int | None = None) -> DeltaTable | None:
    """Return the table at a version after checking its log; None where it was never written.

    Raises
    ------
    CorruptTable : the log is damaged.
    UnknownTable : no such version.
    """
    number = log.checked_version(path, table, version)
    if number < 0:
        return None
    return opened(path, table, number)


def opened(path: Path, table: str, version: int) -> DeltaTable:
    """Return a version of a table whose log was checked.

    Raises
    ------
    CorruptTable : a checkpoint is damaged.
    UnknownFormat : another tool made the table need what this version does not do, such as deletion vectors.
    StorageFailed : the log cannot be read.
    """
    try:
        with storage_errors(log.log_folder(path)):
            delta = DeltaTable(str(path), version=version)
    except (DeltaError, OSError) as error:
        if _UNSUPPORTED.search(str(error)):
            raise UnknownFormat(f"{table} version {version} cannot be opened: {error}; {log.UPDATE}") from error
        # The commits passed their check, so it is a checkpoint, which only repeats them.
        raise CorruptTable(f"{table} version {version} cannot be opened: {error}; {log.CHECKPOINT_REMEDY}") from error
    needed = delta.protocol().min_reader_version
    if needed > READER_VERSION:
        features = ", ".join(delta.protocol().reader_features or []) or "no feature by name"
        raise UnknownFormat(
            f"{table} version {version} needs a reader of Delta version {needed} ({features}), which another tool set; "
            f"this one is of version {READER_VERSION}: {log.UPDATE}"
        )
    return delta


def write_files(
    path: Path, table: TableSchema, parts: Mapping[str | None, pa.Table], on_step: OnStep
) -> list[DataFile]:
    """Store each partition's rows as one file, durably; return the files. No reader sees them yet."""

    def write(part: tuple[str | None, pa.Table]) -> DataFile:
        file, content = encode(part[1], table, part[0])
        target = path / file.path
        make_folder(target.parent)
        store(target, content, on_step=on_step)
        return file

    if len(parts) < _MANY:
        files = [write(part) for part in parts.items()]
    else:
        # While one waits for the disk another is compressed.
        with ThreadPoolExecutor(_WRITERS) as pool:
            waiting = [pool.submit(write, part) for part in parts.items()]
            try:
                files = [future.result() for future in waiting]
            finally:
                pool.shutdown(cancel_futures=True)
    on_step("files_stored")
    return files


def ensure_table(path: Path, table: TableSchema, on_step: OnStep) -> DeltaTable:
    """Return the table, created if need be, with columns declared since then added as nulls."""
    delta = open_table(path, table.name)
    if delta is None:
        make_folder(path)
        partition_by = [table.partition_by] if table.partition_by else None
        with storage_errors(log.log_folder(path)):
            delta = DeltaTable.create(
                str(path), schema=table.schema, partition_by=partition_by, configuration=PROPERTIES
            )
        sync_commit(path, 0)
        on_step("table_created")
    stored = {field.name: field for field in delta.schema().fields}
    wanted = DeltaSchema.from_arrow(table.schema).fields
    new = [Field(f.name, f.type, nullable=True) for f in wanted if f.name not in stored]
    changed = [f.name for f in wanted if f.name in stored and stored[f.name].type != f.type]
    if changed or len(stored) > len(wanted) - len(new):
        raise LakeError(
            f"{table.name} was written with other columns ({', '.join(changed or sorted(set(stored)))}); "
            f"this version of the code cannot write it: {anew_remedy(table.name)}"
        )
    if new:
        with storage_errors(log.log_folder(path)):
            delta.alter.add_columns(new)
        delta = DeltaTable(str(path))
        sync_commit(path, delta.version())
    return delta


def commit(
    path: Path,
    table: TableSchema,
    files: Sequence[DataFile],
    *,
    partitions: Sequence[str] | None,
    batch_id: str,
    context: Mapping[str, Any] | None,
    on_step: OnStep,
) -> int:
    """Commit the files and return the version. `partitions` are replaced; None: the files are added.

    For an unpartitioned table an empty `partitions` replaces everything. The caller holds the table's lock; a
    conflict can come from another tool only, and is tried three times.
    """
    properties = CommitProperties(
        custom_metadata={log.METADATA_KEY: _metadata(files, partitions, batch_id, context)},
        max_commit_retries=0,
        app_transactions=[Transaction(batch_id, 1)],
    )
    for attempt in range(1, MAX_ATTEMPTS + 1):
        delta = DeltaTable(str(path))
        try:
            with storage_errors(log.log_folder(path), 4096 + 512 * len(files)):
                delta.create_write_transaction(
                    [_add_action(path, table, file) for file in files],
                    mode="append" if partitions is None else "overwrite",
                    schema=table.schema,
                    partition_by=[table.partition_by] if table.partition_by else None,
                    partition_filters=partition_filter(table, partitions),
                    commit_properties=properties,
                )
        except CommitFailedError as error:
            if attempt == MAX_ATTEMPTS:
                raise LakeError(
                    f"{table.name} was changed by another tool in each of {MAX_ATTEMPTS} attempts to write it; "
                    f"run it again when that has ended ({error})"
                ) from error
            continue
        on_step("committed")
        version = delta.version() + 1
        sync_commit(path, version)
        on_step("synced")
        return version
    raise AssertionError("unreachable")


def partition_filter(table: TableSchema, partitions: Sequence[str] | None) -> list[tuple[str, str, Any]] | None:
    """Return the filter for the partitions a write replaces; the only place one is made.

    The values were checked against a strict form, so none can carry syntax.
    """
    if not partitions:
        return None
    if table.partition_by is None:
        raise LakeError(f"{table.name} is not partitioned")
    return [(table.partition_by, "in", list(partitions))]


def sync_commit(path: Path, version: int) -> None:
    """Make a commit, and a checkpoint made with it, survive a power cut; then note it as acknowledged."""
    with storage_errors(log.log_folder(path)):
        sync(log.commit_file(path, version))
        for checkpoint in log.checkpoint_files(path, since=version):
            sync(checkpoint)
        sync(log.log_folder(path))
    noted.note(path, version, log.unnoted_commits(path, version))


def check_written(path: Path, table: TableSchema, version: int, files: Iterable[DataFile]) -> None:
    """Open the committed version anew and compare it with what was to be written.

    Raises
    ------
    CorruptTable : the table does not hold the files.
    """
    delta = open_table(path, table.name, version)
    held = {} if delta is None else {file.path: (file.size, file.n_rows) for file in live_files(delta, table)}
    for file in files:
        if held.get(file.path) != (file.size, file.n_rows) or (path / file.path).stat().st_size != file.size:
            raise CorruptTable(
                f"{table.name} version {version} does not hold {file.path} as written; {log.remedy(path, version)}"
            )


def _metadata(
    files: Sequence[DataFile],
    partitions: Sequence[str] | None,
    batch_id: str,
    context: Mapping[str, Any] | None,
) -> dict[str, Any]:
    metadata = {
        "format": log.FORMAT,
        "batch_id": batch_id,
        "rows": sum(file.n_rows for file in files),
        "partitions": None if partitions is None else list(partitions),
        "files": {file.path: {"sha256": file.sha256, "rows": file.n_rows} for file in files},
        "context": dict(context or {}),
    }
    try:
        json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LakeError(f"the context of a write holds JSON values only: {error}") from None
    return metadata


def _add_action(path: Path, table: TableSchema, file: DataFile) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={table.partition_by: file.partition} if table.partition_by else {},
        modification_time=(path / file.path).stat().st_mtime_ns // 1_000_000,
        data_change=True,
        stats=statistics_json(file),
    )
