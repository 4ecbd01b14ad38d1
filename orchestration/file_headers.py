"""The columns of a file to import, as far as its first line tells them."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path


def column_mapping(file: Path, given: Mapping[str, str], delimiter: str) -> dict[str, str]:
    """Return our fields with the file's column of each: the given one, else the one of the field's own name.

    Dividends and splits are read where the file has columns of those names. A required column that is not there is
    refused when the file is read.
    """
    from lakehouse.sources.strict_table import OPTIONAL, REQUIRED

    header = columns_of(file, delimiter)
    own = {field: field for field in (*REQUIRED, *OPTIONAL) if field in REQUIRED or field in header}
    return {**own, **given}


def columns_of(file: Path, delimiter: str) -> list[str]:
    """Return the names of a CSV or Parquet file's columns; none where it cannot be read, which reading it explains."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
        if magic == b"PAR1":
            import pyarrow.parquet as pq

            return list(pq.read_schema(file).names)
        with gzip.open(file) if magic.startswith(b"\x1f\x8b") else file.open("rb") as stream:
            lines = io.TextIOWrapper(io.BytesIO(stream.read(1 << 16)), encoding="utf-8-sig", errors="replace")
        return [name.strip() for name in next(csv.reader(lines, delimiter=delimiter), [])]
    except (OSError, EOFError, ValueError, TypeError, csv.Error, zlib.error):
        return []
