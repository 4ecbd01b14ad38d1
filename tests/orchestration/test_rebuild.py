"""`quantlake rebuild` and `quantlake restatements` on real homes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.lake import Lake
from tests.homes import Home, as_json, open_home
from tests.orchestration.command_line import Command

TABLES = ("core/daily_bars", "core/corporate_actions", "core/universe", "features/daily")


def content(lake: Lake) -> dict[str, pa.Table]:
    return {table: lake.scan(table) for table in TABLES}


def current_files(lake: Lake, table: str, month: str) -> list[Path]:
    return [lake.home / "tables" / table / f"month={month}" / name for name in lake.contents(table)[month]]


@pytest.fixture
def filled(sample_folder: Path, tmp_path: Path) -> Iterator[Home]:
    """A home with the sample's tables, as the graph fills them."""
    shutil.copytree(sample_folder, tmp_path / "home")
    yield from open_home(tmp_path / "home")


def test_every_table_of_a_sound_home_is_the_same(filled: Home, command: Command) -> None:
    for table in TABLES:
        done = as_json(command("rebuild", table, "--check", "--json"))
        assert done["is_sound"] and done["runs_lost"] == []
        assert {outcome["state"] for outcome in done["partitions"]} == {"same"}
        if table == "core/daily_bars":
            assert len(done["partitions"]) == 157


def test_damaged_files_of_all_tables_are_made_anew_from_the_snapshots(filled: Home, command: Command) -> None:
    lake, undisturbed = filled.lake, content(filled.lake)
    for table in ("core/daily_bars", "features/daily"):
        (file,) = current_files(lake, table, "2004-03")
        file.write_bytes(file.read_bytes()[:100])
    checked = command("rebuild", "core/daily_bars", "--where", "month=2004-01..2004-04", "--check", expect=1).stdout
    assert "damaged" in checked and "3 same" in checked and "nothing was changed" in checked
    for table in ("core/daily_bars", "features/daily"):
        done = command("rebuild", table, "--where", "month=2004-03").stdout
        assert "1 damaged" in done and f"{table.partition('/')[2]}.damaged-" in done
    assert content(lake) == undisturbed
    assert [problem for problem in lake.verify() if problem.severity == "error"] == []


def test_a_home_without_tables_is_made_of_its_snapshots_alone(filled: Home, command: Command) -> None:
    lake, undisturbed = filled.lake, content(filled.lake)
    manifest = filled.path / "tables" / "raw"
    shutil.move(manifest, filled.path / "kept")
    shutil.rmtree(filled.path / "tables")
    shutil.copytree(filled.path / "kept", manifest)
    shutil.rmtree(filled.path / "kept")
    for table in TABLES:
        command("rebuild", table)
    assert content(lake) == undisturbed


def test_a_damaged_snapshot_stops_the_rebuild_and_leaves_the_table(filled: Home, command: Command) -> None:
    (file,) = (path for path in (filled.path / "snapshots").rglob("*") if path.is_file())
    file.write_bytes(b"x")
    before = filled.lake.pins(TABLES)
    assert "its bytes do not have its hash" in command("rebuild", "core/daily_bars", expect=2).stderr
    assert filled.lake.pins(TABLES) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["core/daily_bar"], "did you mean 'core/daily_bars'"),
        (["research/runs"], "`quantlake reproduce RUN`"),
        (["raw/snapshots"], "fetch the same requests again"),
        (["core/minute_bars"], "none of the sources in force (sample, files) fills it"),
        (["core/universe", "--where", "month=2004-03"], "core/universe is not partitioned"),
        (["core/daily_bars", "--where", "mnth=2004-03"], "is partitioned by month, was asked for 'mnth'"),
        (["core/daily_bars", "--where", "month=2004-13"], "a month is written like '2000-03'"),
        (["core/daily_bars", "--where", "month=2004-03..2003-01"], "runs backwards"),
        (["core/daily_bars", "--where", "2004-03"], "--where takes COLUMN=VALUE"),
    ],
)
def test_what_cannot_be_rebuilt_is_one_line_that_says_what_to_do(
    arguments: list[str], said: str, command: Command, tmp_path: Path
) -> None:
    assert said in command("rebuild", *arguments, expect=2).stderr.replace("\n", " ")
    assert not (tmp_path / "home" / "tables").exists()


def test_a_damaged_log_costs_the_runs_on_its_versions_and_no_others(filled: Home, command: Command) -> None:
    lake, undisturbed = filled.lake, content(filled.lake)
    first = as_json(command("backtest", "equal_weight", "--json"))["run_id"]
    rows = lake.scan("core/daily_bars", where=[("month", "=", "2013-02")])
    lake.replace("core/daily_bars", rows.slice(0, 5), partitions=["2013-02"], batch_id="less")
    second = as_json(command("backtest", "equal_weight", "--json"))["run_id"]
    assert first != second
    (filled.path / "tables/core/daily_bars/_delta_log/00000000000000000002.json").write_bytes(b"")
    assert "`quantlake rebuild core/daily_bars`" in command("backtest", "equal_weight", expect=2).stderr
    done = as_json(command("rebuild", "core/daily_bars", "--json"))
    assert [run["run_id"] for run in done["runs_lost"]] == [second]
    assert content(lake) == undisturbed
    assert as_json(command("reproduce", first, "--json"))["is_equal"]
    assert "version 2 of core/daily_bars was lost" in command("reproduce", second, expect=2).stderr
    assert json.loads(command("verify", "--json").stdout) == []
