"""Big partitions: in pieces they are the files written at once; refused, killed or on a full disk, nothing is seen."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.intraday import YEAR, day_of, days_of
from lakehouse import Lake, parquet, reading, staging
from lakehouse.errors import BadName, BadRows, LakeError, StorageFull, UnknownColumn
from lakehouse.schemas import table_schema
from lakehouse.sorting import in_key_order
from tests.lakehouse.stored import UNIVERSE, WINDOWS, members, windows
from tests.lakehouse.writers import die_at, run_to_the_end

MINUTES = "core/minute_bars"
TABLE = table_schema(MINUTES)
MONTHS = ["2024-11", "2024-12"]
DAYS = [dt.date(2024, 11, 26), dt.date(2024, 11, 27), dt.date(2024, 11, 29), dt.date(2024, 12, 2)]
ROOT = Path(__file__).resolve().parents[2]


TEXT = pa.schema(
    [
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
        for field in day_of(DAYS[0], 1).schema
    ]
)


def rows_of(*days: dt.date, seed: int = 0) -> pa.Table:
    """Minutes of four symbols on the days, in the table's order."""
    rows = pa.concat_tables([day_of(day, 4, seed=seed).cast(TEXT) for day in days or DAYS])
    return rows.sort_by([(name, "ascending") for name in ("month", "symbol", "bar_end")])


def pieces_of(rows: pa.Table, size: int) -> Iterator[pa.Table]:
    """The rows cut every so many."""
    return (rows.slice(start, size) for start in range(0, rows.num_rows, size))


def files_of(lake: Lake) -> list[str]:
    """The data files of the minutes, by path."""
    return sorted(str(file.relative_to(lake.home)) for file in lake.home.rglob("*.parquet"))


def write(lake: Lake, seed: int = 0) -> None:
    """Replace both months with minutes, in pieces."""
    rows = rows_of(seed=seed)
    lake.replace_sorted(MINUTES, pieces_of(rows, 1000), partitions=MONTHS, batch_id=f"seed {seed}")


@pytest.mark.parametrize("size", [7, 999, 2048, 2500, 100_000])
def test_rows_in_pieces_make_the_very_files_that_all_rows_at_once_make(tmp_path, size, monkeypatch):
    for module in (parquet, staging):
        monkeypatch.setattr(module, "ROW_GROUP_ROWS", 1024)
    rows = rows_of()
    pieces, whole = Lake(tmp_path / "pieces"), Lake(tmp_path / "whole")
    commit = pieces.replace_sorted(MINUTES, pieces_of(rows, size), partitions=MONTHS, batch_id="b", context={"a": 1})
    expected = whole.replace(MINUTES, rows, partitions=MONTHS, batch_id="b", context={"a": 1})
    assert commit == expected
    assert files_of(pieces) == files_of(whole) and len(files_of(whole)) == 2
    assert pieces.history(MINUTES)[0]["files"] == whole.history(MINUTES)[0]["files"]
    assert pieces.scan(MINUTES).equals(whole.scan(MINUTES))
    assert pieces.verify() == []
    (november,) = (pieces.home / "tables" / MINUTES / "month=2024-11").iterdir()
    groups = pq.ParquetFile(november).metadata
    assert {groups.row_group(number).num_rows for number in range(groups.num_row_groups - 1)} == {1024}


@pytest.mark.parametrize("size", [5003, 70_000])
def test_so_it_is_with_whole_row_groups_whose_pages_end_where_they_end(tmp_path, size):
    rows = pa.concat_tables([day_of(day, 70).cast(TEXT) for day in DAYS[:3]])
    rows = rows.sort_by([("symbol", "ascending"), ("bar_end", "ascending")])
    # Pages of texts that are all different end where chunks do.
    texts = pa.array([f"{number * 7919:064x}" for number in range(rows.num_rows)])
    rows = rows.set_column(rows.column_names.index("snapshot_id"), "snapshot_id", texts)
    assert rows.num_rows > parquet.ROW_GROUP_ROWS
    pieces, whole = Lake(tmp_path / "pieces"), Lake(tmp_path / "whole")
    pieces.replace_sorted(MINUTES, pieces_of(rows, size), partitions="2024-11", batch_id="b")
    whole.replace(MINUTES, rows, partitions="2024-11", batch_id="b")
    assert files_of(pieces) == files_of(whole)


