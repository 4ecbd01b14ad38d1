"""Which contenders meet over which data, and the proof that they do the same work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks import peers, workloads
from benchmarks.workloads import Case, Contender, Figures

TOLERANCE = 1e-9
PAIRS = tuple(product(range(5, 45), range(50, 300, 10)))


class ParityError(AssertionError):
    """Two contenders did not do the same work: their times must not be compared."""


@dataclass(frozen=True)
class Contest:
    """One workload: our contenders, each to be compared with each peer.

    cases : makes the data sets, of which each round takes the next
    repeats : rounds
    in_a_row : calls a measurement, whose mean is taken: more than one is what a loop over one data set sees
    """

    cases: Callable[[], list[Case]]
    ours: Mapping[str, Contender]
    peers: Mapping[str, Contender]
    repeats: int
    in_a_row: int = 1

    @property
    def name(self) -> str:
        """The first of our contenders."""
        return next(iter(self.ours))


def contests(*, small: bool = False) -> list[Contest]:
    """Return the workloads at full size, or small enough for a test."""
    n_bars = 600 if small else 2_520
    seeds = range(1, 3) if small else range(1, 9)
    pairs = PAIRS[::100] if small else PAIRS
    n_assets, top = (20, 5) if small else (500, 50)

    def one_pair() -> list[Case]:
        return [workloads.crossing_case(seed, n_bars, ((10, 50),)) for seed in seeds]

    def many_pairs() -> list[Case]:
        return [workloads.crossing_case(seed, n_bars, pairs) for seed in (1, 2)]

    def portfolio() -> list[Case]:
        return [workloads.momentum_case(seed, n_bars, n_assets, top) for seed in (1, 2)]

    return [
        Contest(one_pair, {"W1": workloads.one_crossing}, {"vectorbt from_orders": peers.one_crossing}, 40),
        Contest(
            one_pair,
            {"W1, 50 in a row": workloads.one_crossing},
            {"vectorbt from_orders, 50 in a row": peers.one_crossing},
            9,
            in_a_row=50,
        ),
        Contest(many_pairs, {"W3-1000": workloads.crossing_sweep}, {"vectorbt from_signals": peers.crossings}, 10),
        Contest(
            many_pairs,
            {"W3-1000, decisions alone": workloads.crossing_decisions},
            {"vectorbt, signals alone": peers.crossing_signals},
            10,
        ),
        Contest(
            portfolio,
            {
                "W4m": workloads.rebalancing,
                "W4m, bars checked before": workloads.rebalancing_again,
            },
            {
                "vectorbt from_order_func": peers.rebalancing_from_order_func,
                "vectorbt from_orders": peers.rebalancing_from_orders,
            },
            12,
        ),
        Contest(
            portfolio,
            {"W4m, decisions too": workloads.rebalancing_by_strategy},
            {"NumPy and vectorbt from_order_func": peers.momentum_from_order_func},
            12,
        ),
    ]


def check_parity(contest: Contest, cases: Sequence[Case]) -> None:
    """Run every contender on every case and compare the figures of all with those of the first.

    Raises
    ------
    ParityError : final equity differs by more than 1e-9 of it, or any run has another number of orders.
    """
    contenders = {**contest.ours, **contest.peers}
    for number, case in enumerate(cases):
        figures = {name: prepare(case)() for name, prepare in contenders.items()}
        (first, wanted), *others = figures.items()
        for name, found in others:
            compare(f"{first} and {name} on data set {number}", wanted, found)


def compare(what: str, wanted: Figures, found: Figures) -> None:
    """Raise `ParityError` naming the first run whose figures differ."""
    if wanted.equity.shape != found.equity.shape or wanted.n_orders.shape != found.n_orders.shape:
        raise ParityError(f"{what}: {wanted.n_orders.size} runs against {found.n_orders.size}")
    if wanted.n_orders.size == 0 or not wanted.n_orders.all():
        raise ParityError(f"{what}: a run without orders compares nothing")
    wrong = np.flatnonzero(wanted.n_orders != found.n_orders)
    if wrong.size:
        run = wrong[0]
        raise ParityError(f"{what}: {wanted.n_orders[run]} orders against {found.n_orders[run]} in run {run}")
    wrong = np.flatnonzero(~(np.abs(found.equity / wanted.equity - 1.0) <= TOLERANCE))
    if wrong.size:
        run = wrong[0]
        raise ParityError(f"{what}: final equity {wanted.equity[run]!r} against {found.equity[run]!r} in run {run}")
