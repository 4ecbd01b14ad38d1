"""Polygon's reference data: splits, dividends, tickers and their changes.

https://massive.com/docs/rest/stocks/corporate-actions/splits and .../dividends (the older answers of
`/v3/reference` have the same fields), .../tickers/all-tickers, .../corporate-actions/ticker-events.

A split's value is `split_to` / `split_from`, new shares per old one; a dividend's is `cash_amount`, per share
as declared, not adjusted for later splits. Left out and counted: actions not yet in force at `as_of` (they may
still change), dividends in other currencies than dollars and of nothing, unusual tickers, and rows without
usable values, which refuse the answer where they are many. The vendor gives some actions twice under two ids:
rows that differ in nothing else are one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.errors import BadName, BadPayload, BadRows
from lakehouse.sources.base import Parsed, check_symbol, empty_actions, empty_bars
from lakehouse.sources.polygon_csv import NEW_YORK
from lakehouse.sources.polygon_page import read_page, results_of

if TYPE_CHECKING:
    import pandas as pd

LISTING_COLUMNS = ("security_id", "symbol", "name", "exchange", "start", "end", "known_at", "cik")
_ONE_DAY = dt.timedelta(days=1)


def parse_splits(content: bytes, *, what: str, symbol: str | None, as_of: dt.datetime, max_bad_share: float) -> Parsed:
    """Return a page's splits; several of a symbol and day are multiplied.

    Raises
    ------
    BadPayload : not a page of the vendor's.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    return _parse_actions(content, "split", "execution_date", what, as_of, max_bad_share)


def parse_dividends(
    content: bytes, *, what: str, symbol: str | None, as_of: dt.datetime, max_bad_share: float
) -> Parsed:
    """Return a page's cash dividends with their pay dates; several of a symbol and day are summed.

    Raises
    ------
    BadPayload : not a page of the vendor's.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    return _parse_actions(content, "dividend", "ex_dividend_date", what, as_of, max_bad_share)


def parse_tickers(content: bytes, *, what: str, symbol: str | None, as_of: dt.datetime, max_bad_share: float) -> Parsed:
    """Return a page's tickers as rows for a security master, under "core/listings".

    security_id is the vendor's composite FIGI, else the share class's, else empty; exchange is the primary one's
    MIC; cik the company's number with the SEC, where told. `start` is missing, the list does not tell it; `end` is
    the day after the last one traded, missing while the ticker is active. What a list tells is known when it is
    asked for.

    Raises
    ------
    BadPayload : not a page of the vendor's.
    BadRows : more than `max_bad_share` of the rows are unusable.
    """
    counts: dict[str, int] = {}
    found = []
    rows = results_of(content, what=what)
    for row in rows:
        ticker, end = row.get("ticker"), _delisted(row.get("delisted_utc"))
        if not _is_symbol(ticker):
            _count(counts, "rows of unusual tickers")
        elif row.get("active") is not True and end is None:
            _count(counts, "delisted tickers without a day")
        else:
            found.append(
                {
                    "security_id": str(row.get("composite_figi") or row.get("share_class_figi") or ""),
                    "symbol": ticker,
                    "name": str(row.get("name") or ""),
                    "exchange": str(row.get("primary_exchange") or ""),
                    "start": None,
                    "end": None if row.get("active") is True else end,
                    "cik": _cik(row.get("cik")),
                }
            )
    _refuse_many(counts, ("delisted tickers without a day",), len(rows), what, max_bad_share)
    return Parsed(empty_bars(), empty_actions(), {"core/listings": _listings(found, as_of)}, counts)


def parse_ticker_events(
    content: bytes, *, what: str, symbol: str | None, as_of: dt.datetime, max_bad_share: float
) -> Parsed:
    """Return the tickers that one security has had, as rows for a security master, under "core/listings".

    A ticker ends on the day the next one begins; the last one is open. The vendor's days may be some days off.

    Raises
    ------
    BadPayload : not an answer of the vendor's, or a change without its ticker and day.
    """
    page = read_page(content, what=what)
    results = page.get("results")
    if not isinstance(results, dict) or not isinstance(results.get("events"), list):
        raise BadPayload(f"{what} has no events; try again later")
    changes = [
        (_day(event.get("date")), event["ticker_change"].get("ticker"))
        for event in results["events"]
        if isinstance(event, dict) and isinstance(event.get("ticker_change"), dict)
    ]
    if any(day is None or not isinstance(ticker, str) for day, ticker in changes):
        raise BadPayload(f"{what} has a change without its ticker and day: {changes!r:.200}")
    counts: dict[str, int] = {}
    changes.sort()
    found = []
    ends = [day for day, _ in changes[1:]] + [None]
    for (day, ticker), end in zip(changes, ends, strict=False):
        if not _is_symbol(ticker):
            _count(counts, "rows of unusual tickers")
            continue
        found.append(
            {
                "security_id": str(results.get("composite_figi") or ""),
                "symbol": ticker,
                "name": str(results.get("name") or ""),
                "exchange": "",
                "start": day,
                "end": end,
                "cik": _cik(results.get("cik")),
            }
        )
    return Parsed(empty_bars(), empty_actions(), {"core/listings": _listings(found, as_of)}, counts)


def _parse_actions(
    content: bytes, kind: str, day_field: str, what: str, as_of: dt.datetime, max_bad_share: float
) -> Parsed:
    rows = results_of(content, what=what)
    today = as_of.astimezone(NEW_YORK).date()
    counts: dict[str, int] = {}
    found = []
    for row in _unlike(rows, counts):
        ex_date, value = _day(row.get(day_field)), _split(row) if kind == "split" else _number(row.get("cash_amount"))
        reason = _left_out(row, kind, ex_date, value, today)
        if reason:
            _count(counts, reason)
        else:
            found.append((row["ticker"], ex_date, value, _day(row.get("pay_date"))))
    _refuse_many(counts, ("actions without usable values",), len(rows), what, max_bad_share)
    return Parsed(empty_bars(), _merged(found, kind), counts=counts)


def _left_out(row: Mapping[str, Any], kind: str, ex_date: dt.date | None, value: float, today: dt.date) -> str:
    """Return why an action is left out; nothing where it is not."""
    if kind == "dividend" and value == 0.0:
        return "dividends of nothing"
    if ex_date is None or not (math.isfinite(value) and value > 0.0) or not isinstance(row.get("ticker"), str):
        return "actions without usable values"
    if not _is_symbol(row["ticker"]):
        return "rows of unusual tickers"
    if ex_date > today:
        return "actions not yet in force"
    if kind == "dividend" and str(row.get("currency") or "USD").upper() != "USD":
        return "dividends in other currencies"
    return ""


def _unlike(rows: list[dict[str, Any]], counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return the rows without those that repeat another in all but the id."""
    unlike = {repr(sorted((name, value) for name, value in row.items() if name != "id")): row for row in rows}
    if len(unlike) < len(rows):
        counts["actions given twice"] = len(rows) - len(unlike)
    return list(unlike.values())