def test_a_damaged_file_is_replaced_by_writing_it_again(tmp_path):
    lake = Lake(tmp_path)
    write(lake)
    (path,) = (lake.home / "tables" / MINUTES / "month=2024-11").iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(lake.verify()) == 1
    write(lake)
    assert lake.verify() == [] and lake.version(MINUTES) == 1


def test_the_statistics_of_a_file_are_the_same_in_pieces_and_at_once(tmp_path, monkeypatch):
    for module in (parquet, staging):
        monkeypatch.setattr(module, "ROW_GROUP_ROWS", 256)
    for name in ("pieces", "whole"):
        lake = Lake(tmp_path / name)
        if name == "pieces":
            write(lake)
        else:
            lake.replace(MINUTES, rows_of(), partitions=MONTHS, batch_id="seed 0")
    logs = [
        [
            json.loads(line)["add"]["stats"]
            for line in next((tmp_path / name).rglob(f"{1:020d}.json")).read_text().splitlines()
            if '"add"' in line[:8]
        ]
        for name in ("pieces", "whole")
    ]
    assert logs[0] == logs[1]
    assert [json.loads(logs[0][0])[end] for end in ("minValues", "maxValues")] == [
        {"symbol": "S0000"},
        {"symbol": "S0003"},
    ]


def test_the_same_rows_again_write_nothing_and_none_empty_the_partition(tmp_path):
    lake = Lake(tmp_path)
    write(lake)
    again = lake.replace_sorted(MINUTES, pieces_of(rows_of(), 5), partitions=MONTHS, batch_id="other")
    assert not again.was_new and again.version == lake.version(MINUTES) == 1
    only = lake.replace_sorted(MINUTES, [rows_of(*DAYS[:3])], partitions=MONTHS, batch_id="no december")
    assert only.was_new and set(lake.scan(MINUTES).column("month").to_pylist()) == {"2024-11"}
    assert lake.replace_sorted(MINUTES, [], partitions=MONTHS, batch_id="none").n_rows == 0
    assert lake.scan(MINUTES).num_rows == 0 and lake.scan(MINUTES, version=1).num_rows == rows_of().num_rows
    assert lake.verify() == []


def test_an_unpartitioned_table_takes_pieces_too(tmp_path):
    lake = Lake(tmp_path)
    lake.replace_sorted(UNIVERSE, [members("A"), members("B", "C")], batch_id="b")
    assert lake.scan(UNIVERSE).column("symbol").to_pylist() == ["A", "B", "C"]
    assert lake.verify() == []


def changed(rows: pa.Table, name: str, value: object) -> pa.Table:
    """The rows with one value of a column throughout."""
    column = pa.array([value] * rows.num_rows)
    return rows.set_column(rows.column_names.index(name), name, column)


