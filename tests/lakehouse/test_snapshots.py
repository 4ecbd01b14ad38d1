"""Snapshots: the vendor's bytes, once, for good."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse import Answer, Lake
from lakehouse.errors import CorruptSnapshot, LakeError, SourceUnavailable
from tests.lakehouse.stored import NOON, answer

MANIFEST = "raw/snapshots"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_bytes_come_back_as_they_were_under_their_hash(lake: Lake) -> None:
    content = b"\x00\xff\r\n" * 100
    (snapshot,) = lake.snapshots.put([answer(content)])
    digest = hashlib.sha256(content).hexdigest()
    assert snapshot.snapshot_id == digest
    assert lake.snapshots.path(digest) == lake.home / "snapshots" / digest[:2] / digest
    assert lake.snapshots.read(digest) == content


def test_a_batch_is_one_commit_of_the_manifest(lake: Lake) -> None:
    put = lake.snapshots.put(answer(symbol.encode(), symbol=symbol) for symbol in ("A", "B", "C"))
    assert [snapshot.was_new for snapshot in put] == [True, True, True]
    assert (lake.version(MANIFEST), lake.scan(MANIFEST).num_rows) == (1, 3)
    again = lake.snapshots.put(answer(symbol.encode(), symbol=symbol) for symbol in ("A", "B", "C"))
    assert [snapshot.was_new for snapshot in again] == [False, False, False]
    assert lake.version(MANIFEST) == 1


def test_the_same_bytes_later_keep_the_time_they_were_known_first(lake: Lake) -> None:
    later = dataclasses.replace(answer(), known_at=NOON + dt.timedelta(days=30))
    lake.snapshots.put([answer()])
    lake.snapshots.put([later])
    (row,) = lake.snapshots.find("sample", "daily")
    assert row["known_at"] == NOON


def test_the_same_bytes_for_two_requests_are_one_file_and_two_rows(lake: Lake) -> None:
    first, second = lake.snapshots.put([answer(symbol="A"), answer(symbol="B")])
    assert first.snapshot_id == second.snapshot_id
    assert len([path for path in (lake.home / "snapshots").rglob("*") if path.is_file()]) == 1
    assert {row["symbol"] for row in lake.snapshots.find("sample", "daily")} == {"A", "B"}


def test_find_returns_what_touches_the_range_known_first_first(lake: Lake) -> None:
    late = dataclasses.replace(answer(b"late", year=2021), known_at=NOON + dt.timedelta(days=1))
    unknown = dataclasses.replace(answer(b"any"), first_session=None, last_session=None)
    lake.snapshots.put([late, answer(b"2020", year=2020), answer(b"2022", year=2022), unknown])
    lake.snapshots.put([dataclasses.replace(answer(b"other"), source="other")])

    def found(first: dt.date | None, last: dt.date | None) -> list[bytes]:
        rows = lake.snapshots.find("sample", "daily", first, last)
        return [lake.snapshots.read(row["snapshot_id"]) for row in rows]

    assert found(dt.date(2020, 12, 29), dt.date(2021, 1, 3))[-1] == b"late"
    assert set(found(dt.date(2020, 12, 29), dt.date(2021, 1, 3))) == {b"2020", b"late", b"any"}
    assert set(found(dt.date(2020, 12, 30), dt.date(2021, 1, 2))) == {b"any"}
    assert len(found(None, None)) == 4


def test_a_request_comes_back_as_it_was_asked(lake: Lake) -> None:
    lake.snapshots.put([answer()])
    (row,) = lake.snapshots.find("sample", "daily")
    assert json.loads(row["request"]) == {"symbol": "AAA", "year": 2023}


def test_what_came_before_a_failing_fetch_is_recorded(lake: Lake) -> None:
    def fetch() -> Iterator[Answer]:
        yield answer(b"first", symbol="A")
        raise SourceUnavailable("the vendor went away")

    with pytest.raises(SourceUnavailable):
        lake.snapshots.put(fetch())
    assert [row["symbol"] for row in lake.snapshots.find("sample", "daily")] == ["A"]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "delete"])
def test_a_damaged_snapshot_is_refused_found_and_mended_by_the_same_answer(lake: Lake, damage: str) -> None:
    (snapshot,) = lake.snapshots.put([answer()])
    path = lake.snapshots.path(snapshot.snapshot_id)
    content = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes({"flip": b"A" + content[1:], "cut": content[:-1], "empty": b""}[damage])
    with pytest.raises(CorruptSnapshot, match=snapshot.snapshot_id) as caught:
        lake.snapshots.read(snapshot.snapshot_id)
    assert "fetch the same request again" in str(caught.value)
    (problem,) = lake.verify()
    assert (problem.severity, problem.where) == ("error", str(path))
    lake.snapshots.put([answer()])
    assert lake.snapshots.read(snapshot.snapshot_id) == content
    assert lake.verify() == []


def test_a_file_without_a_manifest_row_is_adopted(lake: Lake) -> None:
    path = lake.snapshots.path(answer().snapshot_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(answer().content)
    (problem,) = lake.verify()
    assert (problem.severity, problem.what) == ("warning", "a snapshot without a manifest row")
    inode = path.stat().st_ino
    assert lake.snapshots.put([answer()])[0].was_new
    assert path.stat().st_ino == inode
    assert lake.verify() == []


def test_an_answer_that_cannot_be_placed_in_time_or_replayed_is_refused(lake: Lake) -> None:
    with pytest.raises(LakeError, match="timezone-aware"):
        lake.snapshots.put([dataclasses.replace(answer(), known_at=dt.datetime(2024, 1, 1))])
    with pytest.raises(LakeError, match="JSON values only"):
        lake.snapshots.put([dataclasses.replace(answer(), request={"start": dt.date(2024, 1, 1)})])
    assert lake.scan(MANIFEST).num_rows == 0


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64])
def test_a_snapshot_id_is_never_a_path(lake: Lake, name: str) -> None:
    with pytest.raises(CorruptSnapshot, match="64 hex digits"):
        lake.snapshots.read(name)
