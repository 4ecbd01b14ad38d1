"""Damaged in any way, a table is made anew: equal to the undisturbed one, the damaged files kept, no number reused."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse import Lake
from lakehouse.errors import CorruptTable, LakeError, UnknownTable
from lakehouse.rebuilding import Piece, Rebuilt, rebuild
from lakehouse.schemas import table_schema
from tests.lakehouse.stored import BARS, MONTHS, UNIVERSE, bars, closes, last_commit, members
from tests.lakehouse.writers import die_at, replace_two_months, run_to_the_end

NOW = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)
RIGHT = 3.0


def make(partitions: Sequence[str] | None) -> Iterator[Piece]:
    """The rows both months should hold, a piece a month."""
    for month in partitions if partitions is not None else MONTHS:
        yield Piece([month], bars(month, price=RIGHT), batch_id=f"made {month}")


def rebuilt(lake: Lake, partitions: Sequence[str] | None = None, *, check: bool = False) -> Rebuilt:
    return rebuild(lake, BARS, make, partitions=partitions, check=check, now=NOW)


def rebuild_once(lake: Lake) -> None:
    """For a process that is killed on the way."""
    rebuild(lake, BARS, make, partitions=None, check=False, now=NOW, lock_timeout=1, on_step=lake._on_step)


def states(done: Rebuilt) -> dict[str | None, str]:
    return {outcome.partition: outcome.state for outcome in done.outcomes}


def errors(lake: Lake) -> list[str]:
    return [problem.what for problem in lake.verify() if problem.severity == "error"]


def record_run(lake: Lake, run_id: str, version: int) -> None:
    """A recorded run that read this version of the bars."""
    row = {}
    for column in table_schema("research/runs").columns:
        if not column.nullable:
            row[column.name] = {"int64": 1, "timestamp": NOW}.get(column.type, column.name)
    row |= {"run_id": run_id, "spec": "trend", "pins": json.dumps({BARS: version})}
    rows = pa.Table.from_pylist([row], schema=table_schema("research/runs").schema)
    lake.append_once("research/runs", rows, batch_id=run_id)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three versions of two months, the last one right; runs that read the second and the third."""
    lake = Lake(tmp_path / "lake")
    for price in (1.0, 2.0, RIGHT):
        replace_two_months(lake, price)
    record_run(lake, "second", 2)
    record_run(lake, "third", 3)
    return lake


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def current_file(lake: Lake, month: str) -> Path:
    (name,) = lake.contents(BARS)[month]
    return lake.home / "tables" / BARS / f"month={month}" / name


def test_a_sound_table_is_the_same_and_nothing_is_written(lake: Lake) -> None:
    before = files_below(lake.home)
    done = rebuilt(lake)
    assert done.is_sound and done.aside is None and done.lost == []
    assert states(done) == dict.fromkeys(MONTHS, "same")
    assert {outcome.sha256 for outcome in done.outcomes} == {current_file(lake, m).name[5:69] for m in MONTHS}
    after = files_below(lake.home)
    assert {name: content for name, content in after.items() if "locks" not in name} == {
        name: content for name, content in before.items() if "locks" not in name
    }


def test_a_check_says_what_differs_and_changes_nothing_and_a_rebuild_replaces_only_that(lake: Lake) -> None:
    lake.replace(BARS, bars("2024-02", price=9.0), partitions=["2024-02"], batch_id="wrong")
    checked = rebuilt(lake, check=True)
    assert states(checked) == {"2024-01": "same", "2024-02": "differs"} and not checked.is_sound
    assert closes(lake) == {"2024-01": RIGHT, "2024-02": 9.0} and lake.version(BARS) == 4
    assert states(rebuilt(lake, ["2024-01"])) == {"2024-01": "same"}
    done = rebuilt(lake)
    assert [outcome.was_replaced for outcome in done.outcomes] == [False, True]
    assert closes(lake) == dict.fromkeys(MONTHS, RIGHT)
    assert lake.history(BARS)[0]["partitions"] == ["2024-02"]
    assert rebuilt(lake, check=True).is_sound


