"""Several processes on one store, processes that died, and the server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from assets.tracking import RunRecord, Tracking, server_command
from assets.tracking.owner import Owner

REPOSITORY = Path(__file__).resolve().parents[3]
RECORD = RunRecord(experiment="momentum", run_name="r", run_key="k", metrics={"oos/sharpe": 1.0})
HEAD = """
import os, sys
from pathlib import Path
from assets.tracking import RunRecord, Tracking
home, key = Path(sys.argv[1]), sys.argv[2]
record = RunRecord(experiment="momentum", run_name=key, run_key=key, params={"key": key}, metrics={"oos/sharpe": 1.0})
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + script, *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_four_processes_may_use_a_fresh_folder_first_at_the_same_moment(tmp_path: Path) -> None:
    script = "print(Tracking(home).record(record)); print(Tracking(home).find_key('momentum', key).status)"
    processes = [start(script, str(tmp_path / "new"), key) for key in ("a", "b", "c", "c")]
    answers = [(each.communicate(timeout=120), each.returncode) for each in processes]
    assert [code for _, code in answers] == [0, 0, 0, 0], [err for (_, err), _ in answers]
    lines = [out.split() for (out, _), _ in answers]
    ids = [line[0] for line in lines]
    assert len(set(ids)) == 3 and ids[2] == ids[3]
    assert {line[1] for line in lines[:2]} == {"FINISHED"}
    # Nothing is announced: neither schema migrations nor links.
    assert [err for (_, err), _ in answers] == [""] * 4
    runs = [Tracking(tmp_path / "new").find(run_id) for run_id in ids]
    assert {run.status for run in runs} == {"FINISHED"}
    assert len({run.experiment_id for run in runs}) == 1


def test_what_an_interrupted_creation_left_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db.new").write_bytes(b"half a database")
    tracking = Tracking(tmp_path)
    assert tracking.find(tracking.record(RECORD)).status == "FINISHED"
    assert not (tmp_path / "mlflow" / "mlflow.db.new").exists()


def test_nothing_is_written_outside_the_home_folder(tracking: Tracking, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before = Path.cwd()
    os.chdir(elsewhere)
    try:
        tracking.record(replace(RECORD, artifacts={"a.txt": "a"}))
    finally:
        os.chdir(before)
    assert list(elsewhere.iterdir()) == []


def test_neither_importing_nor_an_existing_store_costs_the_import_of_mlflow(tracking: Tracking) -> None:
    script = "Tracking(home).initialise(); print([m for m in ('mlflow', 'dagster', 'pandas') if m in sys.modules])"
    out, err = start(script, str(tracking.home), "k").communicate(timeout=60)
    assert (out.strip(), err) == ("[]", "")


def test_a_run_whose_process_died_is_marked_killed_and_then_continued(tracking: Tracking) -> None:
    process = start("with Tracking(home).open(record) as run:\n    os._exit(9)", str(tracking.home), "dead")
    assert process.wait(timeout=60) == 9
    process.communicate()
    dead = tracking.find_key("momentum", "dead")
    assert dead is not None and dead.status == "RUNNING"
    with tracking.open(RECORD) as living:
        assert tracking.kill_dead_runs() == [dead.run_id]
        assert tracking.find(living.run_id).status == "RUNNING"
    assert tracking.find(dead.run_id).status == "KILLED"
    assert tracking.kill_dead_runs() == []
    record = replace(RECORD, run_name="dead", run_key="dead", params={"key": "dead"})
    assert tracking.record(record) == dead.run_id
    assert tracking.find(dead.run_id).status == "FINISHED"


def test_runs_of_another_host_or_program_are_left_alone(tracking: Tracking) -> None:
    from mlflow import MlflowClient

    with tracking.open(RECORD) as run:
        mlflow = MlflowClient(tracking.uri)
        mlflow.set_tag(run.run_id, "quantlake.host", "another-host")
        mlflow.set_tag(run.run_id, "quantlake.pid", "999999999")
        foreign = mlflow.create_run(run.experiment_id).info.run_id
        assert tracking.kill_dead_runs() == []
        assert tracking.find(foreign).status == "RUNNING"


def test_a_process_is_told_apart_from_a_later_one_of_the_same_number() -> None:
    owner = Owner.current()
    assert Owner.from_tags(owner.as_tags()) == owner
    assert not owner.is_dead()
    if owner.start_time:
        assert replace(owner, start_time="an-earlier-boot:1").is_dead()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert replace(owner, pid=child.pid, start_time="").is_dead()
    assert not replace(owner, host="elsewhere", pid=child.pid).is_dead()


@pytest.fixture
def served(tracking: Tracking):
    """The MLflow server of a store with runs in two experiments, on a free port."""
    run_id = tracking.record(replace(RECORD, artifacts={"tear_sheet.html": "<p>sheet</p>"}))
    tracking.record(replace(RECORD, experiment="reversal"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = server_command(tracking.home, port)
    process = subprocess.Popen(
        command.argv,
        env=os.environ | command.env,
        cwd=tracking.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while _get(port, "/health")[0] != 200:
            assert time.monotonic() < deadline and process.poll() is None, "the server did not come up"
            time.sleep(0.2)
        yield port, run_id
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.slow
def test_the_server_shows_the_runs_of_all_experiments_to_this_machine_only(served: tuple[int, str]) -> None:
    port, run_id = served
    status, body = _get(port, "/api/2.0/mlflow/experiments/search?max_results=10")
    assert status == 200
    assert {each["name"] for each in json.loads(body)["experiments"]} >= {"momentum", "reversal"}
    assert _get(port, f"/get-artifact?path=tear_sheet.html&run_uuid={run_id}") == (200, b"<p>sheet</p>")
    assert _get(port, "/api/2.0/mlflow/experiments/search?max_results=10", host="evil.example")[0] == 403


def test_the_server_listens_on_loopback_with_one_worker_and_no_jobs(tmp_path: Path) -> None:
    command = server_command(tmp_path, 5001)
    options = dict(zip(command.argv[4::2], command.argv[5::2], strict=False))
    assert options["--host"] == "127.0.0.1"
    assert options["--port"] == "5001"
    assert "--workers 1" in " ".join(command.argv)
    assert "--no-serve-artifacts" in command.argv
    assert command.env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert command.env["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert command.env["MLFLOW_DISABLE_TELEMETRY"] == "true"


def _get(port: int, path: str, *, host: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""
