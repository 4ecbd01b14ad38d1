"""Upkeep from the command line and as an asset, the weekly schedules, and a run that replays afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from assets.research.reproduce import reproduce
from assets.research.workflow import Bench
from assets.resources import VendorsResource
from assets.settings import Settings
from assets.tracking import Tracking
from lakehouse.lake import Lake
from orchestration.definitions import definitions_for
from orchestration.jobs import SPEC_TAG
from strategies.spec import load_spec
from tests.homes import Home
from tests.lakehouse.stored import BARS, MONTHS, bars, closes
from tests.orchestration.command_line import Command

SATURDAY = datetime(2026, 11, 21, 6, tzinfo=ZoneInfo("America/New_York"))


class LaterVendors(VendorsResource):
    """Vendors whose clock is forty days ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=40)


def later(home: Home) -> dg.Definitions:
    """The graph of a home, forty days ahead."""
    vendors = LaterVendors(sources=["sample"], symbols=[], exchange="XNYS")
    return definitions_for(Settings(home=home.path), {"vendors": vendors})


def write_prices(lake: Lake, *prices: float) -> None:
    for price in prices:
        lake.replace(BARS, bars(MONTHS, price=price), partitions=MONTHS, batch_id=f"{price}")


def restate(lake: Lake, factor: float) -> None:
    """Write one month of the sample again, with other highs."""
    rows = lake.scan(BARS, where=[("month", "=", "2008-10")])
    place = rows.column_names.index("high")
    dearer = rows.set_column(place, rows.schema.field("high"), pa.compute.multiply(rows.column("high"), factor))
    lake.replace(BARS, dearer, partitions=["2008-10"], batch_id=f"restated by {factor}")


@pytest.mark.slow
def test_a_run_replays_to_the_same_hash_after_upkeep(sample_home: Home) -> None:
    lake, tracking = sample_home.lake, Tracking(sample_home.path)
    restate(lake, 1.01)
    recorded = Bench(lake, tracking, datetime.now(UTC)).backtest(load_spec("equal_weight"))
    for factor in (1.02, 1.03, 1.04):
        restate(lake, factor)
    before = {table: lake.scan(table, version=version) for table, version in recorded.pins.items()}
    report = {
        entry.table: entry for entry in lake.upkeep(now=datetime.now(UTC) + timedelta(days=40), keep=timedelta(days=30))
    }
    pinned = recorded.pins[BARS]
    assert report[BARS].pinned == {pinned: 1}
    assert set(report[BARS].let_go) == {pinned - 1, pinned + 1, pinned + 2} and report[BARS].freed_bytes > 0
    assert {table: lake.scan(table, version=version) for table, version in recorded.pins.items()} == before
    outcome = reproduce(lake, recorded.run_id)
    assert outcome.is_equal and outcome.replayed_hash == recorded.hash
    assert lake.verify() == []


def test_the_command_shows_what_goes_and_leaves_a_lake_that_verifies(command: Command, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "home")
    write_prices(lake, 1.0, 2.0)
    leftover = lake.home / "tables" / BARS / "part-x.parquet#1"
    leftover.write_bytes(b"x" * 1000)
    age(leftover)
    (foretold, _) = json.loads(command("upkeep", "--dry-run", "--json").stdout)
    assert (foretold["table"], foretold["leftovers"], foretold["freed_bytes"]) == (BARS, 1, 1000)
    assert leftover.exists()
    shown = command("upkeep", "--keep-days", "7").stdout
    assert BARS in shown and "freed 0.0 MiB" in shown and not leftover.exists()
    assert closes(lake, version=1) == dict.fromkeys(MONTHS, 1.0)  # replaced today
    assert "sound" in command("verify").stdout
    assert "--keep-days" in command("upkeep", "--keep-days", "0", expect=2).stderr


def age(file: Path) -> None:
    import os

    past = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(file, (past, past))


def test_a_damaged_table_is_named_and_left_out(command: Command, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "home")
    write_prices(lake, 1.0, 2.0)
    (lake.home / "tables" / BARS / "_delta_log" / f"{1:020d}.json").write_bytes(b"")
    done = command("upkeep", expect=1)
    assert f"left out: {BARS} version 1 is damaged" in done.stderr
    assert "let go" in done.stdout


