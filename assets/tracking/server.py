"""How to start MLflow's own server, for its pages in the browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from assets.tracking.store import ENVIRONMENT, artifacts_path, database_path, database_uri


class ServerCommand(NamedTuple):
    """A command and the environment variables to add to the caller's own."""

    argv: tuple[str, ...]
    env: dict[str, str]


def server_command(home: Path, port: int = 5000) -> ServerCommand:
    """Return how to serve a home folder's runs on 127.0.0.1; the store must have been initialised.

    One worker and no job runners: 2 processes instead of 15. Only this machine's names are accepted as Host,
    so that a page elsewhere cannot reach the server under a name of its own. Artifacts are shown, not received.
    """
    home = home.resolve()
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost")]
    argv = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", database_uri(database_path(home))),
        *("--default-artifact-root", artifacts_path(home).as_uri(), "--no-serve-artifacts"),
        *("--workers", "1", "--allowed-hosts", ",".join(hosts)),
        *("--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)),
    )
    return ServerCommand(argv, ENVIRONMENT | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
