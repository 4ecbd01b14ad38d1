"""What went whole: a table, the end of its log with the notes of it, the manifest. Never sound, never fewer rows."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse import Lake, Problem
from lakehouse.errors import CorruptTable
from lakehouse.restating import replace_and_tell
from lakehouse.upkeep import TableUpkeep
from tests.lakehouse.stored import BARS, MONTHS, NOON, answer, bars, closes, last_commit
from tests.lakehouse.writers import append_run, put_snapshots, replace_two_months

MANIFEST, WINDOWS = "raw/snapshots", "research/windows"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    put_snapshots(lake)
    append_run(lake)
    for price in (1.0, 2.0, 3.0):
        replace_two_months(lake, price)
    return lake


def folder(lake: Lake, table: str = BARS) -> Path:
    return lake.home / "tables" / table


def errors(lake: Lake) -> list[Problem]:
    return [problem for problem in lake.verify() if problem.severity == "error"]


def forget_outside(lake: Lake) -> None:
    """Make the home one that was written before versions were noted outside of the tables."""
    shutil.rmtree(lake.home / "heads")


def tidied(lake: Lake) -> TableUpkeep:
    """What upkeep says of the bars, long after they were written."""
    reports = lake.upkeep(now=dt.datetime.now(dt.UTC) + dt.timedelta(days=9), keep=dt.timedelta(0))
    return next(report for report in list(reports) if report.table == BARS)


def end_lost(lake: Lake, *notes: str) -> None:
    """Take the last commit away, and what the table's own folder notes of it."""
    last_commit(lake).unlink()
    for name in notes:
        (folder(lake) / "_quantlake" / name).unlink()


