"""Killed, raced and full: a table is as before or as after, and the same call again finishes the work."""

from __future__ import annotations

import errno
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lake
from lakehouse.errors import LockTimeout, StorageFull
from lakehouse.locks import table_lock
from lakehouse.paths import lock_path
from lakehouse.records import STEPS
from tests.lakehouse.stored import BARS, MONTHS, WINDOWS, answer, closes, last_commit
from tests.lakehouse.writers import (
    append_run,
    die_at,
    hold_the_lock,
    put_snapshots,
    replace_two_months,
    run_to_the_end,
    start,
    write_often,
    write_prices_for_ever,
)

FIRST_WRITE = [(step, 1) for step in STEPS] + [("staged", 2), ("file_linked", 2)]
LATER_WRITE = [point for point in FIRST_WRITE if point[0] != "table_created"]
PUT = [("staged", 2), ("file_linked", 2), ("snapshot_stored", 1), ("files_stored", 1), ("committed", 1), ("synced", 1)]


def errors(lake: Lake) -> list[str]:
    """Everything `verify` calls an error."""
    return [problem.what for problem in lake.verify() if problem.severity == "error"]


@pytest.mark.parametrize(("step", "occurrence"), FIRST_WRITE)
def test_a_first_write_killed_at_any_step_is_finished_by_the_same_call(
    tmp_path: Path, step: str, occurrence: int
) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    assert run_to_the_end(die_at, lake.home, replace_two_months, (1.0,), step, occurrence) == -9
    assert closes(lake) in ({}, dict.fromkeys(MONTHS, 1.0))
    assert errors(lake) == []
    replace_two_months(lake, 1.0)
    _assert_equals_an_undisturbed_lake(lake, tmp_path / "undisturbed", [1.0])


@pytest.mark.parametrize(("step", "occurrence"), LATER_WRITE)
def test_a_replace_killed_at_any_step_shows_all_old_or_all_new_rows(tmp_path: Path, step: str, occurrence: int) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    replace_two_months(lake, 1.0)
    assert run_to_the_end(die_at, lake.home, replace_two_months, (2.0,), step, occurrence) == -9
    is_new = step in ("committed", "synced")
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0 if is_new else 1.0)
    assert errors(lake) == []
    replace_two_months(lake, 2.0)
    assert lake.version(BARS) == 2
    _assert_equals_an_undisturbed_lake(lake, tmp_path / "undisturbed", [1.0, 2.0])


def _assert_equals_an_undisturbed_lake(lake: Lake, home: Path, prices: list[float]) -> None:
    undisturbed = Lake(home)
    for price in prices:
        replace_two_months(undisturbed, price)
    for version in range(1, len(prices) + 1):
        assert lake.scan(BARS, version=version).equals(undisturbed.scan(BARS, version=version))
    assert [entry["files"] for entry in lake.history(BARS)] == [e["files"] for e in undisturbed.history(BARS)]
    assert errors(lake) == []


@pytest.mark.parametrize(("step", "occurrence"), [("files_stored", 1), ("committed", 1), ("synced", 1)])
def test_an_append_killed_at_any_step_is_there_once(tmp_path: Path, step: str, occurrence: int) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    assert run_to_the_end(die_at, lake.home, append_run, (), step, occurrence) == -9
    append_run(lake)
    append_run(lake)
    assert lake.scan(WINDOWS).num_rows == 2
    assert errors(lake) == []


@pytest.mark.parametrize(("step", "occurrence"), PUT)
def test_a_fetch_killed_at_any_step_is_adopted_by_the_next(tmp_path: Path, step: str, occurrence: int) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    assert run_to_the_end(die_at, lake.home, put_snapshots, (), step, occurrence) == -9
    assert errors(lake) == []
    put_snapshots(lake)
    assert sorted(row["symbol"] for row in lake.snapshots.find("sample", "daily")) == ["A", "B"]
    assert lake.snapshots.read(answer(b"A").snapshot_id) == b"A"
    assert errors(lake) == []


