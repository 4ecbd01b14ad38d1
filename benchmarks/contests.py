"""Which contenders meet over which data, as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks import cases, limits, ours
from benchmarks.cases import Case
from benchmarks.entrants import (
    kernel_callback,
    kernel_engines,
    peer,
    polars,
    raptorbt,
    vectorbt_callback,
    vectorbt_engines,
)
from benchmarks.peers import (
    backtesting_py,
    backtrader_py,
    raptor,
    vectorbt_broker,
    vectorbt_callbacks,
    vectorbt_kernels,
    vectorbt_portfolio,
)
from benchmarks.peers.vectorbt_callbacks import by_kernel, by_portfolio
from benchmarks.runs import Contender

PAIRS = tuple(product(range(5, 45), range(50, 300, 10)))
MANY_PAIRS = tuple(product(range(5, 105), range(110, 610, 5)))

Make = Callable[[int], Case]
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Contest:
    """One workload.

    make : makes a data set of a seed
    seeds : of the data sets, of which each round takes the next
    ours, peers : each of ours is compared with each of the peers that is installed
    amount, unit : how much of what a case asks for, for rates a second
    limit : seconds that the machine needs at least for a case; None: not known
    rounds : rounds at the most; a slow contender takes part in fewer
    in_a_row : calls a measurement, over one data set after the other, whose mean is taken: code is warm and no
        branch predictor knows the data by heart. Where it is more than one, rows of single calls follow
    """

    name: str
    make: Make
    seeds: Sequence[int]
    ours: tuple[Contender, ...]
    peers: tuple[Contender, ...]
    amount: Callable[[Case], float]
    unit: str
    limit: Callable[[limits.Machine, Case], float] | None = None
    rounds: int = 40
    in_a_row: int = 1

    @property
    def contenders(self) -> dict[str, Contender]:
        """Ours, then the peers, by name."""
        return {contender.name: contender for contender in (*self.ours, *self.peers)}

    def cases(self) -> list[Case]:
        """Return all data sets."""
        return [self.make(seed) for seed in self.seeds]


def contests(*, small: bool = False) -> list[Contest]:
    """Return the workloads at full size, or small enough for a test."""
    n_days, n_minutes, n_orders = (600, 3_000, 2_000) if small else (2_520, 98_280, 1_000_000)
    n_assets, top, n_rankings = (20, 5, 3) if small else (500, 50, 100)
    few = (1, 2)

    def days(seed: int) -> Case:
        return cases.crossing_case(seed, n_days)

    def pairs_of(pairs: Pairs) -> Make:
        return lambda seed: cases.crossing_case(seed, n_days, pairs)

    def months(n_rankings: int) -> Make:
        return lambda seed: cases.monthly_case(seed, n_days, n_assets, top, n_rankings)

    def costed(is_short: bool) -> Make:
        return lambda seed: cases.costed_case(seed, n_days, n_assets, top, is_short=is_short)

    def costed_orders(seed: int) -> Case:
        return cases.orders_case(seed, n_orders, costs=cases.ALL_COSTS, participation_rate=cases.PARTICIPATION)

    return [
        _crossing("W1", days, few if small else range(1, 9), in_a_row=56),
        _crossing("W2", lambda seed: cases.minute_case(seed, n_minutes), few, in_a_row=10),
        _sweep("W3-1000", pairs_of(PAIRS[::100] if small else PAIRS), few, rounds=15),
        _sweep("W3-10000", pairs_of(PAIRS[::90] if small else MANY_PAIRS), few[:1], rounds=5),
        _monthly(months(0), few),
        _costed(costed(False), few),
        _short(costed(True), few),
        _daily(lambda seed: cases.daily_case(seed, n_days, n_assets), few),
        _orders(lambda seed: cases.orders_case(seed, n_orders), few),
        _costed_orders(costed_orders, few),
        _rankings(months(n_rankings), few[:1]),
        _guarded(lambda seed: cases.guarded_case(seed, 20_000 if small else n_minutes), few),
    ]


def _crossing(name: str, make: Make, seeds: Sequence[int], in_a_row: int) -> Contest:
    return Contest(
        name,
        make,
        seeds,
        (
            Contender(name, ours.crossing),
            Contender(f"{name}, bars checked before", ours.crossing_again),
            Contender(f"{name}, targets by NumPy", ours.crossing_units),
        ),
        (
            *vectorbt_engines("from_orders", vectorbt_portfolio.crossing_orders),
            *vectorbt_engines("from_signals", vectorbt_portfolio.signals),
            vectorbt_callback("from_order_func", vectorbt_callbacks.crossings(by_portfolio)),
            kernel_callback("simulate_nb", vectorbt_callbacks.crossings(by_kernel)),
            *kernel_engines("simulate_from_orders", vectorbt_kernels.crossings),
            raptorbt(raptor.crossing),
            peer("backtesting.py", backtesting_py.crossing, "backtesting"),
            peer("backtrader", backtrader_py.crossing, "backtrader"),
        ),
        lambda case: case.n_bars,
        "bars",
        limits.crossing,
        in_a_row=in_a_row,
    )


def _sweep(name: str, make: Make, seeds: Sequence[int], rounds: int) -> Contest:
    return Contest(
        name,
        make,
        seeds,
        (
            Contender(name, ours.crossings()),
            Contender(f"{name}, two threads", ours.crossings(2), n_threads=2),
        ),
        (
            *vectorbt_engines("from_signals", vectorbt_portfolio.signals),
            vectorbt_callback("from_order_func", vectorbt_callbacks.crossings(by_portfolio)),
            kernel_callback("simulate_nb", vectorbt_callbacks.crossings(by_kernel)),
            *kernel_engines("simulate_from_orders", vectorbt_kernels.crossings, ("rust",)),
            raptorbt(raptor.crossings, "raptorbt batch", n_threads=0),
        ),
        lambda case: len(case.pairs),
        "trials",
        limits.sweep,
        rounds=rounds,
        in_a_row=20,
    )


def _monthly(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W4m"
    return Contest(
        name,
        make,
        seeds,
        (
            Contender(name, ours.rebalancing),
            Contender(f"{name}, bars checked before", ours.rebalancing_again),
            Contender(f"{name}, bars checked before, deciding rows alone", ours.rebalancing_rows),
        ),
        (
            *vectorbt_engines("from_orders", vectorbt_portfolio.weight_orders),
            vectorbt_callback("from_order_func", vectorbt_callbacks.weights(by_portfolio)),
            kernel_callback("flex_simulate_row_wise_nb", vectorbt_callbacks.weights(by_kernel)),
            *polars(),
        ),
        lambda case: case.close.size,
        "asset-bars",
        limits.monthly,
        in_a_row=10,
    )


def _costed(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W4c"
    return Contest(
        name,
        make,
        seeds,
        (Contender(name, ours.rebalancing), Contender(f"{name}, bars checked before", ours.rebalancing_again)),
        (
            vectorbt_callback("from_order_func, costs in callbacks", vectorbt_broker.carried(by_portfolio)),
            kernel_callback("flex_simulate_row_wise_nb, costs in callbacks", vectorbt_broker.carried(by_kernel)),
        ),
        lambda case: case.close.size,
        "asset-bars",
        limits.monthly,
    )


def _short(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W4c, long and short, all costs"
    return Contest(
        name,
        make,
        seeds,
        (Contender(name, ours.rebalancing), Contender(f"{name}, bars checked before", ours.rebalancing_again)),
        (),
        lambda case: case.close.size,
        "asset-bars",
        limits.monthly,
        rounds=20,
    )


def _daily(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W4d"
    return Contest(
        name,
        make,
        seeds,
        (Contender(name, ours.rebalancing), Contender(f"{name}, bars checked before", ours.rebalancing_again)),
        (
            *vectorbt_engines("from_orders", vectorbt_portfolio.weight_orders),
            vectorbt_callback("from_order_func", vectorbt_callbacks.weights(by_portfolio)),
            kernel_callback("flex_simulate_row_wise_nb", vectorbt_callbacks.weights(by_kernel)),
            *polars(),
        ),
        lambda case: np.count_nonzero(case.weights[:-1]) if case.weights is not None else 0.0,
        "orders",
        limits.daily,
        rounds=20,
    )


def _orders(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W5"
    return Contest(
        name,
        make,
        seeds,
        (
            Contender(name, ours.targets),
            Contender(f"{name}, as an Orders frame", ours.orders, needs=("pandas",)),
        ),
        (
            *vectorbt_engines("from_orders", vectorbt_portfolio.unit_orders),
            vectorbt_callback("from_order_func", vectorbt_callbacks.units(by_portfolio)),
            kernel_callback("simulate_nb", vectorbt_callbacks.units(by_kernel)),
            *kernel_engines("simulate_from_orders", vectorbt_kernels.units, ("rust",)),
        ),
        lambda case: case.n_bars - 1,
        "orders",
        limits.orders,
        rounds=12,
    )


def _costed_orders(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W5, all costs"
    return Contest(
        name,
        make,
        seeds,
        (Contender(name, ours.targets),),
        (),
        lambda case: case.n_bars - 1,
        "orders",
        limits.orders,
        rounds=12,
        in_a_row=5,
    )


def _rankings(make: Make, seeds: Sequence[int]) -> Contest:
    name = "W6"
    return Contest(
        name,
        make,
        seeds,
        (Contender(name, ours.ranked()), Contender(f"{name}, two threads", ours.ranked(2), n_threads=2)),
        (
            vectorbt_callback("from_order_func", vectorbt_callbacks.rankings(by_portfolio)),
            kernel_callback("flex_simulate_row_wise_nb", vectorbt_callbacks.rankings(by_kernel)),
        ),
        lambda case: len(case.rankings),
        "trials",
        limits.rankings,
        rounds=10,
        in_a_row=10,
    )


def _guarded(make: Make, seeds: Sequence[int]) -> Contest:
    return Contest(
        "W7",
        make,
        seeds,
        (Contender("W7", ours.targets), Contender("W7, bars checked before", ours.targets_again)),
        (
            *vectorbt_engines("from_signals", vectorbt_portfolio.guarded),
            *kernel_engines("simulate_from_signals", vectorbt_kernels.guarded),
            peer("backtesting.py", backtesting_py.guarded, "backtesting"),
        ),
        lambda case: case.n_bars,
        "bars",
        limits.guarded,
        in_a_row=10,
    )
