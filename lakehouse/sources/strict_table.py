"""Strict reading of tables of bars (`lakehouse.sources.tabular`): one bad row refuses the file.

A table is refused as a whole: prices that are silently left out change results.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import SourceError
from lakehouse.sources.adjusted_files import ADJUSTED
from lakehouse.sources.tabular import LINE, as_numbers, as_symbols, read_rows, refuse, written_days

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("symbol", "session", "open", "high", "low", "close", "volume")
OPTIONAL = {"dividend": 0.0, "split": 1.0}
TARGETS = (*REQUIRED, *OPTIONAL, ADJUSTED)
MAX_ROWS = 50_000_000
_PRICES = ("open", "high", "low", "close")
_AWARE = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})"


def read_table(
    content: bytes,
    *,
    what: str,
    columns: Mapping[str, str],
    date_format: str,
    time_zone: str | None,
    delimiter: str,
    last_session: dt.date,
    max_bytes: int,
    max_rows: int = MAX_ROWS,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the table in our names, sorted by symbol and session, and the counts of collapsed rows.

    A row given twice with equal values is one row; with different values the table is refused.

    Parameters
    ----------
    content : CSV, gzip of CSV, or Parquet
    what : named in errors, such as the file's name
    columns : our name -> the table's column; a symbol that begins with "=" is literal
    date_format : of plain dates
    time_zone : of the exchange, for timezone-aware sessions
    delimiter : of CSV
    last_session : rows after it lie in the future
    max_bytes, max_rows : limits of the unpacked table

    Returns
    -------
    symbol, session (datetime64), open, high, low, close, volume, dividend, split, and adj_close where it is mapped;
    float64 from open on

    Raises
    ------
    SourceError : a mapped column is not there; names the nearest.
    BadPayload : no readable table, or one past the limits.
    EmptyAnswer : no rows.
    BadRows : rows that break a rule, the first ones with their line in the file (Parquet: row number from 1).
    """
    import pandas as pd

    raw = read_rows(content, what=what, columns=columns, delimiter=delimiter, max_bytes=max_bytes, max_rows=max_rows)
    table = pd.DataFrame(
        {
            "symbol": as_symbols(raw, what),
            "session": _sessions(raw, what, date_format, time_zone),
            **{name: as_numbers(raw, name, what) for name in _PRICES},
            "volume": as_numbers(raw, "volume", what),
            **{name: as_numbers(raw, name, what, empty=none) for name, none in OPTIONAL.items()},
            **({ADJUSTED: as_numbers(raw, ADJUSTED, what)} if ADJUSTED in columns else {}),
            LINE: raw[LINE],
        }
    )
    _check_values(table, what, last_session)
    kept, n_twice = _unique(table, what)
    return kept.drop(columns=LINE), {"rows given twice": n_twice} if n_twice else {}


def _sessions(raw: pd.DataFrame, what: str, date_format: str, time_zone: str | None) -> NDArray[np.datetime64]:
    """Return the session dates; naive stamps with a time part and mixtures of forms are refused."""
    import pandas as pd

    column = raw["session"]
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return _exchange_dates(column, raw, what, time_zone)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        rule = "sessions are dates; a time of day needs a time zone"
        refuse(raw, (column != column.dt.normalize()).to_numpy(), what, "plain_dates", rule)
        plain: NDArray[np.datetime64] = column.to_numpy().astype("datetime64[s]")
        return plain
    text = column.map(lambda value: value.isoformat() if isinstance(value, dt.date) else value)
    is_text = text.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    refuse(raw, ~is_text, what, "plain_dates", "sessions must be dates")
    aware = text.str.fullmatch(_AWARE).to_numpy(dtype=bool)
    if aware.all():
        stamps = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
        return _exchange_dates(stamps, raw, what, time_zone)
    rule = f"sessions must all be dates written as {date_format}, or all be timestamps with a time zone"
    return written_days(raw, text, what, date_format, rule)


def _exchange_dates(stamps: pd.Series, raw: pd.DataFrame, what: str, time_zone: str | None) -> NDArray[np.datetime64]:
    refuse(raw, stamps.isna().to_numpy(), what, "plain_dates", "sessions must be dates or timestamps")
    if time_zone is None:
        raise SourceError(
            f"the sessions of {what} are timestamps with a time zone: name the exchange's zone in time_zone, "
            "such as 'America/New_York', to read their dates"
        )
    local = stamps.dt.tz_convert(time_zone).dt.tz_localize(None).dt.normalize()
    dates: NDArray[np.datetime64] = local.to_numpy().astype("datetime64[s]")
    return dates


def _check_values(table: pd.DataFrame, what: str, last_session: dt.date) -> None:
    open_, high, low, close = (table[name].to_numpy() for name in _PRICES)
    broken = {
        "positive_prices": ((table[list(_PRICES)].to_numpy() <= 0.0).any(axis=1), "prices must be positive"),
        "ohlc_order": (
            (high < np.maximum(open_, close)) | (low > np.minimum(open_, close)),
            "open and close must lie within low and high",
        ),
        "volume_not_negative": (table["volume"].to_numpy() < 0.0, "volume must not be negative"),
        "dividend_not_negative": (table["dividend"].to_numpy() < 0.0, "dividends must not be negative"),
        "split_not_negative": (table["split"].to_numpy() < 0.0, "splits must not be negative"),
        "not_in_the_future": (
            (table["session"] > np.datetime64(last_session)).to_numpy(),
            f"sessions must not be after {last_session}",
        ),
    }
    for rule, (mask, text) in broken.items():
        refuse(table, mask, what, rule, text)


def _unique(table: pd.DataFrame, what: str) -> tuple[pd.DataFrame, int]:
    values = [name for name in table.columns if name != LINE]
    kept = table.drop_duplicates(values).sort_values(["symbol", "session", LINE], kind="stable")
    twice = kept.duplicated(["symbol", "session"], keep=False).to_numpy()
    refuse(kept, twice, what, "keys_unique", "a symbol's session must be there once, or with equal values")
    return kept.reset_index(drop=True), len(table) - len(kept)
