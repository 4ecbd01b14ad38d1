"""Trade and quote files: every print of a session, as rows of core/trades and core/quotes.

https://massive.com/docs/flat-files/stocks/trades and .../quotes. Times are nanoseconds since 1970;
`sip_timestamp` says when the consolidated tape had the print, which is when anybody could know it,
`participant_timestamp` when the exchange made it. Tables hold microseconds: `time` is cut, `known_at` is
rounded up, and `sequence` keeps the order. Sequence numbers begin again each session; several trades of one
report share one and differ in their identifier.

A quote of 0 is a side nobody quotes: its price is null, so that no mid is made of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.sources.base import Parsed, empty_actions, empty_bars
from lakehouse.sources.polygon_csv import MAX_ROWS, TICKER, FlatFileFormat, read_flat_file
from lakehouse.sources.polygon_rows import FlatFileRows, one_row_a_key, refuse_many_bad

if TYPE_CHECKING:
    import pyarrow as pa

TRADES = FlatFileFormat(
    columns={
        TICKER: "string",
        "conditions": "string",
        "correction": "int64",
        "exchange": "int64",
        "id": "string",
        "participant_timestamp": "int64",
        "price": "float64",
        "sequence_number": "int64",
        "sip_timestamp": "int64",
        "size": "float64",
        "tape": "int64",
        "trf_id": "int64",
        "trf_timestamp": "int64",
    },
    time="sip_timestamp",
)
QUOTES = FlatFileFormat(
    columns={
        TICKER: "string",
        "ask_exchange": "int64",
        "ask_price": "float64",
        "ask_size": "float64",
        "bid_exchange": "int64",
        "bid_price": "float64",
        "bid_size": "float64",
        "conditions": "string",
        "indicators": "string",
        "participant_timestamp": "int64",
        "sequence_number": "int64",
        "sip_timestamp": "int64",
        "tape": "int64",
        "trf_timestamp": "int64",
    },
    time="sip_timestamp",
)


def parse_trade_file(
    content: bytes, *, what: str, session: dt.date, only: Sequence[str], max_bad_share: float, max_rows: int = MAX_ROWS
) -> Parsed:
    """Return the trades of a session's file as rows of core/trades, sorted by its key.

    Corrected and cancelled trades are there as the vendor marks them.

    Raises
    ------
    BadPayload, EmptyAnswer : as `lakehouse.sources.polygon_csv.read_flat_file`.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    rows = read_flat_file(
        content,
        TRADES,
        what=what,
        session=session,
        columns=[name for name in TRADES.columns if name not in (TICKER, "trf_timestamp")],
        only=only,
        max_rows=max_rows,
    )
    price, size = _floats(rows.table, "price"), _floats(rows.table, "size")
    is_good = np.isfinite(price) & (price > 0.0) & np.isfinite(size) & (size >= 0.0)
    table = _keep(rows, is_good)
    columns = {
        **_times(table),
        "trade_id": table["id"],
        "price": table["price"],
        "size": table["size"],
        "exchange": _code(table["exchange"]),
        "conditions": table["conditions"],
        "correction": _or(table["correction"], 0),
        "tape": _tape(table["tape"]),
        "facility": _code(_none_for_zero(table["trf_id"])),
    }
    key = ("symbol", "time", "sequence", "trade_id")
    return _parsed("core/trades", columns, key, rows, what=what, max_bad_share=max_bad_share)


def parse_quote_file(
    content: bytes, *, what: str, session: dt.date, only: Sequence[str], max_bad_share: float, max_rows: int = MAX_ROWS
) -> Parsed:
    """Return the quotes of a session's file as rows of core/quotes, sorted by its key.

    Locked and crossed quotes are there as they were. Sizes are as the vendor counts them.

    Raises
    ------
    BadPayload, EmptyAnswer : as `lakehouse.sources.polygon_csv.read_flat_file`.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    rows = read_flat_file(
        content,
        QUOTES,
        what=what,
        session=session,
        columns=[name for name in QUOTES.columns if name not in (TICKER, "trf_timestamp")],
        only=only,
        max_rows=max_rows,
    )
    numbers = [
        np.nan_to_num(_floats(rows.table, f"{side}_{name}"), nan=0.0, posinf=np.inf, neginf=-np.inf)
        for side in ("bid", "ask")
        for name in ("price", "size")
    ]
    is_good = np.all([np.isfinite(values) & (values >= 0.0) for values in numbers], axis=0)
    table = _keep(rows, is_good)
    columns = _times(table)
    for side in ("bid", "ask"):
        columns[f"{side}_price"] = _none_for_zero(table[f"{side}_price"])
        columns[f"{side}_size"] = _or(table[f"{side}_size"], 0.0)
        columns[f"{side}_exchange"] = _code(table[f"{side}_exchange"])
    columns |= {
        "conditions": table["conditions"],
        "indicators": table["indicators"],
        "tape": _tape(table["tape"]),
    }
    key = ("symbol", "time", "sequence")
    return _parsed("core/quotes", columns, key, rows, what=what, max_bad_share=max_bad_share)


def _parsed(
    name: str,
    columns: dict[str, Any],
    key: Sequence[str],
    rows: FlatFileRows,
    *,
    what: str,
    max_bad_share: float,
) -> Parsed:
    import pyarrow as pa

    frame = one_row_a_key(pa.table(columns).to_pandas(), key, rows)
    refuse_many_bad(rows, what=what, max_bad_share=max_bad_share)
    return Parsed(bars=empty_bars(), actions=empty_actions(), tables={name: frame}, counts=rows.counts())


def _keep(rows: FlatFileRows, is_good: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Table:
    """Return the rows that are good and have a number in their session's order, and count the others."""
    import pyarrow as pa

    is_good = is_good & rows.table["sequence_number"].is_valid().to_numpy()
    rows.count_bad("rows with impossible prices or no sequence", int((~is_good).sum()))
    return rows.table.filter(pa.array(is_good))


def _times(table: pa.Table) -> dict[str, Any]:
    """Return symbol, sequence and the times of a tick, in microseconds UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stamps = pa.timestamp("us", tz="UTC")
    published = table["sip_timestamp"]
    return {
        "symbol": table["symbol"],
        "time": pc.divide(published, 1000).cast(stamps),
        "sequence": table["sequence_number"],
        "made_at": pc.divide(_none_for_zero(table["participant_timestamp"]), 1000).cast(stamps),
        "known_at": pc.divide(pc.add(published, 999), 1000).cast(stamps),
    }


def _floats(table: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    values: np.ndarray[Any, np.dtype[np.float64]] = table[name].to_numpy()
    return values


def _none_for_zero(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(column, 0), pa.scalar(None, column.type), column)


def _or(column: Any, value: float) -> Any:
    """Return a column with the value where it is empty, or spelled nan."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return pc.fill_null(column, value)


def _code(column: Any) -> Any:
    """Return a column of whole numbers as text; nothing is empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.fill_null(column.cast(pa.string()), "")


def _tape(column: Any) -> Any:
    """Return the tape's letter; the vendor writes 1, 2 and 3."""
    import pyarrow.compute as pc

    tape = _code(column)
    for number, letter in zip("123", "ABC", strict=True):
        tape = pc.if_else(pc.equal(tape, number), letter, tape)
    return tape
