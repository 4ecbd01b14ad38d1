"""Daily bars of one symbol over REST, as traded.

https://massive.com/docs/rest/stocks/aggregates/custom-bars: `t` is the window's start in milliseconds, for a day
midnight in New York. The vendor adjusts for splits unless told not to, and says in the answer what it did.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from lakehouse.errors import BadPayload, BadRows
from lakehouse.sources.base import BAR_COLUMNS, Parsed, empty_actions, empty_bars
from lakehouse.sources.payload import require_fields
from lakehouse.sources.polygon_csv import NEW_YORK
from lakehouse.sources.polygon_page import read_page, results_of
from lakehouse.sources.quarantine import DAILY, bad_bars, quarantine, set_aside

EXTENDED_HOURS_END = dt.time(20)
"""A day's bar counts trades up to here (New York); before it is not final."""

_FIELDS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


def parse_aggregates(content: bytes, *, what: str, symbol: str, as_of: dt.datetime, max_bad_share: float) -> Parsed:
    """Return a page's daily bars, sorted by session; that of a session still traded at `as_of` is left out.

    Raises
    ------
    BadPayload : of another symbol, adjusted, not of days, after `as_of`, or in another form.
    BadRows : a session twice with different values, or too many unusable rows.
    """
    import pandas as pd

    page = read_page(content, what=what)
    if page.get("ticker") != symbol:
        raise BadPayload(f"{what} is about {page.get('ticker')!r:.40}, asked for {symbol!r}")
    if page.get("adjusted") is not False:
        raise BadPayload(
            f"{what} is adjusted for splits (adjusted is {page.get('adjusted')!r:.20}), asked for as traded"
        )
    rows = results_of(content, what=what)
    if not rows:
        return Parsed(bars=empty_bars(), actions=empty_actions())
    bars = pd.DataFrame(
        {
            "symbol": symbol,
            "session": np.array([_session(row, what) for row in rows], dtype="datetime64[s]"),
            **{name: np.array([_number(row, field, what) for row in rows]) for name, field in _FIELDS.items()},
        }
    )
    unlike = bars.drop_duplicates()
    twice = unlike.duplicated("session")
    if twice.any():
        day = unlike.loc[twice, "session"].iloc[0]
        raise BadRows(f"{what} has {day:%Y-%m-%d} twice with different values; fetch it again", rule="keys_unique")
    newest = bars["session"].max().date()
    if newest > as_of.astimezone(NEW_YORK).date():
        raise BadPayload(f"{what} has a bar of {newest}, after the request of {as_of:%Y-%m-%d %H:%M} UTC")
    require_fields(rows, {field: name for name, field in _FIELDS.items()}, what=what)
    is_final = unlike["session"].map(lambda day: _is_final(day.date(), as_of)).to_numpy(dtype=bool)
    final = unlike[is_final].sort_values("session", ignore_index=True)
    kept, counts = quarantine(final, what=what, max_bad_share=max_bad_share)
    for reason, n_rows in (
        ("rows given twice", len(bars) - len(unlike)),
        ("unfinished session", int((~is_final).sum())),
    ):
        if n_rows:
            counts[reason] = n_rows
    return Parsed(
        bars=kept[list(BAR_COLUMNS)],
        actions=empty_actions(),
        counts=counts,
        bad=bad_bars(final)[list(BAR_COLUMNS)],
        set_aside={DAILY: set_aside(final)},
    )


def _is_final(session: dt.date, as_of: dt.datetime) -> bool:
    return as_of >= dt.datetime.combine(session, EXTENDED_HOURS_END, NEW_YORK)


def _session(row: dict[str, Any], what: str) -> dt.date:
    stamp = row.get("t")
    if type(stamp) is not int or not 0 < stamp < 4_102_444_800_000:
        raise BadPayload(f"{what} has a time that is no milliseconds since 1970, was {stamp!r:.40}")
    start = dt.datetime.fromtimestamp(stamp / 1000, NEW_YORK)
    if start.time() != dt.time():
        raise BadPayload(f"{what} has a window that begins at {start:%Y-%m-%d %H:%M} New York: no daily bar")
    return start.date()


def _number(row: dict[str, Any], field: str, what: str) -> float:
    value = row.get(field)
    if value is None:
        return float("nan")
    if type(value) not in (int, float):
        raise BadPayload(f"{what} has {value!r:.40} where the number {field} belongs")
    return float(value)