REFUSED = {
    "out of order": (lambda rows: [rows.slice(500), rows.slice(0, 500)], BadRows, "does not come after the row before"),
    "a month back": (lambda rows: [rows.slice(rows.num_rows - 9), rows], BadRows, "does not come after the row before"),
    "a key twice": (lambda rows: [rows, rows.slice(rows.num_rows - 1)], BadRows, "does not come after the row before"),
    "a key twice in a piece": (
        lambda rows: [pa.concat_tables([rows, rows.slice(0, 1)])],
        BadRows,
        "occurs more than once",
    ),
    "another month": (
        lambda rows: [rows, changed(rows, "month", "2025-01")],
        BadRows,
        "month is not the month of bar_end",
    ),
    "a null": (
        lambda rows: [rows.slice(0, 9), changed(rows.slice(9), "close", None)],
        BadRows,
        "close must not be null",
    ),
    "a text": (lambda rows: [rows.slice(0, 9), changed(rows.slice(9), "close", "1")], BadRows, "close is double"),
    "a column less": (lambda rows: [rows, rows.drop_columns(["low"])], UnknownColumn, "needs the column.* low"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("is_first", [True, False])
def test_bad_pieces_are_refused_and_leave_nothing_behind(tmp_path, what, is_first):
    lake = Lake(tmp_path / "lake")
    if not is_first:
        write(lake, seed=1)
    held, files = lake.scan(MINUTES), sorted((tmp_path).rglob("*"))
    make, kind, text = REFUSED[what]
    with pytest.raises(kind, match=text):
        lake.replace_sorted(MINUTES, make(rows_of()), partitions=MONTHS, batch_id="b")
    assert lake.scan(MINUTES).equals(held)
    assert lake.exists(MINUTES) is not is_first
    assert [file for file in sorted(tmp_path.rglob("*")) if file.is_file()] == [
        file for file in files if file.is_file()
    ]
    assert [problem.what for problem in lake.verify()] == (["nothing was ever written here"] if is_first else [])


def test_partitions_are_named_and_rows_outside_them_refused(tmp_path):
    lake = Lake(tmp_path)
    with pytest.raises(BadRows, match="lies outside the partitions written"):
        lake.replace_sorted(MINUTES, [rows_of()], partitions="2024-11", batch_id="b")
    with pytest.raises(LakeError, match="name the partitions to replace"):
        lake.replace_sorted(MINUTES, [rows_of()], batch_id="b")
    with pytest.raises(BadName):
        lake.replace_sorted(MINUTES, [rows_of()], partitions="../x", batch_id="b")
    assert list(tmp_path.rglob("*.parquet")) == [] and not lake.exists(MINUTES)


def test_a_source_that_fails_on_the_way_changes_nothing(tmp_path):
    def failing() -> Iterator[pa.Table]:
        yield rows_of().slice(0, 2000)
        raise ConnectionError("the vendor hung up")

    lake = Lake(tmp_path)
    write(lake)
    held = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConnectionError):
        lake.replace_sorted(MINUTES, failing(), partitions=MONTHS, batch_id="b")
    assert sorted(tmp_path.rglob("*")) == held


def test_a_slow_source_keeps_no_other_writer_waiting(tmp_path):
    lake, other = Lake(tmp_path), Lake(tmp_path, lock_timeout=0)

    def slow() -> Iterator[pa.Table]:
        yield rows_of().slice(0, 3000)
        other.replace(MINUTES, rows_of(dt.date(2024, 10, 31)), partitions="2024-10", batch_id="other")
        yield rows_of().slice(3000)

    lake.replace_sorted(MINUTES, slow(), partitions=MONTHS, batch_id="b")
    assert lake.scan(MINUTES).num_rows == rows_of().num_rows + 4 * 390
    assert lake.verify() == []


def test_memory_holds_pieces_not_partitions(tmp_path, monkeypatch):
    for module in (parquet, staging):
        monkeypatch.setattr(module, "ROW_GROUP_ROWS", 500)
    lake, rows = Lake(tmp_path), rows_of()
    held = []

    def watched() -> Iterator[pa.Table]:
        for start in range(0, rows.num_rows, 250):
            held.append(pa.total_allocated_bytes())
            # A copy, so that a piece that was kept would count.
            yield pa.table(rows.slice(start, 250).to_pydict(), schema=TEXT)

    lake.replace_sorted(MINUTES, watched(), partitions=MONTHS, batch_id="b")
    assert len(held) > 15
    assert max(held[3:]) - min(held[3:]) < 1_000 * 200


STEPS = [("staged", 1), ("staged", 2), ("locked", 1), ("table_created", 1), ("file_linked", 1), ("file_linked", 2)]
STEPS += [("files_stored", 1), ("committed", 1), ("synced", 1)]


@pytest.mark.parametrize(("step", "occurrence"), STEPS)
def test_killed_at_any_step_a_table_is_as_before_or_after_and_the_same_call_finishes(tmp_path, step, occurrence):
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    assert run_to_the_end(die_at, lake.home, write, (), step, occurrence) == -9
    n_rows = rows_of().num_rows
    assert lake.scan(MINUTES).num_rows == (n_rows if step in ("committed", "synced") else 0)
    assert [problem for problem in lake.verify() if problem.severity == "error"] == []
    write(lake)
    undisturbed = Lake(tmp_path / "undisturbed")
    write(undisturbed)
    assert lake.scan(MINUTES).equals(undisturbed.scan(MINUTES))
    assert lake.version(MINUTES) == 1 and [p for p in lake.verify() if p.severity == "error"] == []


def compact_two_months(lake: Lake) -> None:
    """Make one file of each month."""
    lake.compact(MINUTES, partitions=MONTHS)


def appended(home: Path) -> Lake:
    """A lake with a commit and a file for each day, the later ones first."""
    lake = Lake(home, lock_timeout=1)
    for day in reversed(DAYS):
        lake.append_once(MINUTES, day_of(day, 4), batch_id=f"{day}")
    return lake


@pytest.mark.parametrize("step", ["locked", "staged", "file_linked", "files_stored", "committed", "synced"])
def test_compaction_killed_at_any_step_loses_no_row(tmp_path, step):
    lake = appended(tmp_path)
    held = lake.scan(MINUTES)
    assert run_to_the_end(die_at, lake.home, compact_two_months, (), step, 1) == -9
    assert lake.scan(MINUTES).equals(held)
    compact_two_months(lake)
    assert lake.scan(MINUTES).equals(held)
    assert [problem for problem in lake.verify() if problem.severity == "error"] == []


@pytest.mark.parametrize("piece_rows", [1, 900, 10_000])
def test_compaction_makes_the_very_file_that_all_rows_at_once_make(tmp_path, piece_rows, monkeypatch):
    monkeypatch.setattr(reading, "_PIECE_ROWS", piece_rows)
    lake, whole = appended(tmp_path / "lake"), Lake(tmp_path / "whole")
    whole.replace(MINUTES, rows_of(), partitions=MONTHS, batch_id="b")
    scattered = lake.scan(MINUTES)
    assert lake.version(MINUTES) == 4
    commit = lake.compact(MINUTES, partitions=MONTHS)
    assert commit.was_new and commit.version == 5 and commit.n_rows == len(DAYS[:3]) * 4 * 330
    assert lake.scan(MINUTES).equals(scattered) and scattered.equals(whole.scan(MINUTES))
    assert lake.scan(MINUTES, version=4).equals(scattered)
    live = {file.path for file in reading.files_at(lake.home / "tables" / MINUTES, TABLE, None)}
    assert live == {file.path for file in reading.files_at(whole.home / "tables" / MINUTES, TABLE, None)}
    again = lake.compact(MINUTES, partitions=MONTHS)
    assert not again.was_new and lake.version(MINUTES) == 5
    assert lake.verify() == []


def test_compaction_of_one_month_leaves_the_others_alone(tmp_path):
    lake = appended(tmp_path)
    lake.append_once(MINUTES, day_of(dt.date(2024, 12, 3), 4), batch_id="more")
    lake.compact(MINUTES, partitions="2024-12")
    partitions = [file.partition for file in reading.files_at(lake.home / "tables" / MINUTES, TABLE, None)]
    assert partitions == ["2024-11"] * 3 + ["2024-12"]
    with pytest.raises(LakeError, match="name the partitions"):
        lake.compact(MINUTES)


def test_an_appended_batch_is_compared_with_its_own_months_only(tmp_path):
    lake = appended(tmp_path)
    with pytest.raises(BadRows, match="the key .* is in the table already"):
        lake.append_once(MINUTES, day_of(DAYS[0], 4, seed=5), batch_id="the day again")
    for file in (lake.home / "tables" / MINUTES / "month=2024-12").iterdir():
        file.unlink()
    assert lake.append_once(MINUTES, day_of(dt.date(2024, 11, 25), 4), batch_id="before").was_new


@pytest.mark.parametrize("row", [0, 17, -1])
def test_a_single_row_that_is_there_already_is_found(tmp_path, row):
    lake = appended(tmp_path)
    day = day_of(DAYS[1], 4)
    with pytest.raises(BadRows, match=r"1 row\(s\): the key .* is in the table already"):
        lake.append_once(MINUTES, day.slice(row % day.num_rows, 1), batch_id="a row again")


@pytest.mark.parametrize(
    ("month", "day", "place"), [("2024-12", 2, -1), ("2024-12", 0, 0), ("2024-11", 3, 0), ("2024-10", 0, 0)]
)
def test_one_row_in_the_wrong_month_is_found(tmp_path, month, day, place):
    rows = rows_of()
    own = np.flatnonzero(np.asarray(rows["bar_end"]).astype("datetime64[D]") == np.datetime64(DAYS[day]))[place]
    months = rows["month"].to_pylist()
    months[own] = month
    wrong = rows.set_column(rows.column_names.index("month"), "month", pa.array(months))
    with pytest.raises(BadRows, match=r"1 row\(s\): month is not the month of bar_end"):
        Lake(tmp_path).replace(MINUTES, wrong, partitions=["2024-10", *MONTHS], batch_id="b")


def test_a_key_is_unique_over_partitions_that_it_does_not_decide(tmp_path):
    lake = Lake(tmp_path)
    both = pa.concat_tables([windows("r1", spec="a"), windows("r1", spec="b")])
    with pytest.raises(BadRows, match="occurs more than once"):
        lake.replace(WINDOWS, both, partitions=["a", "b"], batch_id="b")
    lake.append_once(WINDOWS, windows("r1", spec="a"), batch_id="a")
    with pytest.raises(BadRows, match="is in the table already"):
        lake.append_once(WINDOWS, windows("r1", spec="b"), batch_id="b")


class FullDisk(staging._HashingSink):
    """A file on a disk without room."""

    def __init__(self, _: Path) -> None:
        super().__init__(Path("/dev/full"))


class NoFile(staging._HashingSink):
    """A disk without room for another file."""

    def __init__(self, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("sink", [FullDisk, NoFile])
@pytest.mark.parametrize("n_rows", [1, 5000])
def test_a_full_disk_says_so_and_changes_nothing(tmp_path, sink, n_rows, monkeypatch):
    monkeypatch.setattr(staging, "ROW_GROUP_ROWS", 1024)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "_HashingSink", sink)
        with pytest.raises(StorageFull, match=r"disk full: [\d,]+ bytes needed, [\d,]+ free at .*; free some room"):
            lake = Lake(tmp_path)
            lake.replace_sorted(MINUTES, pieces_of(rows_of().slice(0, n_rows), 700), partitions=MONTHS, batch_id="b")
    assert not Lake(tmp_path).exists(MINUTES) and [file for file in tmp_path.rglob("*") if file.is_file()] == []
    write(Lake(tmp_path))


def test_rows_in_any_order_are_brought_into_the_tables(tmp_path):
    rows = rows_of()
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(rows.num_rows)))
    words = pa.table(
        [c.dictionary_encode() if c.type == pa.string() else c for c in shuffled.columns], rows.column_names
    )
    chunks = [shuffled.slice(0, 100), words.slice(100, 2000), words.slice(0, 0), shuffled.slice(2100)]
    found = pa.concat_tables([piece.cast(TABLE.schema) for piece in in_key_order(MINUTES, iter(chunks))])
    assert found.equals(rows.select(found.column_names).cast(TABLE.schema))
    assert list(in_key_order(MINUTES, [])) == []
    assert sum(piece.num_rows for piece in in_key_order(MINUTES, [rows.slice(0, 0)])) == 0
    unsorted = [members("b", "a"), members("C")]
    assert [piece.column("symbol").to_pylist() for piece in in_key_order(UNIVERSE, unsorted)] == [["C", "a", "b"]]
    with pytest.raises(UnknownColumn, match="needs the column"):
        list(in_key_order(MINUTES, [rows.drop_columns(["close"])]))


