"""Data files: written so that equal rows are equal bytes, read so that a flipped bit is an error.

Without checksums one flipped bit gave wrong numbers in 189 to 198 of 200 tries, silently. So pages carry
checksums, which reading verifies, and a file's name carries its sha256 and the CRC-32 of its footer, which no
page checksum covers: of 6,000 flips outside the footer none went unseen.
"""

from __future__ import annotations

import datetime as dt
import errno
import io
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lakehouse.errors import CorruptTable
from lakehouse.files import sha256, storage_failed
from lakehouse.remedies import file_remedy
from lakehouse.schemas import TableSchema

_FILE_NAME = re.compile(r"part-([0-9a-f]{64})-([0-9a-f]{8})\.parquet")
_TAIL = 8  # a Parquet file ends in its footer, the footer's length and four letters
# One of 500 symbols in a month of minutes (4 million rows) takes 7 ms of CPU to read, with twice as many rows a group
# 11 ms, with a quarter as many 6 ms from a file a quarter larger; a page index is of no use to pyarrow's reader.
ROW_GROUP_ROWS = 65_536
_WRITING: dict[str, Any] = {"write_page_checksum": True, "version": "2.6"}
_MAX_STATISTIC_LENGTH = 64

REMEDY = "`quantlake verify` names the damaged files, and for each the command that rebuilds its partition"

PARQUET = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=True, page_checksum_verification=True)
)


@dataclass(frozen=True)
class DataFile:
    """One data file: path in the table's folder, partition value, size in bytes, rows, statistics."""

    path: str
    partition: str | None
    size: int
    n_rows: int
    statistics: Mapping[str, Any]

    @property
    def sha256(self) -> str | None:
        """The hash in the file's name; None for a file another tool wrote."""
        match = _FILE_NAME.fullmatch(self.path.rpartition("/")[2])
        return match[1] if match else None

    @property
    def footer_crc(self) -> str | None:
        """The checksum of the footer in the file's name; None for a file another tool wrote."""
        match = _FILE_NAME.fullmatch(self.path.rpartition("/")[2])
        return match[2] if match else None


def writing_options(schema: pa.Schema, compression: str = "zstd") -> dict[str, Any]:
    """Return how files of a schema are written.

    Prices and volumes hardly repeat: with a dictionary of them a month of real daily bars is a quarter larger and takes
    twice as long to write.
    """
    repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return _WRITING | {"compression": compression, "use_dictionary": repeating}


def encode(
    rows: pa.Table,
    table: TableSchema,
    partition: str | None,
    *,
    row_group_rows: int | None = None,
    compression: str = "zstd",
) -> tuple[DataFile, bytes]:
    """Return a data file's description and bytes. Equal rows give equal bytes with one version of pyarrow."""
    sink = io.BytesIO()
    n_rows = ROW_GROUP_ROWS if row_group_rows is None else row_group_rows
    pq.write_table(rows, sink, row_group_size=n_rows, **writing_options(rows.schema, compression))
    content = sink.getvalue()
    footer = content[_footer_start(content[-_TAIL:], len(content)) :]
    path = _file_path(table, partition, sha256(content), _crc(footer))
    return DataFile(path, partition, len(content), rows.num_rows, statistics(rows, table)), content


def describe(file: Path, digest: str, table: TableSchema, partition: str | None, figures: dict[str, Any]) -> DataFile:
    """Return the description of a whole Parquet file whose sha256 and statistics are known, as `encode` would."""
    size, footer_crc = _size_and_footer_crc(file)
    path = _file_path(table, partition, digest, footer_crc)
    return DataFile(path, partition, size, figures["numRecords"], figures)


def _file_path(table: TableSchema, partition: str | None, digest: str, footer_crc: str) -> str:
    folder = "" if partition is None else f"{table.partition_by}={partition}/"
    return f"{folder}part-{digest}-{footer_crc}.parquet"


def statistics(rows: pa.Table, table: TableSchema) -> dict[str, Any]:
    """Return the Delta statistics of a file: rows, nulls of each column, and the range of its key's columns.

    The range lets a reader skip files: a run's rows are found without opening the files of all others.
    """
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    for name in table.key:
        if name not in rows.column_names or not rows.num_rows:
            continue
        ends = pc.min_max(rows.column(name)).as_py()
        if isinstance(ends["min"], dt.datetime) or len(str(ends["max"])) > _MAX_STATISTIC_LENGTH:
            continue
        low[name], high[name] = ends["min"], ends["max"]
    nulls = {name: rows.column(name).null_count for name in rows.column_names}
    return {"numRecords": rows.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}


