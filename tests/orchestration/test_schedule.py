"""The nightly schedule and the failure sensor, evaluated as the daemon does, and what they ask for really done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._utils.schedules import schedule_execution_time_iterator
from pytest_httpserver import HTTPServer

from assets.settings import Settings
from assets.tracking import Tracking
from lakehouse.calendar import sessions
from lakehouse.lake import Lake
from lakehouse.schemas import TABLES as TABLE_SCHEMAS
from lakehouse.snapshots import Answer
from orchestration.definitions import definitions_for
from orchestration.schedules import FRESH_BY_MORNING, last_closed_session
from tests.homes import REPOSITORY, Home, open_home
from tests.orchestration.yahoo_server import (
    SYMBOLS,
    TABLES,
    YahooServer,
    between,
    copy_of,
    stored,
    yahoo_definitions,
)

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def yahoo() -> Iterator[YahooServer]:
    with HTTPServer() as server:
        yield YahooServer(server)


@pytest.fixture(scope="module")
def kept(yahoo: YahooServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with two symbols up to Friday 2024-05-31."""
    for home in open_home(tmp_path_factory.mktemp("kept")):
        yahoo.now = datetime(2024, 5, 31, 22, 30, tzinfo=UTC)
        job = yahoo_definitions(home, yahoo).resolve_job_def("refresh")
        assert job.execute_in_process(instance=home.instance, partition_key="2024-05").success
        yield home


def wall(text: str) -> datetime:
    """Return a New York wall time."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def ask(home: Home, graph: dg.Definitions, tick: datetime) -> ScheduleExecutionData:
    """Evaluate `nightly` for a tick, with the graph's own resources."""
    repository = graph.get_repository_def()
    with dg.build_schedule_context(
        instance=home.instance,
        scheduled_execution_time=tick,
        resources=graph.resources,
        repository_def=repository,
    ) as context:
        return repository.get_schedule_def("nightly").evaluate_tick(context)


def asked_for(home: Home, yahoo: YahooServer, tick: str) -> Any:
    """Return the session, first and last month a tick asks for in one run, or why it asks for none."""
    answer = ask(home, yahoo_definitions(home, yahoo), wall(tick))
    if not answer.run_requests:
        return answer.skip_message
    (request,) = answer.run_requests
    tags = request.tags
    assert request.run_key == tags["quantlake/session"]
    return (
        tags["quantlake/session"],
        tags["dagster/asset_partition_range_start"],
        tags["dagster/asset_partition_range_end"],
    )


def run_night(home: Home, yahoo: YahooServer, tick: str) -> None:
    """Do what `nightly` asks for at a tick, by the request's own tags."""
    assert try_night(home, yahoo, tick) == dg.DagsterRunStatus.SUCCESS


def try_night(home: Home, yahoo: YahooServer, tick: str) -> dg.DagsterRunStatus:
    """Do what `nightly` asks for at a tick and return how its run ended."""
    yahoo.now = wall(tick).astimezone(UTC)
    graph = yahoo_definitions(home, yahoo)
    (request,) = ask(home, graph, wall(tick)).run_requests or []
    job = graph.resolve_job_def(request.job_name or "refresh")
    done = job.execute_in_process(instance=home.instance, tags=dict(request.tags), raise_on_error=False)
    return done.dagster_run.status


