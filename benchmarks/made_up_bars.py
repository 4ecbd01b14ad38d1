"""Rows of core/daily_bars of a made-up market, for measures of storage alone."""

from __future__ import annotations

import datetime as dt
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

EXCHANGE = "XNYS"
FIRST = dt.date(2014, 1, 2)


def daily_bars(n_symbols: int, n_sessions: int, *, seed: int = 0) -> tuple[pa.Table, list[str]]:
    """Return the rows, a bar of each symbol in each session, prices in cents, by symbol; and their months."""
    import pyarrow as pa

    from lakehouse.calendar import session_close, sessions
    from lakehouse.schemas import table_schema

    days = sessions(EXCHANGE, FIRST, FIRST + dt.timedelta(days=2 * n_sessions))[:n_sessions]
    ends = session_close(EXCHANGE, days).tz_convert(None).to_numpy().astype("datetime64[us]")
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0003, 0.015, (n_sessions, n_symbols))
    close = np.round(rng.uniform(10.0, 300.0, n_symbols) * np.exp(np.cumsum(moves, axis=0)), 2).clip(1.0)
    open_ = np.round(close * (1.0 + rng.normal(0.0, 0.005, close.shape)), 2)
    high = np.round(np.maximum(open_, close) * (1.0 + rng.uniform(0.0, 0.01, close.shape)), 2)
    low = np.round(np.minimum(open_, close) * (1.0 - rng.uniform(0.0, 0.01, close.shape)), 2)
    volume = np.floor(rng.lognormal(14.0, 0.5, close.shape))
    symbols = [f"S{number:04d}" for number in range(n_symbols)]
    snapshots = [sha256(symbol.encode()).hexdigest() for symbol in symbols]
    months = np.array([f"{day:%Y-%m}" for day in days])

    def each(names: list[str]) -> pa.Array:
        return pa.array(np.repeat(np.array(names), n_sessions))

    def panel(values: np.ndarray) -> pa.Array:
        return pa.array(values.T.reshape(-1))

    columns = {
        "symbol": each(symbols),
        "session": pa.array(np.tile(np.array(days, dtype="datetime64[D]"), n_symbols)),
        "open": panel(open_),
        "high": panel(high),
        "low": panel(low.clip(0.01)),
        "close": panel(close),
        "volume": panel(volume),
        "bar_end": pa.array(np.tile(ends, n_symbols)).cast(pa.timestamp("us", tz="UTC")),
        "known_at": pa.array(np.tile(ends, n_symbols)).cast(pa.timestamp("us", tz="UTC")),
        "source": each(["synthetic"] * n_symbols),
        "snapshot_id": each(snapshots),
        "month": pa.array(np.tile(months, n_symbols)),
    }
    table = pa.table(columns, schema=table_schema("core/daily_bars").schema)
    return table, sorted(set(months.tolist()))
