"""The two user interfaces, started, ended and killed as a user, a service manager and a bad day do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import dagster as dg
import pytest

from assets.tracking.owner import Owner
from lakehouse.lake import Lake
from lakehouse.locks import table_lock
from lakehouse.paths import lock_path
from tests.homes import REPOSITORY
from tests.lakehouse.stored import BARS, MONTHS, bars

LAUNCH = (
    'mutation { launchPipelineExecution(executionParams: {mode: "default", runConfigData: "{}", selector: {'
    'repositoryLocationName: "quantlake", repositoryName: "__repository__", pipelineName: "upkeep"}})'
    " { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Interfaces:
    """Both interfaces as one command serves them."""

    home: Path
    command: subprocess.Popen[str]
    ports: tuple[int, int]

    def graphql(self, query: str) -> dict[str, Any]:
        url, body = f"http://127.0.0.1:{self.ports[0]}/graphql", json.dumps({"query": query}).encode()
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def run(self, run_id: str) -> dict[str, Any]:
        query = f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status tags {{ key value }} }} }} }}'
        found: dict[str, Any] = self.graphql(query)["runOrError"]
        return found

    def launch(self) -> tuple[str, Owner]:
        """Launch a run and return its id and process, once it says that it has begun."""
        answer = self.graphql(LAUNCH)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run_id = answer["run"]["runId"]

        def owner() -> Owner | None:
            run = self.run(run_id)
            assert run["status"] not in ("SUCCESS", "FAILURE"), run
            return Owner.from_tags({tag["key"]: tag["value"] for tag in run["tags"]})

        wait_for(lambda: owner() is not None, 60)
        found = owner()
        assert found is not None
        return run_id, found

    def processes(self) -> list[int]:
        """The command and all that came of it."""
        return [self.command.pid, *below(self.command.pid)]


def below(pid: int) -> list[int]:
    """The processes that one started, those that these started, and so on."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, level = [], [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    return replace(Owner.current(), pid=pid, start_time="").is_dead()


def is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def interfaces(home: Path) -> Iterator[Interfaces]:
    ports = (free_port(), free_port())
    command = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "ui", "--port", str(ports[0]), "--mlflow-port", str(ports[1])],
        env={**os.environ, "QUANTLAKE_HOME": str(home), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    served = Interfaces(home, command, ports)
    left: list[int] = []
    try:
        assert command.stdout is not None
        shown = [command.stdout.readline() for _ in ports]
        assert re.fullmatch(rf"Dagster +http://127\.0\.0\.1:{ports[0]}\n", shown[0])
        assert re.fullmatch(rf"MLflow +http://127\.0\.0\.1:{ports[1]}\n", shown[1])
        left = served.processes()
        yield served
    finally:
        for pid in [*left, *served.processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        command.wait()


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_both_interfaces_answer_and_end_with_the_command(tmp_path: Path, sign: signal.Signals) -> None:
    with interfaces(tmp_path / "home") as served:
        for port in served.ports:
            with urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
                assert answer.status == 200
        processes = served.processes()
        assert len(processes) >= 6
        served.command.send_signal(sign)
        assert served.command.wait(30) in (0, 130, 143)
        wait_for(lambda: all(map(is_gone, processes)), 5)
        assert not any(map(is_served, served.ports))


@pytest.fixture
def busy_home(tmp_path: Path) -> Iterator[Path]:
    """A home in which a run of job `upkeep` waits a minute for a table that another process is writing."""
    lake = Lake(tmp_path / "home")
    lake.replace(BARS, bars(MONTHS), partitions=MONTHS, batch_id="a")
    with table_lock(lock_path(lake.home, BARS), BARS, timeout=1):
        yield lake.home


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_everything_killed_at_once_leaves_no_run_started_after_the_next_start(busy_home: Path) -> None:
    with interfaces(busy_home) as served:
        run_id, worker = served.launch()
        processes = served.processes()
        assert worker.pid in processes and not worker.is_dead()
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: all(map(is_gone, processes)), 5)
    with dg.DagsterInstance.from_config(str(busy_home / "dagster")) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.STARTED]
    with interfaces(busy_home) as served:
        assert served.run(run_id)["status"] == "FAILURE"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_worker_ends_with_its_code_server_and_the_rest_with_the_command(busy_home: Path) -> None:
    with interfaces(busy_home) as served:
        run_id, worker = served.launch()
        os.kill(parent_of(worker.pid), signal.SIGKILL)
        wait_for(worker.is_dead, 15)
        wait_for(lambda: served.run(run_id)["status"] in ("FAILURE", "CANCELED"), 100)
        processes = served.processes()
        served.command.kill()
        # The code server hears of it last, when nobody has asked it anything for a while.
        wait_for(lambda: sum(not is_gone(pid) for pid in processes) <= 2, 20)
        assert not any(map(is_served, served.ports))
        wait_for(lambda: all(map(is_gone, processes)), 90)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
