"""The two user interfaces as child processes, bound to loopback, ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from engine.errors import QuantlakeError

LOOPBACK = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 10


class ServingError(QuantlakeError):
    """A user interface could not be started."""


def dagster_command(port: int) -> list[str]:
    """Return the command that starts Dagster's UI, daemon and code server on loopback."""
    workspace = Path(__file__).resolve().parent.parent / "workspace.yaml"
    target = ["--workspace", str(workspace)] if workspace.is_file() else []
    return [sys.executable, "-m", "orchestration.stack", "--port", str(port), *target]


def serve(home: Path, *, port: int, mlflow_port: int) -> None:
    """Run both until interrupted. Should this process be killed, they end with it.

    Raises
    ------
    ServingError : a port is taken, or a server did not come up.
    DamagedStore : a file of Dagster's or MLflow's is damaged; the text says what to move aside.
    """
    from assets.store_errors import require_sound
    from assets.tracking import Tracking, server_command
    from orchestration.cli.console import err, out
    from orchestration.instance import open_instance

    for name, wanted in (("port", port), ("mlflow-port", mlflow_port)):
        if is_taken(wanted):
            raise ServingError(f"port {wanted} is in use: choose another with --{name}")
    # The servers themselves would only leave SQLite's words in their logs.
    require_sound(home)
    Tracking(home).initialise()
    # Alone and first: the stores are made by one process, and runs that died with the last session are reported.
    open_instance(home).dispose()
    mlflow_argv, mlflow_env = server_command(home, mlflow_port)
    urls = {"Dagster": f"http://{LOOPBACK}:{port}", "MLflow": f"http://{LOOPBACK}:{mlflow_port}"}
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore", "QUANTLAKE_HOME": str(home)}
    # Ended by a service manager or a closing terminal it stops its children as it does for Ctrl-C.
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda number, _: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        children = {
            "Dagster": stack.enter_context(_child(dagster_command(port), quiet, logs / "dagster.log")),
            "MLflow": stack.enter_context(_child(mlflow_argv, {**quiet, **mlflow_env}, logs / "mlflow.log")),
        }
        err.print("starting (about twenty seconds) ...")
        for name, url in urls.items():
            _wait(name, url, children[name], logs)
            out.print(f"{name:8} {url}", highlight=False)
        err.print(f"Ctrl-C stops both; their logs are in {logs}", highlight=False)
        with contextlib.suppress(KeyboardInterrupt):
            while all(child.poll() is None for child in children.values()):
                time.sleep(0.5)
        for name, child in children.items():
            if child.poll() not in (None, 0, -signal.SIGINT, -signal.SIGTERM):
                err.print(f"{name} ended with code {child.poll()}; see {logs}", highlight=False)


def is_taken(port: int) -> bool:
    """Return whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


@contextlib.contextmanager
def _child(argv: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as sink:
        # A session of its own, so that ending it ends its workers too, and Ctrl-C reaches this process alone.
        child = subprocess.Popen(
            _tied(argv), env=dict(env), stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield child
        finally:
            _stop(child)


def _tied(argv: Sequence[str]) -> list[str]:
    """Return the command of a Python module such that it ends with this process, even one killed with -9."""
    interpreter, dash_m, *module = argv
    if dash_m != "-m":
        raise ValueError(f"a child is started as `python -m MODULE ...`, was {argv}")
    return [interpreter, "-m", "orchestration.lifeline", *module]


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a child and all of its session; runs in it get some seconds to report that they were cancelled."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_session_alive(child) and time.monotonic() < deadline:
            time.sleep(0.1)


def _is_session_alive(child: subprocess.Popen[bytes]) -> bool:
    child.poll()  # takes note of its end, so that it does not count any more
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _wait(name: str, url: str, child: subprocess.Popen[bytes], logs: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise ServingError(f"{name} ended with code {child.poll()} while starting; see {logs}")
        with contextlib.suppress(URLError, OSError), urlopen(url, timeout=2):  # noqa: S310 - loopback
            return
        time.sleep(0.5)
    raise ServingError(f"{name} did not answer at {url} within {START_SECONDS} s; see {logs}")
