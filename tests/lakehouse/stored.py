"""Small real tables for the storage tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lakehouse import Answer, Lake
from lakehouse.calendar import month_range, session_close, sessions
from lakehouse.schemas import table_schema

BARS = "core/daily_bars"
UNIVERSE = "core/universe"
WINDOWS = "research/windows"
MONTHS = ["2024-01", "2024-02"]
NOON = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)


def bars(months: Sequence[str] | str, *, symbols: Sequence[str] = ("AAA", "BBB"), price: float = 10.0) -> pa.Table:
    """Flat daily bars of the months at one price."""
    table = table_schema(BARS)
    rows = []
    for month in [months] if isinstance(months, str) else months:
        days = sessions("XNYS", *month_range(month))
        for symbol in symbols:
            for day, close in zip(days, session_close("XNYS", days).to_pydatetime(), strict=True):
                rows.append(
                    {
                        "symbol": symbol,
                        "session": day,
                        **dict.fromkeys(("open", "high", "low", "close"), price),
                        "volume": 100.0,
                        "bar_end": close,
                        "known_at": close,
                        "source": "sample",
                        "snapshot_id": "0" * 64,
                        "month": month,
                    }
                )
    return pa.Table.from_pylist(rows, schema=table.schema)


def members(*symbols: str) -> pa.Table:
    """A universe of these symbols."""
    rows = [
        {
            "universe": "u",
            "symbol": symbol,
            "start": dt.date(2000, 1, 3),
            "end": None,
            "known_at": NOON,
            "source": "sample",
        }
        for symbol in symbols
    ]
    return pa.Table.from_pylist(rows, schema=table_schema(UNIVERSE).schema)


def windows(run_id: str, *, spec: str = "trend", names: Sequence[str] = ("2009", "2010")) -> pa.Table:
    """Walk-forward windows of one run."""
    rows = [
        {
            "run_id": run_id,
            "spec": spec,
            "test_window": name,
            **dict.fromkeys(("train_start", "train_end", "test_start"), NOON),
            "parameters": "{}",
            "n_trials": 7,
        }
        for name in names
    ]
    return pa.Table.from_pylist(rows, schema=table_schema(WINDOWS).schema)


def answer(content: bytes = b"a,b\n1,2\n", *, symbol: str = "AAA", year: int = 2023) -> Answer:
    """A vendor's answer about one symbol and year."""
    return Answer(
        content=content,
        source="sample",
        dataset="daily",
        request={"symbol": symbol, "year": year},
        known_at=NOON,
        media_type="text/csv",
        symbol=symbol,
        first_session=dt.date(year, 1, 3),
        last_session=dt.date(year, 12, 29),
    )


def closes(lake: Lake, *, version: int | None = None) -> dict[str, float]:
    """The price of each month's bars, all equal within a month."""
    rows = lake.scan(BARS, version=version, columns=["month", "close"])
    return dict(zip(rows["month"].to_pylist(), rows["close"].to_pylist(), strict=True))


def last_commit(lake: Lake, table: str = BARS) -> Path:
    """The file of a table's last commit."""
    return max((lake.home / "tables" / table / "_delta_log").glob("*.json"))


def data_file(lake: Lake, month: str, table: str = BARS) -> Path:
    """The one data file of a month."""
    (file,) = (lake.home / "tables" / table / f"month={month}").glob("*.parquet")
    return file
