"""What a table's partitions hold is told by the names of their files, and what was found out is kept without a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import Lake
from lakehouse.errors import LakeError, UnknownTable
from tests.lakehouse.stored import BARS, MONTHS, UNIVERSE, bars, members


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars(MONTHS), partitions=MONTHS, batch_id="first")
    return lake


def test_equal_rows_have_equal_names_and_other_rows_others(lake: Lake, tmp_path: Path) -> None:
    first = lake.contents(BARS)
    assert set(first) == set(MONTHS) and all(len(names) == 1 for names in first.values())
    lake.replace(BARS, bars(MONTHS[0], price=11.0), partitions=MONTHS[0], batch_id="second")
    second = lake.contents(BARS)
    assert second[MONTHS[0]] != first[MONTHS[0]] and second[MONTHS[1]] == first[MONTHS[1]]
    assert lake.contents(BARS, version=1) == first
    other = Lake(tmp_path / "other")
    other.replace(BARS, bars(MONTHS), partitions=MONTHS, batch_id="elsewhere")
    assert other.contents(BARS) == first


def test_a_table_never_written_has_no_contents_and_an_unpartitioned_one_a_single_part(lake: Lake) -> None:
    assert lake.contents(UNIVERSE) == lake.contents(BARS, version=-1) == {}
    lake.replace(UNIVERSE, members("AAA"), batch_id="members")
    assert list(lake.contents(UNIVERSE)) == [None]
    with pytest.raises(UnknownTable, match="did you mean 'core/daily_bars'"):
        lake.contents("core/daily_bar")
    with pytest.raises(UnknownTable, match="versions 0 to 1"):
        lake.contents(BARS, version=7)


def test_an_annotation_is_kept_and_changes_no_row(lake: Lake) -> None:
    rows, files = lake.scan(BARS), lake.contents(BARS)
    commit = lake.annotate(BARS, batch_id="looked at", context={"found": {"2024-01": "well"}})
    assert (commit.version, commit.n_rows) == (2, 0)
    assert lake.scan(BARS).equals(rows) and lake.contents(BARS) == files
    newest = lake.history(BARS)[0]
    assert (newest["context"], newest["files"], newest["batch_id"]) == ({"found": {"2024-01": "well"}}, {}, "looked at")
    assert [problem for problem in lake.verify() if problem.severity == "error"] == []
    lake.replace(BARS, bars(MONTHS[1], price=9.0), partitions=MONTHS[1], batch_id="third")
    january = [("month", "=", MONTHS[0])]
    assert lake.scan(BARS, where=january).equals(lake.scan(BARS, version=1, where=january))


def test_an_annotation_holds_json_only(lake: Lake) -> None:
    with pytest.raises(LakeError, match="JSON values only"):
        lake.annotate(BARS, batch_id="x", context={"path": Path("x")})
    assert lake.version(BARS) == 1
