"""Dagster as `quantlake ui` runs it: the web server behind a guard, the daemon, and the code servers.

It is what `dagster dev` starts, with the web server in this process, since that one has no guard and can be given none.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster._cli.proxy_server_manager import ProxyServerManager

HOST = "127.0.0.1"
_STOP_SECONDS = 5
_POLL_MILLISECONDS = 2000


def main() -> None:
    """Serve until ended by a signal."""
    import dagster as dg
    from dagster._cli.proxy_server_manager import ProxyServerManager
    from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget
    from dagster._utils.log import configure_loggers

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", type=Path, help="a workspace.yaml; without it this package's definitions")
    asked = parser.parse_args()
    configure_loggers(log_level="INFO")
    target = (
        WorkspaceFileTarget([str(asked.workspace)])
        if asked.workspace is not None
        else ModuleTarget("orchestration.definitions", None, None, "quantlake")
    )
    # Contexts below end their processes; the default answer to the signal would leave them running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with (
        dg.DagsterInstance.get() as instance,
        ProxyServerManager(instance, target, code_server_log_level="WARNING") as servers,
        _workspace_of(servers) as workspace,
        _daemon(workspace),
    ):
        _serve(instance, workspace, asked.port)


def _serve(instance: object, workspace: Path, port: int) -> None:
    import uvicorn
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    from orchestration.guard import Guard

    assert isinstance(instance, DagsterInstance)
    instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3600, max_overflow=20)
    target = WorkspaceFileTarget([str(workspace)])
    with WorkspaceProcessContext(instance, target, version=__version__) as context:
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=_POLL_MILLISECONDS)
        uvicorn.run(Guard(app), host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=_STOP_SECONDS)


@contextlib.contextmanager
def _workspace_of(servers: ProxyServerManager) -> Iterator[Path]:
    """Write where the code servers listen, for the web server and the daemon."""
    import yaml

    with tempfile.TemporaryDirectory(prefix="quantlake-ui-") as folder:
        file = Path(folder) / "workspace.yaml"
        file.write_text(yaml.safe_dump({"load_from": list(servers.get_code_server_specs())}), encoding="utf-8")
        yield file


@contextlib.contextmanager
def _daemon(workspace: Path) -> Iterator[None]:
    """Run Dagster's daemon: schedules, sensors, the queue of runs and their monitor."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "orchestration.lifeline", "dagster._daemon", "run", "-w", str(workspace)]
    )
    try:
        yield
    finally:
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(_STOP_SECONDS)
        daemon.kill()
        daemon.wait()


if __name__ == "__main__":
    main()
