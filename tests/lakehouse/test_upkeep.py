"""Upkeep: what nobody needs goes, what a run pinned stays and replays, and every other answer is as before."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakehouse import Lake
from lakehouse.errors import CorruptTable, UnknownTable
from lakehouse.locks import table_lock
from lakehouse.paths import lock_path
from lakehouse.schemas import table_schema
from lakehouse.upkeep import STEPS, TableUpkeep
from lakehouse.upkeep.plan import plan
from tests.lakehouse.stored import BARS, MONTHS, WINDOWS, bars, closes, windows
from tests.lakehouse.writers import CONTEXT, die_at, put_snapshots, replace_two_months, run_to_the_end

DAY = dt.timedelta(days=1)
PRICES = (1.0, 2.0, 3.0, 4.0, 5.0)
RUNS = "research/runs"


def pin(lake: Lake, run_id: str, version: int, table: str = BARS) -> None:
    """Record a run that read one version of a table."""
    schema = table_schema(RUNS).schema
    plain = {"string": "", "int64": 1, "float64": None, "timestamp": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}
    row = {
        field.name: None if field.nullable else plain[str(field.type).partition("[")[0].replace("large_", "")]
        for field in schema
    }
    row |= {"run_id": run_id, "spec": "trend", "pins": json.dumps({table: version, "core/universe": -1})}
    lake.append_once(RUNS, pa.Table.from_pylist([row], schema=schema), batch_id=run_id)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Bars at five prices, versions 1 to 5, of which a run pinned the second."""
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    for price in PRICES:
        replace_two_months(lake, price)
    pin(lake, "r1", 2)
    return lake


def tidy(
    lake: Lake, *, days: float = 40, keep: dt.timedelta = 30 * DAY, dry_run: bool = False
) -> dict[str, TableUpkeep]:
    """Do upkeep as if some days had passed."""
    now = dt.datetime.now(dt.UTC) + days * DAY
    return {entry.table: entry for entry in lake.upkeep(now=now, keep=keep, dry_run=dry_run)}


def data_files(lake: Lake, table: str = BARS) -> set[str]:
    folder = lake.home / "tables" / table
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*.parquet") if "_delta_log" not in file.parts}


def every_file(home: Path) -> dict[str, bytes]:
    return {str(file.relative_to(home)): file.read_bytes() for file in home.rglob("*") if file.is_file()}


def test_versions_that_nobody_needs_go_and_pinned_and_last_ones_are_read_as_before(lake: Lake) -> None:
    files = {version: set(lake.history(BARS)[5 - version]["files"]) for version in range(1, 6)}
    sizes = {name: (lake.home / "tables" / BARS / name).stat().st_size for name in data_files(lake)}
    report = tidy(lake)[BARS]
    assert closes(lake) == dict.fromkeys(MONTHS, 5.0)
    assert closes(lake, version=2) == dict.fromkeys(MONTHS, 2.0)
    assert data_files(lake) == files[2] | files[5]
    gone = files[1] | files[3] | files[4]
    assert (report.let_go, report.pinned, report.recent) == ((1, 3, 4), {2: 1}, 1)
    assert (report.freed_bytes, report.removed_files) == (sum(sizes[name] for name in gone), 6)
    assert (report.rows, report.files, report.bytes) == (82, 2, sum(sizes[name] for name in files[5]))
    assert lake.verify() == []


def test_reading_a_version_let_go_names_the_day_and_what_is_there(lake: Lake) -> None:
    tidy(lake)
    day = (dt.datetime.now(dt.UTC) + 40 * DAY).date()
    expected = rf"version 3 of core/daily_bars was let go by upkeep on {day}.*there are versions 0, 2, 5"
    for read in (lambda: lake.scan(BARS, version=3), lambda: lake.sql("SELECT 1", pins={BARS: 3})):
        with pytest.raises(UnknownTable, match=expected):
            read()


def test_a_version_replaced_within_the_retention_stays(lake: Lake) -> None:
    assert tidy(lake, days=29)[BARS].let_go == ()
    assert [closes(lake, version=n)["2024-01"] for n in range(1, 6)] == list(PRICES)


def test_a_version_current_until_yesterday_stays_however_old_it_is(lake: Lake) -> None:
    """What counts is when it was replaced: a run may have begun reading it a moment before."""
    log = lake.home / "tables" / BARS / "_delta_log"
    stamp = int((dt.datetime.now(dt.UTC) - 100 * DAY).timestamp() * 1000)
    for number in range(5):
        file = log / f"{number:020d}.json"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = stamp
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (log.parent / "_quantlake" / "commits").unlink()  # the hashes they were really written with
    report = tidy(lake, days=0)[BARS]
    assert report.let_go == (1, 3)
    assert closes(lake, version=4) == dict.fromkeys(MONTHS, 4.0)