def test_the_weekly_job_materializes_figures_and_frees_what_nobody_pinned(home: Home) -> None:
    write_prices(home.lake, 1.0, 2.0, 3.0)
    result = later(home).resolve_job_def("upkeep").execute_in_process(instance=home.instance)
    assert result.success
    event = home.instance.get_latest_materialization_event(dg.AssetKey(["lake", "upkeep"]))
    assert event is not None and event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["versions_let_go"].value == 2 and metadata["bytes_freed"].value > 0
    assert metadata["rows"].value == home.lake.scan(BARS).num_rows
    assert home.lake.verify() == []


def test_a_damaged_table_fails_the_weekly_job_after_the_others_are_done(home: Home) -> None:
    write_prices(home.lake, 1.0, 2.0)
    (home.lake.home / "tables" / BARS / "_delta_log" / f"{1:020d}.json").write_bytes(b"")
    result = later(home).resolve_job_def("upkeep").execute_in_process(instance=home.instance, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "core/daily_bars version 1 is damaged" in str(failure.step_failure_data.user_failure_data)


def evaluate(home: Home, graph: dg.Definitions, name: str) -> ScheduleExecutionData:
    repository = graph.get_repository_def()
    with dg.build_schedule_context(
        instance=home.instance,
        scheduled_execution_time=SATURDAY,
        resources=graph.resources,
        repository_def=repository,
    ) as context:
        return repository.get_schedule_def(name).evaluate_tick(context)


def test_weekly_schedules_are_off_until_switched_on_and_strike_on_saturday(home: Home) -> None:
    repository = home.definitions.get_repository_def()
    for name, hour in (("weekly_walk_forwards", 6), ("weekly_upkeep", 10)):
        schedule = repository.get_schedule_def(name)
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        assert (schedule.cron_schedule, schedule.execution_timezone) == (f"0 {hour} * * 6", "America/New_York")
    assert len(evaluate(home, home.definitions, "weekly_upkeep").run_requests or []) == 1


def test_walk_forwards_never_made_are_not_asked_for(home: Home) -> None:
    answer = evaluate(home, home.definitions, "weekly_walk_forwards")
    assert not answer.run_requests and "no spec was walked forward yet" in str(answer.skip_message)


@pytest.mark.slow
def test_a_saturday_walks_forward_what_was_walked_before_and_stitches_its_report(sample_home: Home) -> None:
    home, spec = sample_home, "equal_weight"
    Bench(home.lake, Tracking(home.path), datetime.now(UTC)).windows(load_spec(spec))
    restate(home.lake, 1.5)
    (request,) = evaluate(home, home.definitions, "weekly_walk_forwards").run_requests or []
    assert request.tags[SPEC_TAG] == spec
    graph = home.definitions
    walked = graph.resolve_job_def("walk_forwards").execute_in_process(instance=home.instance, tags=dict(request.tags))
    assert walked.success
    (asked,) = asked_by_sensor(home, graph, walked)
    assert asked.partition_key == spec
    report = graph.resolve_job_def("reports").execute_in_process(instance=home.instance, partition_key=spec)
    assert report.success
    rows = home.lake.scan("research/runs", where=[("kind", "=", "walk_forward")]).to_pylist()
    assert [json.loads(row["pins"])[BARS] for row in rows] == [home.lake.version(BARS)]


def asked_by_sensor(home: Home, graph: dg.Definitions, result: dg.ExecuteInProcessResult) -> list[dg.RunRequest]:
    event = next(event for event in result.all_events if event.event_type_value == "PIPELINE_SUCCESS")
    context = dg.build_run_status_sensor_context(
        sensor_name="report_walk_forward",
        dagster_event=event,
        dagster_instance=home.instance,
        dagster_run=home.instance.get_run_by_id(result.run_id),
    )
    answer: Any = graph.get_repository_def().get_sensor_def("report_walk_forward")(context)
    return [answer]