@pytest.mark.parametrize(
    ("tick", "expected"),
    [
        pytest.param("2024-05-31T18:30", "no session closed since 2024-05-31", id="nothing new"),
        pytest.param("2024-06-01T18:30", "no session closed since 2024-05-31", id="Saturday"),
        pytest.param("2024-06-02T18:30", "no session closed since 2024-05-31", id="Sunday"),
        pytest.param("2024-06-03T15:59", "no session closed since 2024-05-31", id="before the close"),
        pytest.param("2024-06-03T16:00", ("2024-06-03", "2024-05", "2024-06"), id="at the close"),
        pytest.param("2024-06-03T18:30", ("2024-06-03", "2024-05", "2024-06"), id="after the close"),
        pytest.param("2024-06-19T18:30", ("2024-06-18", "2024-05", "2024-06"), id="holiday, nights missed"),
        pytest.param("2024-07-03T12:59", ("2024-07-02", "2024-05", "2024-07"), id="half day, open"),
        pytest.param("2024-07-03T13:00", ("2024-07-03", "2024-05", "2024-07"), id="half day, closed"),
        pytest.param("2024-07-06T18:30", ("2024-07-05", "2024-05", "2024-07"), id="weekend, nights missed"),
    ],
)
def test_a_night_asks_for_one_run_over_what_closed_since(
    kept: Home, yahoo: YahooServer, tick: str, expected: Any
) -> None:
    assert asked_for(kept, yahoo, tick) == expected


@pytest.mark.parametrize(
    ("tick", "session"),
    [
        ("2024-03-08T15:59", "2024-03-07"),
        ("2024-03-08T16:00", "2024-03-08"),  # 21:00Z, the last session before the clocks go forward
        ("2024-03-11T15:59", "2024-03-08"),
        ("2024-03-11T16:00", "2024-03-11"),  # 20:00Z
        ("2024-11-01T16:00", "2024-11-01"),
        ("2024-11-04T15:59", "2024-11-01"),  # 20:59Z: an hour after Friday's close by UTC, still open
        ("2024-11-29T12:59", "2024-11-27"),  # Thanksgiving between
        ("2024-11-29T13:00", "2024-11-29"),
    ],
)
def test_the_last_closed_session_follows_new_yorks_clock(tick: str, session: str) -> None:
    assert str(last_closed_session("XNYS", wall(tick).astimezone(UTC))) == session


@pytest.mark.parametrize(
    ("exchange", "session"),
    [("XLON", "2024-06-03"), ("XTKS", "2024-06-03"), ("XASX", "2024-06-03"), ("24/7", "2024-06-02")],
)
def test_other_exchanges_have_closed_their_day_when_the_night_comes(exchange: str, session: str) -> None:
    assert str(last_closed_session(exchange, wall("2024-06-03T18:30").astimezone(UTC))) == session


def ticks(kept: Home, yahoo: YahooServer, first: str, n: int) -> list[datetime]:
    """Return the schedule's next times."""
    schedule = yahoo_definitions(kept, yahoo).get_repository_def().get_schedule_def("nightly")
    times = schedule_execution_time_iterator(
        wall(first).timestamp(), schedule.cron_schedule, schedule.execution_timezone
    )
    return [next(times).astimezone(NEW_YORK) for _ in range(n)]


def test_the_clock_strikes_at_half_past_six_in_winter_and_summer(kept: Home, yahoo: YahooServer) -> None:
    for first, days in (("2024-03-07T00:00", (7, 8, 11, 12)), ("2024-10-31T00:00", (31, 1, 4, 5))):
        struck = ticks(kept, yahoo, first, 4)
        assert tuple(time.day for time in struck) == days
        assert {(time.hour, time.minute) for time in struck} == {(18, 30)}
        assert len({time.utcoffset() for time in struck}) == 2


def test_an_empty_lake_is_skipped_with_what_to_do(tmp_path: Path, yahoo: YahooServer) -> None:
    for home in open_home(tmp_path / "empty"):
        said = asked_for(home, yahoo, "2024-06-03T18:30")
        assert "no bars of yahoo yet" in said and "`refresh`" in said


def test_sources_that_publish_nothing_are_skipped_with_what_to_change(kept: Home) -> None:
    answer = ask(kept, definitions_for(Settings(home=kept.path)), wall("2024-06-03T18:30"))
    assert not answer.run_requests
    assert "sources sample, files publish no new sessions" in str(answer.skip_message)
    assert "(sources: [yahoo])" in str(answer.skip_message)