def run_benchmark(home: Path, part: str, n_symbols: int, n_months: int) -> dict[str, float]:
    """One part of the benchmark in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.intraday", "--home", str(home), "--run", part]
    command += ["--symbols", str(n_symbols), "--months", str(n_months)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_small_year_is_ingested_with_little_memory_and_read_back(tmp_path):
    home = tmp_path / "lake"
    figures = run_benchmark(home, "ingest", 30, 2)
    lake = Lake(home)
    assert figures["files"] == 2 and figures["peak MiB"] < 500
    assert figures["rows"] == lake.scan(MINUTES, columns=["close"]).num_rows == 30 * 390 * (21 + 20)
    expected = pa.concat_tables([day.cast(TEXT) for day in days_of(f"{YEAR}-02", 30)])
    expected = expected.sort_by([("symbol", "ascending"), ("bar_end", "ascending")])
    found = lake.scan(MINUTES, where=[("month", "=", f"{YEAR}-02")])
    assert found.equals(expected.select(found.column_names).cast(found.schema))
    assert lake.verify() == []


@pytest.mark.slow
def test_two_months_of_500_symbols_stay_within_the_limits(tmp_path):
    home = tmp_path / "lake"
    figures = run_benchmark(home, "ingest", 500, 2)
    assert figures["rows"] == 500 * 390 * 41
    assert figures["peak MiB"] < 2048
    read = run_benchmark(home, "read", 500, 2)
    assert read["symbol month ms (best)"] < 50.0
    compacted = run_benchmark(home, "append_and_compact", 500, 1)
    assert compacted["rows"] == 500 * 390 * 21
    assert compacted["peak MiB"] < 2048
