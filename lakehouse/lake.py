"""The lake: versioned tables and snapshots under one folder.

Importing this module costs nothing; Arrow, Delta and DuckDB are imported when first used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.paths import table_path
from lakehouse.records import Commit, OnStep, Problem, no_step
from lakehouse.schemas import TABLES, table_schema

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from lakehouse.snapshots import SnapshotStore
    from lakehouse.upkeep import TableUpkeep

NEVER_WRITTEN = -1
"""The version, in pins, of a declared table that was never written."""
SQL_MEMORY_GB = 2.0
"""What a query may use by default, in gigabytes."""


class Lake:
    """Tables (`layer/table`, declared in `lakehouse.schemas`) and vendor snapshots in one folder.

    Every write is one transaction that survives kill -9 and a power cut, and is idempotent. Every read names
    a version or takes the last, and refuses a damaged table.

    Parameters
    ----------
    home : folder of the lake; made at the first write.
    lock_timeout : seconds a write waits for another process writing the same table.
    on_step : called with each step of a write (`lakehouse.records.STEPS`); for fault tests.
    """

    def __init__(self, home: Path | str, *, lock_timeout: float = 60.0, on_step: OnStep = no_step) -> None:
        self.home = Path(home).absolute()
        self._lock_timeout = lock_timeout
        self._on_step = on_step

    def __repr__(self) -> str:
        return f"Lake({str(self.home)!r})"

    def replace(
        self,
        table: str,
        rows: pa.Table | pd.DataFrame,
        *,
        partitions: Sequence[str] | str | None = None,
        batch_id: str,
        context: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Make `rows` the whole content of the partitions, in one transaction; others stay as they are.

        Zero rows empty the partitions. An unpartitioned table takes no `partitions` and is replaced whole.
        Where the partitions already hold exactly these rows nothing is written and `was_new` is False,
        whichever batch wrote them: replacing A, then B, then A again restores A.

        Parameters
        ----------
        rows : in the table's columns; see `lakehouse.rows.conform` for what may be converted.
        partitions : every partition the rows may lie in.
        batch_id : names the inputs of the write; kept in the commit.
        context : JSON values kept in the commit, such as the run that made it.

        Raises
        ------
        UnknownTable, UnknownColumn, BadName, BadRows : nothing was written.
        LockTimeout : another process is writing the table.
        CorruptTable : the table is damaged; the text says how to repair it.
        StorageFull : no room; the table is as before.
        """
        from lakehouse import writing

        return writing.replace(
            self.home,
            table_schema(table),
            rows,
            partitions=partitions,
            batch_id=batch_id,
            context=context,
            timeout=self._lock_timeout,
            on_step=self._on_step,
        )

    def replace_sorted(
        self,
        table: str,
        pieces: Iterable[pa.Table],
        *,
        partitions: Sequence[str] | str | None = None,
        batch_id: str,
        context: Mapping[str, Any] | None = None,
    ) -> Commit:
        """As `replace`, for rows that come piece by piece because memory does not hold them all.

        The same rows give the same files as in `replace`. A piece may hold any number of rows in any order, but none
        that belongs before a row of an earlier piece: all rows of one partition come before the next partition's, and
        within it those of lower keys first (`lakehouse.sorting.in_key_order` sorts what fits into memory). Rows are
        written as they come, to files nobody sees, and the table is locked only afterwards: a slow or failing source
        keeps nobody waiting and changes nothing.

        Memory holds one piece and two row groups (65,536 rows each). What limits a partition is the disk, which needs
        room for it twice while it is replaced. `replace` holds all rows up to three times, and sorts no more than
        2 GiB of text a column, 33 million rows with a snapshot's id each.

        Raises as `replace`; BadRows also for pieces that are not in order.
        """
        from lakehouse import writing

        return writing.replace_sorted(
            self.home,
            table_schema(table),
            pieces,
            partitions=partitions,
            batch_id=batch_id,
            context=context,
            timeout=self._lock_timeout,
            on_step=self._on_step,
        )

    def annotate(self, table: str, *, batch_id: str, context: Mapping[str, Any]) -> Commit:
        """Keep a context in a commit that changes no row: what was found out about rows that stay as they are.

        `history` shows it. The version counts on, and holds what the one before holds.

        Raises
        ------
        UnknownTable, LockTimeout, CorruptTable, StorageFull : as `replace`.
        LakeError : the context holds other values than JSON's.
        """
        from lakehouse import writing

        return writing.annotate(
            self.home,
            table_schema(table),
            batch_id=batch_id,
            context=context,
            timeout=self._lock_timeout,
            on_step=self._on_step,
        )

    def compact(self, table: str, *, partitions: Sequence[str] | str | None = None) -> Commit:
        """Make one sorted file of each of the partitions that many appends left in several; no row changes.

        Memory holds about a million rows at a time. Where every partition is one file already, nothing is written
        and `was_new` is False. Earlier versions stay readable: the old files are left.

        Raises
        ------
        UnknownTable, BadName, LockTimeout, CorruptTable, StorageFull : as `replace`.
        """
        from lakehouse import writing

        return writing.compact(
            self.home,
            table_schema(table),
            partitions=partitions,
            timeout=self._lock_timeout,
            on_step=self._on_step,
        )

    def append_once(
        self,
        table: str,
        rows: pa.Table | pd.DataFrame,
        *,
        batch_id: str,
        context: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Add the rows, unless a batch of this name was added before: then do nothing.

        Raises as `replace`; BadRows also for a key that another batch brought.
        """
        from lakehouse import writing

        return writing.append_once(
            self.home,
            table_schema(table),
            rows,
            batch_id=batch_id,
            context=context,
            timeout=self._lock_timeout,
            on_step=self._on_step,
        )

    def scan(
        self,
        table: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        where: Iterable[tuple[str, str, Any]] | None = None,
        is_ordered: bool = True,
    ) -> pa.Table:
        """Return rows of the table, ordered by partition and key.

        Parameters
        ----------
        version : the version to read; None: the last; -1, as in pins: a table never written, so no rows.
        columns : names in the wanted order; None: all.
        where : conditions that must all hold, each (column, operator, value); operators are ``=``, ``!=``,
            ``<``, ``<=``, ``>``, ``>=``, ``in`` and ``not in``.
        is_ordered : False: rows in any order, which is faster over many partitions.

        Raises
        ------
        UnknownTable, UnknownColumn : a name or version that does not exist; names the nearest.
        LakeError : a condition whose value cannot be compared with its column.
        CorruptTable : damage, a flipped bit included.
        """
        from lakehouse import reading

        return reading.scan(
            self.home, table_schema(table), version=version, columns=columns, where=where, is_ordered=is_ordered
        )

    def arrange(self, table: str) -> list[str]:
        """Copy each year of a table in months that has no copy yet, sorted by key, and return those years.

        Readers of a few symbols, or of rows in any order, use the copies; they say nothing that the table does not.
        A year that was written to needs another copy, the others keep theirs.

        Raises
        ------
        UnknownTable, LakeError : not a table in months of days.
        CorruptTable, LockTimeout, StorageFull : as `replace`; the table is as it was.
        """
        from lakehouse import arranging

        return arranging.arrange(self.home, table_schema(table), timeout=self._lock_timeout)

    def contents(self, table: str, *, version: int | None = None) -> dict[str | None, tuple[str, ...]]:
        """Return the names of each partition's data files at a version (None: the last), sorted.

        A name holds the hash of the file's bytes, and equal rows are equal bytes: partitions of equal names hold equal
        rows. Nothing is read but the log. The partition of an unpartitioned table is None.

        Raises
        ------
        UnknownTable : a name or version that does not exist; names the nearest.
        CorruptTable : the log is damaged.
        """
        from lakehouse import reading

        return reading.contents(self.home, table_schema(table), version=version)

    def version(self, table: str) -> int | None:
        """Return the table's last version, None where it was never written."""
        from lakehouse import log

        number = log.checked_version(table_path(self.home, table_schema(table).name), table, None)
        return None if number < 0 else number

    def exists(self, table: str) -> bool:
        """Return whether the table was ever written."""
        return self.version(table) is not None

    def pins(self, tables: Iterable[str], *, at: dt.datetime | None = None) -> dict[str, int]:
        """Return the last version of each table, -1 where it was never written, to read by from now on.

        Parameters
        ----------
        at : a moment with a time zone: the versions that were the last ones then. None: now.

        Raises
        ------
        UnknownTable, CorruptTable, LakeError : no such table, a damaged log, a moment without a time zone.
        """
        if at is not None:
            from lakehouse.versions import version_at

            schemas = (table_schema(table) for table in tables)
            return {schema.name: version_at(table_path(self.home, schema.name), schema, at) for schema in schemas}
        versions = ((table, self.version(table)) for table in tables)
        return {table: NEVER_WRITTEN if number is None else number for table, number in versions}

    def history(self, table: str) -> list[dict[str, Any]]:
        """Return what the lake's commits recorded, newest first.

        Each maps version, timestamp (ms since 1970, UTC), batch_id, rows, partitions, files and context.
        """
        from lakehouse import reading

        return reading.history(self.home, table_schema(table))

    def connect(
        self,
        pins: Mapping[str, int] | None = None,
        *,
        at: dt.datetime | None = None,
        memory_gb: float = SQL_MEMORY_GB,
    ) -> duckdb.DuckDBPyConnection:
        """Return an in-memory DuckDB connection with every table as a view (`core.daily_bars`), locked down.

        It reads the lake's tables and nothing else, and writes nothing. Tables without a pin are read at
        their last version, fixed now; with `at`, at the one that was the last at that moment. Queries use up to
        `memory_gb` of memory and never the disk.
        """
        from lakehouse import sql

        return sql.connect(self.home, self._pinned(pins, at), memory_gb=memory_gb)

    def sql(
        self,
        query: str,
        *,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        pins: Mapping[str, int] | None = None,
        at: dt.datetime | None = None,
        most: int | None = None,
        memory_gb: float = SQL_MEMORY_GB,
    ) -> pa.Table:
        """Return the result of one query over the tables. Values go in as `parameters` (``?``, ``$name``).

        `pins` and `at` say which versions it reads, as in `connect`. A table that was never written has no rows (see
        `unwritten`).

        Parameters
        ----------
        most : the first so many rows only; those behind them are not made. None: all.
        memory_gb : what the query may use, and how large its result may be.

        Raises
        ------
        UnknownTable, UnknownColumn : names the nearest.
        QueryError : the SQL is wrong, is several queries, has no result, or takes more memory.
        """
        from lakehouse import sql

        pinned = self._pinned(pins, at)
        return sql.query(self.home, query, parameters=parameters, pins=pinned, most=most, memory_gb=memory_gb)

    def unwritten(
        self, query: str, *, pins: Mapping[str, int] | None = None, at: dt.datetime | None = None
    ) -> list[str]:
        """Return the tables that a query names and that have no version: it sees them without a row.

        `pins` and `at` as in `sql`.
        """
        from lakehouse import sql

        return sql.unwritten(self.home, query, pins=self._pinned(pins, at))

    def _pinned(self, pins: Mapping[str, int] | None, at: dt.datetime | None) -> dict[str, int]:
        """Return the version of each table that is pinned, or that a moment tells."""
        named = {table_schema(name).name: version for name, version in (pins or {}).items()}
        if at is None:
            return named
        return {**self.pins((table for table in TABLES if table not in named), at=at), **named}

    def verify(self, *, deep: bool = True) -> list[Problem]:
        """Return everything wrong with the lake, errors first; empty for a sound one.

        A home where nothing was ever written is a warning: it may be another folder than the one that was meant.

        Parameters
        ----------
        deep : also hash every file (about 1.5 GB/s); else only logs, presence, sizes and footers are checked.
        """
        from lakehouse import verify

        return verify.verify(self.home, deep=deep)

    def upkeep(self, *, now: dt.datetime, keep: dt.timedelta, dry_run: bool = False) -> Iterator[TableUpkeep]:
        """Yield, table by table, what was tidied: old versions, leftovers of killed writes, scattered files.

        Kept are a table's last version, every version that a row of research/runs pins, and every version that was
        the last one at some moment since `now - keep`. Snapshots and commits all stay. A table that another process
        is writing, or that is damaged, is left out, and its entry says why.

        Parameters
        ----------
        now : the present, timezone-aware; leftovers go when they are a day older.
        keep : how long a version that nothing pins stays readable after another has replaced it.
        dry_run : change nothing; the entries say what would go.

        Raises
        ------
        CorruptTable : research/runs cannot be read, so that nobody knows what is pinned; nothing was changed.
        """
        from lakehouse.upkeep import upkeep

        return upkeep(self.home, now=now, keep=keep, dry_run=dry_run, timeout=self._lock_timeout, on_step=self._on_step)

    @cached_property
    def snapshots(self) -> SnapshotStore:
        """The vendors' answers."""
        from lakehouse.snapshots import SnapshotStore

        return SnapshotStore(self, on_step=self._on_step)