@pytest.mark.slow
def test_bars_a_person_brought_in_do_not_hide_that_the_vendors_are_missing(tmp_path: Path, yahoo: YahooServer) -> None:
    """An import up to yesterday says nothing of what Yahoo's symbols still lack."""
    for home in open_home(tmp_path / "mixed"):
        home.materialize("raw/sample", partition="2004-08")
        home.materialize("core/daily_bars", "core/corporate_actions", partition="2004-08")
        assert home.lake.scan("core/daily_bars").num_rows > 0
        config = Settings(home=home.path, sources=("sample", "yahoo"), symbols=SYMBOLS)
        answer = ask(home, definitions_for(config), wall("2024-06-03T18:30"))
        assert "no bars of yahoo yet" in str(answer.skip_message)


def test_missed_nights_are_made_up_in_the_one_run_the_schedule_asks_for(
    yahoo: YahooServer, kept: Home, tmp_path: Path
) -> None:
    """From Friday 31 May to Wednesday 12 June nothing ran; a split and a dividend happened meanwhile."""
    for home in copy_of(kept, tmp_path):
        run_night(home, yahoo, "2024-06-12T18:30")
        for symbol in SYMBOLS:
            assert stored(home, symbol) == between("2024-05-01", "2024-06-12")
        actions = home.lake.scan("core/corporate_actions").to_pylist()
        assert [(row["symbol"], row["kind"], row["value"]) for row in actions] == [
            ("ACME", "dividend", 0.5),
            ("ACME", "split", 4.0),
            ("BOLT", "dividend", 0.25),
        ]
        assert home.lake.scan("features/daily").num_rows == home.lake.scan("core/daily_bars").num_rows
        for table in ("core/daily_bars", "features/daily"):
            months = home.instance.get_materialized_partitions(dg.AssetKey(table.split("/")))
            assert months == {"2024-05", "2024-06"}
        assert asked_for(home, yahoo, "2024-06-12T19:30") == "no session closed since 2024-06-12"
        assert asked_for(home, yahoo, "2024-06-13T18:30") == ("2024-06-13", "2024-06", "2024-06")


def test_a_night_that_failed_is_made_up_by_the_next(yahoo: YahooServer, kept: Home, tmp_path: Path) -> None:
    """On Monday Yahoo answers with errors only; on Tuesday it is well again, and nobody did anything in between."""
    for home in copy_of(kept, tmp_path):
        before = home.lake.pins(TABLES)
        yahoo.broken = dict.fromkeys(SYMBOLS, (500, b"Internal Server Error"))
        assert try_night(home, yahoo, "2024-06-03T18:30") == dg.DagsterRunStatus.FAILURE
        assert home.lake.pins(TABLES) == before
        yahoo.broken = {}
        assert try_night(home, yahoo, "2024-06-04T18:30") == dg.DagsterRunStatus.SUCCESS
        for symbol in SYMBOLS:
            assert stored(home, symbol) == between("2024-05-01", "2024-06-04")
        assert asked_for(home, yahoo, "2024-06-04T19:30") == "no session closed since 2024-06-04"
        assert Lake(home.path).verify() == []


def test_minutes_alone_are_made_up_from_their_last_answer_on(tmp_path: Path) -> None:
    """No night ran from 25 January to 20 February: the days of January are asked for, too."""
    config = Settings(home=tmp_path / "home", sources=("polygon/minute",))
    for home in open_home(config.home):
        for day in (date(2024, 1, 23), date(2024, 1, 24)):
            answer = Answer(
                content=str(day).encode(), source="polygon", dataset="minute", request={"day": str(day)},
                known_at=datetime(2024, 1, 25, tzinfo=UTC), media_type="text/csv", first_session=day, last_session=day,
            )  # fmt: skip
            home.lake.snapshots.put([answer])
        (request,) = ask(home, definitions_for(config), wall("2024-02-20T18:30")).run_requests or []
        assert month_range_of(request.tags) == ("2024-01", "2024-02")
        answer = ask(home, definitions_for(config), wall("2024-01-24T18:30"))
        assert answer.skip_message == "no session closed since 2024-01-24"
        # Nobody asked for them for half a year: that takes a backfill, a night goes back sixty days.
        (request,) = ask(home, definitions_for(config), wall("2024-07-10T18:30")).run_requests or []
        assert month_range_of(request.tags) == ("2024-05", "2024-07")


