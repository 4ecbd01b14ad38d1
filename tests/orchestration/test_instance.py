"""The Dagster instance of a home: made once, whoever comes first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.homes import REPOSITORY

OPEN = """
import sys
from pathlib import Path
from orchestration.instance import open_instance
with open_instance(Path(sys.argv[1])) as instance:
    print(len(instance.get_runs()))
"""


@pytest.mark.slow
def test_processes_that_open_a_new_home_at_once_make_one_store(tmp_path: Path) -> None:
    for number in range(4):
        home = tmp_path / str(number)
        command = [sys.executable, "-c", OPEN, str(home)]
        opened = [
            subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for process in opened:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert out.strip() == "0"
