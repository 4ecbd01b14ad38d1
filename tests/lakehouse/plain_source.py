"""A vendor whose answers are JSON lists of bars and actions, believed as they are; for tests of what comes after."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lakehouse import Answer
from lakehouse.sources.base import ACTION_COLUMNS, BAR_COLUMNS, Parsed

PLAIN = "tests.lakehouse.plain_source:PlainSource"


class PlainSource:
    """Stands in for the sample; its answers are put into the lake by the tests."""

    name, dataset = "sample", "stocks"

    def symbols(self, configured: Sequence[str]) -> list[str]:
        return list(configured)

    def fetch(
        self,
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
        *,
        as_of: dt.datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        return iter(())

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        told = json.loads(content)
        bars = pd.DataFrame(told["bars"], columns=list(BAR_COLUMNS))
        bars = bars.assign(session=pd.to_datetime(bars["session"])).astype(dict.fromkeys(BAR_COLUMNS[2:], "float64"))
        actions = pd.DataFrame(told["actions"], columns=list(ACTION_COLUMNS))
        return Parsed(bars=bars, actions=actions.assign(ex_date=pd.to_datetime(actions["ex_date"])))


def bar(symbol: str, session: str, close: float, /, **values: float) -> list[Any]:
    """One bar, flat at its close but for the values named."""
    row = {"open": close, "high": close, "low": close, "close": close, "volume": 100.0} | values
    return [symbol, session, *row.values()]


def answer(bars: Iterable[Sequence[Any]], actions: Iterable[Sequence[Any]] = (), *, known: str) -> Answer:
    """An answer known at noon UTC of a day; `actions` are (symbol, ex-date, kind, value)."""
    rows = list(bars)
    days = [dt.date.fromisoformat(row[1]) for row in rows]
    return Answer(
        content=json.dumps({"bars": rows, "actions": [list(action) for action in actions]}).encode(),
        source="sample",
        dataset="stocks",
        request={"known": known},
        known_at=dt.datetime.fromisoformat(f"{known}T12:00+00:00"),
        media_type="application/json",
        first_session=min(days),
        last_session=max(days),
    )
