"""Wall and CPU seconds of calls and of whole processes, taken in turn."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Measure = Callable[[int], "Sample"]
_PAUSE = 0.1


@dataclass(frozen=True)
class Sample:
    """One measurement.

    wall, cpu : seconds; CPU is user and system time of all threads
    peak_mib : the largest resident set, MiB; None where it was not measured
    """

    wall: float
    cpu: float
    peak_mib: float | None = None


class CommandError(RuntimeError):
    """A measured command failed: its time means nothing."""


def measured(runs: Sequence[Callable[[], Any]], in_a_row: int = 1) -> Sample:
    """Return the time of a call, the mean of several in a row that take turns; garbage is collected before.

    A pause lets the threads of the contender before go to sleep, some of which wait for more work in a busy loop.
    """
    gc.collect()
    time.sleep(_PAUSE)
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(in_a_row):
        runs[number % len(runs)]()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall / in_a_row, cpu / in_a_row)


def in_turn(measures: Mapping[str, Measure], rounds: int | Mapping[str, int]) -> dict[str, list[Sample]]:
    """Return the samples of each contender, one of each a round, so that a drift of the machine hits all alike.

    Each round starts with another contender; one with fewer rounds leaves after its last. A measure is called with
    the number of the round: it takes another data set each time where it has several, so that no branch predictor
    learns the data by heart.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in measures}
    names = list(measures)
    wanted = dict.fromkeys(names, rounds) if isinstance(rounds, int) else dict(rounds)
    for number in range(max(wanted.values(), default=0)):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if number < wanted[name]:
                samples[name].append(measures[name](number))
    return samples


def calls(runs: Sequence[Callable[[], Any]], in_a_row: int = 1) -> Measure:
    """Return a measure of calls, one data set after the other."""
    return lambda number: measured(runs if in_a_row > 1 else runs[number % len(runs) :], in_a_row)


def affordable(seconds: float, rounds: int, budget: float) -> int:
    """Return the rounds that a call of some seconds may take part in: at least one, `budget` seconds together."""
    return max(1, min(rounds, int(budget / max(seconds, 1e-9))))


def command(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: Path | None = None
) -> Sample:
    """Return what a process took as the operating system accounts it: start, imports and end included.

    A child's peak is reported to be no less than its parent's, so it is None where the two cannot be told apart.

    Raises
    ------
    CommandError : the process did not end with exit code 0.
    """
    own = peak_mib()
    with open(output or os.devnull, "wb") as stdout:  # noqa: PTH123 - os.devnull is no path of a file
        started = time.perf_counter()
        with subprocess.Popen(
            arguments, cwd=folder, env=dict(environment), stdout=stdout, stderr=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise CommandError(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    peak = usage.ru_maxrss / 1024.0
    return Sample(wall, usage.ru_utime + usage.ru_stime, peak if peak > 1.1 * own else None)


def peak_mib() -> float:
    """Return the largest resident set of this process so far, MiB."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    # getrusage may count the process that started this one.
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024.0


def median(samples: Sequence[Sample], name: str) -> float:
    """Return the median of a figure of the samples."""
    return statistics.median(getattr(sample, name) for sample in samples)


def median_peak(samples: Sequence[Sample]) -> float | None:
    """Return the median peak memory (MiB), None where any sample has none."""
    peaks = [sample.peak_mib for sample in samples if sample.peak_mib is not None]
    return statistics.median(peaks) if len(peaks) == len(samples) else None


def median_ratio(samples: Sequence[Sample], others: Sequence[Sample], name: str) -> float:
    """Return the median of the others' figure / the samples', over the rounds that both took part in."""
    pairs = zip(samples, others, strict=False)
    return statistics.median(getattr(other, name) / getattr(sample, name) for sample, other in pairs)
