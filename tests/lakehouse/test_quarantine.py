"""Bars that break a rule: set aside with their reason, counted, and too many of them refused."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import pytest

from lakehouse.calendar import month_range, sessions
from lakehouse.errors import BadRows
from lakehouse.normalize import Normalized, normalize
from lakehouse.schemas import table_schema
from lakehouse.sources.base import Parsed
from lakehouse.sources.quarantine import DAILY, bad_bars, quarantine, set_aside
from tests.lakehouse.plain_source import PlainSource, answer, bar

MONTH = "2024-11"
DAYS = [str(day) for day in sessions("XNYS", *month_range(MONTH))]
NAN, INF = math.nan, math.inf


def part(rows: list[Any], known: str = "2024-12-02", snapshot_id: str = "s1") -> tuple[dict[str, Any], Parsed]:
    told = answer(rows, known=known)
    manifest = {"source": "sample", "snapshot_id": snapshot_id, "known_at": told.known_at, "dataset": "stocks"}
    return manifest, PlainSource().parse(told.content, {})


def normalized(*parts: tuple[dict[str, Any], Parsed], most: float | None = 0.001) -> Normalized:
    return normalize(parts, exchange="XNYS", months=[MONTH], sources=["sample"], most_bad_rows=most)


def vendors(rows: list[Any], known: str = "2024-12-02", snapshot_id: str = "s1") -> tuple[dict[str, Any], Parsed]:
    """What a source makes of rows that it mends and leaves out by itself."""
    manifest, told = part(rows, known, snapshot_id)
    kept, counts = quarantine(told.bars, what="the answer")
    aside = {DAILY: set_aside(told.bars)}
    return manifest, Parsed(kept, told.actions, counts=counts, bad=bad_bars(told.bars), set_aside=aside)


def shown(made: Normalized) -> list[tuple[str, str, dict[str, Any]]]:
    return [(row["symbol"], row["reason"], json.loads(row["values"])) for row in made.quarantine.to_pylist()]


def good(n_symbols: int = 3) -> list[Any]:
    """Bars of a month: 60 for three symbols."""
    return [bar(f"S{number}", day, 10.0) for number in range(n_symbols) for day in DAYS]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"close": NAN}, "non_finite"),
        ({"high": INF}, "non_finite"),
        ({"volume": NAN}, "non_finite"),
        ({"low": 0.0}, "positive_prices"),
        ({"open": -1.0, "volume": -1.0}, "positive_prices"),
        ({"volume": -1.0}, "volume_not_negative"),
        ({"high": 9.0}, "ohlc_order"),
        ({"low": 11.0}, "ohlc_order"),
    ],
)
def test_a_bad_bar_is_set_aside_with_its_reason_and_values(values: dict[str, float], reason: str) -> None:
    rows = [*good(), bar("X", DAYS[0], 10.0, **values), bar("X", DAYS[1], 10.0)]
    made = normalized(part(rows))
    assert made.bars.num_rows == len(rows) - 1
    assert made.quarantine.schema.equals(table_schema("core/quarantine").schema)
    (row,) = made.quarantine.to_pylist()
    assert (row["symbol"], str(row["session"]), row["reason"], row["month"]) == ("X", DAYS[0], reason, MONTH)
    assert (row["source"], row["snapshot_id"]) == ("sample", "s1")
    assert row["known_at"].astimezone(dt.UTC) == dt.datetime(2024, 12, 2, 12, tzinfo=dt.UTC)
    told = {name: float(value) for name, value in json.loads(row["values"]).items()}
    expected = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 100.0} | values
    assert told == pytest.approx(expected, nan_ok=True)
    assert made.counts == {f"quarantined: {reason}": 1}
    with pytest.raises(BadRows):
        normalized(part(rows), most=None)


def test_bars_off_the_calendar_and_of_the_future_are_set_aside() -> None:
    for session, known, reason in (
        ("2024-11-28", "2024-12-02", "sessions_on_calendar"),  # Thanksgiving
        ("2024-11-29", "2024-11-29", "in_the_future"),  # answered at noon, the half day closes at 18:00 UTC
        ("2024-11-27", "2024-11-28", None),
    ):
        made = normalized(part([bar("X", session, 10.0), bar("X", DAYS[0], 10.0)], known=known))
        assert made.quarantine["reason"].to_pylist() == ([reason] if reason else [])
        assert made.bars.num_rows == (1 if reason else 2)


def test_what_a_source_left_out_itself_is_set_aside_too() -> None:
    manifest, told = part(good())
    left_out = PlainSource().parse(answer([bar("X", DAYS[0], -5.0)], known="2024-12-02").content, {}).bars
    given = (manifest, Parsed(told.bars, told.actions, bad=left_out))
    assert normalized(given).quarantine.select(["symbol", "reason"]).to_pylist() == [
        {"symbol": "X", "reason": "positive_prices"}
    ]
    assert normalized(given, most=None).quarantine.num_rows == 0
    with pytest.raises(BadRows, match="1 of 61 bars"):
        normalized(given, most=0.0)


def test_the_last_good_bar_of_a_session_stays_when_a_later_answer_has_a_bad_one() -> None:
    old = part([*good(), bar("X", DAYS[0], 10.0)], known="2024-12-02", snapshot_id="old")
    new = part([bar("X", DAYS[0], 0.0), bar("X", DAYS[1], 11.0)], known="2024-12-03", snapshot_id="new")
    for parts in ((old, new), (new, old)):
        made = normalized(*parts)
        found = {str(row["session"]): row["close"] for row in made.bars.to_pylist() if row["symbol"] == "X"}
        assert found == {DAYS[0]: 10.0, DAYS[1]: 11.0}
        assert made.quarantine["snapshot_id"].to_pylist() == ["new"]
    corrected = part([bar("X", DAYS[0], 12.0)], known="2024-12-04", snapshot_id="corrected")
    made = normalized(old, new, corrected)
    assert made.quarantine.num_rows == 0  # what the vendor has corrected is nobody's concern any more


def test_equal_rows_of_one_answer_are_one_and_counted_and_different_ones_are_refused() -> None:
    twice = bar("X", DAYS[0], 10.0)
    made = normalized(part([*good(), twice, twice, twice]))
    assert made.bars.num_rows == 61 and made.counts == {"bars twice in one answer": 2}
    assert normalized(part([*good(), twice, twice]), most=None).counts == {"bars twice in one answer": 1}
    with pytest.raises(BadRows, match="one answer holds 2 rows with the same symbol and session") as caught:
        normalized(part([*good(), twice, bar("X", DAYS[0], 10.5)]))
    assert caught.value.rule == "keys_unique"


def bad(n_rows: int) -> list[Any]:
    """Good bars of five symbols with some of the first one's low above their high."""
    rows = good(5)
    return [bar("S0", DAYS[place], 10.0, low=11.0) if place < n_rows else row for place, row in enumerate(rows)]


