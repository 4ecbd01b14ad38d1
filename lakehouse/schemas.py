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
    "Causal features of the daily bars: each value uses what was known at its bar's end. Null in the warm-up.",
    (
        SYMBOL,
        Column("session", "date", "trading day of the exchange"),
        Column("bar_end", "timestamp", "the session's close; the features are knowable from here"),
        Column("total_return", "float64", "total return since the bar before", "rate", nullable=True),
        Column("momentum_252_21", "float64", "total return from 252 bars ago to 21 bars ago", "rate", nullable=True),
        Column("momentum_126_21", "float64", "total return from 126 bars ago to 21 bars ago", "rate", nullable=True),
        Column("reversal_21", "float64", "total return over the last 21 bars, negated", "rate", nullable=True),
        Column(
            "rsi_14",
            "float64",
            "Wilder's relative strength index of the total-return index over 14 bars",
            "0 to 100",
            nullable=True,
        ),
        Column(
            "nearness_high_252",
            "float64",
            "the total-return index as a fraction of its highest high of 252 bars",
            "fraction",
            nullable=True,
        ),
        Column(
            "distance_sma_50",
            "float64",
            "how far the total-return index stands above its mean over 50 bars",
            "rate",
            nullable=True,
        ),
        Column(
            "distance_sma_200",
            "float64",
            "how far the total-return index stands above its mean over 200 bars",
            "rate",
            nullable=True,
        ),
        Column(
            "sma_slope_50_21", "float64", "growth over 21 bars of the index's mean over 50 bars", "rate", nullable=True
        ),
        Column(
            "ema_gap_12_26",
            "float64",
            "how far the exponential average of span 12 of the index stands above that of span 26",
            "rate",
            nullable=True,
        ),
        Column(
            "donchian_position_55",
            "float64",
            "where the index stands between the lowest low (0) and the highest high (1) of 55 bars",
            "fraction of the channel",
            nullable=True,
        ),
        Column(
            "volatility_21",
            "float64",
            "standard deviation (ddof 1) of the last 21 total returns",
            "rate per bar",
            nullable=True,
        ),
        Column(
            "volatility_63",
            "float64",
            "standard deviation (ddof 1) of the last 63 total returns",
            "rate per bar",
            nullable=True,
        ),
        Column(
            "downside_volatility_63",
            "float64",
            "root mean square of the last 63 total returns below zero, the others counted as zero",
            "rate per bar",
            nullable=True,
        ),
        Column("parkinson_21", "float64", "volatility by the highs and lows of 21 bars", "rate per bar", nullable=True),
        Column(
            "garman_klass_21",
            "float64",
            "volatility by the opens, highs, lows and closes of 21 bars",
            "rate per bar",
            nullable=True,
        ),
        Column(
            "atr_14",
            "float64",
            "Wilder's average true range over 14 bars, by the price",
            "fraction of the price",
            nullable=True,
        ),
        Column(
            "beta_252",
            "float64",
            "slope of 252 total returns on those of the equal-weighted market of all assets in the lake",
            "ratio",
            nullable=True,
        ),
        Column(
            "dollar_volume_21",
            "float64",
            "mean of close times volume over the last 21 bars, as traded",
            "currency per bar",
            nullable=True,
        ),
        Column(
            "amihud_21",
            "float64",
            "mean over 21 bars of the absolute total return by the value traded in millions",
            "rate per million of currency",
            nullable=True,
        ),
        Column(
            "volume_zscore_63",
            "float64",
            "the bar's value traded against mean and deviation of 63 bars",
            "standard deviations",
            nullable=True,
        ),
        Column(
            "turnover_trend_21_252",
            "float64",
            "how far the mean value traded over 21 bars stands above that over 252 bars",
            "rate",
            nullable=True,
        ),
        Column(
            "rank_momentum_252_21",
            "float64",
            "share of the other assets whose momentum_252_21 is lower",
            "0 to 1",
            nullable=True,
        ),
        Column(
            "rank_volatility_63",
            "float64",
            "share of the other assets whose volatility_63 is lower",
            "0 to 1",
            nullable=True,
        ),
        Column(
            "rank_dollar_volume_21",
            "float64",
            "share of the other assets whose dollar_volume_21 is lower",
            "0 to 1",
            nullable=True,
        ),
        Column(
            "market_value",
            "float64",
            "close times the shares outstanding as last filed, splits since then included",
            "USD",
            nullable=True,
        ),
        Column(
            "earnings_yield",
            "float64",
            "net income of the last four quarters by the market value",
            "rate",
            nullable=True,
        ),
        Column("book_to_price", "float64", "stockholders' equity by the market value", "ratio", nullable=True),
        Column(
            "return_on_equity",
            "float64",
            "net income of the last four quarters by the stockholders' equity",
            "rate",
            nullable=True,
        ),
        Column(
            "gross_profitability",
            "float64",
            "gross profit of the last four quarters by the total assets",
            "rate",
            nullable=True,
        ),
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
