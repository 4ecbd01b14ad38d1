"""The two user interfaces, started and ended as a user or a service manager does."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.homes import REPOSITORY


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_both_interfaces_answer_and_end_with_the_command(tmp_path: Path, sign: signal.Signals) -> None:
    ports = [free_port(), free_port()]
    child = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "ui", "--port", str(ports[0]), "--mlflow-port", str(ports[1])],
        env={**os.environ, "QUANTLAKE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        shown = [child.stdout.readline() for _ in ports]
        assert re.fullmatch(rf"Dagster +http://127\.0\.0\.1:{ports[0]}\n", shown[0])
        assert re.fullmatch(rf"MLflow +http://127\.0\.0\.1:{ports[1]}\n", shown[1])
        for port in ports:
            with urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
                assert answer.status == 200
        child.send_signal(sign)
        assert child.wait(30) in (0, 130, 143)
        time.sleep(1)
        for port in ports:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"
    finally:
        child.kill()