def month_range_of(tags: Mapping[str, str]) -> tuple[str, str]:
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]


def test_a_symbol_that_fell_behind_is_asked_for_from_its_own_last_session(
    yahoo: YahooServer, kept: Home, tmp_path: Path
) -> None:
    """BOLT's sessions of June were published weeks late; ACME, up to date, alone would not tell."""
    for home in copy_of(kept, tmp_path):
        extend(home, {"ACME": date(2024, 7, 11), "BOLT": date(2024, 6, 13)})
        assert asked_for(home, yahoo, "2024-07-12T18:30") == ("2024-07-12", "2024-06", "2024-07")
        assert asked_for(home, yahoo, "2024-07-11T18:30") == "no session closed since 2024-07-11"
        # A symbol of another source, or one that is no longer in the settings, is nobody's to make up.
        (alone,) = (
            ask(home, yahoo_definitions(home, yahoo, symbols=("ACME",)), wall("2024-07-12T18:30")).run_requests or []
        )
        assert month_range_of(alone.tags) == ("2024-07", "2024-07")
        # Two months without a bar: it is gone.
        extend(home, {"ACME": date(2024, 8, 30), "BOLT": date(2024, 6, 13)})
        assert asked_for(home, yahoo, "2024-09-03T18:30") == ("2024-09-03", "2024-08", "2024-09")


def extend(home: Home, until: Mapping[str, date]) -> None:
    """Store a bar a session from June on, for each symbol up to its day, as if nights had run."""
    last = home.lake.scan("core/daily_bars", where=[("session", "=", date(2024, 5, 31))]).to_pylist()
    days = sessions("XNYS", date(2024, 6, 1), max(until.values()) + timedelta(days=1))
    rows = [
        {**row, "session": day, "month": f"{day:%Y-%m}"} for row in last for day in days if day <= until[row["symbol"]]
    ]
    table = pa.Table.from_pylist(rows, schema=TABLE_SCHEMAS["core/daily_bars"].schema)
    home.lake.replace("core/daily_bars", table, partitions=sorted({row["month"] for row in rows}), batch_id="extended")


def test_months_of_failed_nights_are_asked_for_until_a_night_succeeds(
    yahoo: YahooServer, kept: Home, tmp_path: Path
) -> None:
    """Only the features failed, or only the minutes: the bars are up to date, so that they do not tell."""

    def happened(home: Home, tick: str, *, fails: bool) -> None:
        """Let the night that is asked for at a tick end well or badly."""

        @dg.op
        def works() -> None:
            if fails:
                raise RuntimeError("no answer")

        @dg.job(name="refresh")
        def night() -> None:
            works()

        (request,) = ask(home, yahoo_definitions(home, yahoo), wall(tick)).run_requests or []
        night.execute_in_process(instance=home.instance, tags=dict(request.tags), raise_on_error=False)

    for home in copy_of(kept, tmp_path):
        happened(home, "2024-06-03T18:30", fails=False)
        happened(home, "2024-06-04T18:30", fails=True)
        extend(home, dict.fromkeys(SYMBOLS, date(2024, 7, 17)))
        assert asked_for(home, yahoo, "2024-07-18T18:30") == ("2024-07-18", "2024-05", "2024-07")
        happened(home, "2024-07-18T18:30", fails=True)
        assert asked_for(home, yahoo, "2024-07-19T18:30") == ("2024-07-19", "2024-05", "2024-07")
        happened(home, "2024-07-19T18:30", fails=False)
        assert asked_for(home, yahoo, "2024-07-22T18:30") == ("2024-07-22", "2024-07", "2024-07")


