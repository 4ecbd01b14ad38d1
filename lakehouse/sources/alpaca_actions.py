"""Reading a page of Alpaca's corporate actions: splits and dividends; the rest is counted.

https://docs.alpaca.markets/reference/corporateactions-1. A stock dividend of rate r is a split into 1 + r
shares. Spin-offs, mergers, rights, unit splits, redemptions and changes of name have no place among splits and
cash dividends: they are left out and counted by kind, and stay in the snapshot.
"""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.errors import BadPayload
from lakehouse.sources.alpaca_page import read_page
from lakehouse.sources.base import Parsed, empty_actions, empty_bars, stack_actions
from lakehouse.sources.limits import MAX_ROWS, check_rows

_SPLITS = ("forward_splits", "reverse_splits")
_READ = (*_SPLITS, "stock_dividends", "cash_dividends")


def parse_actions(content: bytes, *, symbol: str, as_of: dt.datetime, max_rows: int = MAX_ROWS) -> Parsed:
    """Return a page's splits and cash dividends with ex-dates up to `as_of`, in New York.

    The same action given twice is one; several dividends of an ex-date are summed, several splits multiplied.
    An action of another symbol (the vendor lists some under a former name) is left out and counted.

    Raises
    ------
    BadPayload : not a page of actions in the known form, more than `max_rows` of them, or a rate that is not positive.
    """
    import pandas as pd

    what = f"Alpaca's answer for {symbol}"
    by_kind = read_page(content, symbol).get("corporate_actions")
    if not isinstance(by_kind, dict) or not all(isinstance(rows, list) for rows in by_kind.values()):
        raise BadPayload(f"{what} has no corporate_actions by kind; try again later")
    check_rows(sum(map(len, by_kind.values())), max_rows, what=what)
    today = as_of.astimezone(zoneinfo.ZoneInfo("America/New_York")).date()
    found: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for reason, identity, row in _read(by_kind, symbol, today, what):
        if reason or identity in found:
            reason = reason or "actions given twice"
            counts[reason] = counts.get(reason, 0) + 1
        else:
            found[identity] = row
    if not found:
        return Parsed(bars=empty_bars(), actions=empty_actions(), counts=counts)
    frame = pd.DataFrame(list(found.values()))
    frame["ex_date"] = frame["ex_date"].astype("datetime64[s]")
    key = ["symbol", "ex_date", "kind"]
    splits, dividends = (frame[frame["kind"] == kind].groupby(key)["value"] for kind in ("split", "dividend"))
    actions = stack_actions([splits.prod().reset_index(), dividends.sum().reset_index()])
    return Parsed(bars=empty_bars(), actions=actions, counts=counts)


def _read(
    by_kind: Mapping[str, Any], symbol: str, today: dt.date, what: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield for each action why it is left out (empty where it is not), its id, and its row."""
    for kind, rows in by_kind.items():
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("id"), str):
                raise BadPayload(f"{what} has an action of {kind!r:.40} without its id")
            if kind not in _READ:
                yield f"actions of kind {kind} left out"[:60], row["id"], {}
                continue
            ex_date, value = _ex_date(row, kind, what), _value(row, kind, what)
            reason = "actions of another symbol" if row.get("symbol") != symbol else ""
            reason = reason or ("actions not yet in force" if ex_date > today else "")
            is_cash = kind == "cash_dividends"
            yield (
                reason,
                row["id"],
                {
                    "symbol": symbol,
                    "ex_date": ex_date,
                    "kind": "dividend" if is_cash else "split",
                    "value": value,
                },
            )


def _ex_date(row: Mapping[str, Any], kind: str, what: str) -> dt.date:
    try:
        return dt.date.fromisoformat(row["ex_date"])
    except (KeyError, TypeError, ValueError):
        raise BadPayload(f"{what} has one of {kind} without an ex_date, was {row.get('ex_date')!r:.40}") from None


def _value(row: Mapping[str, Any], kind: str, what: str) -> float:
    """Return new shares per old one, or cash per share."""
    names = ("new_rate", "old_rate") if kind in _SPLITS else ("rate",)
    rates = [_number(row.get(name)) for name in names]
    if not all(math.isfinite(rate) and rate > 0.0 for rate in rates):
        raise BadPayload(f"{what} has one of {kind} at {row.get('ex_date')} without positive {' and '.join(names)}")
    if kind in _SPLITS:
        return rates[0] / rates[1]
    return 1.0 + rates[0] if kind == "stock_dividends" else rates[0]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