def test_rows_another_library_wrote_in_other_bytes_are_the_same(lake: Lake) -> None:
    rows = lake.scan(BARS).sort_by([("symbol", "descending")])
    write_deltalake(str(lake.home / "tables" / BARS), rows, mode="overwrite")
    done = rebuilt(lake, check=True)
    assert states(done) == dict.fromkeys(MONTHS, "same") and done.damage is None
    assert len(errors(lake)) == 1  # nothing tells of damage to files that carry no hash
    done = rebuilt(lake)
    assert states(done) == dict.fromkeys(MONTHS, "same") and errors(lake) == []


def test_a_partition_that_is_missing_is_found_and_made(lake: Lake) -> None:
    undisturbed = lake.scan(BARS)
    DeltaTable(str(lake.home / "tables" / BARS)).delete("session < DATE '2024-02-01'")
    assert len(errors(lake)) == 1
    checked = rebuilt(lake, check=True)
    assert states(checked) == {"2024-01": "missing", "2024-02": "same"} and not checked.is_sound
    assert set(lake.scan(BARS)["month"].to_pylist()) == {"2024-02"}
    done = rebuilt(lake)
    assert [outcome.was_replaced for outcome in done.outcomes] == [True, False]
    assert lake.scan(BARS).equals(undisturbed) and errors(lake) == [] and rebuilt(lake, check=True).is_sound


def test_what_is_stored_beside_all_that_can_be_made_is_looked_at_too_and_empty_partitions_are_not_told(
    lake: Lake,
) -> None:
    lake.replace(BARS, bars("2024-03", price=9.0), partitions=["2024-03"], batch_id="march")

    def made(partitions: Sequence[str] | None) -> Iterator[Piece]:
        for month in partitions if partitions is not None else ["2023-12", *MONTHS]:
            rows = bars(month, price=RIGHT).slice(0, 0 if month == "2023-12" else None)
            yield Piece([month], rows, batch_id=f"made {month}")

    checked = rebuild(lake, BARS, made, partitions=None, check=True, now=NOW)
    assert states(checked) == {**dict.fromkeys(MONTHS, "same"), "2024-03": "differs"}
    assert states(rebuild(lake, BARS, made, partitions=["2023-12"], check=True, now=NOW)) == {"2023-12": "same"}
    last_commit(lake).write_bytes(b"")
    done = rebuild(lake, BARS, made, partitions=None, check=False, now=NOW)
    assert states(done) == dict.fromkeys([*MONTHS, "2024-03"], "rebuilt")


def flip(file: Path) -> None:
    """Flip a bit of the last close: every reader meets it."""
    content = bytearray(file.read_bytes())
    closes_of = pq.read_metadata(file).row_group(0).column(5)
    assert closes_of.path_in_schema == "close"
    content[closes_of.data_page_offset + closes_of.total_compressed_size - 1] ^= 4
    file.write_bytes(content)


FILE_DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-40]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", FILE_DAMAGES)
def test_a_damaged_data_file_is_kept_aside_and_made_anew(lake: Lake, damage: str) -> None:
    file, undisturbed = current_file(lake, "2024-01"), lake.scan(BARS)
    FILE_DAMAGES[damage](file)
    damaged = file.read_bytes() if file.exists() else None
    (problem,) = [problem for problem in lake.verify() if problem.severity == "error"]
    assert "`quantlake rebuild core/daily_bars --where month=2024-01`" in problem.remedy
    with pytest.raises(CorruptTable, match="quantlake rebuild core/daily_bars"):
        lake.scan(BARS)
    checked = rebuilt(lake, check=True)
    assert states(checked) == {"2024-01": "damaged", "2024-02": "same"}
    assert [run.run_id for run in checked.lost] == ["third"]
    done = rebuilt(lake, ["2024-01"])
    assert states(done) == {"2024-01": "damaged"} and done.lost == []
    assert lake.scan(BARS).equals(undisturbed) and lake.version(BARS) == 3
    if damaged is None:
        assert done.aside is None
    else:
        assert done.aside is not None and ".damaged-20240304T120000Z" in done.aside.name
        assert list(files_below(done.aside).values()) == [damaged]
    assert errors(lake) == [] and rebuilt(lake, check=True).is_sound