@pytest.mark.slow
def test_a_session_published_late_for_one_symbol_is_made_up_in_the_next_month(
    yahoo: YahooServer, kept: Home, tmp_path: Path
) -> None:
    """The other symbol is up to date, so that the lake's last session alone would not tell."""
    yahoo.late["BOLT"] = {date(2024, 6, 27), date(2024, 6, 28)}
    for home in copy_of(kept, tmp_path):
        for night in ("2024-06-28T18:30", "2024-07-01T18:30"):
            run_night(home, yahoo, night)
            assert stored(home, "ACME") == between("2024-05-01", night[:10])
        assert set(between("2024-05-01", "2024-07-01")) - set(stored(home, "BOLT")) == yahoo.late.pop("BOLT")
        run_night(home, yahoo, "2024-07-02T18:30")
        assert stored(home, "BOLT") == between("2024-05-01", "2024-07-02")


def test_bars_and_features_are_promised_for_the_morning_where_a_source_is_live(kept: Home, yahoo: YahooServer) -> None:
    def promised(graph: dg.Definitions) -> set[str]:
        nodes = graph.resolve_asset_graph()
        return {
            key.to_user_string()
            for key in nodes.get_all_asset_keys()
            if nodes.get(key).freshness_policy_or_from_metadata == FRESH_BY_MORNING
        }

    assert promised(yahoo_definitions(kept, yahoo)) == {"core/daily_bars", "features/daily"}
    assert promised(definitions_for(Settings(home=kept.path))) == set()


def test_every_night_falls_into_the_window_of_the_morning_after(kept: Home, yahoo: YahooServer) -> None:
    """Two years of ticks, changes of the clock included: run at the tick, the tables are fresh in the morning."""
    struck = ticks(kept, yahoo, "2024-01-02T00:00", 520)
    mornings = schedule_execution_time_iterator(
        struck[0].timestamp(), FRESH_BY_MORNING.deadline_cron, FRESH_BY_MORNING.timezone
    )
    for night in struck:
        morning = next(mornings)
        assert morning.astimezone(NEW_YORK).date() == night.date() + timedelta(days=1)
        assert morning - FRESH_BY_MORNING.lower_bound_delta < night < morning


@pytest.mark.slow
def test_a_failed_run_leaves_nothing_running_in_mlflow(tmp_path: Path) -> None:
    """A worker is killed inside a run; Dagster's monitor finds it dead; the sensor closes what it left in MLflow."""
    code = (
        "import os, signal\n"
        "import dagster as dg\n"
        "from assets.settings import settings\n"
        "from assets.tracking import RunRecord, Tracking\n"
        "from orchestration.instance import open_instance\n"
        "@dg.op\n"
        "def dies():\n"
        "    with Tracking(settings().home).open(RunRecord(experiment='e', run_name='r', run_key='k')):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "@dg.job\n"
        "def doomed():\n"
        "    dies()\n"
        "with open_instance(settings().home) as instance:\n"
        "    doomed.execute_in_process(instance=instance)\n"
    )
    path = tmp_path / "home"
    env = {**os.environ, "QUANTLAKE_HOME": str(path), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    tracking = Tracking(path)
    for home in open_home(path):
        left = tracking.find_key("e", "k")
        assert left is not None and left.status == "RUNNING"
        (run,) = home.instance.get_runs()
        assert run.status == dg.DagsterRunStatus.STARTED
        event = home.instance.report_run_failed(run, "the worker is gone")
        graph = definitions_for(Settings(home=path))
        repository = graph.get_repository_def()
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_run",
            dagster_event=event,
            dagster_instance=home.instance,
            dagster_run=home.instance.get_run_by_id(run.run_id),
            resources=graph.resources,
        ).for_run_failure()
        repository.get_sensor_def("failed_run")(context)
        closed = tracking.find_key("e", "k")
        assert closed is not None and closed.status == "KILLED"
        # Another failure later finds nothing left to do.
        repository.get_sensor_def("failed_run")(context)
        assert Lake(path).verify() == []