def test_one_bad_bar_of_a_small_month_passes_and_two_fail_it() -> None:
    """A share of a thousandth cannot be measured in a hundred rows: one is a misprint, two are a pattern."""
    assert normalized(part(bad(1))).quarantine.num_rows == 1
    with pytest.raises(BadRows) as caught:
        normalized(part(bad(2)))
    text = str(caught.value)
    assert "2024-11: 2 of 100 bars of sample (ohlc_order 2)" in text
    assert f"first S0 at {DAYS[0]}: open 10, high 10, low 11" in text
    assert "every stored month stays as it was" in text and "raise `most_bad_rows` in quantlake.yaml" in text
    assert caught.value.rule == "few_bad_rows"
    assert [row["session"] for row in caught.value.rows] == DAYS[:2]


@pytest.mark.parametrize(("most", "n_passing"), [(0.0, 0), (0.001, 1), (0.03, 3), (0.0399, 3), (0.04, 4)])
def test_the_share_is_of_a_months_bars_of_a_source(most: float, n_passing: int) -> None:
    assert normalized(part(bad(n_passing)), most=most).quarantine.num_rows == n_passing
    with pytest.raises(BadRows, match=rf"{n_passing + 1} of 100 bars"):
        normalized(part(bad(n_passing + 1)), most=most)


def test_a_large_month_may_have_a_thousandth_and_no_more() -> None:
    rows = good(150)  # 3,000 bars
    for n_bad in (3, 4):
        spoilt = [bar("S0", DAYS[place], 10.0, volume=-1.0) if place < n_bad else row for place, row in enumerate(rows)]
        if n_bad == 3:
            assert normalized(part(spoilt)).counts == {"quarantined: volume_not_negative": 3}
        else:
            with pytest.raises(BadRows, match=r"4 of 3,000 bars of sample \(volume_not_negative 4\)"):
                normalized(part(spoilt))


