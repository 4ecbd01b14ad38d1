"""The lake of this machine, for notebooks and scripts."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import LakeError
from lakehouse.lake import SQL_MEMORY_GB, Lake

if TYPE_CHECKING:
    import duckdb


def connect(
    pins: Mapping[str, int] | None = None,
    *,
    at: dt.datetime | None = None,
    home: Path | str | None = None,
    memory_gb: float = SQL_MEMORY_GB,
) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection over the tables of a lake, which reads them and nothing else; see `Lake.connect`.

    Parameters
    ----------
    pins : versions of tables to read, such as those of a run; others are read at their last version, fixed now.
    at : a moment with a time zone: tables without a pin are read as they were then.
    home : folder of the lake; by default that of QUANTLAKE_HOME, or `.quantlake` in the working folder. (A home that
        quantlake.yaml names is given here.)
    memory_gb : what its queries may use; the setting sql_memory_gb counts for the command line and the graph.

    Raises
    ------
    LakeError : there is no lake in the folder.
    """
    folder = Path(home if home is not None else os.environ.get("QUANTLAKE_HOME") or ".quantlake").expanduser()
    if not (folder / "tables").is_dir():
        raise LakeError(
            f"there is no lake in {folder.absolute()}: set QUANTLAKE_HOME or give `home`; `quantlake demo` fills one"
        )
    return Lake(folder).connect(pins, at=at, memory_gb=memory_gb)
