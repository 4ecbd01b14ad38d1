"""`python -m benchmarks.scaling`: what a second thread brings to sweeps, in a process without anybody else's threads.

One and two threads take turns, over the same trials. A loop without memory, run once a thread, shows what the second
core of this machine gives at most in the same rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import timing
from benchmarks.results import Known, Row, row

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 21
IN_A_ROW = 5
ADDITIONS = 20_000_000
LOOP = "additions in a loop"


def scaling() -> list[Row]:
    """Return a row of two threads beside one for each sweep, and one of the loop."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
    }
    command = (sys.executable, "-m", "benchmarks.scaling")
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, stdout=subprocess.PIPE)
    rows = []
    for name, samples in json.loads(done.stdout).items():
        one, two = ([timing.Sample(*sample) for sample in samples[n]] for n in ("1", "2"))
        found = row(f"{name}: two threads alone", two, {"one thread": one}, {"one thread": Known("quantlake")})
        found.n_threads = 2
        rows.append(found)
    return rows


def main() -> None:
    """Print the samples of each sweep, by the number of threads, as JSON."""
    samples: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for name, prepare in _sweeps().items():
        runs = {n: prepare(n) for n in (1, 2)}
        for run in runs.values():
            run()
        measures = {str(n): timing.calls([run], IN_A_ROW) for n, run in runs.items()}
        taken = timing.in_turn(measures, ROUNDS)
        samples[name] = {int(n): [(sample.wall, sample.cpu) for sample in each] for n, each in taken.items()}
    print(json.dumps(samples))


def _sweeps() -> dict[str, Callable[[int], Callable[[], Any]]]:
    from benchmarks import ours
    from benchmarks.contests import contests

    entered = {contest.name: contest for contest in contests()}
    crossings, rankings = entered["W3-10000"], entered["W6"]
    crossed, ranked = crossings.make(crossings.seeds[0]), rankings.make(rankings.seeds[0])
    return {
        LOOP: _loops,
        "W3-10000": lambda n: ours.crossings(n)(crossed),
        "W6": lambda n: ours.ranked(n)(ranked),
    }


def _loops(n_threads: int) -> Callable[[], Any]:
    """Return two loops one after the other, or side by side."""
    from numba import njit

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def add(n: int) -> float:
        total = 0.0
        for i in range(n):
            total += i * 0.5
        return total

    add(1)
    pool = ThreadPoolExecutor(n_threads)
    return lambda: list(pool.map(add, (ADDITIONS, ADDITIONS)))


if __name__ == "__main__":
    main()
