"""Damaged files: never wrong rows in silence, always a name and a remedy."""

from __future__ import annotations

import os
import random
import shutil
import stat
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakehouse import Lake, Problem
from lakehouse.errors import CorruptTable
from tests.lakehouse.stored import BARS, MONTHS, bars, closes, data_file, last_commit
from tests.lakehouse.writers import append_run, put_snapshots, replace_two_months


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    for price in (1.0, 2.0, 3.0):
        replace_two_months(lake, price)
    return lake


def only_problem(lake: Lake) -> Problem:
    """The one error that verify finds."""
    (problem,) = [problem for problem in lake.verify() if problem.severity == "error"]
    return problem


def test_a_sound_lake_has_no_problems(lake: Lake) -> None:
    assert lake.verify() == []
    assert lake.verify(deep=False) == []


def test_an_empty_last_commit_is_refused_though_delta_reads_it(lake: Lake) -> None:
    last_commit(lake).write_bytes(b"")
    assert DeltaTable(str(lake.home / "tables" / BARS)).version() == 3
    _assert_refused(lake, version=3, what="the commit is empty")


@pytest.mark.parametrize("n_lines", [1, 2, 3, 4, 5])
def test_a_last_commit_cut_between_lines_is_refused_though_delta_reads_it(lake: Lake, n_lines: int) -> None:
    commit = last_commit(lake)
    lines = commit.read_text().splitlines(keepends=True)
    assert len(lines) == 6
    commit.write_text("".join(lines[:n_lines]))
    _assert_refused(lake, version=3, what="it was cut")


def test_a_last_commit_that_lost_a_line_in_the_middle_is_refused_though_delta_reads_it(lake: Lake) -> None:
    commit = last_commit(lake)
    lines = commit.read_text().splitlines(keepends=True)
    commit.write_text("".join(lines[:1] + lines[2:]))
    assert DeltaTable(str(lake.home / "tables" / BARS)).version() == 3
    _assert_refused(lake, version=3, what="does not add the files it names")


def test_a_last_commit_cut_inside_a_line_is_refused(lake: Lake) -> None:
    commit = last_commit(lake)
    commit.write_bytes(commit.read_bytes()[:-20])
    _assert_refused(lake, version=3, what="cut or not JSON")


def test_a_missing_last_commit_is_refused_though_delta_reads_the_one_before(lake: Lake) -> None:
    last_commit(lake).unlink()
    assert DeltaTable(str(lake.home / "tables" / BARS)).version() == 2
    _assert_refused(lake, version=3, what="version 3 was written, the log ends at 2")


@pytest.mark.parametrize("damage", ["empty", "missing"])
def test_a_damaged_middle_commit_is_refused(lake: Lake, damage: str) -> None:
    commit = last_commit(lake).with_name(f"{2:020d}.json")
    if damage == "empty":
        commit.write_bytes(b"")
    else:
        commit.unlink()
    _assert_refused(lake, version=2, what="the commit is empty" if damage == "empty" else "gap")


def test_a_cut_middle_commit_is_found_by_verify_and_by_reading_that_version(lake: Lake) -> None:
    commit = last_commit(lake).with_name(f"{2:020d}.json")
    commit.write_text("".join(commit.read_text().splitlines(keepends=True)[:3]))
    assert (only_problem(lake).version, only_problem(lake).where) == (2, str(commit))
    with pytest.raises(CorruptTable, match="version 2 is damaged"):
        lake.scan(BARS, version=2)


def _assert_refused(lake: Lake, *, version: int, what: str) -> None:
    problem = only_problem(lake)
    assert (problem.table, problem.version) == (BARS, version)
    assert what in problem.what
    assert "restore the file from a backup" in problem.remedy
    for use in (
        lambda: lake.scan(BARS),
        lambda: lake.version(BARS),
        lambda: lake.pins([BARS]),
        lambda: lake.sql("SELECT 1"),
        lambda: replace_two_months(lake, 9.0),
    ):
        with pytest.raises(CorruptTable, match=f"version {version} is damaged"):
            use()


def test_a_damaged_commit_nobody_was_told_of_may_be_deleted(lake: Lake) -> None:
    torn = last_commit(lake).with_name(f"{4:020d}.json")
    torn.write_bytes(b"")
    with pytest.raises(CorruptTable, match="delete the file and run the write again"):
        lake.scan(BARS)
    assert "delete the file" in only_problem(lake).remedy
    torn.unlink()
    replace_two_months(lake, 4.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 4.0)