def test_a_bad_bar_of_the_source_that_does_not_count_is_of_no_concern() -> None:
    other = (
        {"source": "files", "snapshot_id": "f", "known_at": dt.datetime(2024, 12, 2, tzinfo=dt.UTC)},
        part(good())[1],
    )
    made = normalize(
        [part([bar("S0", day, -1.0) for day in DAYS]), other],
        exchange="XNYS",
        months=[MONTH],
        sources=["sample", "files"],
        most_bad_rows=0.001,
    )
    assert made.quarantine.num_rows == 0 and set(made.bars["source"].to_pylist()) == {"files"}


def test_a_mended_bar_stays_and_its_values_as_answered_are_kept() -> None:
    """More of them than bad bars may be: they count for nothing there."""
    off = [bar("X", day, 10.0, high=9.99, low=9.5) for day in DAYS[:5]]
    silent = [bar("Y", DAYS[0], 10.0, volume=NAN), bar("Y", DAYS[1], 10.0, volume=NAN, low=10.02, high=10.5)]
    empty = [bar("Z", DAYS[0], NAN), bar("Z", DAYS[1], 10.0)]
    made = normalized(vendors([*good(), *off, *silent, *empty]), most=0.001)
    found = {(row["symbol"], str(row["session"])): row for row in made.bars.to_pylist()}
    assert [found["X", day]["high"] for day in DAYS[:5]] == [10.0] * 5
    assert [(found["Y", day]["volume"], found["Y", day]["low"]) for day in DAYS[:2]] == [(0.0, 10.0), (0.0, 10.0)]
    assert ("Z", DAYS[0]) not in found and ("Z", DAYS[1]) in found
    answered = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 100.0}
    assert shown(made) == [
        *[("X", "mended:range_widened", answered | {"high": 9.99, "low": 9.5})] * 5,
        ("Y", "mended:volume_missing", answered | {"volume": "nan"}),
        ("Y", "mended:range_widened", answered | {"volume": "nan", "low": 10.02, "high": 10.5}),
        ("Y", "mended:volume_missing", answered | {"volume": "nan", "low": 10.02, "high": 10.5}),
        ("Z", "no_prices", dict.fromkeys(("open", "high", "low", "close"), "nan") | {"volume": 100.0}),
    ]
    assert made.counts["quarantined: mended:range_widened"] == 6 and made.counts["quarantined: no_prices"] == 1
    assert made.quarantine.schema.equals(table_schema("core/quarantine").schema)


def test_what_a_later_answer_tells_of_a_session_is_all_that_counts() -> None:
    old = vendors([*good(), bar("X", DAYS[0], 10.0, high=9.99, low=9.5), bar("X", DAYS[1], NAN)], "2024-12-02", "old")
    new = vendors([bar("X", DAYS[0], 11.0), bar("X", DAYS[1], 11.0, low=11.01, high=11.5)], "2024-12-03", "new")
    for parts in ((old, new), (new, old)):
        assert [(symbol, reason) for symbol, reason, _ in shown(normalized(*parts))] == [("X", "mended:range_widened")]
        assert normalized(*parts).quarantine["snapshot_id"].to_pylist() == ["new"]
    # Known later, an answer without a price does not take the bar of an earlier one away.
    emptied = vendors([bar("X", DAYS[1], NAN)], "2024-12-04", "emptied")
    made = normalized(old, new, emptied)
    assert [reason for _, reason, _ in shown(made)] == ["no_prices"]
    assert {str(row["session"]): row["close"] for row in made.bars.to_pylist() if row["symbol"] == "X"}[DAYS[1]] == 11.0


def test_what_the_source_that_does_not_count_mended_is_of_no_concern() -> None:
    other = (
        {"source": "files", "snapshot_id": "f", "known_at": dt.datetime(2024, 12, 2, tzinfo=dt.UTC)},
        part(good())[1],
    )
    mended = vendors([bar("S0", day, 10.0, high=9.99, low=9.5) for day in DAYS])
    made = normalize([mended, other], exchange="XNYS", months=[MONTH], sources=["sample", "files"], most_bad_rows=0.001)
    assert made.quarantine.num_rows == 0
    assert normalized(mended, most=None).quarantine.num_rows == 0
