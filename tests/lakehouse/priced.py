"""Small tables of bars and actions for the tests of adjusted prices and of securities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lakehouse.schemas import table_schema

LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""After everything is known."""


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def moment(text: str) -> dt.datetime:
    """A UTC time from "2020-01-02" or "2020-01-02 14:30"."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def bars_table(rows: Iterable[tuple[Any, ...]], *, source: str = "files") -> pa.Table:
    """Bars from (symbol, day, close): open, high and low beside it, volume 1,000, known at 21:00 of the day."""
    symbols, days, closes = zip(*rows, strict=True) if rows else ((), (), ())
    sessions = np.array(days, dtype="datetime64[D]")
    close = np.array(closes, dtype=np.float64)
    ends = sessions.astype("datetime64[us]") + np.timedelta64(21, "h")
    columns = {
        "symbol": pa.array(list(symbols), pa.string()),
        "session": pa.array(sessions),
        "open": close * 0.99,
        "high": close * 1.02,
        "low": close * 0.98,
        "close": close,
        "volume": np.full(len(close), 1_000.0),
        "bar_end": pa.array(ends).cast(pa.timestamp("us", "UTC")),
        "known_at": pa.array(ends).cast(pa.timestamp("us", "UTC")),
        "source": pa.array([source] * len(close), pa.string()),
        "snapshot_id": pa.array(["0" * 64] * len(close), pa.string()),
        "month": pa.array([str(session)[:7] for session in sessions], pa.string()),
    }
    return pa.table(columns, schema=table_schema("core/daily_bars").schema)


def actions_table(rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Actions from (symbol, ex-date, kind, value) and, as a fifth, known_at; by default 14:30 of the ex-date."""
    found = [
        {
            "symbol": symbol,
            "ex_date": day(str(ex_date)),
            "kind": kind,
            "value": float(value),
            "known_at": known[0] if known else moment(f"{ex_date} 14:30"),
            "source": "files",
            "snapshot_id": "0" * 64,
            "month": str(ex_date)[:7],
            "pay_date": None,
        }
        for symbol, ex_date, kind, value, *known in rows
    ]
    return pa.Table.from_pylist(found, schema=table_schema("core/corporate_actions").schema)


def business_days(first: str, last: str) -> list[str]:
    """The weekdays of a range, both ends included."""
    return [str(stamp.date()) for stamp in pd.bdate_range(first, last)]


def column(table: pa.Table, name: str = "close") -> list[float]:
    return list(table.column(name).to_pylist())


def traded(
    symbol: str, first: str, last: str, *, close: float = 10.0, days: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    """Bars of every weekday at one price, as rows for `bars_table`."""
    return [(symbol, session, close) for session in (days or business_days(first, last))]
