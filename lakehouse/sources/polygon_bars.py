"""Day and minute files: bars of the whole market, one session a file, as traded.

https://massive.com/docs/flat-files/stocks/day-aggregates and .../minute-aggregates: prices are adjusted for
nothing, volume may hold fractions of shares, a minute without a trade has no row, and minutes before and after
the regular session are there. `window_start` is the window's first nanosecond; a bar is knowable at its end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.sources.base import BAR_COLUMNS, Parsed, empty_actions, empty_bars
from lakehouse.sources.polygon_csv import MAX_ROWS, TICKER, FlatFileFormat, read_flat_file
from lakehouse.sources.polygon_rows import FlatFileRows, one_row_a_key, refuse_many_bad
from lakehouse.sources.quarantine import DAILY, MINUTES, bad_bars, minutes_set_aside, quarantine, set_aside

if TYPE_CHECKING:
    import pandas as pd

BARS = FlatFileFormat(
    columns={
        TICKER: "string",
        "volume": "float64",
        "open": "float64",
        # The close stands before the high and the low: never by position.
        "close": "float64",
        "high": "float64",
        "low": "float64",
        "window_start": "int64",
        "transactions": "int64",
    },
    time="window_start",
)
_MINUTE_NS = 60 * 10**9
_READ = ("open", "high", "low", "close", "volume", "window_start")


def parse_day_file(
    content: bytes, *, what: str, session: dt.date, only: Sequence[str], max_bad_share: float, max_rows: int = MAX_ROWS
) -> Parsed:
    """Return the daily bars of a session's file, sorted by symbol.

    Raises
    ------
    BadPayload, EmptyAnswer : as `lakehouse.sources.polygon_csv.read_flat_file`.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    rows = read_flat_file(content, BARS, what=what, session=session, columns=_READ, only=only, max_rows=max_rows)
    frame = rows.table.to_pandas().drop(columns="window_start")
    frame["session"] = np.datetime64(session, "s")
    bars, kept, counts = _usable_bars(frame, rows, what=what, max_bad_share=max_bad_share)
    return Parsed(
        bars=bars[list(BAR_COLUMNS)],
        actions=empty_actions(),
        counts=counts,
        bad=bad_bars(kept)[list(BAR_COLUMNS)],
        set_aside={DAILY: set_aside(kept)},
    )


def parse_minute_file(
    content: bytes, *, what: str, session: dt.date, only: Sequence[str], max_bad_share: float, max_rows: int = MAX_ROWS
) -> Parsed:
    """Return the minute bars of a session's file as rows of core/minute_bars, sorted by symbol and time.

    A window that does not begin on a full minute is bad.

    Raises
    ------
    BadPayload, EmptyAnswer : as `lakehouse.sources.polygon_csv.read_flat_file`.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    rows = read_flat_file(content, BARS, what=what, session=session, columns=_READ, only=only, max_rows=max_rows)
    frame = rows.table.to_pandas()
    is_full = (frame["window_start"] % _MINUTE_NS == 0).to_numpy()
    rows.count_bad("windows that do not begin on a minute", int((~is_full).sum()))
    frame = frame[is_full]
    ends = (frame.pop("window_start").to_numpy() + _MINUTE_NS) // 1000
    frame["session"] = ends.astype("datetime64[us]")
    bars, kept, counts = _usable_bars(frame, rows, what=what, max_bad_share=max_bad_share)
    bar_end = bars.pop("session").dt.tz_localize("UTC")
    bars.insert(1, "bar_end", bar_end)
    bars["known_at"] = bar_end
    table = bars[["symbol", "bar_end", *BAR_COLUMNS[2:], "known_at"]]
    return Parsed(
        bars=empty_bars(),
        actions=empty_actions(),
        tables={MINUTES: table},
        counts=counts,
        set_aside={MINUTES: minutes_set_aside(kept)},
    )


def _usable_bars(
    frame: pd.DataFrame, rows: FlatFileRows, *, what: str, max_bad_share: float
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Return the usable rows, all of them as answered, and what was left out or mended."""
    kept = one_row_a_key(frame, ("symbol", "session"), rows)
    refuse_many_bad(rows, what=what, max_bad_share=max_bad_share)
    bars, mended = quarantine(kept, what=what, max_bad_share=max_bad_share)
    return bars, kept, {**rows.counts(), **mended}