@pytest.mark.slow
def test_killed_at_random_no_acknowledged_write_is_lost_and_none_is_seen_half(tmp_path: Path) -> None:
    lake, acknowledged = Lake(tmp_path / "lake", lock_timeout=1), tmp_path / "acknowledged"
    acknowledged.touch()
    chance = random.Random(7)
    for _ in range(10):
        before = acknowledged.stat().st_size
        writer = start(write_prices_for_ever, lake.home, acknowledged)
        while acknowledged.stat().st_size == before:
            assert writer.is_alive()
            time.sleep(0.005)
        time.sleep(chance.random() * 0.2)
        writer.kill()
        writer.join()
        n_acknowledged = len(acknowledged.read_text().split())
        held = closes(lake)
        assert held in [dict.fromkeys(MONTHS, float(n_acknowledged - 1 + ahead)) for ahead in (0, 1)]
        assert errors(lake) == []
    assert n_acknowledged >= 10
    replace_two_months(lake, -1.0)
    assert closes(lake) == dict.fromkeys(MONTHS, -1.0)


def test_two_writers_of_one_partition_take_turns(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    writers = [start(write_often, lake.home, "2024-01", price, 6) for price in (1.0, 2.0, 3.0)]
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert lake.version(BARS) == 18
    rows = lake.scan(BARS)
    assert rows.num_rows == 42
    assert rows["close"].unique().to_pylist()[0] in (1.005, 2.005, 3.005)
    assert lake.verify() == []


def test_writers_of_different_partitions_all_succeed(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    months = ["2024-01", "2024-02", "2024-03"]
    writers = [start(write_often, lake.home, month, 1.0, 4) for month in months]
    for writer in writers:
        writer.join(60)
    assert closes(lake) == dict.fromkeys(months, 1.003)
    assert lake.version(BARS) == 12
    assert lake.verify() == []


def test_a_reader_beside_a_writer_always_sees_one_whole_version(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    writer = start(write_often, lake.home, "2024-01", 1.0, 30)
    seen = set()
    while writer.is_alive():
        rows = lake.scan(BARS, columns=["close"])
        assert rows.num_rows in (0, 42)
        assert len(rows["close"].unique()) <= 1
        seen |= set(rows["close"].to_pylist())
    assert writer.exitcode == 0
    assert len(seen) > 2


def test_a_writer_that_waits_too_long_names_the_holder(tmp_path: Path) -> None:
    lake = Lake(tmp_path, lock_timeout=0.2)
    holder = start(hold_the_lock, lake.home, 30.0)
    lock = lock_path(lake.home, BARS)
    while not (lock.exists() and lock.read_text()):
        time.sleep(0.01)
    expected = f"core/daily_bars is being written by process {holder.pid} on {socket.gethostname()}; waited 0.2 s"
    with pytest.raises(LockTimeout, match=expected):
        replace_two_months(lake, 1.0)
    holder.kill()
    holder.join()
    replace_two_months(lake, 1.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 1.0)


def test_one_table_being_written_does_not_stop_another(tmp_path: Path) -> None:
    lake = Lake(tmp_path, lock_timeout=0)
    with table_lock(lock_path(lake.home, BARS), BARS, timeout=0):
        append_run(lake)
        with pytest.raises(LockTimeout, match=f"process {os.getpid()} "):
            replace_two_months(lake, 1.0)


@pytest.mark.parametrize("write", [replace_two_months, put_snapshots])
def test_a_full_disk_says_so_and_changes_nothing(tmp_path: Path, write: Callable[..., None]) -> None:
    def fill(name: str) -> None:
        if name == "staged":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    arguments = (1.0,) if write is replace_two_months else ()
    with pytest.raises(StorageFull, match=r"disk full: [\d,]+ bytes needed, [\d,]+ free at .*; free some room"):
        write(Lake(tmp_path, on_step=fill), *arguments)
    lake = Lake(tmp_path)
    assert closes(lake) == {}
    assert list(tmp_path.rglob("*#*")) == []
    write(lake, *arguments)
    assert lake.verify() == []


def test_another_tools_commit_in_between_is_not_overwritten_blindly(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    lake = Lake(tmp_path)
    replace_two_months(lake, 1.0)
    replace_two_months(lake, 2.0)
    DeltaTable(str(tmp_path / "tables" / BARS)).optimize.compact()
    replace_two_months(lake, 3.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 3.0)
    assert last_commit(lake).name == f"{3:020d}.json"
