"""The proof that contenders do the same work, without which nothing is timed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.cases import Case
from benchmarks.runs import Contender, Figures, Run

EXACT = 1e-9
# Returns of a minute are a millionth of what they are differences of.
SHARPE_TOLERANCE = 1e-6


class ParityError(AssertionError):
    """Two contenders did not do the same work: their times must not be compared."""


class Prepared(NamedTuple):
    """A contender ready to be timed.

    runs : one a case
    seconds : of one run, the shortest of the last ones of each case: compiled by then
    difference : the greatest relative difference of final equity from the first contender's; None: not compared
    """

    runs: list[Run]
    seconds: float
    difference: float | None


def prepared(contenders: Mapping[str, Contender], cases: Sequence[Case]) -> dict[str, Prepared]:
    """Run every contender on every case and compare its figures with those of the first contender.

    Raises
    ------
    ParityError : naming the contenders and the first run that differs.
    """
    result: dict[str, Prepared] = {}
    wanted: list[Figures] = []
    first = ""
    for name, contender in contenders.items():
        runs = [contender.prepare(case) for case in cases]
        found, seconds = [], []
        for run in runs:
            started = time.perf_counter()
            found.append(run())
            seconds.append(time.perf_counter() - started)
        if len(runs) == 1:
            seconds.append(_seconds(runs[0]))
        if not wanted:
            wanted, first = found, name
            differences = [0.0] * len(found)
        else:
            differences = [
                compare(f"{first} and {name} on data set {number}", mine, theirs, contender.tolerance)
                for number, (mine, theirs) in enumerate(zip(wanted, found, strict=True))
            ]
        known = [value for value in differences if value is not None]
        result[name] = Prepared(runs, min(seconds), max(known) if known else None)
    return result


def compare(what: str, wanted: Figures, found: Figures, tolerance: float | None = EXACT) -> float | None:
    """Return the greatest relative difference of final equity; None where there is nothing to compare with.

    Raises
    ------
    ParityError : final equity differs by more than the tolerance; or, where that is exact, the Sharpe ratio by
        more than a millionth, or a run has another number of orders.
    """
    if wanted.n_orders is not None and (wanted.n_orders.size == 0 or not wanted.n_orders.all()):
        raise ParityError(f"{what}: a run without orders compares nothing")
    if tolerance is None:
        return None
    if wanted.equity.shape != found.equity.shape:
        raise ParityError(f"{what}: {wanted.equity.size} runs against {found.equity.size}")
    if tolerance <= EXACT:
        _compare_counts(what, wanted, found)
        if wanted.sharpe is not None and found.sharpe is not None:
            _compare(what, "Sharpe ratio", wanted.sharpe, found.sharpe, SHARPE_TOLERANCE)
    return _compare(what, "final equity", wanted.equity, found.equity, tolerance)


def _compare_counts(what: str, wanted: Figures, found: Figures) -> None:
    if wanted.n_orders is None or found.n_orders is None:
        raise ParityError(f"{what}: orders were not counted")
    wrong = np.flatnonzero(wanted.n_orders != found.n_orders)
    if wrong.size:
        run = wrong[0]
        raise ParityError(f"{what}: {wanted.n_orders[run]} orders against {found.n_orders[run]} in run {run}")


def _compare(what: str, name: str, wanted: np.ndarray, found: np.ndarray, tolerance: float) -> float:
    differences = np.abs(found / wanted - 1.0)
    wrong = np.flatnonzero(~(differences <= tolerance))
    if wrong.size:
        run = wrong[0]
        raise ParityError(f"{what}: {name} {wanted[run]!r} against {found[run]!r} in run {run}")
    return float(differences.max())


def _seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
