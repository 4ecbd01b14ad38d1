"""The tables of the lake: columns, types, units, keys and partition columns.

One definition serves writing (types and keys are enforced), reading (a table never written still has its
columns), SQL and the column descriptions people see. Types are plain words, so that reading the definitions
costs no import; `TableSchema.schema` makes the Arrow schema.
"""

from __future__ import annotations

from engine.errors import nearest
from lakehouse.core_schemas import CORE_TABLES
from lakehouse.errors import UnknownTable
from lakehouse.research_schemas import RESEARCH_TABLES
from lakehouse.table_schema import KNOWN_AT, MONTH, SOURCE, SYMBOL, Column, TableSchema

__all__ = ["LAYERS", "TABLES", "Column", "TableSchema", "table_schema"]

LAYERS = ("raw", "core", "features", "research")

_SNAPSHOTS = TableSchema(
    "raw/snapshots",
    "Every vendor answer kept, a row for each request; the bytes lie in a file named by their hash.",
    (
        Column("snapshot_id", "string", "sha256 of the bytes", "hex"),
        SOURCE,
        Column("dataset", "string", "what was asked for, such as daily"),
        Column("request", "string", "the request that was answered, without secrets", "JSON object"),
        KNOWN_AT,
        Column("size", "int64", "length of the answer", "bytes"),
        Column("media_type", "string", "type of the bytes, such as application/json"),
        Column("etag", "string", "the vendor's own version of the answer", nullable=True),
        Column("first_session", "date", "first session the answer covers", nullable=True),
        Column("last_session", "date", "last session the answer covers", nullable=True),
        Column("symbol", "string", "the symbol, where the answer is about one", nullable=True),
    ),
    key=("snapshot_id", "source", "dataset", "request"),
)

_FEATURES_DAILY = TableSchema(
    "features/daily",
    "Causal features of the daily bars: each value uses bars up to its own only. Null or NaN in the warm-up.",
    (
        SYMBOL,
        Column("session", "date", "trading day of the exchange"),
        Column("bar_end", "timestamp", "the session's close; the features are knowable from here"),
        Column("total_return", "float64", "return of the bar with dividends", "rate", nullable=True),
        Column("momentum_252_21", "float64", "return from 252 to 21 bars ago", "rate", nullable=True),
        Column("volatility_21", "float64", "volatility of the last 21 bars, annualised", "rate", nullable=True),
        Column("dollar_volume_21", "float64", "mean value traded of 21 bars", "currency per bar", nullable=True),
        MONTH,
    ),
    key=("symbol", "session"),
    partition_by="month",
    month_of="session",
)

TABLES: dict[str, TableSchema] = {
    table.name: table for table in (_SNAPSHOTS, *CORE_TABLES, _FEATURES_DAILY, *RESEARCH_TABLES)
}


def table_schema(table: str) -> TableSchema:
    """Return the definition of a table.

    Raises
    ------
    UnknownTable : not declared; names the nearest.
    """
    try:
        return TABLES[table]
    except (KeyError, TypeError):
        raise UnknownTable(f"unknown table {table!r}{nearest(str(table), TABLES)}") from None