def cut(file: Path) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))


# What is done to which commit, and the first version that is lost by it.
LOG_DAMAGES: dict[str, tuple[Callable[[Path], object], int, int]] = {
    "last empty": (lambda file: file.write_bytes(b""), 3, 3),
    "last cut between lines": (cut, 3, 3),
    "last cut inside a line": (lambda file: file.write_bytes(file.read_bytes()[:-9]), 3, 3),
    "last missing": (lambda file: file.unlink(), 3, 3),
    "middle empty": (lambda file: file.write_bytes(b""), 2, 2),
    "middle cut": (cut, 2, 2),
    "middle missing": (lambda file: file.unlink(), 2, 2),
    "first missing": (lambda file: file.unlink(), 0, 0),
    "all missing": (lambda file: shutil.rmtree(file.parent), 0, 0),
}


@pytest.mark.parametrize("damage", LOG_DAMAGES)
def test_a_damaged_log_is_kept_aside_and_the_table_goes_on_with_the_next_version(lake: Lake, damage: str) -> None:
    spoil, version, first_lost = LOG_DAMAGES[damage]
    undisturbed, path = lake.scan(BARS), lake.home / "tables" / BARS
    readable = {number: lake.scan(BARS, version=number) for number in range(1, first_lost)}
    spoil(last_commit(lake).with_name(f"{version:020d}.json"))
    damaged = files_below(path)
    assert [problem for problem in lake.verify() if problem.severity == "error"]
    if damage != "first missing":
        assert any("`quantlake rebuild core/daily_bars`" in problem.remedy for problem in lake.verify())
    with pytest.raises(CorruptTable, match=r"No partition of it can be rebuilt alone.*`quantlake rebuild core/daily_b"):
        rebuilt(lake, ["2024-01"])
    checked = rebuilt(lake, check=True)
    assert checked.damage is not None and not checked.is_sound and files_below(path) == damaged
    done = rebuilt(lake)
    assert done.damage is not None and done.aside is not None
    assert files_below(done.aside) == damaged
    assert lake.scan(BARS).equals(undisturbed)
    assert done.version == lake.version(BARS) and done.version is not None and done.version > 3
    for number, rows in readable.items():
        assert lake.scan(BARS, version=number).equals(rows)
    for number in range(max(first_lost, 1), 4):
        with pytest.raises(UnknownTable, match=rf"version {number} of core/daily_bars was lost: .*damaged-20240304"):
            lake.scan(BARS, version=number)
    assert [run.run_id for run in done.lost] == (["third"] if first_lost == 3 else ["second", "third"])
    assert lake.verify() == []
    assert rebuilt(lake).is_sound
    replace_two_months(lake, 5.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 5.0) and errors(lake) == []


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_a_damaged_checkpoint_is_kept_aside_and_every_version_stays(lake: Lake, content: bytes) -> None:
    path = lake.home / "tables" / BARS
    DeltaTable(str(path)).create_checkpoint()
    (checkpoint,) = (path / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(content)
    assert rebuilt(lake, check=True).damage is not None
    done = rebuilt(lake)
    assert done.aside is not None and (done.aside / "_delta_log" / checkpoint.name).read_bytes() == content
    assert states(done) == dict.fromkeys(MONTHS, "same") and done.lost == []
    assert lake.verify() == [] and lake.version(BARS) == 3


def test_a_table_that_is_gone_does_not_give_its_numbers_again(lake: Lake) -> None:
    shutil.rmtree(lake.home / "tables" / BARS)
    done = rebuilt(lake)
    assert done.damage == "version 0: version 3 was written, all of the log is gone"
    assert closes(lake) == dict.fromkeys(MONTHS, RIGHT) and lake.version(BARS) == 5
    assert [run.run_id for run in done.lost] == ["second", "third"]
    assert lake.verify() == []


def test_an_empty_lake_is_filled_with_all_that_can_be_made(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert states(rebuilt(lake, check=True)) == dict.fromkeys(MONTHS, "missing")
    assert not lake.exists(BARS)
    rebuilt(lake)
    assert closes(lake) == dict.fromkeys(MONTHS, RIGHT)


def test_a_table_without_partitions_is_rebuilt_whole(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.replace(UNIVERSE, members("AAA"), batch_id="wrong")

    def made(_: Sequence[str] | None) -> Iterator[Piece]:
        yield Piece([], members("AAA", "BBB"), batch_id="made")

    for damage in (lambda: None, lambda: last_commit(lake, UNIVERSE).write_bytes(b"")):
        damage()
        rebuild(lake, UNIVERSE, made, partitions=None, check=False, now=NOW)
        assert lake.scan(UNIVERSE).equals(members("AAA", "BBB"))
        assert lake.verify() == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("research/runs", "`quantlake reproduce RUN`"),
        ("raw/snapshots", "fetch the same requests again"),
        ("core/restatements", "it tells what writes changed"),
    ],
)
def test_what_is_not_made_of_snapshots_says_what_can_be_done(lake: Lake, table: str, said: str) -> None:
    with pytest.raises(LakeError, match=said):
        rebuild(lake, table, make, partitions=None, check=False, now=NOW)


def test_runs_that_cannot_be_read_keep_no_table_from_being_rebuilt(lake: Lake) -> None:
    last_commit(lake, "research/runs").write_bytes(b"")
    last_commit(lake).write_bytes(b"")
    done = rebuilt(lake)
    assert done.unread_runs is not None and "research/runs" in done.unread_runs and done.lost == []
    assert closes(lake) == dict.fromkeys(MONTHS, RIGHT)


def test_an_error_while_making_leaves_the_damaged_table_in_its_place(lake: Lake) -> None:
    last_commit(lake).write_bytes(b"")
    path = lake.home / "tables" / BARS
    damaged = files_below(path)

    def failing(_: Sequence[str] | None) -> Iterator[Piece]:
        yield Piece(["2024-01"], bars("2024-01", price=RIGHT), batch_id="made")
        raise LakeError("a snapshot is damaged")

    with pytest.raises(LakeError, match="a snapshot is damaged"):
        rebuild(lake, BARS, failing, partitions=None, check=False, now=NOW)
    assert files_below(path) == damaged
    assert closes_after(lake) == dict.fromkeys(MONTHS, RIGHT)


def closes_after(lake: Lake) -> dict[str, float]:
    rebuilt(lake)
    assert errors(lake) == []
    return closes(lake)


# Every step of the move, the writes into the new table, and the beginning.
POINTS = [
    *(("numbers_held", 1), ("files_stored", 1), ("committed", 2), ("synced", 2), ("rebuilt", 1)),
    *(("moved_aside", n) for n in (1, 2, 3)),
    *(("cleared", 1), ("moved_in", 1), ("moved_in", 2), ("moved_in", 3), ("moved_in", 4)),
]


@pytest.mark.parametrize(("step", "occurrence"), POINTS)
def test_a_rebuild_killed_at_any_step_is_refused_or_whole_and_finished_by_the_next(
    lake: Lake, step: str, occurrence: int
) -> None:
    undisturbed, path = lake.scan(BARS), lake.home / "tables" / BARS
    last_commit(lake).write_bytes(b"")
    damaged = files_below(path)
    assert run_to_the_end(die_at, lake.home, rebuild_once, (), step, occurrence) == -9
    with contextlib.suppress(CorruptTable):
        assert lake.scan(BARS).equals(undisturbed)
    assert closes_after(lake) == dict.fromkeys(MONTHS, RIGHT)
    assert lake.scan(BARS).equals(undisturbed) and lake.scan(BARS, version=2)["close"][0].as_py() == 2.0
    (aside,) = path.parent.glob("*.damaged-*")
    assert files_below(aside) == damaged
    assert lake.version(BARS) == 5 and lake.verify() == []
    assert not any((lake.home / "tables" / ".rebuilding").rglob("*.parquet"))


def test_a_killed_replacement_of_a_damaged_file_is_finished_by_the_next(lake: Lake) -> None:
    flip(current_file(lake, "2024-01"))
    assert run_to_the_end(die_at, lake.home, rebuild_once, (), "staged", 1) == -9
    assert closes_after(lake) == dict.fromkeys(MONTHS, RIGHT)
