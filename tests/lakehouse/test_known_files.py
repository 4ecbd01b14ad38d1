"""What is kept of a table's log between reads: never after the log has changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lakehouse import Lake, known_files
from lakehouse.errors import CorruptTable
from lakehouse.log import commit_file
from lakehouse.paths import table_path
from tests.lakehouse.stored import BARS, bars

MONTHS = ["2024-01", "2024-02"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars(MONTHS), partitions=MONTHS, batch_id="first")
    age(lake)
    return lake


def age(lake: Lake) -> None:
    """Wait until the log counts as settled."""
    time.sleep(known_files._SETTLED_NS / 1e9 + 0.05)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows with each log that is read."""
    from lakehouse import reading

    calls: list[object] = []
    real = reading.open_table
    monkeypatch.setattr(reading, "open_table", lambda *args: calls.append(args) or real(*args))
    return calls


def test_a_log_that_did_not_change_is_read_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = opened(monkeypatch)
    first = lake.scan(BARS)
    assert lake.scan(BARS).equals(first)
    assert lake.scan(BARS, version=0).num_rows == 0
    assert len(calls) == 2


def test_a_write_is_seen_by_the_next_read(lake: Lake) -> None:
    rows = lake.scan(BARS)
    lake.replace(BARS, rows.slice(0, 0), partitions=MONTHS, batch_id="second")
    assert lake.scan(BARS).num_rows == 0
    assert lake.scan(BARS, version=1).equals(rows)
    age(lake)
    assert lake.scan(BARS).num_rows == 0
    assert lake.scan(BARS).num_rows == 0


def test_damage_done_between_two_reads_is_refused(lake: Lake) -> None:
    lake.scan(BARS)
    lake.scan(BARS)
    file = commit_file(table_path(lake.home, BARS), 1)
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    # Even where somebody puts the time back.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CorruptTable):
        lake.scan(BARS)


def test_a_log_that_changed_just_now_is_read_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = opened(monkeypatch)
    rows = lake.scan(BARS)
    lake.replace(BARS, rows.slice(0, 0), partitions=MONTHS, batch_id="second")
    monkeypatch.setattr(known_files, "_SETTLED_NS", 3_600 * 10**9)
    calls.clear()
    lake.scan(BARS)
    lake.scan(BARS)
    assert len(calls) == 2
