"""What the platform itself costs: whole processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import timing
from benchmarks.results import Row, row

REPOSITORY = Path(__file__).resolve().parents[1]
QUANTLAKE = (sys.executable, "-m", "orchestration.cli")
PYTHON = (sys.executable, "-c")


def process_costs(home: Path, *, repeats: int = 5) -> tuple[list[Row], dict[str, Any]]:
    """Return what commands cost as whole processes, and the demo's own report of its steps.

    The home is filled by the demo, which also compiles the kernels; they lie in the home, so nothing is found there
    that another process left.
    """
    environment = _environment(home)
    printed = home / "demo.json"
    demo = timing.command((*QUANTLAKE, "demo", "--json"), folder=home, environment=environment, output=printed)
    report = json.loads(printed.read_text(encoding="utf-8"))
    backtest = (*QUANTLAKE, "backtest", "ma_cross")

    def command(*arguments: str) -> timing.Measure:
        return lambda number: timing.command(arguments, folder=home, environment=environment)

    measures = {
        "backtest": command(*backtest),
        "help": command(*QUANTLAKE, "--help"),
        "python": command(*PYTHON, "pass"),
        "definitions": command(*PYTHON, "import orchestration.definitions"),
        "dagster": command(*PYTHON, "import dagster"),
    }
    timing.in_turn(measures, 1)  # reads the files into the operating system's cache
    samples = timing.in_turn(measures, repeats)
    share = import_share(backtest, home, environment)
    data = next((seconds for name, seconds in report["steps"].items() if name.startswith("prices")), 0.0)
    rows = [
        row(
            "quantlake backtest ma_cross",
            samples["backtest"],
            note=f"a new process on the demo's home, kernels cached; imports are {share:.0%} of it under -X importtime",
        ),
        row("quantlake --help", samples["help"], {"python -c pass": samples["python"]}),
        row("import orchestration.definitions", samples["definitions"], {"import dagster": samples["dagster"]}),
        row(
            "quantlake demo, new home",
            [demo],
            note=f"once, kernels compiled on the way; {data:.1f} s of it are the five data tables over 157 months",
        ),
    ]
    return rows, {"demo": {"seconds": report["seconds"], "steps": report["steps"]}}


def import_share(arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> float:
    """Return the share of a process's wall time that goes into imports, by Python's own account of them."""
    python, *rest = arguments
    started = time.perf_counter()
    done = subprocess.run(
        [python, "-X", "importtime", *rest], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - started
    lines = (line.removeprefix("import time:").split("|")[0].strip() for line in done.stderr.splitlines())
    return sum(int(own) for own in lines if own.isdigit()) / 1e6 / wall


def _environment(home: Path) -> dict[str, str]:
    """Return this process's environment with another home, and no kernels but that home's."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("QUANTLAKE_", "DAGSTER_HOME"))}
    return settings | {"QUANTLAKE_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