def _merged(found: list[tuple[Any, ...]], kind: str) -> pd.DataFrame:
    """Return one action a symbol and ex-date, sorted, with the first pay date as a further column."""
    import pandas as pd

    if not found:
        return empty_actions().assign(pay_date=pd.Series(dtype="datetime64[s]"))
    frame = pd.DataFrame(found, columns=["symbol", "ex_date", "value", "pay_date"])
    frame = frame.astype({"symbol": "str", "ex_date": "datetime64[s]", "pay_date": "datetime64[s]"})
    frame["kind"] = pd.Series(kind, index=frame.index, dtype="str")
    merged = frame.groupby(["symbol", "ex_date", "kind"], sort=True)
    values = merged["value"].prod() if kind == "split" else merged["value"].sum()
    return pd.concat([values, merged["pay_date"].min()], axis=1).reset_index()


def _listings(found: list[dict[str, Any]], as_of: dt.datetime) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(found, columns=list(LISTING_COLUMNS))
    text, days = LISTING_COLUMNS[:4], LISTING_COLUMNS[4:6]
    frame = frame.astype({**dict.fromkeys(text, "str"), **dict.fromkeys(days, "datetime64[s]"), "cik": "Int64"})
    known_at = pd.Timestamp(as_of).tz_convert("UTC").as_unit("us")
    frame["known_at"] = pd.Series(known_at, index=frame.index, dtype="datetime64[us, UTC]")
    return frame


def _refuse_many(counts: Mapping[str, int], bad: tuple[str, ...], n_rows: int, what: str, max_bad_share: float) -> None:
    n_bad = sum(counts.get(reason, 0) for reason in bad)
    if n_bad > max_bad_share * n_rows:
        raise BadRows(
            f"{n_bad} of {n_rows} rows of {what} are unusable (more than {max_bad_share:.2%}): {' and '.join(bad)}; "
            "use another source for it, or raise max_bad_share",
            rule="few_bad_rows",
        )


def _count(counts: dict[str, int], reason: str) -> None:
    counts[reason] = counts.get(reason, 0) + 1


def _is_symbol(ticker: object) -> bool:
    try:
        check_symbol(ticker)
    except BadName:
        return False
    return True


def _cik(number: object) -> int | None:
    """Return a company's number with the SEC, which the vendor writes with leading zeros; None where it is none."""
    text = str(number)
    return int(text) if text.isascii() and text.isdigit() else None


def _day(text: object) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _delisted(text: object) -> dt.date | None:
    """Return the day after the last one traded; the vendor writes midnight in New York, in UTC."""
    try:
        moment = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(NEW_YORK).date() + _ONE_DAY


def _split(row: Mapping[str, Any]) -> float:
    old, new = _number(row.get("split_from")), _number(row.get("split_to"))
    return new / old if old > 0.0 else math.nan


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
