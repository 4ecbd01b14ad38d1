"""The tables of the lake: columns, types, units, keys and partition columns.

One definition serves writing (types and keys are enforced), reading (a table never written still has its
columns), SQL and the column descriptions people see. Types are plain words, so that reading the definitions
costs no import; `TableSchema.schema` makes the Arrow schema.
"""

from __future__ import annotations

from engine.errors import nearest
from lakehouse.errors import UnknownTable
from lakehouse.research_schemas import RESEARCH_TABLES
from lakehouse.table_schema import Column, TableSchema

__all__ = ["LAYERS", "TABLES", "Column", "TableSchema", "table_schema"]

LAYERS = ("raw", "core", "features", "research")

_KNOWN_AT = Column("known_at", "timestamp", "when we could first have known the row")
_SOURCE = Column("source", "string", "vendor or method the row comes from")
_SNAPSHOT = Column("snapshot_id", "string", "sha256 of the vendor's answer the row was read from")
_MONTH = Column("month", "string", "month of the row, as 2000-03; the partition")
_SYMBOL = Column("symbol", "string", "ticker as the source writes it")

_SNAPSHOTS = TableSchema(
    "raw/snapshots",
    "Every vendor answer kept, a row for each request; the bytes lie in a file named by their hash.",
    (
        Column("snapshot_id", "string", "sha256 of the bytes", "hex"),
        _SOURCE,
        Column("dataset", "string", "what was asked for, such as daily"),
        Column("request", "string", "the request that was answered, without secrets", "JSON object"),
        _KNOWN_AT,
        Column("size", "int64", "length of the answer", "bytes"),
        Column("media_type", "string", "type of the bytes, such as application/json"),
        Column("etag", "string", "the vendor's own version of the answer", nullable=True),
        Column("first_session", "date", "first session the answer covers", nullable=True),
        Column("last_session", "date", "last session the answer covers", nullable=True),
        Column("symbol", "string", "the symbol, where the answer is about one", nullable=True),
    ),
    key=("snapshot_id", "source", "dataset", "request"),
)

_DAILY_BARS = TableSchema(
    "core/daily_bars",
    "Daily bars as traded: adjusted for neither splits nor dividends.",
    (
        _SYMBOL,
        Column("session", "date", "trading day of the exchange"),
        Column("open", "float64", "first price", "currency per share"),
        Column("high", "float64", "highest price", "currency per share"),
        Column("low", "float64", "lowest price", "currency per share"),
        Column("close", "float64", "last price", "currency per share"),
        Column("volume", "float64", "units traded", "shares"),
        Column("bar_end", "timestamp", "the session's close, half days included; the bar is knowable from here"),
        _KNOWN_AT,
        _SOURCE,
        _SNAPSHOT,
        _MONTH,
    ),
    key=("symbol", "session"),
    partition_by="month",
    month_of="session",
)

_CORPORATE_ACTIONS = TableSchema(
    "core/corporate_actions",
    "Splits, cash dividends and delistings by ex-date.",
    (
        _SYMBOL,
        Column("ex_date", "date", "first session that trades without the entitlement"),
        Column("kind", "string", "split, dividend or delisting"),
        Column("value", "float64", "split: new shares per old; dividend: currency per share; delisting: return"),
        Column("pay_date", "date", "when a dividend is paid", nullable=True),
        _KNOWN_AT,
        _SOURCE,
        _SNAPSHOT,
        _MONTH,
    ),
    key=("symbol", "ex_date", "kind"),
    partition_by="month",
    month_of="ex_date",
)

_UNIVERSE = TableSchema(
    "core/universe",
    "Membership of universes in time, each row over [start, end).",
    (
        Column("universe", "string", "name of the universe"),
        _SYMBOL,
        Column("start", "date", "first session as a member"),
        Column("end", "date", "first session no longer a member; null while a member", nullable=True),
        _KNOWN_AT,
        _SOURCE,
    ),
    key=("universe", "symbol", "start"),
)

_FEATURES_DAILY = TableSchema(
    "features/daily",
    "Causal features of the daily bars: each value uses bars up to its own only. Null or NaN in the warm-up.",
    (
        _SYMBOL,
        Column("session", "date", "trading day of the exchange"),
        Column("bar_end", "timestamp", "the session's close; the features are knowable from here"),
        Column("total_return", "float64", "return of the bar with dividends", "rate", nullable=True),
        Column("momentum_252_21", "float64", "return from 252 to 21 bars ago", "rate", nullable=True),
        Column("volatility_21", "float64", "volatility of the last 21 bars, annualised", "rate", nullable=True),
        Column("dollar_volume_21", "float64", "mean value traded of 21 bars", "currency per bar", nullable=True),
        _MONTH,
    ),
    key=("symbol", "session"),
    partition_by="month",
    month_of="session",
)

TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (_SNAPSHOTS, _DAILY_BARS, _CORPORATE_ACTIONS, _UNIVERSE, _FEATURES_DAILY, *RESEARCH_TABLES)
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
