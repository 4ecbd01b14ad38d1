"""No network at all: the whole path on what is there works, and a vendor is named as out of reach."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.disks import python

REFUSING = """
import socket, sys

def refuse(*arguments, **options):
    raise OSError(101, "Network is unreachable")

real = socket.socket.connect
def connect(self, address):
    return real(self, address) if self.family == socket.AF_UNIX else refuse()

socket.socket.connect = connect
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
"""
PATH = """
import dagster as dg, os, sys
from pathlib import Path
os.environ["QUANTLAKE_HOME"] = sys.argv[1]
from orchestration.instance import open_instance
from orchestration.materialize import materialize, MaterializeError
from assets.settings import Settings
from orchestration.definitions import definitions_for
from lakehouse import Lake
home = Path(sys.argv[1])
with open_instance(home) as instance:
    tables = ["raw/sample", "core/daily_bars", "core/corporate_actions", "core/universe", "features/daily"]
    materialize(instance, tables, partition="2004-08", definitions=definitions_for(Settings(home=home)))
    print(Lake(home).scan("features/daily").num_rows > 0, Lake(home).verify())
    QUICK = {"deadline": 1.0, "timeout": 1.0, "wait_initial": 0.01, "wait_max": 0.02}
    graph = definitions_for(Settings(home=home, sources=("yahoo",), symbols=("AAPL",), options={"yahoo": QUICK}))
    try:
        materialize(instance, ["raw/yahoo"], partition="2024-01", definitions=graph)
    except MaterializeError as error:
        print(error)
"""


@pytest.mark.slow
def test_what_is_stored_is_worked_on_without_a_network_and_a_vendor_is_named(tmp_path: Path) -> None:
    """In a network namespace of its own, which has none; elsewhere with sockets that refuse."""
    unshare = shutil.which("unshare")
    before: list[str] = []
    if unshare is not None and subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode == 0:
        before = [unshare, "-rn"]
    done = python(PATH if before else REFUSING + PATH, str(tmp_path / "home"), before=before)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first == "True []"
    assert "raw__yahoo: Yahoo gave no answer for AAPL" in rest[-1]
    assert "check the network and run it again" in rest[-1]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_needs_no_network(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a network namespace")
    code = (
        f"import os, sys; os.environ['QUANTLAKE_HOME'] = {str(tmp_path / 'home')!r}; sys.argv = ['quantlake', 'demo']\n"
    )
    code += "from orchestration.cli import main; main()"
    done = subprocess.run(
        [unshare, "-rn", sys.executable, "-c", code], capture_output=True, text=True, timeout=380, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
