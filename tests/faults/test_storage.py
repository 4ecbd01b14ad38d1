"""The disk is full, read-only, forbidden or failing: one clear error, the rows as before, and the same call goes on."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse import Lake
from lakehouse.errors import LakeError, QueryError, StorageFailed, StorageFull
from tests.faults.disks import failing, filled, python, read_only, small_disk
from tests.lakehouse.stored import BARS, MONTHS, answer, bars, closes, data_file, last_commit, windows

WRITES: dict[str, Callable[[Lake], object]] = {
    "replace": lambda lake: lake.replace(BARS, bars(MONTHS, price=2.0), partitions=MONTHS, batch_id="2"),
    "replace sorted": lambda lake: lake.replace_sorted(
        BARS,
        [bars(MONTHS, symbols=("AAA",), price=2.0).sort_by([("month", "ascending"), ("session", "ascending")])],
        partitions=MONTHS,
        batch_id="sorted",
    ),
    "first write": lambda lake: lake.append_once("research/windows", windows("r1"), batch_id="r1"),
    "snapshot": lambda lake: lake.snapshots.put([answer(bytes(3_000), symbol="ZZZ")]),
}


def content(lake: Lake) -> list[pa.Table]:
    """Every row of the tables written here."""
    return [lake.scan(table) for table in (BARS, "raw/snapshots", "research/windows")]


def errors(lake: Lake) -> list[str]:
    return [problem.what for problem in lake.verify() if problem.severity == "error"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake", lock_timeout=5)
    lake.replace(BARS, bars(MONTHS, price=1.0), partitions=MONTHS, batch_id="1")
    lake.snapshots.put([answer()])
    return lake


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Lake]:
    """The same lake on a disk of 512 KiB."""
    with small_disk(tmp_path / "disk", 512) as disk:
        lake = Lake(disk, lock_timeout=5)
        lake.replace(BARS, bars(MONTHS, price=1.0), partitions=MONTHS, batch_id="1")
        lake.snapshots.put([answer()])
        yield lake


@pytest.mark.parametrize("name", WRITES)
def test_a_full_disk_is_one_clear_error_wherever_it_strikes_and_the_write_goes_on_later(
    small: Lake, lake: Lake, name: str
) -> None:
    before = content(small)
    WRITES[name](lake)
    after = content(lake)
    n_refused = 0
    for n_free in range(0, 81_920, 4_096):
        with filled(small.home, n_free):
            try:
                WRITES[name](small)
                break
            except StorageFull as error:
                n_refused += 1
                assert "disk full: " in str(error) and str(small.home) in str(error)
                assert "free some room and run it again" in str(error)
        # The last room may go to the commit itself: then it is there whole, only nobody was told.
        assert content(small) in (before, after)
        assert errors(small) == []
        assert list(small.home.rglob("*#*")) == []
    assert n_refused >= 3
    WRITES[name](small)
    assert content(small) == after
    assert errors(small) == []


def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(lake: Lake) -> None:
    """The portable way: `ulimit -f`, which the system answers with EFBIG."""
    code = (
        "import resource, sys; from pathlib import Path; from tests.faults.test_storage import limited_write\n"
        "limited_write(Path(sys.argv[1]))"
    )
    done = python(code, str(lake.home))
    assert done.stdout.startswith("StorageFull file too large for this process: "), done.stderr
    assert closes(lake) == dict.fromkeys(MONTHS, 1.0)
    assert errors(lake) == []


def limited_write(home: Path) -> None:
    """In a process of its own: write with files limited to 1,000 bytes, and print the error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rows = bars(MONTHS, price=2.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
    try:
        Lake(home).replace(BARS, rows, partitions=MONTHS, batch_id="2")
    except LakeError as error:
        os.write(1, f"{type(error).__name__} {error}".encode())


@pytest.mark.slow
def test_a_query_too_large_for_memory_is_refused_without_a_file_on_the_disk(small: Lake) -> None:
    """DuckDB may not spill to the disk, so a full disk cannot meet it."""
    with filled(small.home, 0):
        assert small.sql("SELECT count(*) AS n FROM core.daily_bars")["n"].to_pylist() == [82]
        with pytest.raises(QueryError, match=r"(?i)out of memory|could not allocate"):
            small.sql("SELECT max(list_sum(list)) FROM (SELECT list(a.range) AS list FROM range(400000000) a)")


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_folder_is_named_with_what_to_change_and_is_still_read(lake: Lake, name: str) -> None:
    before = content(lake)
    with read_only(lake.home):
        with pytest.raises(StorageFailed, match="Read-only file system.*mount it for writing, or name another home"):
            WRITES[name](lake)
        assert content(lake) == before
        assert lake.sql("SELECT count(*) AS n FROM core.daily_bars")["n"].to_pylist() == [82]
        assert lake.verify() == []
    WRITES[name](lake)
    assert errors(lake) == []


FORBIDDEN = """
import os, sys
from pathlib import Path
from lakehouse import Lake
from lakehouse.errors import LakeError
from tests.faults import test_storage as storage
lake, other = Lake(Path(sys.argv[1])), Lake(Path(sys.argv[2]))
for write in storage.WRITES.values():  # imports what a write needs, while it may
    write(other)
other.sql("SELECT 1")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for use in [*storage.WRITES.values(), lambda lake: lake.scan(storage.BARS), lambda lake: lake.sql("SELECT 1"),
            lambda lake: lake.snapshots.read(storage.answer().snapshot_id)]:
    try:
        use(lake)
        print("done")
    except LakeError as error:
        print(type(error).__name__, error)
print(len(lake.verify()))
"""


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "place", ["tables", *(pytest.param(f, marks=SLOW) for f in ("snapshots", "tables/core/daily_bars/_delta_log"))]
)
def test_what_another_user_may_not_touch_is_named_and_never_called_damaged(
    lake: Lake, tmp_path: Path, place: str
) -> None:
    """A remedy for damage, such as deleting the file, would lose what is merely out of reach."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    for path in lake.home.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (lake.home / place).chmod(0o700)
    done = python(FORBIDDEN, str(lake.home), str(tmp_path / "other"))
    told = done.stdout.splitlines()
    assert done.returncode == 0 and len(told) == 8, done.stderr
    refused = [line for line in told if "Permission denied" in line]
    assert len(refused) >= 5 and all(line.startswith("StorageFailed") for line in refused), told
    assert all("let this user read and write there" in line for line in refused)
    assert int(told[-1]) >= 1
    (lake.home / place).chmod(0o755)
    assert lake.verify() == []


READ = """
import sys
from lakehouse import Lake
from lakehouse.errors import QuantlakeError
lake = Lake(sys.argv[1])
try:
    lake.snapshots.read(lake.scan("raw/snapshots")["snapshot_id"][0].as_py())
    rows = lake.scan("core/daily_bars")
    print("rows", rows.num_rows, set(rows["close"].to_pylist()))
