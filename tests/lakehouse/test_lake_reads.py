"""Reads: versions, columns, conditions, and tables that are not there yet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

import lakehouse
from lakehouse import NEVER_WRITTEN, TABLES, Column, Lake
from lakehouse.errors import LakeError, UnknownColumn, UnknownTable
from lakehouse.schemas import LAYERS
from tests.lakehouse.stored import BARS, NOON, UNIVERSE, WINDOWS, bars, closes, members, windows


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.replace(BARS, bars(["2024-01", "2024-02"]), partitions=["2024-01", "2024-02"], batch_id="a")
    lake.replace(BARS, bars("2024-02", price=20.0), partitions=["2024-02"], batch_id="b")
    for run in ("r2", "r1"):
        lake.append_once(WINDOWS, windows(run), batch_id=run)
    return lake


def test_a_condition_and_columns_select_rows(lake: Lake) -> None:
    rows = lake.scan(
        BARS,
        columns=["close", "symbol"],
        where=[("month", "=", "2024-02"), ("session", ">=", dt.date(2024, 2, 28)), ("symbol", "in", ["BBB"])],
    )
    assert rows.column_names == ["close", "symbol"]
    assert rows.to_pylist() == [{"close": 20.0, "symbol": "BBB"}] * 2


def test_conditions_on_times_are_exact(lake: Lake) -> None:
    last = dt.datetime(2024, 2, 29, 21, tzinfo=dt.UTC)
    assert lake.scan(BARS, where=[("bar_end", ">=", last)]).num_rows == 2
    assert lake.scan(BARS, where=[("bar_end", ">", last)]).num_rows == 0
    assert lake.scan(WINDOWS, where=[("train_start", "=", NOON)]).num_rows == 4


def test_rows_of_several_files_of_a_partition_come_in_key_order(lake: Lake) -> None:
    rows = lake.scan(WINDOWS, columns=["test_window", "run_id"])
    assert rows["run_id"].to_pylist() == ["r1", "r1", "r2", "r2"]
    assert rows.column_names == ["test_window", "run_id"]


def test_a_run_is_found_without_opening_the_files_of_others(lake: Lake) -> None:
    folder = lake.home / "tables" / WINDOWS / "spec=trend"
    (first,) = [e["files"] for e in lake.history(WINDOWS) if e["batch_id"] == "r2"]
    (path,) = (lake.home / "tables" / WINDOWS / name for name in first)
    hidden = path.rename(folder / "hidden")
    try:
        assert lake.scan(WINDOWS, where=[("run_id", "=", "r1")]).num_rows == 2
        with pytest.raises(LakeError, match="cannot be read"):
            lake.scan(WINDOWS, where=[("run_id", "=", "r2")])
    finally:
        hidden.rename(path)


def test_a_version_is_read_as_it_was(lake: Lake) -> None:
    pins = lake.pins([BARS, UNIVERSE])
    assert pins == {BARS: 2, UNIVERSE: NEVER_WRITTEN}
    assert closes(lake, version=1) == {"2024-01": 10.0, "2024-02": 10.0}
    assert closes(lake, version=pins[BARS]) == {"2024-01": 10.0, "2024-02": 20.0}
    with pytest.raises(UnknownTable, match="has versions 0 to 2, asked for 3"):
        lake.scan(BARS, version=3)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_never_written_has_its_columns_and_no_rows(tmp_path: Path, table: str) -> None:
    empty = Lake(tmp_path / "none")
    assert empty.scan(table).schema == TABLES[table].schema
    assert empty.scan(table, version=NEVER_WRITTEN).num_rows == 0
    assert (empty.exists(table), empty.version(table)) == (False, None)
    assert not empty.home.exists()


def test_a_pin_of_never_written_stays_empty_after_the_first_write(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    pins = lake.pins([UNIVERSE])
    lake.replace(UNIVERSE, members("AAA"), batch_id="a")
    assert lake.scan(UNIVERSE, version=pins[UNIVERSE]).num_rows == 0
    assert lake.sql("SELECT count(*) AS n FROM core.universe", pins=pins)["n"].to_pylist() == [0]
    assert lake.sql("SELECT count(*) AS n FROM core.universe")["n"].to_pylist() == [1]


def test_misspelt_names_get_the_nearest(lake: Lake) -> None:
    with pytest.raises(UnknownColumn, match="'clsoe'; did you mean 'close'"):
        lake.scan(BARS, columns=["clsoe"])
    with pytest.raises(UnknownColumn, match="'simbol'; did you mean 'symbol'"):
        lake.scan(BARS, where=[("simbol", "=", "AAA")])
    with pytest.raises(UnknownTable, match="did you mean 'features/daily'"):
        lake.scan("feature/daily")
    with pytest.raises(LakeError, match="unknown operator '~'"):
        lake.scan(BARS, where=[("symbol", "~", "A")])
    with pytest.raises(LakeError, match="cannot be read with that condition"):
        lake.scan(BARS, where=[("session", ">", "yesterday")])


def test_a_column_declared_later_reads_as_null_and_is_added_by_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    lake.replace(UNIVERSE, members("AAA"), batch_id="a")
    old = TABLES[UNIVERSE]
    newer = dataclasses.replace(old, columns=(*old.columns, Column("weight", "float64", "weight", nullable=True)))
    monkeypatch.setitem(TABLES, UNIVERSE, newer)
    assert lake.scan(UNIVERSE)["weight"].to_pylist() == [None]
    rows = members("BBB").drop_columns(["weight"]).append_column("weight", [[0.5]])
    lake.replace(UNIVERSE, rows, batch_id="b")
    assert lake.scan(UNIVERSE, columns=["symbol", "weight"]).to_pylist() == [{"symbol": "BBB", "weight": 0.5}]
    assert lake.scan(UNIVERSE, version=1)["weight"].to_pylist() == [None]
    assert lake.sql("SELECT weight FROM core.universe", pins={UNIVERSE: 1})["weight"].to_pylist() == [None]
    assert lake.verify() == []
    monkeypatch.setitem(TABLES, UNIVERSE, old)
    with pytest.raises(LakeError, match="other columns"):
        lake.replace(UNIVERSE, members("CCC"), batch_id="c")


def test_every_declared_table_is_well_formed() -> None:
    for name, table in TABLES.items():
        assert table.name == name
        assert name.partition("/")[0] in LAYERS
        assert len(set(table.column_names)) == len(table.columns)
        assert set(table.key) <= set(table.column_names)
        assert not any(table.column(key).nullable for key in table.key)
        assert table.partition_by is None or table.column(table.partition_by).type == "string"
        assert table.month_of is None or table.column(table.month_of).type in ("date", "timestamp")
        assert all(column.description for column in table.columns)
        if name.startswith("research/"):
            assert (table.column_names[0], table.partition_by) == ("run_id", "spec")


def test_public_names_are_sorted_and_exist() -> None:
    assert lakehouse.__all__ == sorted(lakehouse.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(lakehouse, name) for name in lakehouse.__all__)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, lakehouse, lakehouse.calendar, lakehouse.snapshots; lakehouse.Lake('x');"
        "print([m for m in ('pyarrow', 'deltalake', 'duckdb', 'pandas', 'numpy', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
