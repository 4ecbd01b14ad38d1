"""Reading Yahoo's chart of minutes, and which days to ask for in one request.

A row is stamped with its minute's beginning; the bar is knowable at its end. Trading before the open and after the
close is left out. Prices are adjusted for splits as those of days are, up to the moment of the request, while an
answer tells of the splits of its own days only: all of them are handed in with the request, from the chart of days.

Yahoo keeps minutes for 30 days and gives at most 8 days of them in a request.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.actions import later_splits
from lakehouse.calendar import session_open, sessions
from lakehouse.errors import BadPayload, SourceError
from lakehouse.sources.base import BAR_COLUMNS, Parsed, empty_actions, empty_bars
from lakehouse.sources.limits import MAX_ROWS
from lakehouse.sources.quarantine import MAX_BAD_SHARE, MINUTES, minutes_set_aside, quarantine
from lakehouse.sources.yahoo_answer import FIELDS, is_stamp, one_row_a_time, price_rows, read_chart, read_events
from lakehouse.sources.yahoo_chart import SETTLED_AFTER

DAYS_KEPT = 30
DAYS_A_REQUEST = 7
_MINUTE = 60


def minute_requests(
    start: dt.date, end: dt.date, as_of: dt.datetime, *, exchange: str
) -> list[tuple[dt.date, dt.date]]:
    """Return the ranges [first, end) of days to ask for, the newest first; none where no session is due yet.

    They hold the sessions in [start, end) that have begun half an hour ago and that Yahoo still has.

    Raises
    ------
    SourceError : Yahoo has none of them any more.
    """
    today = as_of.astimezone(dt.UTC).date()
    kept_from = today - dt.timedelta(days=DAYS_KEPT - 1)
    if end <= kept_from:
        raise SourceError(
            f"Yahoo keeps minutes for {DAYS_KEPT} days, from {kept_from} on, and was asked for [{start}, {end}): take "
            "another source for earlier ones; stored minutes stay as they are"
        )
    days = sessions(exchange, max(start, kept_from), min(end, today + dt.timedelta(days=2)))
    days = [
        day for day, opens in zip(days, session_open(exchange, days), strict=True) if opens + SETTLED_AFTER <= as_of
    ]
    found: list[tuple[dt.date, dt.date]] = []
    for day in days:
        if not found or day >= found[-1][0] + dt.timedelta(days=DAYS_A_REQUEST):
            found.append((day, day))
        found[-1] = (found[-1][0], day + dt.timedelta(days=1))
    return found[::-1]


def parse_minutes(
    content: bytes,
    *,
    symbol: str,
    as_of: dt.datetime,
    splits: Mapping[str, float],
    max_bad_share: float = MAX_BAD_SHARE,
    max_rows: int = MAX_ROWS,
) -> Parsed:
    """Return the as-traded minutes of one chart answer as rows of core/minute_bars, sorted by time.

    Left out and counted are a minute that had not ended at `as_of` or could still change then, rows outside the
    sessions that the answer names (the closing price comes once more, at the close), and those without prices. Bad
    prices go the way of `lakehouse.sources.quarantine`.

    Parameters
    ----------
    splits : new shares per old one, by ex-date; all from the answer's first day up to `as_of`

    Raises
    ------
    Delisted, UnknownSymbol, EmptyAnswer, BadPayload, BadRows, SourceError : as
        `lakehouse.sources.yahoo_chart.parse_chart`; also minutes that begin on none.
    """
    what = f"Yahoo's answer for {symbol}"
    chart = read_chart(content, symbol, interval="1m")
    bars = price_rows(chart, symbol, max_rows=max_rows).rename(columns={"session": "day"})
    n_told = len(bars)
    bars = bars[_is_final(bars["stamp"].to_numpy(), chart["meta"], as_of, what)]
    in_session = _in_session(bars["stamp"].to_numpy(), chart["meta"], what)
    counts = {"unfinished bars": n_told - len(bars), "rows outside the session": int((~in_session).sum())}
    bars = bars[in_session].reset_index(drop=True)
    bars["session"] = ((bars["stamp"] + _MINUTE) * 1_000_000).astype("datetime64[us]")
    if len(bars):
        bars, counts["minutes given twice"] = one_row_a_time(bars, symbol, shown="%Y-%m-%d %H:%M")
    told = bars
    bars, mended = quarantine(told, what=what, max_bad_share=max_bad_share)
    factor = later_splits(
        bars["day"].to_numpy(), np.array(list(splits), dtype="datetime64[s]"), np.array(list(splits.values()))
    )
    for name in FIELDS[:4]:
        bars[name] *= factor
    bars["volume"] /= factor
    bar_end = bars["session"].dt.tz_localize("UTC")
    table = bars.assign(bar_end=bar_end, known_at=bar_end)[["symbol", "bar_end", *BAR_COLUMNS[2:], "known_at"]]
    return Parsed(
        bars=empty_bars(),
        actions=empty_actions(),
        tables={MINUTES: table},
        counts={reason: n_rows for reason, n_rows in {**counts, **mended}.items() if n_rows},
        set_aside={MINUTES: minutes_set_aside(told[list(BAR_COLUMNS)])},
    )


def splits_told(content: bytes, symbol: str) -> dict[str, float]:
    """Return the ratios of the splits that a chart of days tells of, by ex-date.

    Raises
    ------
    Delisted, UnknownSymbol, EmptyAnswer, BadPayload : as `lakehouse.sources.yahoo_chart.parse_chart`.
    """
    splits = read_events(read_chart(content, symbol, interval="1d"), symbol)[0]
    return {f"{row.ex_date:%Y-%m-%d}": float(row.value) for row in splits.itertuples()}


def _is_final(stamps: NDArray[np.int64], meta: Mapping[str, Any], as_of: dt.datetime, what: str) -> NDArray[np.bool_]:
    """Return which minutes no longer change: ended, and followed by a trade or as old as the slowest feed is late.

    The last row may be the last trade's state, stamped with its second.
    """
    if stamps[-1] > as_of.timestamp() + 300:
        moment = dt.datetime.fromtimestamp(int(stamps[-1]), dt.UTC)
        raise BadPayload(
            f"{what} has a bar of {moment:%Y-%m-%d %H:%M}, after the request of {as_of:%Y-%m-%d %H:%M} UTC"
        )
    is_full = stamps % _MINUTE == 0
    if not is_full[:-1].all():
        raise BadPayload(f"{what} has minutes that do not begin on a minute; fetch it again")
    last_trade = meta.get("regularMarketTime")
    told_up_to = last_trade if type(last_trade) is int else 0
    settled = as_of.timestamp() - SETTLED_AFTER.total_seconds()
    ends = stamps + _MINUTE
    final: NDArray[np.bool_] = is_full & (ends <= as_of.timestamp()) & (ends <= max(settled, told_up_to))
    return final


def _in_session(stamps: NDArray[np.int64], meta: Mapping[str, Any], what: str) -> NDArray[np.bool_]:
    """Return which minutes lie in a session of `meta.tradingPeriods`; all where the answer names none."""
    periods = meta.get("tradingPeriods")
    if isinstance(periods, Mapping):
        periods = periods.get("regular")
    if not periods:
        return np.ones(len(stamps), dtype=np.bool_)
    try:
        hours = [(part["start"], part["end"]) for day in periods for part in day]
    except (KeyError, TypeError):
        hours = [(None, None)]
    if not all(is_stamp(begin) and is_stamp(end) for begin, end in hours):
        raise BadPayload(f"{what} has trading periods in another form; try again later")
    begins, ends = np.array(hours, dtype=np.int64).reshape(-1, 2).T
    inside: NDArray[np.bool_] = np.any((stamps[:, None] >= begins) & (stamps[:, None] < ends), axis=1)
    return inside
