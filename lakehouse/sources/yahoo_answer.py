"""Yahoo's chart answer as it is: one symbol's rows of prices and its events, of days or minutes alike."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadPayload, BadRows, Delisted, EmptyAnswer, SourceError, UnknownSymbol
from lakehouse.sources.base import empty_actions
from lakehouse.sources.limits import check_rows
from lakehouse.sources.payload import load_json

if TYPE_CHECKING:
    import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume")


def read_chart(content: bytes, symbol: str, *, interval: str) -> Mapping[str, Any]:
    """Return the one result of an answer: `meta`, `timestamp`, `indicators` and `events`.

    Parameters
    ----------
    interval : of its bars, as Yahoo writes it: "1d", "1m"

    Raises
    ------
    Delisted, UnknownSymbol, EmptyAnswer, SourceError : Yahoo's own error says so.
    EmptyAnswer : no result.
    BadPayload : not a chart of this symbol and interval in the known form.
    """
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
    if meta.get("dataGranularity") != interval:
        raise BadPayload(f"{what} has bars of {meta.get('dataGranularity')!r}, asked for {interval!r}")
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
    if "data not available for starttime" in text.lower():
        raise SourceError(f"{said}: minutes are there for 30 days and 8 days a request; ask for a later start")
    raise BadPayload(f"{said} ({code or 'no code'}); try again later")


def price_rows(chart: Mapping[str, Any], symbol: str, *, max_rows: int) -> pd.DataFrame:
    """Return the rows in order of `stamp` (seconds since 1970); `session` is the exchange's local date.

    Raises
    ------
    EmptyAnswer : no rows.
    BadPayload : in another form, or more than `max_rows`.
    """
    import pandas as pd

    stamps = _time_stamps(chart, symbol)
    check_rows(len(stamps), max_rows, what=f"Yahoo's answer for {symbol}")
    quote = _quote(chart, symbol)
    columns: dict[str, Any] = {
        "symbol": symbol,
        "session": local_dates(stamps, chart["meta"], symbol),
        "stamp": stamps,
    }
    for name in FIELDS:
        values = quote.get(name)
        if not isinstance(values, list) or len(values) != len(stamps):
            size = len(values) if isinstance(values, list) else "no"
            raise BadPayload(f"Yahoo's answer for {symbol} has {len(stamps)} time stamps and {size} values of {name}")
        if not all(value is None or type(value) in (int, float) for value in values):
            raise BadPayload(f"Yahoo's answer for {symbol} has values of {name} that are not numbers")
        columns[name] = np.array(values, dtype=np.float64)
    return pd.DataFrame(columns).sort_values("stamp", kind="stable", ignore_index=True)


def _time_stamps(chart: Mapping[str, Any], symbol: str) -> NDArray[np.int64]:
    stamps = chart.get("timestamp")
    quote = _quote(chart, symbol)
    if not stamps:
        if any(quote.get(name) for name in FIELDS):
            raise BadPayload(f"Yahoo's answer for {symbol} has prices without time stamps")
        raise EmptyAnswer(f"Yahoo knows {symbol} and answered without bars: suspect, not a delisting; try again later")
    if not isinstance(stamps, list) or not all(map(is_stamp, stamps)):
        raise BadPayload(f"Yahoo's answer for {symbol} has time stamps that are not seconds since 1970")
    return np.array(stamps, dtype=np.int64)


def is_stamp(value: object) -> bool:
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


def local_dates(stamps: Iterable[int], meta: Mapping[str, Any], symbol: str) -> NDArray[np.datetime64]:
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


def one_row_a_time(bars: pd.DataFrame, symbol: str, *, shown: str = "%Y-%m-%d") -> tuple[pd.DataFrame, int]:
    """Keep one row a session, or a minute (column `session`).

    Yahoo writes the latest one twice, as a bar and as the last trade's state: the later row has the final volume.
    Anywhere else the two rows must agree.

    Parameters
    ----------
    shown : how an error writes the time
    """
    twice = bars.duplicated("session", keep=False)
    if not twice.any():
        return bars, 0
    earlier = bars[twice & (bars["session"] != bars["session"].iloc[-1])]
    unequal = earlier.groupby("session")[list(FIELDS)].nunique(dropna=False).max(axis=1) > 1
    if unequal.any():
        day = unequal.index[unequal][0]
        raise BadRows(
            f"Yahoo's answer for {symbol} has {day.strftime(shown)} twice with different prices; fetch it again",
            rule="keys_unique",
            rows=earlier[earlier["session"] == day].to_dict("records"),
        )
    kept = bars.drop_duplicates("session", keep="last").reset_index(drop=True)
    return kept, len(bars) - len(kept)


def read_events(chart: Mapping[str, Any], symbol: str) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return splits, split-adjusted dividends, and how many capital gains there are besides."""
    meta = chart["meta"]
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
    if not all(isinstance(row, dict) and is_stamp(row.get("date")) for row in rows):
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
            "ex_date": local_dates([int(row["date"]) for row in rows], meta, symbol),
            "kind": kind,
            "value": np.array(values, dtype=np.float64),
        }
    )
    merged = frame.groupby(["symbol", "ex_date", "kind"], sort=True)["value"]
    return (merged.prod() if kind == "split" else merged.sum()).reset_index()