@pytest.mark.parametrize("damage", ["missing", "cut", "longer"])
def test_a_data_file_missing_or_of_another_size_is_refused(lake: Lake, damage: str) -> None:
    file = lake.home / "tables" / BARS / next(iter(lake.history(BARS)[0]["files"]))
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-100] if damage == "cut" else content + b"x")
    with pytest.raises(CorruptTable, match=file.name):
        lake.scan(BARS)
    problem = only_problem(lake)
    assert (problem.where, problem.version) == (str(file), 3)
    assert ("is missing" if damage == "missing" else f"bytes, not {len(content)}") in problem.what
    assert problem.remedy.startswith("materialize the partition again from its snapshots (month 2024-0")


def test_writing_the_same_rows_again_mends_a_damaged_data_file(lake: Lake) -> None:
    for entry in lake.history(BARS)[0]["files"]:
        file = lake.home / "tables" / BARS / entry
        file.write_bytes(file.read_bytes()[:100])
    replace_two_months(lake, 3.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 3.0)
    assert lake.verify() == []


def test_one_flipped_bit_anywhere_is_never_read_as_other_numbers(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a")
    file, expected = data_file(lake, "2024-01"), lake.scan(BARS)
    content = file.read_bytes()
    n_refused = 0
    for bit in random.Random(11).sample(range(len(content) * 8), 200):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            assert lake.scan(BARS).equals(expected)  # a bit nothing reads, such as of an unused statistic
        except CorruptTable:
            n_refused += 1
        assert only_problem(lake).where == str(file)
    assert n_refused > 150


def test_a_shallow_verify_sees_sizes_and_a_deep_one_sees_bits(lake: Lake) -> None:
    file = lake.home / "tables" / BARS / next(iter(lake.history(BARS)[0]["files"]))
    content = bytearray(file.read_bytes())
    content[50] ^= 1
    file.write_bytes(content)
    assert lake.verify(deep=False) == []
    assert "do not have the hash" in only_problem(lake).what


def test_what_an_earlier_version_lost_is_a_warning(lake: Lake) -> None:
    (lake.home / "tables" / BARS / next(iter(lake.history(BARS)[2]["files"]))).unlink()
    (problem,) = lake.verify()
    assert (problem.severity, problem.what) == ("warning", "the data file of an earlier version is missing")


def test_leftovers_of_killed_writes_are_warnings(lake: Lake) -> None:
    folder = lake.home / "tables" / BARS
    leftovers = [folder / "month=2024-01" / "part-x.parquet#123-4", folder / "month=2024-01" / "orphan.parquet"]
    leftovers += [folder / "_delta_log" / "00000000000000000004.json#1", lake.home / "snapshots" / "ab#1-2"]
    for path in leftovers:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    problems = lake.verify()
    assert {problem.severity for problem in problems} == {"warning"}
    assert {problem.where for problem in problems} == {str(path) for path in leftovers}


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_a_damaged_checkpoint_is_refused_until_it_is_deleted(lake: Lake, content: bytes) -> None:
    path = lake.home / "tables" / BARS
    DeltaTable(str(path)).create_checkpoint()
    (checkpoint,) = (path / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(content)
    with pytest.raises(CorruptTable, match="delete `_last_checkpoint`"):
        lake.scan(BARS)
    assert "checkpoint" in only_problem(lake).remedy
    checkpoint.unlink()
    (path / "_delta_log" / "_last_checkpoint").unlink()
    assert closes(lake) == dict.fromkeys(MONTHS, 3.0)
    assert lake.verify() == []


class PowerCut:
    """Knows what was synced, and takes away what was not: content, and entries of folders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entries: dict[int, set[str]] = {}
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._note)

    def _note(self, descriptor: int) -> None:
        self._fsync(descriptor)
        status = os.fstat(descriptor)
        self.entries[status.st_ino] = set(os.listdir(descriptor)) if stat.S_ISDIR(status.st_mode) else set()

    def strike(self, folder: Path) -> int:
        """Cut the power; return the number of files and entries lost."""
        n_lost = 0
        for path in list(folder.iterdir()):
            if path.name not in self.entries.get(folder.stat().st_ino, set()):
                n_lost += 1
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_dir():
                n_lost += self.strike(path)
            elif path.stat().st_ino not in self.entries:
                n_lost += 1
                path.write_bytes(b"")
        return n_lost


def test_a_power_cut_after_the_answer_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    power_cut = PowerCut(monkeypatch)
    lake = Lake(tmp_path / "lake")
    for price in (1.0, 2.0):
        replace_two_months(lake, price)
    put_snapshots(lake)
    append_run(lake)
    assert power_cut.strike(lake.home) == 3  # the lock files of the three tables, which hold nothing
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0)
    assert closes(lake, version=1) == dict.fromkeys(MONTHS, 1.0)
    assert lake.scan("raw/snapshots").num_rows == lake.scan("research/windows").num_rows == 2
    assert lake.verify() == []
