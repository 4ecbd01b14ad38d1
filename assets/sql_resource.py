"""DuckDB over the lake, as a Dagster resource.

A module of its own, imported when a run asks for it: DuckDB's import would cost every loading of the definitions a
fifth of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_duckdb import DuckDBResource

from lakehouse.lake import SQL_MEMORY_GB

if TYPE_CHECKING:
    import duckdb


class LakeDuckDBResource(DuckDBResource):
    """dagster-duckdb's resource, whose connections see the lake's tables as views and can do nothing but read them.

    Every table is at one version for the life of a connection: the last one, or that of `pins`. Its queries use up to
    `memory_gb` of memory.
    """

    home: str
    database: str = ":memory:"
    memory_gb: float = SQL_MEMORY_GB

    @contextmanager
    def get_connection(self, pins: Mapping[str, int] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection; see `lakehouse.lake.Lake.connect`.

        Parameters
        ----------
        pins : versions of tables, such as those an asset's run has fixed.
        """
        from lakehouse.lake import Lake

        with Lake(Path(self.home)).connect(pins, memory_gb=self.memory_gb) as connection:
            yield connection
