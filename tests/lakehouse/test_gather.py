"""Gathering a table's rows from all answers: which answer wins a key, whose month a row is, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from lakehouse.errors import BadRows, SourceError, UnknownColumn
from lakehouse.gather import gather
from lakehouse.schemas import table_schema
from lakehouse.sources.base import Parsed, empty_actions, empty_bars
from tests.lakehouse.priced import moment

Part = tuple[dict[str, Any], Parsed]
SOURCES = ["weak", "strong"]


def part(
    table: str, rows: list[dict[str, Any]], *, source: str = "weak", at: str = "2024-03-01", name: str = "a"
) -> Part:
    """An answer with rows of one table and its row of the manifest."""
    frame = pd.DataFrame(rows)
    manifest = {"source": source, "snapshot_id": name, "known_at": moment(at)}
    return manifest, Parsed(empty_bars(), empty_actions(), {table: frame})


def minute(end: str, close: float, symbol: str = "A") -> dict[str, Any]:
    stamp = pd.Timestamp(end, tz="UTC")
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return {"symbol": symbol, "bar_end": stamp, **prices, "volume": 1.0, "known_at": stamp}


def member(symbol: str, start: str, universe: str = "sp500") -> dict[str, Any]:
    stamp = pd.Timestamp(start)
    return {"universe": universe, "symbol": symbol, "start": stamp, "end": pd.NaT, "known_at": stamp.tz_localize("UTC")}


def value(about: str, known: str, number: float) -> dict[str, Any]:
    times = {"about": pd.Timestamp(about), "known_at": pd.Timestamp(known, tz="UTC")}
    return {"name": "mood", "symbol": "", **times, "value": number}


def closes(rows: pa.Table) -> list[tuple[str, float, str, str]]:
    return [(row["symbol"], row["close"], row["source"], row["snapshot_id"]) for row in rows.to_pylist()]


def minutes(*parts: Part, month: str | None = "2024-05") -> pa.Table:
    return gather("core/minute_bars", parts, sources=SOURCES, month=month)


def test_the_later_listed_source_wins_a_key_and_within_it_the_snapshot_known_later() -> None:
    at = "2024-05-01 14:31"
    weak = [
        part("core/minute_bars", [minute(at, 1.0), minute(at, 9.0, "B")], at="2024-06-01", name="w1"),
        part("core/minute_bars", [minute(at, 2.0)], at="2024-06-02", name="w2"),
    ]
    strong = [
        part("core/minute_bars", [minute(at, 3.0)], source="strong", at="2024-05-20", name="s2"),
        part("core/minute_bars", [minute(at, 4.0)], source="strong", at="2024-05-02", name="s1"),
    ]
    assert closes(minutes(*weak)) == [("A", 2.0, "weak", "w2"), ("B", 9.0, "weak", "w1")]
    assert closes(minutes(*weak, *strong)) == [("A", 3.0, "strong", "s2"), ("B", 9.0, "weak", "w1")]
    turned = gather("core/minute_bars", [*weak, *strong], sources=SOURCES[::-1], month="2024-05")
    assert closes(turned)[0] == ("A", 2.0, "weak", "w2")


def test_the_order_of_answers_does_not_matter_even_of_two_known_at_once() -> None:
    parts = [
        part("core/minute_bars", [minute("2024-05-01 14:31", close)], source=source, name=name)
        for close, (source, name) in enumerate([("weak", "b"), ("weak", "a"), ("strong", "d"), ("strong", "c")])
    ]
    made = [minutes(*order) for order in itertools.permutations(parts)]
    assert all(rows.equals(made[0]) for rows in made)
    assert closes(made[0]) == [("A", 2.0, "strong", "d")]


def test_rows_are_in_the_schema_and_in_the_order_of_the_key() -> None:
    rows = [minute("2024-05-02 14:31", 1.0, "B"), minute("2024-05-01 14:31", 1.0, "B"), minute("2024-05-03", 1.0, "A")]
    made = minutes(part("core/minute_bars", rows))
    assert made.schema == table_schema("core/minute_bars").schema
    assert made.column("symbol").to_pylist() == ["A", "B", "B"]
    assert made.column("bar_end").to_pylist() == [moment(f"2024-05-{at}") for at in ("03", "01 14:31", "02 14:31")]
    assert set(made.column("month").to_pylist()) == {"2024-05"}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_month_is_one_in_utc_whatever_zone_the_times_are_in(zone: str) -> None:
    """20:00 of the month's last day in New York is the next month's first minute."""
    ends = ["2024-04-30 23:59:59.999999", "2024-05-01 00:00", "2024-05-31 23:59:59.999999", "2024-06-01 00:00"]
    frame = pd.DataFrame([minute(end, at) for at, end in enumerate(ends)])
    frame["bar_end"] = frame["bar_end"].dt.as_unit("us").dt.tz_convert(zone)
    manifest, _ = part("core/minute_bars", [])
    parts = [(manifest, Parsed(empty_bars(), empty_actions(), {"core/minute_bars": frame}))]
    made = {month: minutes(*parts, month=month) for month in ("2024-03", "2024-04", "2024-05", "2024-06")}
    assert {month: rows.column("close").to_pylist() for month, rows in made.items()} == {
        "2024-03": [],
        "2024-04": [0.0],
        "2024-05": [1.0, 2.0],
        "2024-06": [3.0],
    }
    assert made["2024-05"].column("bar_end").to_pylist() == [moment(end) for end in ends[1:3]]


def test_a_universe_is_told_whole_by_the_snapshot_known_last() -> None:
    parts = [
        part("core/universe", [member("GONE", "2020-01-02"), member("STAYS", "2020-01-02")], at="2024-01-01"),
        part("core/universe", [member("STAYS", "2020-02-03"), member("NEW", "2021-01-04")], at="2024-02-01"),
        part("core/universe", [member("OTHER", "2020-01-02", "dax")], at="2023-01-01"),
    ]
    made = gather("core/universe", parts, sources=SOURCES)
    assert [(row["universe"], row["symbol"], str(row["start"])) for row in made.to_pylist()] == [
        ("dax", "OTHER", "2020-01-02"),
        ("sp500", "NEW", "2021-01-04"),
        ("sp500", "STAYS", "2020-02-03"),
    ]
    assert made.column("end").null_count == 3
    # A stronger source's word is the whole of it, though it came earlier.
    strong = part("core/universe", [member("GONE", "2020-01-02")], source="strong", at="2022-01-01")
    told = gather("core/universe", [*parts, strong], sources=SOURCES)
    assert [row["symbol"] for row in told.to_pylist() if row["universe"] == "sp500"] == ["GONE"]


def test_a_revision_known_later_stands_beside_what_it_revises() -> None:
    first, second = value("2024-04-30", "2024-05-15 12:30", 3.4), value("2024-04-30", "2024-06-15 12:30", 3.6)
    made = gather("core/series", [part("core/series", [first, second])], sources=SOURCES)
    assert made.column("value").to_pylist() == [3.4, 3.6]
    # The same moment told otherwise by a later answer takes the earlier one's place.
    later = part("core/series", [value("2024-04-30", "2024-05-15 12:30", 9.9)], at="2024-07-01", name="b")
    made = gather("core/series", [later, part("core/series", [first, second])], sources=SOURCES)
    assert [(row["value"], row["snapshot_id"]) for row in made.to_pylist()] == [(9.9, "b"), (3.6, "a")]


@pytest.mark.parametrize("month", ["2024-05", None])
def test_nothing_told_is_an_empty_table_in_the_schema(month: str | None) -> None:
    schema = table_schema("core/minute_bars").schema
    empty = (part("core/minute_bars", [])[0], Parsed(empty_bars(), empty_actions()))
    elsewhere = part("core/minute_bars", [minute("2024-07-01", 1.0)])
    assert minutes(month=month).equals(schema.empty_table())
    assert minutes(empty, month=month).equals(schema.empty_table())
    assert minutes(elsewhere).equals(schema.empty_table())


def test_a_key_twice_in_one_answer_is_refused_with_its_rows() -> None:
    """Which of the two would count is nobody's to guess; also where another answer would win the key."""
    twice = part("core/minute_bars", [minute("2024-05-01", 1.0), minute("2024-05-01", 2.0), minute("2024-05-02", 3.0)])
    winner = part("core/minute_bars", [minute("2024-05-01", 5.0)], source="strong")
    for parts in ([twice], [twice, winner], [winner, twice]):
        with pytest.raises(BadRows, match="more than once") as caught:
            minutes(*parts)
        assert caught.value.rule == "keys_unique"
        assert [row["close"] for row in caught.value.rows] == [1.0, 2.0]


def test_columns_that_the_table_lacks_or_wants_are_refused() -> None:
    row = minute("2024-05-01", 1.0)
    with pytest.raises(UnknownColumn, match=r"core/minute_bars lack \[\] and have unknown \['vwap'\]"):
        minutes(part("core/minute_bars", [{**row, "vwap": 1.0}]))
    del row["volume"]
    with pytest.raises(UnknownColumn, match=r"lack \['volume'\]"):
        minutes(part("core/minute_bars", [row]))


def test_a_snapshot_of_a_source_that_is_not_in_force_is_refused() -> None:
    with pytest.raises(SourceError, match="snapshot x is of source 'odd'; known: weak, strong"):
        minutes(part("core/minute_bars", [minute("2024-05-01", 1.0)], source="odd", name="x"))
