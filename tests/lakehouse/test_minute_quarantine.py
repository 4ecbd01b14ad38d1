"""Minute bars that break a rule or were mended: set aside as answered, counted, and too many of them refused."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pandas as pd
import pytest

from lakehouse.errors import BadRows
from lakehouse.minute_quarantine import GatheredMinutes, gather_minutes
from lakehouse.schemas import table_schema
from lakehouse.sources.base import Parsed
from tests.lakehouse.test_source_polygon_parsing import BAR_HEADER, bar, packed, parse, stamp

DAY = dt.date(2024, 4, 5)
MONTH = "2024-04"
Part = tuple[dict[str, Any], Parsed]


def part(*lines: str, source: str = "polygon", name: str = "a", known: str = "2024-04-08") -> Part:
    """What is read of a minute file of the session, with its row of the manifest."""
    parsed = parse("minute", packed(BAR_HEADER, lines), DAY, max_bad_share=0.5)
    return {"source": source, "snapshot_id": name, "known_at": pd.Timestamp(known, tz="UTC")}, parsed


def at(minute: int, symbol: str = "AAPL", **values: str) -> str:
    return bar(symbol, at=stamp("09:30:00", DAY) + minute * 60 * 10**9, **values)


def good(n_minutes: int, symbol: str = "X") -> list[str]:
    return [at(minute % 300, f"{symbol}{minute // 300}") for minute in range(n_minutes)]


def gathered(*parts: Part, most: float = 0.001) -> GatheredMinutes:
    return gather_minutes(parts, sources=["polygon", "alpaca"], month=MONTH, most_bad_rows=most)


def reasons(made: GatheredMinutes) -> list[tuple[str, str]]:
    return [(row["symbol"], row["reason"]) for row in made.quarantine.to_pylist()]


def test_each_minute_answered_is_a_bar_or_set_aside_with_its_reason_and_values() -> None:
    lines = [
        at(0),
        at(1, prices="10,13,12,9"),  # the close far above the high
        at(2, prices="10,12.01,12,9"),  # a little above: mended
        at(3, prices=",11,12,9"),
    ]
    made = gathered(part(*good(300), *lines))
    assert made.rows.num_rows == 302
    assert made.quarantine.schema.equals(table_schema("core/minute_quarantine").schema)
    assert reasons(made) == [("AAPL", "ohlc_order"), ("AAPL", "mended:range_widened"), ("AAPL", "no_prices")]
    bad, mended, _ = made.quarantine.to_pylist()
    assert json.loads(bad["values"]) | {"volume": 0} == {"open": 10, "close": 13, "high": 12, "low": 9, "volume": 0}
    assert json.loads(mended["values"])["high"] == 12.0
    assert str(bad["bar_end"]) == "2024-04-05 13:32:00+00:00" and bad["snapshot_id"] == "a"
    highs = {str(row["bar_end"]): row["high"] for row in made.rows.to_pylist() if row["symbol"] == "AAPL"}
    assert highs["2024-04-05 13:33:00+00:00"] == 12.01 and len(highs) == 2


@pytest.mark.parametrize("n_bad", [1, 2])
def test_one_bad_minute_of_a_small_month_passes_and_two_fail_it(n_bad: int) -> None:
    told = part(*good(300), *[at(minute, volume="-1") for minute in range(n_bad)])
    if n_bad == 1:
        assert reasons(gathered(told)) == [("AAPL", "volume_not_negative")]
    else:
        with pytest.raises(BadRows, match=r"2024-04: 2 of 302 minutes of polygon \(volume_not_negative 2\)") as caught:
            gathered(told)
        assert caught.value.rule == "few_bad_rows" and len(caught.value.rows) == 2
        assert len(reasons(gathered(told, most=0.01))) == 2
    with pytest.raises(BadRows):
        gathered(told, most=0.0)


def test_mended_minutes_count_for_nothing_there() -> None:
    told = part(*good(300), *[at(minute, prices="10,12.01,12,9") for minute in range(20)])
    assert reasons(gathered(told, most=0.0)) == [("AAPL", "mended:range_widened")] * 20


def test_what_a_later_answer_or_source_tells_of_the_minute_is_all_that_counts() -> None:
    first = part(*good(300), at(0, volume="-1"), name="old")
    corrected = part(*good(300), at(0), name="new", known="2024-04-09")
    for parts in ((first, corrected), (corrected, first)):
        made = gathered(*parts)
        assert made.quarantine.num_rows == 0 and made.rows.num_rows == 301
    assert gathered(first, part(at(0), source="alpaca", name="other", known="2024-04-06")).quarantine.num_rows == 0
    # A later bad one takes no bar away.
    made = gathered(corrected, part(*good(300), at(0, volume="-1"), name="worse", known="2024-04-10"))
    assert made.rows.num_rows == 301 and made.quarantine["snapshot_id"].to_pylist() == ["worse"]


def test_minutes_of_another_month_are_not_those_of_this_one() -> None:
    made = gather_minutes(
        [part(*good(300), at(0, volume="-1"))], sources=["polygon"], month="2024-05", most_bad_rows=0.0
    )
    assert made.rows.num_rows == made.quarantine.num_rows == 0