def test_a_dry_run_says_what_would_go_and_changes_nothing(lake: Lake) -> None:
    before = every_file(lake.home)
    foretold = tidy(lake, dry_run=True)[BARS]
    assert every_file(lake.home) == before
    done = tidy(lake)[BARS]
    assert (foretold.let_go, foretold.freed_bytes, foretold.removed_files) == (
        done.let_go,
        done.freed_bytes,
        done.removed_files,
    )
    assert tidy(lake)[BARS].freed_bytes == 0


def test_rows_that_come_back_share_the_file_and_keep_it(lake: Lake) -> None:
    """Files are named by content: replacing 5 by 1 again makes the file of version 1 a file of version 6."""
    replace_two_months(lake, 1.0)
    assert 1 not in data_files(lake)
    report = tidy(lake)[BARS]
    assert report.let_go == (3, 4, 5)
    assert closes(lake) == closes(lake, version=1) == dict.fromkeys(MONTHS, 1.0)
    replace_two_months(lake, 3.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 3.0)
    assert lake.verify() == []


def test_many_appends_become_one_file_and_all_their_versions_stay_in_the_retention(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for number in range(8):
        lake.append_once(WINDOWS, windows(f"r{number}", names=("2009",)), batch_id=f"r{number}")
    before = lake.scan(WINDOWS)
    foretold = tidy(lake, days=0, dry_run=True)[WINDOWS]
    assert (foretold.files, foretold.small_files, foretold.merged) == (8, 8, True)
    report = tidy(lake, days=0)[WINDOWS]
    assert (report.rows, report.files, report.small_files, report.merged) == (8, 1, 8, True)
    assert lake.scan(WINDOWS).equals(before)
    assert lake.scan(WINDOWS, version=3).num_rows == 3
    lake.append_once(WINDOWS, windows("r3", names=("2009",)), batch_id="r3")
    assert lake.scan(WINDOWS).num_rows == 8  # a batch known before is known after
    later = tidy(lake)[WINDOWS]
    assert (later.removed_files, later.files, later.merged) == (8, 1, False)
    assert lake.scan(WINDOWS).equals(before)
    assert lake.verify() == []


def test_leftovers_of_killed_writes_go_when_a_day_old_and_whole_snapshots_never(lake: Lake) -> None:
    put_snapshots(lake)
    folder = lake.home / "tables" / BARS
    stray = lake.home / "snapshots" / "ab" / ("ab" + "0" * 62)
    leftovers = [
        folder / "month=2024-01" / "part-x.parquet#999999999-4",
        folder / "month=2024-01" / "orphan.parquet",
        folder / "part#999999999-1-0",
        folder / "_delta_log" / "00000000000000000006.json#1",
        lake.home / "snapshots" / "ab" / "ab#999999999-2",
    ]
    in_use = [folder / f"part#{os.getpid()}-1-0"]
    for file in [*leftovers, *in_use, stray]:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    tidy(lake, days=0.5)
    assert all(file.exists() for file in leftovers)
    report = tidy(lake, days=2)
    assert (report[BARS].leftovers, report["snapshots"].leftovers) == (4, 1)
    assert [file.name for file in [*leftovers, *in_use, stray] if file.exists()] == [in_use[0].name, stray.name]
    assert len(lake.snapshots.find("sample", "daily")) == 2
    in_use[0].unlink()
    stray.unlink()
    assert lake.verify() == []


def test_a_table_being_written_is_left_alone(lake: Lake) -> None:
    before = data_files(lake)
    with table_lock(lock_path(lake.home, BARS), BARS, timeout=0):
        busy = Lake(lake.home, lock_timeout=0.05)
        report = tidy(busy)[BARS]
    assert report.left_out is not None and f"is being written by process {os.getpid()} " in report.left_out
    assert data_files(lake) == before
    assert tidy(lake)[BARS].let_go == (1, 3, 4)


@pytest.mark.parametrize("damage", ["cut commit", "missing commit", "let go record"])
def test_nothing_of_a_damaged_table_goes(lake: Lake, damage: str) -> None:
    folder = lake.home / "tables" / BARS
    if damage == "cut commit":
        commit = folder / "_delta_log" / f"{3:020d}.json"
        commit.write_text(commit.read_text()[:-30])
    elif damage == "missing commit":
        (folder / "_delta_log" / f"{3:020d}.json").unlink()
    else:
        (folder / "_quantlake" / "let_go.json").write_text("[{")
    before = data_files(lake)
    report = tidy(lake)
    assert report[BARS].is_damaged and data_files(lake) == before
    assert report[RUNS].left_out is None
    assert [problem.table for problem in lake.verify()] == [BARS]


def test_without_the_pins_nothing_goes(lake: Lake) -> None:
    before = every_file(lake.home)
    commit = max((lake.home / "tables" / RUNS / "_delta_log").glob("*.json"))
    whole = commit.read_bytes()
    commit.write_bytes(b"")
    with pytest.raises(CorruptTable, match="research/runs version 1 is damaged"):
        tidy(lake)
    commit.write_bytes(whole)
    assert every_file(lake.home) == before


def test_a_missing_file_of_a_pinned_version_is_damage_and_one_of_a_version_let_go_is_not(lake: Lake) -> None:
    pinned = set(lake.history(BARS)[3]["files"])
    tidy(lake)
    assert lake.verify() == []
    (lake.home / "tables" / BARS / min(pinned)).unlink()
    (problem,) = lake.verify()
    assert problem.what == "the data file of an earlier version is missing" and problem.where.endswith(min(pinned))


def test_checkpoints_that_later_ones_repeat_go_and_pinned_versions_stay_readable(lake: Lake) -> None:
    path = lake.home / "tables" / BARS
    for version in (1, 3, 5):
        DeltaTable(str(path), version=version).create_checkpoint()
    tidy(lake)
    assert [file.name for file in (path / "_delta_log").glob("*.checkpoint.parquet")] == [
        f"{5:020d}.checkpoint.parquet"
    ]
    assert closes(lake, version=2) == dict.fromkeys(MONTHS, 2.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 5.0)
    assert lake.verify() == []


def do_upkeep(lake: Lake) -> None:
    """Upkeep forty days later, in a process that may be killed."""
    list(lake.upkeep(now=dt.datetime.now(dt.UTC) + 40 * DAY, keep=30 * DAY))


POINTS = [*((step, 1) for step in STEPS), ("file_removed", 3), ("staged", 1), ("files_stored", 1), ("committed", 1)]


@pytest.mark.parametrize(("step", "occurrence"), POINTS)
def test_upkeep_killed_at_any_step_leaves_a_sound_lake_and_goes_on(lake: Lake, step: str, occurrence: int) -> None:
    for number in range(2):
        lake.append_once(WINDOWS, windows(f"r{number}", names=("2009",)), batch_id=f"r{number}")
    undisturbed = Lake(lake.home.parent / "undisturbed")
    shutil.copytree(lake.home, undisturbed.home)
    tidy(undisturbed)
    assert run_to_the_end(die_at, lake.home, do_upkeep, (), step, occurrence) == -9
    sound(lake)
    tidy(lake)
    sound(lake)
    assert lake.verify() == []
    for each in (lake, undisturbed):
        tidy(each)  # where it was killed after the merge, the merged files went in the run above already
    for table in (BARS, WINDOWS):
        assert data_files(lake, table) == data_files(undisturbed, table)
        assert lake.scan(table).equals(undisturbed.scan(table))


def sound(lake: Lake) -> None:
    problems = lake.verify()
    assert [problem for problem in problems if problem.severity == "error" or "is missing" in problem.what] == []
    assert closes(lake) == dict.fromkeys(MONTHS, 5.0)
    assert closes(lake, version=2) == dict.fromkeys(MONTHS, 2.0)
    assert lake.scan(WINDOWS).num_rows == 2


def test_a_reader_of_the_last_version_never_notices(lake: Lake) -> None:
    """A version pinned now is current or was within the retention, so that upkeep beside a reader takes nothing."""
    process = CONTEXT.Process(target=upkeep_often, args=(lake.home, 12), daemon=True)
    process.start()
    n_reads, price = 0, 5.0
    while process.is_alive():
        version = lake.version(BARS)
        assert version is not None
        price += 1.0
        replace_two_months(Lake(lake.home), price)
        assert set(closes(lake, version=version).values()) == {price - 1.0}
        n_reads += 1
    process.join()
    assert process.exitcode == 0 and n_reads > 3
    assert [problem for problem in lake.verify() if problem.severity == "error"] == []


def upkeep_often(home: Path, n: int) -> None:
    for _ in range(n):
        list(Lake(home).upkeep(now=dt.datetime.now(dt.UTC), keep=DAY))
        time.sleep(0.02)


def test_a_plan_needs_a_file_while_one_kept_version_holds_it(lake: Lake) -> None:
    """Against a slow reading of the same log: replay each kept version whole."""
    from lakehouse import log

    path = lake.home / "tables" / BARS
    replace_two_months(lake, 2.0)
    lake.replace(BARS, bars("2024-01", price=9.0), partitions=["2024-01"], batch_id="x")
    commits = {version: log.read_commit(path, version) for version in log.commit_files(path)}
    for pinned in ({}, {1: 1}, {2: 3, 4: 1}, {1: 1, 3: 1, 6: 1}):
        planned = plan(commits, pinned=pinned, gone=(), horizon_ms=2**62)
        needed = {name for version in {7, *pinned} for name in added(path, version)}
        assert set(planned.going) == set(planned.named) - needed


def added(path: Path, version: int) -> list[str]:
    """The files of a version as delta-rs tells them."""
    names: list[str] = pa.table(DeltaTable(str(path), version=version).get_add_actions())["path"].to_pylist()
    return names