LOSSES: dict[str, tuple[Callable[[Lake], object], str, str]] = {
    "a table's folder": (lambda lake: shutil.rmtree(folder(lake)), BARS, "`quantlake rebuild core/daily_bars`"),
    "the manifest": (lambda lake: shutil.rmtree(folder(lake, MANIFEST)), MANIFEST, "from a backup"),
    "results": (lambda lake: shutil.rmtree(folder(lake, WINDOWS)), WINDOWS, "`heads/research.windows`"),
    "the last commit and its note": (lambda lake: end_lost(lake, "head"), BARS, "`quantlake rebuild core/daily_bars`"),
    "the last commit and all notes": (
        lambda lake: end_lost(lake, "head", "commits"),
        BARS,
        "`quantlake rebuild core/daily_bars`",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_went_with_its_notes_is_an_error_and_nothing_goes_on_without_it(lake: Lake, loss: str) -> None:
    take_away, table, remedy = LOSSES[loss]
    time.sleep(0.11)  # so that the files read now are kept in memory
    lake.scan(table)
    take_away(lake)
    (problem,) = errors(lake)
    assert problem.table == table and "was written" in problem.what and remedy in problem.remedy
    assert not any("delete it" in problem.remedy for problem in lake.verify())
    assert errors(lake) == [item for item in lake.verify(deep=False) if item.severity == "error"]
    writes = {BARS: lambda: replace_two_months(lake, 4.0), MANIFEST: lambda: put_snapshots(lake)}
    for use in (lambda: lake.scan(table), lambda: lake.pins([table]), writes.get(table, lambda: append_run(lake))):
        with pytest.raises(CorruptTable, match="was written, "):
            use()


def test_a_home_that_notes_nothing_outside_is_not_accused_and_gets_its_notes_with_the_next_write(lake: Lake) -> None:
    before = {path.name: path.read_bytes() for path in (lake.home / "heads").iterdir()}
    assert sorted(before) == ["core.daily_bars", "raw.snapshots", "research.windows"]
    forget_outside(lake)
    assert lake.verify() == [] and closes(lake) == dict.fromkeys(MONTHS, 3.0)
    replace_two_months(lake, 3.0)  # changes nothing else
    put_snapshots(lake)
    append_run(lake)
    noted = {path.name: path.read_bytes() for path in (lake.home / "heads").iterdir()}
    assert (
        noted == {name: content for name, content in before.items() if name in noted}
        and BARS.replace("/", ".") in noted
    )


def test_a_damaged_note_outside_accuses_no_table_and_is_mended_by_the_next_write(lake: Lake) -> None:
    note = lake.home / "heads" / "core.daily_bars"
    whole = note.read_bytes()
    for place in range(len(whole)):
        note.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert closes(lake) == dict.fromkeys(MONTHS, 3.0)
        (problem,) = lake.verify()
        assert (problem.severity, problem.where) == ("warning", str(note))
    replace_two_months(lake, 3.0)
    assert note.read_bytes() == whole and lake.verify() == []


def test_without_any_note_the_end_of_the_log_is_missed_by_its_hash_and_no_data_file_is_called_a_leftover(
    lake: Lake,
) -> None:
    forget_outside(lake)
    end_lost(lake, "head")
    (problem,) = errors(lake)
    assert (problem.version, problem.where) == (3, str(last_commit(lake).with_name(f"{3:020d}.json")))
    (folder(lake) / "_quantlake" / "commits").unlink()
    found = lake.verify()
    assert {(item.severity, item.what) for item in found} == {("warning", "a data file that no version names")}
    assert all(item.remedy.startswith("leave it") for item in found)
    kept = sorted(folder(lake).rglob("*.parquet"))
    assert "the next write of the table notes it" in (tidied(lake).left_out or "")
    assert sorted(folder(lake).rglob("*.parquet")) == kept


def test_data_files_without_any_log_are_no_leftover_of_a_killed_write(lake: Lake) -> None:
    forget_outside(lake)
    for name in ("_delta_log", "_quantlake"):
        shutil.rmtree(folder(lake) / name)
    (problem,) = errors(lake)
    assert "all commits are missing" in problem.what and "`quantlake rebuild core/daily_bars`" in problem.remedy


def test_a_version_that_a_recorded_run_read_is_missed_without_any_note(lake: Lake) -> None:
    from tests.lakehouse.test_rebuild import record_run

    record_run(lake, "third", 3)
    assert lake.verify() == []
    forget_outside(lake)
    shutil.rmtree(folder(lake))
    (problem,) = errors(lake)
    assert (problem.table, problem.version) == (BARS, 3) and "run third read it" in problem.what


def delete_a_month(lake: Lake) -> None:
    DeltaTable(str(folder(lake))).delete("session < DATE '2024-02-01'")


def test_rows_that_another_tool_deleted_are_missed_and_come_back_with_its_commit_gone(lake: Lake) -> None:
    delete_a_month(lake)
    (problem,) = errors(lake)
    assert (problem.version, problem.where) == (4, str(last_commit(lake)))
    assert problem.what.startswith("another tool changed") and problem.remedy.startswith("move the commit")
    kept = {path: path.read_bytes() for path in folder(lake).rglob("*.parquet")}
    assert "may have taken rows away" in (tidied(lake).left_out or "")
    assert {path: path.read_bytes() for path in folder(lake).rglob("*.parquet")} == kept
    last_commit(lake).rename(lake.home / "moved.json")
    assert lake.verify() == [] and closes(lake) == dict.fromkeys(MONTHS, 3.0)


def test_rows_that_another_tool_deleted_are_missed_after_other_writes_and_until_they_are_written_again(
    lake: Lake,
) -> None:
    delete_a_month(lake)
    lake.replace(BARS, bars("2024-02", price=5.0), partitions=["2024-02"], batch_id="february")
    (problem,) = errors(lake)
    assert problem.version == 4 and "`quantlake rebuild core/daily_bars`" in problem.remedy
    lake.replace(BARS, bars("2024-01", price=5.0), partitions=["2024-01"], batch_id="january")
    assert lake.verify() == [] and closes(lake) == dict.fromkeys(MONTHS, 5.0)


def test_rows_that_another_tool_appended_or_rewrote_are_told(lake: Lake) -> None:
    rows = lake.scan(BARS)
    write_deltalake(str(folder(lake)), rows.slice(0, 1), mode="append")
    assert [problem.version for problem in errors(lake)] == [4]
    write_deltalake(str(folder(lake)), rows, mode="overwrite")
    assert [problem.version for problem in errors(lake)] == [5]
    DeltaTable(str(folder(lake))).alter.set_table_properties({"delta.appendOnly": "false"})
    assert [problem.version for problem in errors(lake)] == [5]  # which changed no file
    replace_two_months(lake, 3.0)
    assert lake.verify() == []


def of(snapshot: bytes, symbol: str) -> pa.Table:
    """A month of bars of a symbol that were made of an answer."""
    rows = bars("2024-01", symbols=[symbol])
    ids = pa.array([answer(snapshot).snapshot_id] * rows.num_rows)
    return rows.set_column(rows.schema.get_field_index("snapshot_id"), rows.schema.field("snapshot_id"), ids)


def test_no_write_takes_rows_away_whose_answer_the_manifest_lost(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    first, second = answer(b"first"), answer(b"second", symbol="BBB")
    lake.snapshots.put([first, second])
    both = pa.concat_tables([of(b"first", "AAA"), of(b"second", "BBB")])

    def write(rows: pa.Table) -> None:
        replace_and_tell(lake, BARS, rows, partitions=["2024-01"], batch_id=str(rows.num_rows), now=NOON)

    write(both)
    shutil.rmtree(folder(lake, MANIFEST))
    forget_outside(lake)
    lake.snapshots.put([first])
    with pytest.raises(CorruptTable, match=r"not tell any more of 1 snapshots .* of BBB: .* take 21 stored rows away"):
        write(of(b"first", "AAA"))
    assert lake.scan(BARS).equals(both)
    (problem,) = errors(lake)
    assert (problem.table, problem.where) == (MANIFEST, str(folder(lake, MANIFEST)))
    assert "lost the rows of 1 snapshots that core/daily_bars was made of" in problem.what
    lake.snapshots.put([second])
    assert errors(lake) == []
    write(of(b"first", "AAA"))  # the vendor's doing now, and told
    assert lake.scan("core/restatements")["rows_removed"].to_pylist() == [21]


def test_a_home_where_nothing_was_ever_written_is_not_called_sound(tmp_path: Path) -> None:
    (problem,) = Lake(tmp_path / "mistyped").verify()
    assert (problem.what, problem.where) == ("nothing was ever written here", str(tmp_path / "mistyped"))
    assert "QUANTLAKE_HOME" in problem.remedy
    assert json.dumps(vars(problem))
