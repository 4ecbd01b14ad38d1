"""What a table is: columns with types, meanings and units, a key and a partition column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.errors import nearest
from lakehouse.errors import UnknownColumn

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column: name, type ("string", "float64", "int64", "bool", "date" or "timestamp"), meaning and unit.

    A timestamp is UTC in microseconds. Only a `nullable` column may hold nulls.
    """

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True)
class TableSchema:
    """One table of the lake.

    `name` is `layer/table`: the folder, the Dagster asset key and, with a dot, the SQL name. `key` is unique
    over the table. `partition_by` names a string column; a write replaces whole partitions. None: the table
    is one partition. `month_of` names the date or time column whose month (of a time in UTC) the partition is.
    `known` says from when on a row counts as known, where the table tells that of its rows.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: str | None = None
    month_of: str | None = None
    known: str = ""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def sql_name(self) -> str:
        """The table's name in SQL, as `core.daily_bars`."""
        return self.name.replace("/", ".")

    def column(self, name: str) -> Column:
        """Return one column.

        Raises
        ------
        UnknownColumn : no such column; names the nearest.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownColumn(f"{self.name} has no column {name!r}{nearest(str(name), self.column_names)}")

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema: microsecond UTC timestamps, only nullable columns nullable."""
        import pyarrow as pa

        types: dict[str, Any] = {
            "string": pa.string(),
            "float64": pa.float64(),
            "int64": pa.int64(),
            "bool": pa.bool_(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us", tz="UTC"),
        }
        return pa.schema([pa.field(c.name, types[c.type], nullable=c.nullable) for c in self.columns])


KNOWN_AT = Column("known_at", "timestamp", "when we could first have known the row")
SOURCE = Column("source", "string", "vendor or method the row comes from")
SNAPSHOT = Column("snapshot_id", "string", "sha256 of the vendor's answer the row was read from")
MONTH = Column("month", "string", "month of the row, as 2000-03; the partition")
SYMBOL = Column("symbol", "string", "ticker as the source writes it")
