"""The bytes of made-up bars: Parquet with checksums, the same for equal bars with one version of pyarrow.

Prices are whole numbers of ten-thousandths, so that they are read back as written. That the bars are synthetic
stands in the file itself.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import BadPayload
from lakehouse.sources.base import Parsed, empty_actions, empty_bars, stack_actions
from lakehouse.sources.synthetic_market import PRICE_UNITS, Flags, SymbolYear
from lakehouse.sources.synthetic_minutes import Minutes

if TYPE_CHECKING:
    import pyarrow as pa

MINUTES = "core/minute_bars"
MEDIA_TYPE = "application/vnd.apache.parquet"
MAX_ROWS = 1_000_000
MAX_BYTES = 256 * 1024 * 1024
_LABEL = {b"synthetic": b"made up by a generator; no market data"}
_PRICES = ("open", "high", "low", "close")


def daily_bytes(symbol: str, path: SymbolYear, kept: Flags, *, tells_end: bool) -> bytes:
    """Return the kept sessions of a symbol's year.

    Parameters
    ----------
    kept : bool[n_sessions], the bars to write, at least one
    tells_end : whether the last of them tells of the symbol's delisting
    """
    import pyarrow as pa

    n_rows = int(kept.sum())
    last = [None] * (n_rows - 1)
    columns = {name: getattr(path, name)[kept] for name in (*_PRICES, "volume", "dividend", "split")}
    return _encoded(
        {
            "symbol": [symbol] * n_rows,
            "session": pa.array(path.sessions.day[kept]),
            **columns,
            "delisted_on": [*last, path.delisted_on if tells_end else None],
            "delisting_return": [*last, path.delisting_return if tells_end else None],
        },
        _daily_schema(),
    )


def minute_bytes(symbol: str, minutes: Minutes, kept: Flags) -> bytes:
    """Return the kept minutes of a symbol."""
    import pyarrow as pa

    columns = {name: getattr(minutes, name)[kept] for name in (*_PRICES, "volume")}
    symbols = [symbol] * int(kept.sum())
    return _encoded({"symbol": symbols, "bar_end": pa.array(minutes.end[kept]), **columns}, _minute_schema())


def read_daily(content: bytes, what: str) -> Parsed:
    """Return the daily bars, splits, dividends and the delisting of a symbol's year.

    Raises
    ------
    BadPayload : not the bytes of `daily_bytes`.
    """
    import pandas as pd

    columns = _decoded(content, _daily_schema(), what)
    symbol, day = columns["symbol"], columns["session"].astype("datetime64[s]")
    bars = {"symbol": pd.Series(symbol, dtype="str"), "session": day, **_in_currency(columns)}
    is_end = ~np.isnat(columns["delisted_on"])
    found = [
        (kind, when[is_event].astype("datetime64[s]"), value[is_event])
        for kind, is_event, when, value in (
            ("split", columns["split"] != 1.0, day, columns["split"]),
            ("dividend", columns["dividend"] > 0, day, columns["dividend"] / PRICE_UNITS),
            ("delisting", is_end, columns["delisted_on"], columns["delisting_return"]),
        )
        if is_event.any()
    ]
    events = [
        pd.DataFrame(
            {"symbol": pd.Series(symbol[: len(when)], dtype="str"), "ex_date": when, "kind": kind, "value": value}
        )
        for kind, when, value in found
    ]
    return Parsed(bars=pd.DataFrame(bars), actions=stack_actions(events))


def read_minutes(content: bytes, what: str) -> Parsed:
    """Return the minute bars of a symbol's month; each is known at its end.

    Raises
    ------
    BadPayload : not the bytes of `minute_bytes`.
    """
    import pandas as pd

    columns = _decoded(content, _minute_schema(), what)
    symbol = pd.Series(columns["symbol"], dtype="str")
    end = pd.Series(columns["bar_end"]).dt.tz_localize("UTC")
    rows = pd.DataFrame({"symbol": symbol, "bar_end": end, **_in_currency(columns), "known_at": end})
    return Parsed(bars=empty_bars(), actions=empty_actions(), tables={MINUTES: rows})


def _in_currency(columns: dict[str, Any]) -> dict[str, Any]:
    """Return prices and volume as float64."""
    prices = {name: columns[name] / PRICE_UNITS for name in _PRICES}
    return {**prices, "volume": columns["volume"].astype(np.float64)}


def _daily_schema() -> pa.Schema:
    import pyarrow as pa

    whole = [pa.field(name, pa.int64(), nullable=False) for name in (*_PRICES, "volume", "dividend")]
    return pa.schema(
        [
            pa.field("symbol", pa.string(), nullable=False),
            pa.field("session", pa.date32(), nullable=False),
            *whole,
            pa.field("split", pa.float64(), nullable=False),
            pa.field("delisted_on", pa.date32()),
            pa.field("delisting_return", pa.float64()),
        ]
    )


def _minute_schema() -> pa.Schema:
    import pyarrow as pa

    whole = [pa.field(name, pa.int64(), nullable=False) for name in (*_PRICES, "volume")]
    stamp = pa.field("bar_end", pa.timestamp("us", tz="UTC"), nullable=False)
    return pa.schema([pa.field("symbol", pa.string(), nullable=False), stamp, *whole])


def _encoded(columns: dict[str, Any], schema: pa.Schema) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    whole = [field.name for field in schema if field.type == pa.int64() or pa.types.is_timestamp(field.type)]
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=["symbol"],
        column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        writer.add_key_value_metadata(_LABEL)
    return sink.getvalue()


def _decoded(content: bytes, schema: pa.Schema, what: str) -> dict[str, Any]:
    """Return the columns as arrays: text as objects, times in UTC without a zone, missing numbers as NaN."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        meta = file.metadata
        unpacked = sum(meta.row_group(place).total_byte_size for place in range(meta.num_row_groups))
        if not 0 < meta.num_rows <= MAX_ROWS or unpacked > MAX_BYTES:
            raise BadPayload(
                f"{what} has {meta.num_rows:,} rows and {unpacked:,} bytes unpacked; it must have some, and at most "
                f"{MAX_ROWS:,} and {MAX_BYTES:,}"
            )
        if not file.schema_arrow.equals(schema) or meta.metadata != _LABEL:
            raise BadPayload(
                f"{what} has other columns than synthetic bars: {', '.join(file.schema_arrow.names)[:200]}"
            )
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadPayload(f"{what} is not a readable Parquet file: {str(error)[:300]}; fetch it again") from error
    return {name: table.column(name).to_numpy() for name in table.column_names}
