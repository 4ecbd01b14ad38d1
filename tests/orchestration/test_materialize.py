"""The data part of the graph on real Dagster instances."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from lakehouse.lake import Lake
from orchestration.materialize import MaterializeError
from tests.homes import DATA, REPOSITORY, Home

MONTHS = ("2004-07", "2004-08", "2004-09")
TABLES = ("core/daily_bars", "core/corporate_actions", "features/daily")


def content(lake: Lake) -> dict[str, pa.Table]:
    return {table: lake.scan(table) for table in (*TABLES, "core/universe")}


@pytest.mark.slow
def test_one_month_at_a_time_gives_the_same_tables_as_a_range(home: Home, tmp_path: Path) -> None:
    from tests.homes import open_home

    home.materialize(*DATA, partition_range=(MONTHS[0], MONTHS[-1]))
    for other in open_home(tmp_path / "other"):
        for month in MONTHS:
            other.materialize(*DATA, partition=month)
        # Universes look at all bars: the last month's run has seen them all, as the range's has.
        assert content(other.lake) == content(home.lake)
    assert home.lake.scan("core/daily_bars").num_rows > 200


def test_the_events_carry_rows_versions_times_and_a_picture(home: Home) -> None:
    home.materialize(*DATA, partition_range=(MONTHS[0], MONTHS[-1]))
    key = dg.AssetKey(["core", "daily_bars"])
    assert home.instance.get_materialized_partitions(key) == set(MONTHS)
    event = home.instance.get_latest_materialization_event(key)
    assert event is not None and event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["rows"].value == home.lake.scan("core/daily_bars").num_rows
    assert metadata["first"].value == "2004-07-01"
    assert metadata["last"].value == "2004-09-30"
    assert "data:image/svg+xml;base64," in metadata["picture"].value
    assert len(metadata["picture"].value) < 20_000
    assert event.asset_materialization.tags["dagster/data_version"] == "delta:1"
    assert metadata["dagster/partition_row_count"].value == sum(
        session.strftime("%Y-%m") == event.asset_materialization.partition
        for session in home.lake.scan("core/daily_bars").column("session").to_pylist()
    )


def test_every_check_ran_and_the_blocking_ones_passed(home: Home) -> None:
    result = home.materialize(*DATA, partition_range=(MONTHS[0], MONTHS[-1]))
    outcomes = {
        (item.asset_key.to_user_string(), item.check_name): item for item in result.get_asset_check_evaluations()
    }
    assert {name for table, name in outcomes if table == "core/daily_bars"} == {
        "schema",
        "keys_unique",
        "positive_prices",
        "ohlc_order",
        "sessions_on_calendar",
        "calendar_gaps",
        "unexplained_jumps",
        "one_source_a_symbol",
        "stale_symbols",
        "quarantined_rows",
    }
    assert ("core/corporate_actions", "sources_agree") in outcomes
    assert all(item.passed for item in outcomes.values() if item.blocking)
    assert {table for table, name in outcomes if name == "schema"} == {*TABLES, "core/universe"}


@pytest.mark.slow
def test_a_month_materialized_again_changes_nothing(home: Home) -> None:
    home.materialize(*DATA, partition="2004-08")
    before = home.lake.pins(TABLES)
    home.materialize(*DATA, partition="2004-08")
    assert home.lake.pins(TABLES) == before


def test_a_month_without_data_is_empty_and_says_so(home: Home) -> None:
    home.materialize(*DATA, partition_range=("2013-02", "2013-05"))
    months = set(home.lake.scan("core/daily_bars").column("month").to_pylist())
    assert months == {"2013-02", "2013-03"}
    counts = {
        event.asset_materialization.partition: event.asset_materialization.metadata["dagster/partition_row_count"].value
        for event in (
            record.event_log_entry
            for record in home.instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=dg.AssetKey(["core", "daily_bars"])), limit=10
            ).records
        )
        if event.asset_materialization is not None
    }
    assert counts["2013-05"] == 0 and counts["2013-02"] == 19 * 5


def test_a_damaged_snapshot_fails_the_run_and_leaves_the_tables(home: Home) -> None:
    home.materialize(*DATA, partition="2004-08")
    before = home.lake.pins(TABLES)
    file = next(path for path in (home.path / "snapshots").rglob("*") if path.is_file())
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(MaterializeError, match="sha256|hash"):
        home.materialize("core/daily_bars", "core/corporate_actions", partition="2004-09")
    assert home.lake.pins(TABLES) == before


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_then_a_second_one_end_like_an_undisturbed_one(home: Home, tmp_path: Path, seed: int) -> None:
    killed = tmp_path / "killed"
    code = (
        "from orchestration.demo import DATA; from orchestration.instance import open_instance\n"
        "from orchestration.materialize import materialize; from assets.settings import settings\n"
        "import orchestration.definitions\n"
        "print('ready', flush=True)\n"
        "with open_instance(settings().home) as instance:\n"
        f"    materialize(instance, DATA, partition_range=({MONTHS[0]!r}, {MONTHS[-1]!r}))\n"
    )
    env = {**os.environ, "QUANTLAKE_HOME": str(killed), "PYTHONPATH": str(REPOSITORY)}
    child = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.3, 2.5))
    child.send_signal(signal.SIGKILL)
    child.wait()
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)
    home.materialize(*DATA, partition_range=(MONTHS[0], MONTHS[-1]))
    assert content(Lake(killed)) == content(home.lake)
    assert [problem for problem in Lake(killed).verify() if problem.severity == "error"] == []


@pytest.mark.slow
def test_dg_launch_gives_the_same_table_for_one_partition_and_a_range(home: Home, tmp_path: Path) -> None:
    launched = tmp_path / "launched"
    env = {
        **os.environ,
        "QUANTLAKE_HOME": str(launched),
        "DAGSTER_HOME": str(launched / "dagster"),
        "PYTHONPATH": str(REPOSITORY),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    from orchestration.instance import INSTANCE_SETTINGS

    (launched / "dagster").mkdir(parents=True)
    (launched / "dagster" / "dagster.yaml").write_text(INSTANCE_SETTINGS, encoding="utf-8")
    selection = ",".join(DATA)
    for choice in (["--partition", MONTHS[0]], ["--partition-range", f"{MONTHS[1]}...{MONTHS[2]}"]):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "dg"), "launch", "--assets", selection, *choice],
            env=env,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    home.materialize(*DATA, partition_range=(MONTHS[0], MONTHS[-1]))
    assert content(Lake(launched)) == content(home.lake)
