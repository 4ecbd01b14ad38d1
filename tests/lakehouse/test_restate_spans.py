"""Restatements of memberships, listings, filings and series: which days and values are no longer there."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse import Lake
from lakehouse.restating import replace_and_tell, restatements
from lakehouse.schemas import table_schema
from lakehouse.spans_lost import lost

NOW = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)
UNIVERSE, LISTINGS, FUNDAMENTALS, SERIES = "core/universe", "core/listings", "core/fundamentals", "core/series"
Member = tuple[str, str, str, str | None]


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def members(*rows: Member) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"universe": universe, "symbol": symbol, "start": day(start), "end": end and day(end), "known_at": NOW,
             "source": "membership"}
            for universe, symbol, start, end in rows
        ],
        schema=table_schema(UNIVERSE).schema,
    )  # fmt: skip


def told(before: pa.Table, after: pa.Table, table: str = UNIVERSE) -> list[dict[str, Any]]:
    return restatements(before, after, table=table, versions=(4, 5), detected_at=NOW).to_pylist()


def test_days_that_a_member_no_longer_has_are_told() -> None:
    before = members(("x", "A", "2010-01-04", None), ("x", "B", "2010-01-04", None), ("x", "C", "2010-01-04", None))
    after = members(
        ("x", "A", "2010-01-04", "2015-06-01"), ("x", "B", "2011-01-03", None), ("y", "C", "2010-01-04", None)
    )
    counts = ("symbol", "rows_changed", "rows_removed", "rows_added", "greatest_column")
    assert [
        [*(row[name] for name in counts), str(row["first_session"]), str(row["last_session"])]
        for row in told(before, after)
    ] == [
        ["A", 1, 0, 0, "end", "2015-06-01", "2024-03-04"],
        ["B", 1, 0, 1, "start", "2010-01-04", "2011-01-02"],
        ["C", 0, 1, 1, None, "2010-01-04", "2024-03-04"],
    ]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ([("2010-01-04", None)], [("2005-01-04", None)]),  # found to have begun earlier
        ([("2010-01-04", "2012-01-04")], [("2010-01-04", None)]),
        ([("2010-01-04", "2012-01-04")], [("2010-01-04", "2011-01-04"), ("2011-01-04", "2012-01-04")]),  # told in two
        ([("2010-01-04", "2012-01-04")], [("2010-01-04", "2012-01-04"), ("2015-01-05", None)]),
    ],
)
def test_more_days_than_before_are_no_restatement(was: list[Any], now: list[Any]) -> None:
    before, after = (members(*(("x", "A", start, end) for start, end in spans)) for spans in (was, now))
    assert told(before, after) == []
    assert told(before.slice(0, 0), after) == []


def test_the_days_lost_are_those_of_a_slow_count_day_by_day() -> None:
    chance = random.Random(5)
    first = dt.date(2020, 1, 1)

    def spans() -> tuple[list[Member], dict[tuple[str, str], set[int]]]:
        rows, days = [], defaultdict(set)
        for owner in [("x", "A"), ("x", "B"), ("y", "A")]:
            for start in sorted(chance.sample(range(30), chance.randint(0, 3))):
                end = start + chance.randint(1, 12)
                rows.append((*owner, str(first + dt.timedelta(start)), str(first + dt.timedelta(end))))
                days[owner] |= set(range(start, end))
        return rows, days

    n_lost = 0
    for _ in range(300):
        (before, old), (after, new) = spans(), spans()
        expected = {owner: old[owner] - new[owner] for owner in old if old[owner] - new[owner]}
        found = lost(members(*before), members(*after), UNIVERSE)
        assert {owner: (what.first, what.last) for owner, what in found.items()} == {
            owner: (first + dt.timedelta(min(days)), first + dt.timedelta(max(days)))
            for owner, days in expected.items()
        }
        n_lost += len(expected)
    assert n_lost > 300


def test_a_symbol_that_is_said_to_have_meant_another_security_is_told() -> None:
    def listings(*rows: tuple[str, str, str, str | None]) -> pa.Table:
        return pa.Table.from_pylist(
            [
                {"security_id": security, "symbol": symbol, "name": None, "exchange": None, "start": day(start),
                 "end": end and day(end), "known_at": NOW, "end_known_at": None, "source": "polygon"}
                for security, symbol, start, end in rows
            ],
            schema=table_schema(LISTINGS).schema,
        )  # fmt: skip

    before = listings(("one", "A", "2010-01-04", None))
    after = listings(("one", "A", "2010-01-04", "2014-01-02"), ("two", "A", "2014-01-02", None))
    (row,) = told(before, after, LISTINGS)
    assert (row["symbol"], str(row["first_session"]), row["rows_changed"], row["rows_added"]) == (
        "A",
        "2014-01-02",
        1,
        1,
    )
    assert told(before, before, LISTINGS) == []


def filed(*rows: tuple[int, str, float]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"cik": cik, "taxonomy": "us-gaap", "concept": "Assets", "unit": "USD", "start": day(on), "end": day(on),
             "filed": day(on), "value": value, "form": "10-K", "accession": "0", "fiscal_year": None,
             "fiscal_period": None, "known_at": NOW, "source": "edgar", "snapshot_id": "0" * 64}
            for cik, on, value in rows
        ],
        schema=table_schema(FUNDAMENTALS).schema,
    )  # fmt: skip


def test_a_filed_figure_that_changes_under_its_filing_is_told_and_a_new_filing_is_not() -> None:
    before = filed((7, "2020-02-03", 10.0), (7, "2021-02-03", 20.0), (8, "2020-02-03", 1.0))
    assert (
        told(before, pa.concat_tables([before, filed((7, "2022-02-03", 5.0), (9, "2020-02-03", 5.0))]), FUNDAMENTALS)
        == []
    )
    (row,) = told(before, filed((7, "2020-02-03", 10.0), (7, "2021-02-03", 22.0), (8, "2020-02-03", 1.0)), FUNDAMENTALS)
    assert (row["symbol"], str(row["first_session"]), row["greatest_column"]) == (
        "CIK0000000007",
        "2021-02-03",
        "value",
    )
    assert row["greatest_change"] == pytest.approx(0.1, rel=1e-12) and row["rows_changed"] == 1
    (row,) = told(before, filed((7, "2020-02-03", 10.0), (7, "2021-02-03", 20.0)), FUNDAMENTALS)
    assert (row["symbol"], row["rows_removed"]) == ("CIK0000000008", 1)


def test_a_series_is_named_by_its_symbol_or_by_itself() -> None:
    def series(values: Sequence[float]) -> pa.Table:
        rows = [("mood", ""), ("mood", "IBM"), ("rates", "")]
        return pa.Table.from_pylist(
            [
                {"name": name, "symbol": symbol, "about": day("2024-01-03"), "known_at": NOW, "value": value,
                 "source": "alternative", "snapshot_id": "0" * 64}
                for (name, symbol), value in zip(rows, values, strict=True)
            ],
            schema=table_schema(SERIES).schema,
        )  # fmt: skip

    assert [row["symbol"] for row in told(series([1.0, 2.0, 3.0]), series([1.5, 2.5, 3.0]), SERIES)] == ["IBM", "mood"]


def test_a_whole_table_written_anew_records_what_it_took_away_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)

    def write(end: str | None) -> int:
        rows = members(("x", "A", "2010-01-04", end), ("x", "B", "2010-01-04", None))
        return replace_and_tell(lake, UNIVERSE, rows, partitions=[], batch_id=f"{end}", now=NOW).restatements.num_rows

    assert [write(None), write("2012-01-03"), write("2012-01-03"), write(None)] == [0, 1, 0, 0]
    (row,) = lake.scan("core/restatements").to_pylist()
    assert (row["table"], row["symbol"], row["from_version"], row["to_version"]) == (UNIVERSE, "A", 1, 2)