except QuantlakeError as error:
    print(type(error).__name__, error)
"""
WRITE = """
import sys
from pathlib import Path
from lakehouse import Lake
from lakehouse.errors import LakeError
from tests.faults.test_storage import WRITES
lake = Lake(Path(sys.argv[1]))
try:
    WRITES[sys.argv[2]](lake)
    print("done")
except LakeError as error:
    print(type(error).__name__, error)
"""
CALLS = ["fsync", "link,linkat", "rename,renameat,renameat2"]


@pytest.mark.parametrize("kind", ["data file", "commit", "snapshot"])
def test_a_disk_that_fails_under_a_read_gives_an_error_and_no_rows(lake: Lake, kind: str) -> None:
    path = {
        "data file": data_file(lake, MONTHS[0]),
        "commit": last_commit(lake),
        "snapshot": lake.snapshots.path(answer().snapshot_id),
    }[kind]
    done = failing("read,pread64", "EIO", 1, READ, str(lake.home), path=path)
    assert done.stdout.startswith(("CorruptTable", "StorageFailed", "CorruptSnapshot")), done.stdout + done.stderr
    assert "Input/output error" in done.stdout


@pytest.mark.parametrize(
    ("call", "error", "turn"), [("fsync", "EIO", 5), pytest.param("link,linkat", "EIO", 3, marks=SLOW)]
)
def test_a_system_call_that_fails_under_a_write_leaves_the_rows_as_before(
    lake: Lake, call: str, error: str, turn: int
) -> None:
    _fail_until_done(lake, call, error, "replace", range(turn, turn + 1))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "SIGKILL"])
@pytest.mark.parametrize("name", ["replace", "snapshot"])
def test_every_system_call_of_a_write_may_fail_or_kill(lake: Lake, call: str, error: str, name: str) -> None:
    """The first, the second and so on, until the write is done before its turn comes."""
    assert _fail_until_done(lake, call, error, name, range(1, 100))


def _fail_until_done(lake: Lake, call: str, error: str, name: str, turns: range) -> bool:
    """Let one call after the other fail; return whether the write was done at last."""
    before = content(lake)
    for when in turns:
        done = failing(call, error, when, WRITE, str(lake.home), name)
        told = done.stdout.strip()
        assert errors(lake) == []
        if told == "done":
            return when > turns.start
        if error == "SIGKILL":
            assert told == ""
        else:
            assert told.startswith(("StorageFailed", "StorageFull")), done.stderr or told
        if content(lake) != before:
            # Committed, and killed or refused before it was acknowledged: the same call finds it there.
            WRITES[name](lake)
            assert errors(lake) == []
            return True
    return False
