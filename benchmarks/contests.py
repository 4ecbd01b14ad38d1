"""Which contenders meet over which data, as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from benchmarks import cases, limits, ours
from benchmarks.cases import Case
from benchmarks.peers import (
    backtesting_py,
    backtrader_py,
    polars_frames,
    raptor,
    vectorbt_broker,
    vectorbt_callbacks,
    vectorbt_kernels,
    vectorbt_portfolio,
)
from benchmarks.peers.vectorbt_callbacks import by_kernel, by_portfolio
from benchmarks.runs import VECTORBT, VECTORBT_KERNELS, Contender, Prepare

PAIRS = tuple(product(range(5, 45), range(50, 300, 10)))
MANY_PAIRS = tuple(product(range(5, 105), range(110, 610, 5)))
POLARS_TOLERANCES = (2e-3, 3e-2)


@dataclass(frozen=True)
class Contest:
    """One workload.

    cases : makes the data sets, of which each round takes the next
    ours, peers : each of ours is compared with each of the peers that is installed
    amount, unit : how much of what a case asks for, for rates a second
    limit : seconds that the machine needs at least for a case; None: not known
    rounds : rounds at the most; a slow contender takes part in fewer
    in_a_row : calls a measurement, whose mean is taken; more than one, "hot", is what a loop over one data set
        sees, and makes rows of its own
    """

    name: str
    cases: Callable[[], list[Case]]
    ours: tuple[Contender, ...]
    peers: tuple[Contender, ...]
    amount: Callable[[Case], float]
    unit: str
    limit: Callable[[limits.Machine, Case], float] | None = None
    rounds: int = 40
    in_a_row: tuple[int, ...] = (1,)

    @property
    def contenders(self) -> dict[str, Contender]:
        """Ours, then the peers, by name."""
        return {contender.name: contender for contender in (*self.ours, *self.peers)}


def contests(*, small: bool = False) -> list[Contest]:
    """Return the workloads at full size, or small enough for a test."""
    n_days, n_minutes, n_orders = (600, 3_000, 2_000) if small else (2_520, 98_280, 1_000_000)
    n_assets, top, n_rankings = (20, 5, 3) if small else (500, 50, 100)
    pairs, many_pairs = (PAIRS[::100], PAIRS[::90]) if small else (PAIRS, MANY_PAIRS)
    eight, two = (range(1, 3), range(1, 3)) if small else (range(1, 9), range(1, 3))
    days = partial(_each, eight, cases.crossing_case, n_days)
    return [
        _crossing("W1", days, in_a_row=(1, 50)),
        _crossing("W2", partial(_each, two, cases.minute_case, n_minutes), in_a_row=(1, 10)),
        _sweep("W3-1000", partial(_each, two, cases.crossing_case, n_days, pairs), rounds=15),
        _sweep("W3-10000", partial(_each, (1,), cases.crossing_case, n_days, many_pairs), rounds=5),
        _monthly(partial(_each, two, cases.monthly_case, n_days, n_assets, top)),
        _costed(partial(_each, two, cases.costed_case, n_days, n_assets, top)),
        _short(partial(_each, two, partial(cases.costed_case, is_short=True), n_days, n_assets, top)),
        _daily(partial(_each, two, cases.daily_case, n_days, n_assets)),
        _orders(partial(_each, two, cases.orders_case, n_orders)),
        _costed_orders(
            partial(
                _each,
                two,
                partial(cases.orders_case, costs=cases.ALL_COSTS, participation_rate=cases.PARTICIPATION),
                n_orders,
            )
        ),
        _rankings(partial(_each, (1,), cases.monthly_case, n_days, n_assets, top, n_rankings)),
        _guarded(partial(_each, two, cases.guarded_case, 20_000 if small else n_minutes)),
    ]


def _crossing(name: str, make: Callable[[], list[Case]], in_a_row: tuple[int, ...]) -> Contest:
    return Contest(
        name,
        make,
        (
            Contender(name, ours.crossing),
            Contender(f"{name}, bars checked before", ours.crossing_again),
            Contender(f"{name}, targets by NumPy", ours.crossing_units),
        ),
        (
            *_vectorbt("from_orders", vectorbt_portfolio.crossing_orders),
            *_vectorbt("from_signals", vectorbt_portfolio.signals),
            _called("from_order_func", vectorbt_callbacks.crossings(by_portfolio)),
            *_kernels("simulate_from_orders", vectorbt_kernels.crossings),
            _raptor(raptor.crossing),
            _peer("backtesting.py", backtesting_py.crossing, "backtesting"),
            _peer("backtrader", backtrader_py.crossing, "backtrader"),
        ),
        lambda case: case.n_bars,
        "bars",
        limits.crossing,
        in_a_row=in_a_row,
    )


def _sweep(name: str, make: Callable[[], list[Case]], rounds: int) -> Contest:
    return Contest(
        name,
        make,
        (
            Contender(name, ours.crossings()),
            Contender(f"{name}, two threads", ours.crossings(2), n_threads=2),
        ),
        (
            *_vectorbt("from_signals", vectorbt_portfolio.signals),
            _called("from_order_func", vectorbt_callbacks.crossings(by_portfolio)),
            _kernel("simulate_nb", vectorbt_callbacks.crossings(by_kernel)),
            *_kernels("simulate_from_orders", vectorbt_kernels.crossings, ("rust",)),
            _raptor(raptor.crossings, "raptorbt batch", n_threads=0),
        ),
        lambda case: len(case.pairs),
        "trials",
        limits.sweep,
        rounds=rounds,
    )


def _monthly(make: Callable[[], list[Case]]) -> Contest:
    name = "W4m"
    return Contest(
        name,
        make,
        (
            Contender(name, ours.rebalancing),
            Contender(f"{name}, bars checked before", ours.rebalancing_again),
            Contender(f"{name}, bars checked before, deciding rows alone", ours.rebalancing_rows),
        ),
        (
            *_vectorbt("from_orders", vectorbt_portfolio.weight_orders),
            _called("from_order_func", vectorbt_callbacks.weights(by_portfolio)),
            _kernel("flex_simulate_row_wise_nb", vectorbt_callbacks.weights(by_kernel)),
            *_polars(),
        ),
        lambda case: case.close.size,
        "asset-bars",
        limits.monthly,
        in_a_row=(1, 10),
    )


def _costed(make: Callable[[], list[Case]]) -> Contest:
    name = "W4c"
    return Contest(
        name,
        make,
        (Contender(name, ours.rebalancing), Contender(f"{name}, bars checked before", ours.rebalancing_again)),
        (
            _called("from_order_func, costs in callbacks", vectorbt_broker.carried(by_portfolio)),
            _kernel("flex_simulate_row_wise_nb, costs in callbacks", vectorbt_broker.carried(by_kernel)),
        ),
        lambda case: case.close.size,
        "asset-bars",
        limits.monthly,
    )


def _short(make: Callable[[], list[Case]]) -> Contest:
    name = "W4c, long and short, all costs"
    return Contest(
        name,
        make,
        (Contender(name, ours.rebalancing), Contender(f"{name}, bars checked before", ours.rebalancing_again)),
        (),
        lambda case: case.close.size,
        "asset-bars",
        limits.monthly,
        rounds=20,
    )


def _daily(make: Callable[[], list[Case]]) -> Contest:
    name = "W4d"
    return Contest(
        name,
        make,
        (Contender(name, ours.rebalancing), Contender(f"{name}, bars checked before", ours.rebalancing_again)),
        (
            *_vectorbt("from_orders", vectorbt_portfolio.weight_orders),
            _called("from_order_func", vectorbt_callbacks.weights(by_portfolio)),
            _kernel("flex_simulate_row_wise_nb", vectorbt_callbacks.weights(by_kernel)),
            *_polars(),
        ),
        lambda case: np.count_nonzero(case.weights[:-1]) if case.weights is not None else 0.0,
        "orders",
        limits.daily,
        rounds=20,
    )


def _orders(make: Callable[[], list[Case]]) -> Contest:
    name = "W5"
    return Contest(
        name,
        make,
        (
            Contender(name, ours.targets),
            Contender(f"{name}, as an Orders frame", ours.orders, needs=("pandas",)),
        ),
        (
            *_vectorbt("from_orders", vectorbt_portfolio.unit_orders),
            _called("from_order_func", vectorbt_callbacks.units(by_portfolio)),
            _kernel("simulate_nb", vectorbt_callbacks.units(by_kernel)),
            *_kernels("simulate_from_orders", vectorbt_kernels.units, ("rust",)),
        ),
        lambda case: case.n_bars - 1,
        "orders",
        limits.orders,
        rounds=12,
    )


def _costed_orders(make: Callable[[], list[Case]]) -> Contest:
    name = "W5, all costs"
    return Contest(
        name,
        make,
        (Contender(name, ours.targets),),
        (),
        lambda case: case.n_bars - 1,
        "orders",
        limits.orders,
        rounds=12,
    )


def _rankings(make: Callable[[], list[Case]]) -> Contest:
    name = "W6"
    return Contest(
        name,
        make,
        (Contender(name, ours.ranked()), Contender(f"{name}, two threads", ours.ranked(2), n_threads=2)),
        (
            _called("from_order_func", vectorbt_callbacks.rankings(by_portfolio)),
            _kernel("flex_simulate_row_wise_nb", vectorbt_callbacks.rankings(by_kernel)),
        ),
        lambda case: len(case.rankings),
        "trials",
        limits.rankings,
        rounds=10,
    )


def _guarded(make: Callable[[], list[Case]]) -> Contest:
    return Contest(
        "W7",
        make,
        (Contender("W7", ours.targets), Contender("W7, bars checked before", ours.targets_again)),
        (
            *_vectorbt("from_signals", vectorbt_portfolio.guarded),
            *_kernels("simulate_from_signals", vectorbt_kernels.guarded),
            _peer("backtesting.py", backtesting_py.guarded, "backtesting"),
        ),
        lambda case: case.n_bars,
        "bars",
        limits.guarded,
    )


def _each(seeds: Sequence[int], make: Callable[..., Case], *sizes: object) -> list[Case]:
    return [make(seed, *sizes) for seed in seeds]


def _peer(name: str, prepare: Prepare, *needs: str) -> Contender:
    return Contender(name, prepare, name, needs)


def _raptor(prepare: Prepare, name: str = "raptorbt", n_threads: int = 1) -> Contender:
    return Contender(name, prepare, "raptorbt", ("raptorbt",), n_threads=n_threads)


def _vectorbt(form: str, prepare: Callable[[str], Prepare]) -> tuple[Contender, ...]:
    """Return a form of `vectorbt.Portfolio` on both of its engines."""
    return (
        Contender(f"vectorbt {form}, numba", prepare("numba"), VECTORBT, ("vectorbt",)),
        Contender(f"vectorbt {form}, rust", prepare("rust"), VECTORBT, ("vectorbt", "vectorbt_rust")),
    )


def _called(form: str, prepare: Prepare) -> Contender:
    return Contender(f"vectorbt {form}", prepare, VECTORBT, ("vectorbt",))


def _kernels(
    form: str, prepare: Callable[[str], Prepare], engines: tuple[str, ...] = ("numba", "rust")
) -> tuple[Contender, ...]:
    needs = {"numba": ("vectorbt",), "rust": ("vectorbt", "vectorbt_rust")}
    return tuple(
        Contender(f"vectorbt kernels {form}, {engine}", prepare(engine), VECTORBT_KERNELS, needs[engine])
        for engine in engines
    )


def _kernel(form: str, prepare: Prepare) -> Contender:
    return Contender(f"vectorbt kernels {form}", prepare, VECTORBT_KERNELS, ("vectorbt",))


def _polars() -> tuple[Contender, ...]:
    mosaic, wide = POLARS_TOLERANCES
    return (
        Contender(
            "polars_bt mosaic",
            polars_frames.mosaic,
            "polars_bt",
            ("polars", "polars_bt"),
            mosaic,
            polars_frames.MOSAIC_DIFFERS,
            n_threads=0,
        ),
        Contender(
            "polars_backtest wide",
            polars_frames.wide,
            "polars_backtest",
            ("polars", "polars_backtest"),
            wide,
            polars_frames.WIDE_DIFFERS,
            n_threads=0,
        ),
    )
