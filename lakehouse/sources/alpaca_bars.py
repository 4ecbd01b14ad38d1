"""Reading a page of Alpaca's bars.

A bar is stamped with its beginning. A stock's daily bar begins at midnight in New York, which is 04:00 or 05:00
UTC; its date there is the session. A crypto pair's begins at midnight UTC (before July 2025 at midnight in
Chicago: such answers are refused, their bars end hours after the UTC day). A minute bar is knowable at its end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.errors import BadPayload, BadRows
from lakehouse.sources.alpaca_page import read_page
from lakehouse.sources.base import BAR_COLUMNS, Parsed, empty_actions, empty_bars
from lakehouse.sources.limits import MAX_ROWS, check_rows
from lakehouse.sources.payload import require_fields
from lakehouse.sources.quarantine import (
    DAILY,
    MAX_BAD_SHARE,
    MINUTES,
    bad_bars,
    minutes_set_aside,
    quarantine,
    set_aside,
)

if TYPE_CHECKING:
    import pandas as pd

CRYPTO = ("crypto_day", "crypto_minute")
SETTLED_AT = dt.timedelta(hours=16, minutes=30)
"""When, in New York, the day's bar of a stock no longer changes."""

_FIELDS = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
_MINUTE = dt.timedelta(minutes=1)
_TOLERANCE = dt.timedelta(minutes=5)


def parse_bars(
    content: bytes,
    *,
    dataset: str,
    symbol: str,
    as_of: dt.datetime,
    max_bad_share: float = MAX_BAD_SHARE,
    max_rows: int = MAX_ROWS,
) -> Parsed:
    """Return a page's daily bars, or its minutes as rows of core/minute_bars.

    A bar that had not ended at `as_of` is left out and counted. Rows with bad prices go the way of
    `lakehouse.sources.quarantine`. A page may be empty.

    Raises
    ------
    BadPayload : not a page of bars of this symbol in the known form, more than `max_rows` of them, or a bar from
        after `as_of`.
    BadRows : too many unusable rows, or two bars at the same time that differ.
    """
    what = f"Alpaca's answer for {symbol}"
    rows = _rows(content, symbol.replace("-", "/") if dataset in CRYPTO else symbol, symbol)
    check_rows(len(rows), max_rows, what=what)
    is_day = dataset.endswith("_day")
    if not rows:
        return _parsed(empty_bars(), is_day, {})
    bars = _frame(rows, what)
    begins = bars.pop("begins")
    if begins.iloc[-1] > as_of + _TOLERANCE:
        raise BadPayload(f"{what} has a bar of {begins.iloc[-1]:%Y-%m-%d %H:%M} UTC, after the request of {as_of}")
    if is_day:
        session, ends = _days(begins, what, is_crypto=dataset in CRYPTO)
        bars["session"] = session
    else:
        ends = begins + _MINUTE
        if (begins != begins.dt.floor("min")).any():
            raise BadPayload(f"{what} has minute bars that do not begin on a minute")
        bars["session"] = ends.dt.tz_localize(None)
    has_ended = (ends <= as_of).to_numpy()
    bars, n_twice = _one_row_a_time(bars.assign(symbol=symbol)[has_ended], what)
    told = bars
    bars, mended = quarantine(told, what=what, max_bad_share=max_bad_share)
    counts = {"unfinished bars": int((~has_ended).sum()), "rows given twice": n_twice, **mended}
    return _parsed(bars[list(BAR_COLUMNS)], is_day, {reason: n for reason, n in counts.items() if n}, told)


def _rows(content: bytes, name: str, symbol: str) -> list[Mapping[str, Any]]:
    by_symbol = read_page(content, symbol).get("bars")
    if by_symbol is None:
        return []
    if not isinstance(by_symbol, dict) or not set(by_symbol) <= {name}:
        found = sorted(map(str, by_symbol))[:3] if isinstance(by_symbol, dict) else type(by_symbol).__name__
        raise BadPayload(f"Alpaca's answer for {symbol} is about {found}, asked for {name!r}; try again later")
    rows = by_symbol.get(name) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadPayload(f"Alpaca's answer for {symbol} has bars that are no objects; try again later")
    return rows


def _frame(rows: list[Mapping[str, Any]], what: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    stamps = [row.get("t") for row in rows]
    if not all(isinstance(stamp, str) and stamp.endswith("Z") for stamp in stamps):
        raise BadPayload(f"{what} has bars without a UTC time t")
    require_fields(rows, _FIELDS, what=what)
    columns: dict[str, Any] = {}
    for field, name in _FIELDS.items():
        values = [row.get(field) for row in rows]
        if not all(value is None or type(value) in (int, float) for value in values):
            raise BadPayload(f"{what} has values of {field} ({name}) that are not numbers")
        columns[name] = np.array(values, dtype=np.float64)
    try:
        columns["begins"] = pd.to_datetime(pd.Series(stamps), format="ISO8601", utc=True).dt.as_unit("us")
    except ValueError as error:
        raise BadPayload(f"{what} has a time that is none ({str(error)[:100]})") from error
    return pd.DataFrame(columns).sort_values("begins", kind="stable", ignore_index=True)


def _days(begins: pd.Series[Any], what: str, *, is_crypto: bool) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return the sessions of daily bars, and when each bar no longer changes."""
    import pandas as pd

    zone = "UTC" if is_crypto else "America/New_York"
    local = begins.dt.tz_convert(zone).dt.tz_localize(None)
    off = (local != local.dt.normalize()).to_numpy()
    if off.any():
        raise BadPayload(
            f"{what} has a daily bar that begins at {begins[off].iloc[0]:%Y-%m-%d %H:%M} UTC, not at midnight in {zone}"
        )
    settled = local + (pd.Timedelta(days=1) if is_crypto else SETTLED_AT)
    return local.astype("datetime64[s]"), settled.dt.tz_localize(zone).dt.tz_convert("UTC")


def _one_row_a_time(bars: pd.DataFrame, what: str) -> tuple[pd.DataFrame, int]:
    """Keep one of equal rows; refuse a time with two that differ."""
    unlike = bars.drop_duplicates(ignore_index=True)
    twice = unlike[unlike.duplicated("session", keep=False)]
    if len(twice):
        raise BadRows(
            f"{what} has two bars of {twice['session'].iloc[0]:%Y-%m-%d %H:%M} that differ; fetch it again",
            rule="keys_unique",
            rows=twice.head(10).to_dict("records"),
        )
    return unlike, len(bars) - len(unlike)


def _parsed(bars: pd.DataFrame, is_day: bool, counts: Mapping[str, int], told: pd.DataFrame | None = None) -> Parsed:
    if is_day:
        if told is None:
            return Parsed(bars=bars, actions=empty_actions(), counts=counts)
        bad = bad_bars(told)[list(BAR_COLUMNS)]
        return Parsed(bars, empty_actions(), counts=counts, bad=bad, set_aside={DAILY: set_aside(told)})
    bar_end = bars["session"].astype("datetime64[us]").dt.tz_localize("UTC")
    table = bars.drop(columns="session").assign(bar_end=bar_end, known_at=bar_end)
    columns = ["symbol", "bar_end", *BAR_COLUMNS[2:], "known_at"]
    return Parsed(
        bars=empty_bars(),
        actions=empty_actions(),
        tables={MINUTES: table[columns]},
        counts=counts,
        set_aside={} if told is None else {MINUTES: minutes_set_aside(told[list(BAR_COLUMNS)])},
    )
