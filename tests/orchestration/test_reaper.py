"""Runs whose process was killed: reported by the next process that opens the home, never by mistake."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from assets.resources import TrackingResource
from assets.tracking import Tracking
from assets.tracking.owner import Owner
from orchestration import reaper
from orchestration.instance import open_instance
from orchestration.reaper import REMEDY, close_dead_mlflow_runs, reap
from tests.homes import REPOSITORY, Home

STARTED, STARTING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING
FAILURE, CANCELED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED


def left_behind(home: Home, tags: dict[str, str], status: dg.DagsterRunStatus = STARTED) -> str:
    """Return a run that nobody is working on any more."""
    run = home.instance.create_run_for_job(_idle, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    events = {
        dg.DagsterRunStatus.NOT_STARTED: (),
        STARTING: ("PIPELINE_STARTING",),
        STARTED: ("PIPELINE_STARTING", "PIPELINE_START"),
        dg.DagsterRunStatus.CANCELING: ("PIPELINE_STARTING", "PIPELINE_START", "PIPELINE_CANCELING"),
    }[status]
    for kind in events:
        event = dg.DagsterEvent(event_type_value=kind, job_name=run.job_name)
        home.instance.report_dagster_event(event, run_id=run.run_id)
    assert status_of(home, run.run_id) == status
    return run.run_id


def status_of(home: Home, run_id: str) -> dg.DagsterRunStatus:
    run = home.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@dg.op
def idle() -> None:
    """Do nothing."""


@dg.job
def _idle() -> None:
    idle()


@pytest.fixture
def dead() -> dict[str, str]:
    """The tags of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    owner = replace(Owner.current(), pid=child.pid, start_time="")
    child.wait()
    return owner.as_tags()


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, FAILURE),
        (STARTING, FAILURE),
        (STARTED, FAILURE),
        (dg.DagsterRunStatus.CANCELING, CANCELED),
    ],
)
def test_a_run_whose_process_is_gone_is_reported_once(
    home: Home, dead: dict[str, str], status: dg.DagsterRunStatus, after: dg.DagsterRunStatus
) -> None:
    run_id = left_behind(home, dead, status)
    assert reap(home.instance) == [run_id]
    assert status_of(home, run_id) == after
    said = [entry.dagster_event.message or "" for entry in home.instance.all_logs(run_id) if entry.dagster_event]
    assert any(f"process {dead['quantlake.pid']} on {socket.gethostname()} died" in text for text in said)
    assert (after == CANCELED) or any(REMEDY in text for text in said)
    assert reap(home.instance) == []


def test_a_dead_run_gives_its_place_in_a_vendors_pool_back(home: Home, dead: dict[str, str]) -> None:
    events = home.instance.event_log_storage
    events.set_concurrency_slots("vendor_yahoo", 1)
    run_id = left_behind(home, dead)
    assert events.claim_concurrency_slot("vendor_yahoo", run_id, "raw__yahoo").is_claimed
    assert not events.claim_concurrency_slot("vendor_yahoo", "another-run", "raw__yahoo").is_claimed
    assert reap(home.instance) == [run_id]
    events.check_concurrency_claim("vendor_yahoo", "another-run", "raw__yahoo")
    assert {slot.run_id for slot in events.get_concurrency_info("vendor_yahoo").claimed_slots} <= {"another-run"}


def test_living_processes_and_other_hosts_are_left_alone(home: Home, dead: dict[str, str]) -> None:
    runs = [
        left_behind(home, Owner.current().as_tags()),
        left_behind(home, {**dead, "quantlake.host": "another-host"}),
        left_behind(home, {}),  # of an older version, since the machine was started
    ]
    assert reap(home.instance) == []
    assert {status_of(home, run_id) for run_id in runs} == {STARTED}


