"""Cold start: a whole process that imports, makes bars, runs W1 and prints its Sharpe ratio, kernels cached."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks import timing
from benchmarks.parity import SHARPE_TOLERANCE, ParityError
from benchmarks.results import Known, Row, row
from benchmarks.runs import VECTORBT

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = REPOSITORY / "benchmarks" / "cold_start"
OURS = "W1, a new process"
NOTE = "kernels cached by an earlier process; numpy alone and numba alone import no more than their name"
# Arguments of Python, the modules they need, whether they print the Sharpe ratio of the same run.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    OURS: (("run_quantlake.py",), (), True),
    "vectorbt from_orders, numba": (("run_vectorbt.py", "numba"), ("vectorbt",), True),
    "vectorbt from_orders, rust": (("run_vectorbt.py", "rust"), ("vectorbt", "vectorbt_rust"), True),
    "raptorbt": (("run_raptorbt.py",), ("raptorbt",), True),
    "backtesting.py": (("run_backtesting.py",), ("backtesting",), False),
}
BARE = {"numpy alone": "import numpy", "numba alone": "import numba"}


def cold_starts(*, repeats: int = 7) -> list[Row]:
    """Return the row of our program beside the peers', and one of bare imports.

    Raises
    ------
    ParityError : the programs print different Sharpe ratios.
    """
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
    }
    commands = {
        name: (sys.executable, str(PROGRAMS / program), *rest)
        for name, ((program, *rest), needs, _) in COMMANDS.items()
        if all(find_spec(module) for module in needs)
    }
    printed = {name: _printed(command, environment) for name, command in commands.items()}
    for name, value in printed.items():
        if COMMANDS[name][2] and not abs(value / printed[OURS] - 1.0) <= SHARPE_TOLERANCE:
            raise ParityError(f"{OURS} and {name}: Sharpe ratio {printed[OURS]!r} against {value!r}")
    commands |= {name: (sys.executable, "-c", text) for name, text in BARE.items()}

    def measure(command: tuple[str, ...]) -> timing.Measure:
        return lambda number: timing.command(command, folder=REPOSITORY, environment=environment)

    measures = {name: measure(command) for name, command in commands.items()}
    timing.in_turn(measures, 1)
    samples = timing.in_turn(measures, repeats)
    ours = samples.pop(OURS)
    bare = {name: samples.pop(name) for name in BARE}
    known = {name: Known(VECTORBT) for name in samples if name.startswith("vectorbt")}
    known["backtesting.py"] = Known("backtesting.py", "slippage of exits left out")
    return [
        row(OURS, ours, samples, known, note=NOTE),
        *(row(name, taken) for name, taken in bare.items()),
    ]


def _printed(command: tuple[str, ...], environment: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory(prefix="quantlake-bench-") as folder:
        output = Path(folder) / "printed"
        timing.command(command, folder=REPOSITORY, environment=environment, output=output)
        return float(output.read_text(encoding="utf-8").split()[-1])