def merged_statistics(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the statistics of rows from those of their parts, of which there is at least one."""
    names = [name for name in parts[0]["minValues"] if all(name in part["minValues"] for part in parts)]
    return {
        "numRecords": sum(part["numRecords"] for part in parts),
        "minValues": {name: min(part["minValues"][name] for part in parts) for name in names},
        "maxValues": {name: max(part["maxValues"][name] for part in parts) for name in names},
        "nullCount": {name: sum(part["nullCount"][name] for part in parts) for name in parts[0]["nullCount"]},
    }


def statistics_json(file: DataFile) -> str:
    """Return the file's statistics as the Delta log holds them."""
    return json.dumps(file.statistics, sort_keys=True, default=dt.date.isoformat)


def dataset(
    root: Path, files: Iterable[DataFile], table: TableSchema, condition: pc.Expression | None = None
) -> ds.FileSystemDataset:
    """Return the files as one dataset in the table's schema, in the order given.

    Files that cannot hold a row of `condition` are left out; the footers of the others are checked. A column
    a file does not have, because it was declared later, reads as null.

    Raises
    ------
    CorruptTable : a file is missing, or its size or footer is not as written.
    StorageFailed : a file may not be read.
    """
    filesystem = pafs.LocalFileSystem()
    by_path = {str(root / file.path): file for file in files}
    fragments = [
        PARQUET.make_fragment(path, filesystem, partition_expression=_guarantee(file, table))
        for path, file in by_path.items()
    ]
    whole = ds.FileSystemDataset(fragments, table.schema, PARQUET, filesystem)
    wanted = list(whole.get_fragments(filter=condition))
    for fragment in wanted:
        _check_footer(Path(fragment.path), by_path[fragment.path], table)
    return ds.FileSystemDataset(wanted, table.schema, PARQUET, filesystem)


def _check_footer(path: Path, file: DataFile, table: TableSchema) -> None:
    try:
        size, crc = _size_and_footer_crc(path)
    except PermissionError as error:
        raise storage_failed(path, errno.EACCES) from error
    except OSError as error:
        raise CorruptTable(f"{table.name}: a data file cannot be read: {error}; {_remedy(file, table)}") from error
    if size != file.size or (file.footer_crc is not None and crc != file.footer_crc):
        raise CorruptTable(f"{table.name}: the data file {path} is not as it was written; {_remedy(file, table)}")


def _remedy(file: DataFile, table: TableSchema) -> str:
    return file_remedy(table.name, table.partition_by, file.partition)


def _size_and_footer_crc(path: Path) -> tuple[int, str]:
    with path.open("rb") as opened:
        size = opened.seek(0, io.SEEK_END)
        opened.seek(max(size - _TAIL, 0))
        opened.seek(_footer_start(opened.read(_TAIL), size))
        return size, _crc(opened.read())


def _footer_start(tail: bytes, size: int) -> int:
    return max(size - _TAIL - int.from_bytes(tail[:4], "little"), 0)


def _crc(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


def _guarantee(file: DataFile, table: TableSchema) -> pc.Expression:
    """What holds for every row of the file; a filter that contradicts it skips the file unopened."""
    expression = pc.scalar(True)
    if table.partition_by is not None and file.partition is not None:
        expression = pc.field(table.partition_by) == pc.scalar(file.partition)
    for name, low in file.statistics["minValues"].items():
        first, last = (
            pa.scalar(end, table.schema.field(name).type) for end in (low, file.statistics["maxValues"][name])
        )
        expression = expression & (pc.field(name) >= first) & (pc.field(name) <= last)
    return expression


def ordered(files: Iterable[DataFile]) -> list[DataFile]:
    """Return the files by partition, then by name."""
    return sorted(files, key=lambda file: (file.partition or "", file.path))


def has_shared_partition(files: Sequence[DataFile]) -> bool:
    """Return whether two files hold rows of one partition: reading them in order does not sort rows."""
    return len({file.partition for file in files}) < len(files)