def test_a_run_without_a_process_is_reported_where_the_machine_was_started_since(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = left_behind(home, {})
    booted = reaper.booted_at()
    assert booted is None or booted < time.time()
    monkeypatch.setattr(reaper, "booted_at", lambda: time.time() + 60)
    assert reap(home.instance) == [run_id]
    assert status_of(home, run_id) == FAILURE


def test_a_run_handed_to_a_code_server_that_is_gone_is_reported(home: Home, tmp_path: Path) -> None:
    address = tmp_path / "server"
    tags = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": str(address)})}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen()
        starting = left_behind(home, tags, STARTING)
        started = left_behind(home, tags, STARTED)
        assert reap(home.instance) == []
    assert reap(home.instance) == [starting]
    assert status_of(home, started) == STARTED  # its process may outlive the server


def test_a_zombie_counts_as_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = replace(Owner.current(), pid=child.pid, start_time="")
    assert not owner.is_dead()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if Path(f"/proc/{child.pid}/stat").exists():
        assert owner.is_dead()
    child.wait()
    assert owner.is_dead()


KILLED = (
    "import os, signal, dagster as dg\n"
    "from assets.settings import settings\n"
    "from orchestration.instance import open_instance\n"
    "from orchestration.materialize import materialize\n"
    "@dg.asset\n"
    "def dies() -> None:\n"
    "    {before}os.kill(os.getpid(), signal.SIGKILL)\n"
    "with open_instance(settings().home) as instance:\n"
    "    materialize(instance, ['dies'], definitions=dg.Definitions(assets=[dies]))\n"
)
IN_MLFLOW = (
    "from assets.tracking import RunRecord, Tracking\n"
    "    with Tracking(settings().home).open(RunRecord(experiment='e', run_name='r', run_key='k')): "
)


def kill_a_command(home: Path, before: str = "") -> None:
    """Materialize as the command line does, in a process that kills itself inside the step."""
    env = {**os.environ, "QUANTLAKE_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    code = KILLED.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_killed_command_leaves_a_run_that_the_next_one_reports(home: Home) -> None:
    kill_a_command(home.path)
    (run,) = home.instance.get_runs()
    assert run.status == STARTED
    assert reap(home.instance) == [run.run_id]
    assert status_of(home, run.run_id) == FAILURE


@pytest.mark.slow
def test_a_killed_command_leaves_nothing_running_in_mlflow(home: Home) -> None:
    kill_a_command(home.path, IN_MLFLOW)
    left = Tracking(home.path).find_key("e", "k")
    assert left is not None and left.status == "RUNNING"
    assert close_dead_mlflow_runs(home.path) == [left.run_id]
    assert Tracking(home.path).find(left.run_id).status == "KILLED"
    assert close_dead_mlflow_runs(home.path) == []


def test_opening_a_home_imports_no_mlflow_where_nothing_is_running(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from orchestration.instance import open_instance\n"
        f"open_instance(Path({str(tmp_path)!r})).dispose(); print('mlflow' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=60, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_a_process_tied_to_its_parent_ends_with_it(tmp_path: Path) -> None:
    """The parent is killed with -9; the child, which sleeps for an hour, is gone."""
    note = tmp_path / "child"
    module = tmp_path / "sleeper.py"
    module.write_text(
        "import os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[1] + '.new').write_text(str(os.getpid()))\n"
        "os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
        "time.sleep(3600)\n"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, '-m', 'orchestration.lifeline', *sys.argv[1:]])",
            "sleeper",
            str(note),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])},
    )
    wait_for(note.exists)
    child = replace(Owner.current(), pid=int(note.read_text()), start_time="")
    assert not child.is_dead()
    parent.kill()
    parent.wait()
    wait_for(child.is_dead)


def wait_for(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.05)


def test_the_sensor_reports_what_the_monitor_of_dagster_does_not_see(home: Home, dead: dict[str, str]) -> None:
    run_id = left_behind(home, dead)
    repository = home.definitions.get_repository_def()
    resources = {"tracking": TrackingResource(home=str(home.path))}
    with dg.build_sensor_context(instance=home.instance, repository_def=repository, resources=resources) as context:
        answer = repository.get_sensor_def("dead_runs").evaluate_tick(context)
    assert run_id in str(answer.skip_message)
    assert status_of(home, run_id) == FAILURE


def test_opening_a_home_reports_dead_runs(home: Home, dead: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = left_behind(home, dead)
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(home.path):
        assert status_of(home, run_id) == FAILURE
