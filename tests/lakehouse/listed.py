"""Facebook and its symbols, and listings built from small facts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from lakehouse.listing import (
    Renaming,
    TickerHistory,
    polygon_ticker_history,
)
from lakehouse.securities import build_listings
from tests.lakehouse.priced import LATER, bars_table, day, moment, traded

META_EVENTS = {
    "results": {
        "name": "Meta Platforms, Inc. Class A Common Stock",
        "cik": "0001326801",
        "events": [
            {"ticker_change": {"ticker": "META"}, "type": "ticker_change", "date": "2022-06-11"},
            {"ticker_change": {"ticker": "FB"}, "type": "ticker_change", "date": "2012-05-18"},
        ],
    }
}
"""As Polygon gives it: the second day is a Saturday, the first session as META was Thursday 2022-06-09."""

META = polygon_ticker_history(META_EVENTS, told_at=moment("2026-01-02"), calendar="XNYS")

FUND = traded("META", "2021-06-30", "2022-01-28", close=15.0)
"""A fund had the symbol until five months before Facebook took it."""
FB = traded("FB", "2022-01-03", "2022-06-08", close=200.0)
NEW = traded("META", "2022-06-09", "2022-12-30", close=150.0)
CLOCK = traded("SPY", "2021-01-04", "2022-12-30", close=400.0)
"""A symbol that trades all the time, so that a silence is one."""


def history(
    *renamings: tuple[str, str], cik: int | None = None, told: str = "2026-01-02", name: str = "X"
) -> TickerHistory:
    """Renamings from (day, symbol), known at 14:30 of their day."""
    made = tuple(Renaming(day(text), symbol, moment(f"{text} 14:30")) for text, symbol in renamings)
    return TickerHistory(made, moment(told), "polygon", name, cik)


def rows_of(listings: pa.Table) -> list[tuple[Any, ...]]:
    return [
        (row["security_id"], row["symbol"], str(row["start"]), None if row["end"] is None else str(row["end"]))
        for row in listings.to_pylist()
    ]


def built(*parts: Any, as_of: dt.datetime = LATER, **facts: Any) -> pa.Table:
    return build_listings(bars_table([row for part in parts for row in part]), as_of=as_of, **facts)
