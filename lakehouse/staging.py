"""Data files written piece by piece: no more than two row groups and one piece of rows are held at a time.

Rows come in the order of the table. They go to a staged file, a row group after the other, and only a whole file
gets its name: equal rows are equal bytes, in whatever pieces they came.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.files import STAGING_MARK, make_folder, publish, storage_errors
from lakehouse.parquet import ROW_GROUP_ROWS, DataFile, describe, merged_statistics, statistics, writing_options
from lakehouse.records import OnStep
from lakehouse.rows import bad_rows, conform, sort_columns, split
from lakehouse.schemas import TableSchema


@contextlib.contextmanager
def staged(
    path: Path, table: TableSchema, pieces: Iterable[pa.Table], partitions: Sequence[str], on_step: OnStep
) -> Iterator[StagedFiles]:
    """Write pieces of rows to staged files in the table's folder, which are gone when the context ends.

    Raises
    ------
    UnknownColumn, BadRows : as `conform`; also for pieces that are not in order.
    StorageFull : no room.
    """
    files = StagedFiles(path, table, on_step)
    try:
        for rows in _in_order(pieces, table):
            for partition, part in split(rows, table, partitions).items():
                files.add(partition, part)
        files.close()
        yield files
    finally:
        files.discard()


def _in_order(pieces: Iterable[pa.Table], table: TableSchema) -> Iterator[pa.Table]:
    """Yield the pieces as the table takes them, none with rows that belong before those of an earlier one."""
    order = sort_columns(table)
    last: tuple[Any, ...] | None = None
    for piece in pieces:
        rows = conform(piece, table)
        if not rows.num_rows:
            continue
        first = _key(rows, order, 0)
        if last is not None and not last < first:
            text = f"does not come after the row before it, which has the {', '.join(order)} {_shown(last)}"
            raise bad_rows(table, text, "order", rows.slice(0, 1))
        last = _key(rows, order, rows.num_rows - 1)
        yield rows


def _key(rows: pa.Table, order: Sequence[str], row: int) -> tuple[Any, ...]:
    return tuple(rows.column(name)[row].as_py() for name in order)


def _shown(key: Sequence[Any]) -> str:
    return ", ".join(map(str, key))


class StagedFiles:
    """Staged data files, one a partition; `publish` gives them their names."""

    def __init__(self, path: Path, table: TableSchema, on_step: OnStep) -> None:
        self._path, self._table, self._on_step = path, table, on_step
        self._open: _StagedFile | None = None
        self._whole: list[tuple[Path, DataFile, str]] = []
        self._stages: list[Path] = []

    @property
    def n_rows(self) -> int:
        """Rows in the whole files."""
        return sum(file.n_rows for _, file, _ in self._whole)

    def add(self, partition: str | None, rows: pa.Table) -> None:
        """Append the rows of one partition; when another partition begins, the one before is whole."""
        if self._open is None or self._open.partition != partition:
            self.close()
            make_folder(self._path)
            name = f"part{STAGING_MARK}{os.getpid()}-{threading.get_ident()}-{len(self._stages)}"
            self._stages.append(self._path / name)
            with storage_errors(self._stages[-1], rows.nbytes):
                self._open = _StagedFile(self._stages[-1], self._table, partition, rows.schema)
        self._open.add(rows)

    def close(self) -> None:
        """Make the open file whole."""
        if self._open is None:
            return
        self._whole.append(self._open.finish())
        self._open = None
        self._on_step("staged")

    def publish(self) -> list[DataFile]:
        """Give the files their names, durably; return their descriptions. No reader sees them yet."""
        for stage, file, digest in self._whole:
            target = self._path / file.path
            make_folder(target.parent)
            with storage_errors(target, file.size):
                publish(stage, target, digest)
            self._on_step("file_linked")
        self._on_step("files_stored")
        return [file for _, file, _ in self._whole]

    def discard(self) -> None:
        """Remove what was not published; a table's folder that was made for it goes too."""
        if self._open is not None:
            self._open.abandon()
        for stage in self._stages:
            with contextlib.suppress(OSError):  # else it would hide why writing failed; `verify` lists what stays
                stage.unlink()
        with contextlib.suppress(OSError):
            self._path.rmdir()


class _StagedFile:
    """One Parquet file being written; its rows are cut into row groups of the same size as in any other file."""

    def __init__(self, stage: Path, table: TableSchema, partition: str | None, schema: pa.Schema) -> None:
        self.partition = partition
        self._table, self._stage = table, stage
        self._sink = _HashingSink(stage)
        try:
            self._writer = pq.ParquetWriter(self._sink, schema, **writing_options(schema))
        except BaseException:
            self._sink.close()
            raise
        self._rest: list[pa.Table] = []
        self._parts: list[dict[str, Any]] = []

    def add(self, rows: pa.Table) -> None:
        self._rest.append(rows)
        n_rows = sum(part.num_rows for part in self._rest)
        if n_rows < ROW_GROUP_ROWS:
            return
        waiting = pa.concat_tables(self._rest)
        n_written = n_rows - n_rows % ROW_GROUP_ROWS
        for start in range(0, n_written, ROW_GROUP_ROWS):
            self._write(waiting.slice(start, ROW_GROUP_ROWS))
        self._rest = [waiting.slice(n_written)]

    def finish(self) -> tuple[Path, DataFile, str]:
        rest = pa.concat_tables(self._rest)
        if rest.num_rows:
            self._write(rest)
        with storage_errors(self._stage, self._sink.n_bytes):
            self._writer.close()
            digest = self._sink.finish()
        file = describe(self._stage, digest, self._table, self.partition, merged_statistics(self._parts))
        return self._stage, file, digest

    def abandon(self) -> None:
        for part in (self._writer, self._sink):
            with contextlib.suppress(OSError):
                part.close()

    def _write(self, rows: pa.Table) -> None:
        # One chunk a column: where pages end depends on where chunks end.
        group = rows.combine_chunks()
        self._parts.append(statistics(group, self._table))
        with storage_errors(self._stage, self._sink.n_bytes + group.nbytes):
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)


class _HashingSink:
    """A new file that knows the sha256 of what was written to it."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self.n_bytes = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        self.n_bytes += len(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def finish(self) -> str:
        """Make the bytes survive a power cut and return their hash."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        self._file.close()
