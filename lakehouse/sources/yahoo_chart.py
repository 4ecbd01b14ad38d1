"""Reading Yahoo's chart answer: JSON with split-adjusted prices, back to as-traded bars and actions.

Yahoo's close is adjusted for splits and not for dividends; its dividends are split-adjusted too (its
`adjclose` is not used). The adjustment is undone with the splits of the same answer, which must therefore
reach from the first bar to the moment of the request.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.actions import later_splits
from lakehouse.errors import BadPayload, BadRows, Delisted, EmptyAnswer, UnknownSymbol
from lakehouse.sources.base import Parsed, empty_actions, stack_actions
from lakehouse.sources.payload import load_json
from lakehouse.sources.quarantine import MAX_BAD_SHARE, bad_bars, quarantine

if TYPE_CHECKING:
    import pandas as pd

_FIELDS = ("open", "high", "low", "close", "volume")
SETTLED_AFTER = dt.timedelta(minutes=30)
"""How long after the session's end a bar may still change; Yahoo's slowest delayed feeds lag 20 minutes."""


def parse_chart(content: bytes, *, symbol: str, as_of: dt.datetime, max_bad_share: float = MAX_BAD_SHARE) -> Parsed:
    """Return the as-traded daily bars, the splits and the dividends of one chart answer.

    A session is the exchange's local date of a row's time stamp (its open). The bar of a session that had not
    ended when the answer was given (`as_of`, with `meta.regularMarketTime` before the session's end) is left
    out and counted. Rows with bad prices go the way of `lakehouse.sources.quarantine`.

    Raises
    ------
    Delisted, UnknownSymbol : Yahoo's own error says so.
    EmptyAnswer : no rows; suspect, since the request asked for a range with sessions.
    BadPayload : not a daily chart of this symbol in the known form.
    BadRows : too many unusable rows, or one session twice with different prices.
    """
    chart = _chart(content, symbol)
    meta = chart["meta"]
    stamps = _timestamps(chart, symbol)
    bars = _frame(chart, stamps, meta, symbol)
    counts: dict[str, int] = {}
    bars, counts["unfinished session"] = _finished(bars, meta, as_of, symbol)
    bars, counts["session given twice"] = _one_row_a_session(bars, symbol)
    told = bars.drop(columns="stamp")
    bars, mended = quarantine(told, what=f"Yahoo's answer for {symbol}", max_bad_share=max_bad_share)
    splits, dividends, counts["capital gains left out"] = _events(chart, meta, symbol)
    factor = later_splits(bars["session"].to_numpy(), splits["ex_date"], splits["value"])
    for name in _FIELDS[:4]:
        bars[name] *= factor
    bars["volume"] /= factor
    dividends["value"] *= later_splits(dividends["ex_date"].to_numpy(), splits["ex_date"], splits["value"])
    counts |= mended
    return Parsed(
        bars=bars,
        actions=stack_actions([splits, dividends]),
        counts={reason: n_rows for reason, n_rows in counts.items() if n_rows},
        bad=bad_bars(told),
    )


def _chart(content: bytes, symbol: str) -> Mapping[str, Any]:
    what = f"Yahoo's answer for {symbol}"
    answer = load_json(content, what=what)
    chart = answer.get("chart") if isinstance(answer, dict) else None
    if not isinstance(chart, dict):
        raise BadPayload(f"{what} has no chart; Yahoo changed its form or answered for something else")
    error = chart.get("error")
    if error:
        raise_error(error, symbol)
    results = chart.get("result")
    if results and not isinstance(results, list):
        raise BadPayload(f"{what} has no list of results; Yahoo changed its form")
    if not results:
        raise EmptyAnswer(f"Yahoo answered for {symbol} without any result: suspect, not a delisting; try again later")
    first = results[0]
    meta = first.get("meta") if isinstance(first, dict) else None
    if not isinstance(meta, dict):
        raise BadPayload(f"{what} has no meta block")
    if str(meta.get("symbol", "")).upper() != symbol.upper():
        raise BadPayload(f"{what} is about {meta.get('symbol')!r}; ask for that symbol if it was renamed")
    if meta.get("dataGranularity") != "1d":
        raise BadPayload(f"{what} has bars of {meta.get('dataGranularity')!r}, asked for '1d'")
    chart_result: Mapping[str, Any] = first
    return chart_result


def raise_error(error: Any, symbol: str) -> None:
    """Raise what Yahoo's error block means.

    Yahoo gives "No data found, symbol may be delisted" for misspelt symbols as well: the text says both.
    """
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    text = str(error.get("description", "")) if isinstance(error, dict) else str(error)
    said = f"Yahoo says {text[:200]!r} of {symbol}"
    if "delisted" in text.lower():
        raise Delisted(f"{said}: it is misspelt, renamed or delisted; check the symbol. Stored bars stay as they are")
    if "data doesn't exist" in text.lower():
        raise EmptyAnswer(f"{said}: no bars where some were expected; widen the range or try again later")
    if code.lower().replace("-", " ") == "not found" or "not found" in text.lower():
        raise UnknownSymbol(f"{said}: check how Yahoo writes the symbol, such as BRK-B or ^GSPC")
    raise BadPayload(f"{said} ({code or 'no code'}); try again later")


def _timestamps(chart: Mapping[str, Any], symbol: str) -> NDArray[np.int64]:
    stamps = chart.get("timestamp")
    quote = _quote(chart, symbol)
    if not stamps:
        if any(quote.get(name) for name in _FIELDS):
            raise BadPayload(f"Yahoo's answer for {symbol} has prices without time stamps")
        raise EmptyAnswer(f"Yahoo knows {symbol} and answered without bars: suspect, not a delisting; try again later")
    if not isinstance(stamps, list) or not all(map(_is_stamp, stamps)):
        raise BadPayload(f"Yahoo's answer for {symbol} has time stamps that are not seconds since 1970")
    return np.array(stamps, dtype=np.int64)


def _is_stamp(value: object) -> bool:
    """Return whether the value is seconds since 1970, before 2100."""
    return type(value) is int and 0 < value < 4_102_444_800


def _quote(chart: Mapping[str, Any], symbol: str) -> Mapping[str, Any]:
    try:
        quote = chart["indicators"]["quote"][0]
    except (KeyError, IndexError, TypeError):
        quote = None
    if not isinstance(quote, dict):
        raise BadPayload(f"Yahoo's answer for {symbol} has no quote block")
    return quote


def _frame(chart: Mapping[str, Any], stamps: NDArray[np.int64], meta: Mapping[str, Any], symbol: str) -> pd.DataFrame:
    import pandas as pd

    quote = _quote(chart, symbol)
    columns: dict[str, Any] = {
        "symbol": symbol,
        "session": _local_dates(stamps, meta, symbol),
        "stamp": stamps,
    }
    for name in _FIELDS:
        values = quote.get(name)
        if not isinstance(values, list) or len(values) != len(stamps):
            size = len(values) if isinstance(values, list) else "no"
            raise BadPayload(f"Yahoo's answer for {symbol} has {len(stamps)} time stamps and {size} values of {name}")
        if not all(value is None or type(value) in (int, float) for value in values):
            raise BadPayload(f"Yahoo's answer for {symbol} has values of {name} that are not numbers")
        columns[name] = np.array(values, dtype=np.float64)
    return pd.DataFrame(columns).sort_values("stamp", kind="stable", ignore_index=True)


def _local_dates(stamps: Iterable[int], meta: Mapping[str, Any], symbol: str) -> NDArray[np.datetime64]:
    """Return the exchange's local dates of Unix seconds.

    Around changes of daylight saving Yahoo stamps some exchanges' midnight an hour or two early: a full hour
    of 22 or 23 means the next day (yfinance reads it so, too).
    """
    import pandas as pd

    name = meta.get("exchangeTimezoneName")
    try:
        zone: dt.tzinfo = zoneinfo.ZoneInfo(str(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        offset = meta.get("gmtoffset")
        if not isinstance(offset, int):
            raise BadPayload(f"Yahoo's answer for {symbol} names no usable time zone, was {name!r}") from None
        zone = dt.timezone(dt.timedelta(seconds=offset))
    local = pd.to_datetime(np.asarray(list(stamps), dtype=np.int64), unit="s", utc=True).tz_convert(zone)
    early = (local.minute == 0) & (local.hour >= 22)
    days = local.tz_localize(None).normalize() + pd.to_timedelta(early.astype(np.int64), unit="D")
    dates: NDArray[np.datetime64] = days.to_numpy().astype("datetime64[s]")
    return dates


def _finished(bars: pd.DataFrame, meta: Mapping[str, Any], as_of: dt.datetime, symbol: str) -> tuple[pd.DataFrame, int]:
    """Leave out the bar of a session that had not ended at `as_of`; refuse bars after it."""
    if int(bars["stamp"].iloc[-1]) > as_of.timestamp() + 300:
        raise BadPayload(
            f"Yahoo's answer for {symbol} has a bar of {bars['session'].iloc[-1]:%Y-%m-%d}, after the "
            f"request of {as_of:%Y-%m-%d %H:%M} UTC"
        )
    try:
        period = meta["currentTradingPeriod"]["regular"]
        start, end = int(period["start"]), int(period["end"])
    except (KeyError, TypeError, ValueError):
        return bars, 0
    last_trade = meta.get("regularMarketTime")
    closed = isinstance(last_trade, int) and last_trade >= end
    if closed or as_of.timestamp() >= end + SETTLED_AFTER.total_seconds():
        return bars, 0
    session = _local_dates([start], meta, symbol)[0]
    live = (bars["session"] >= session).to_numpy()
    return bars[~live].reset_index(drop=True), int(live.sum())


def _one_row_a_session(bars: pd.DataFrame, symbol: str) -> tuple[pd.DataFrame, int]:
    """Keep one row a session.

    Yahoo writes the latest session twice, as a daily bar and as the last trade's state: the later row has the
    final volume. Anywhere else the two rows must agree.
    """
    twice = bars.duplicated("session", keep=False)
    if not twice.any():
        return bars, 0
    earlier = bars[twice & (bars["session"] != bars["session"].iloc[-1])]
    unequal = earlier.groupby("session")[list(_FIELDS)].nunique(dropna=False).max(axis=1) > 1
    if unequal.any():
        day = unequal.index[unequal][0]
        raise BadRows(
            f"Yahoo's answer for {symbol} has {day:%Y-%m-%d} twice with different prices; fetch it again",
            rule="keys_unique",
            rows=earlier[earlier["session"] == day].to_dict("records"),
        )
    kept = bars.drop_duplicates("session", keep="last").reset_index(drop=True)
    return kept, len(bars) - len(kept)


def _events(chart: Mapping[str, Any], meta: Mapping[str, Any], symbol: str) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return splits, split-adjusted dividends, and how many capital gains there are besides."""
    events = chart.get("events") or {}
    if not isinstance(events, dict):
        raise BadPayload(f"Yahoo's answer for {symbol} has events that are no object")
    splits = _event_frame(events.get("splits"), "split", meta, symbol)
    dividends = _event_frame(events.get("dividends"), "dividend", meta, symbol)
    return splits, dividends, len(events.get("capitalGains") or {})


def _event_frame(events: Mapping[str, Any] | None, kind: str, meta: Mapping[str, Any], symbol: str) -> pd.DataFrame:
    import pandas as pd

    if not events:
        return empty_actions()
    rows: list[Any] = list(events.values()) if isinstance(events, dict) else [None]
    if not all(isinstance(row, dict) and _is_stamp(row.get("date")) for row in rows):
        raise BadPayload(f"Yahoo's answer for {symbol} has a {kind} without its date in seconds since 1970")
    rows.sort(key=lambda row: row["date"])
    try:
        if kind == "split":
            values = [float(row["numerator"]) / float(row["denominator"]) for row in rows]
        else:
            values = [float(row["amount"]) for row in rows]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BadPayload(f"Yahoo's answer for {symbol} has a {kind} without its numbers ({error})") from error
    if not all(np.isfinite(value) and value > 0.0 for value in values):
        raise BadPayload(f"Yahoo's answer for {symbol} has a {kind} that is not positive: {min(values)}")
    for row in rows:
        currency = row.get("currency") or meta.get("currency")
        if kind == "dividend" and currency != meta.get("currency"):
            raise BadPayload(
                f"Yahoo's answer for {symbol} has dividends in {currency} and prices in "
                f"{meta.get('currency')}; use another source for it"
            )
    frame = pd.DataFrame(
        {
            "symbol": symbol,
            "ex_date": _local_dates([int(row["date"]) for row in rows], meta, symbol),
            "kind": kind,
            "value": np.array(values, dtype=np.float64),
        }
    )
    merged = frame.groupby(["symbol", "ex_date", "kind"], sort=True)["value"]
    return (merged.prod() if kind == "split" else merged.sum()).reset_index()
