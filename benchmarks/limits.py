"""What a workload needs at least on this machine: a handful of speeds, measured, and the work of each workload.

A floor counts bytes that must be read and the operations that must wait for each other, on one thread: an estimate
that no implementation was shown to reach. It knows nothing of interfaces, records or checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.cases import Case, Floats, above, rebalancing_bars

# A branch on what the market does is guessed wrong about twice an order.
MISSES = 2
# Cash and equity of an order follow from those of the order before: two and a half additions in a row.
CHAIN = 2.5
BYTES = 8
GIGA = 1e9
BEST_OF = 9
# So small that a product stays on one core.
PRODUCT = 64


@dataclass(frozen=True)
class Machine:
    """Speeds of one core, the best of several measurements.

    memory_gbps, cache_gbps : reading from memory and from the first cache, GB/s
    add_ns, divide_ns : an addition that waits for the one before, a division among independent ones
    miss_ns : a branch guessed wrong
    call_ns : calling a compiled function with ten arguments
    product_gflops : multiplying matrices
    select_us : finding the 50 greatest of 500 numbers
    """

    memory_gbps: float
    cache_gbps: float
    add_ns: float
    divide_ns: float
    miss_ns: float
    call_ns: float
    product_gflops: float
    select_us: float

    def memory(self, n_values: float) -> float:
        """Return the seconds of reading float64 values from memory once."""
        return n_values * BYTES / (self.memory_gbps * GIGA)


def measure() -> Machine:
    """Return the speeds of this machine; about ten seconds, most of them compiling."""
    kernels = _kernels()
    rng = np.random.default_rng(0)
    large, small = np.ones(1 << 25), np.ones(1 << 11)
    n_random = 1 << 16
    is_random, is_steady = rng.random(n_random) < 0.5, np.ones(n_random, dtype=np.bool_)
    out = np.empty(n_random, dtype=np.int64)
    matrix, scores = rng.random((PRODUCT, PRODUCT)), rng.random(500)
    product = np.empty_like(matrix)
    five = [np.ones(8)] * 5
    n_cached, n_calls = 2_000, 10_000

    def calls() -> None:
        for _ in range(n_calls):
            kernels.nothing_nb(*five, 1.0, 2.0, 3.0, 4.0, 5.0)

    random = _best(lambda: kernels.branch_nb(is_random, out)) / n_random
    steady = _best(lambda: kernels.branch_nb(is_steady, out)) / n_random
    return Machine(
        memory_gbps=large.nbytes / _best(lambda: kernels.sum_nb(large, 1)) / GIGA,
        cache_gbps=small.nbytes * n_cached / _best(lambda: kernels.sum_nb(small, n_cached)) / GIGA,
        add_ns=_best(lambda: kernels.chain_nb(small, 100)) / (100 * small.size) * GIGA,
        divide_ns=_best(lambda: kernels.divide_nb(small, small.copy(), 100)) / (100 * small.size) * GIGA,
        miss_ns=max(2.0 * (random - steady), 0.0) * GIGA,
        call_ns=_best(calls) / n_calls * GIGA,
        product_gflops=2.0 * PRODUCT**3 / _best(lambda: np.matmul(matrix, matrix, product)) / GIGA,
        select_us=_best(lambda: np.argpartition(scores, 450)) * 1e6,
    )


def crossing(machine: Machine, case: Case) -> float:
    """One pass of averages with its chain of sums, a division a bar, the orders."""
    chain = case.n_bars * (machine.add_ns + machine.divide_ns) + _n_crossings(case) * MISSES * machine.miss_ns
    return max((chain + machine.call_ns) / GIGA, machine.memory(2 * case.n_bars))


def sweep(machine: Machine, case: Case) -> float:
    """Three cached streams of a bar's length a pair (two averages, one price), the orders."""
    streams = 3 * BYTES * case.n_bars * len(case.pairs) / (machine.cache_gbps * GIGA)
    return streams + _n_crossings(case) * MISSES * machine.miss_ns / GIGA


def monthly(machine: Machine, case: Case) -> float:
    """Every close is read once."""
    return machine.memory(case.close.size)


def daily(machine: Machine, case: Case) -> float:
    """Every weight, open and close is read once."""
    return machine.memory(3 * case.close.size)


def orders(machine: Machine, case: Case) -> float:
    """Open and close are read once; cash and equity are chains over the orders."""
    return max(CHAIN * case.n_bars * machine.add_ns / GIGA, machine.memory(2 * case.n_bars))


def rankings(machine: Machine, case: Case) -> float:
    """Marking as one product of matrices, a selection a lookback, skip and month, a division a trade."""
    flops, n_trades = 0.0, 0
    selections = {(row["lookback"], row["skip"]) for row in case.rankings}
    n_selections = sum(len(rebalancing_bars(case.bar_end, lookback)) for lookback, _ in selections)
    for row in case.rankings:
        flops += 2.0 * case.n_assets * (case.n_bars - row["lookback"])
        n_trades += 2 * row["top"] * len(rebalancing_bars(case.bar_end, row["lookback"]))
    trades = n_trades * (machine.divide_ns + machine.add_ns) / GIGA
    return flops / (machine.product_gflops * GIGA) + n_selections * machine.select_us / 1e6 + trades


def guarded(machine: Machine, case: Case) -> float:
    """The averages' chain, then open, high, low and close once for the levels."""
    chain = case.n_bars * (machine.add_ns + machine.divide_ns) / GIGA
    return chain + machine.memory(4 * case.n_bars)


def _n_crossings(case: Case) -> int:
    # As many pairs as make the mean steady; all of ten thousand would take a second.
    pairs = case.pairs[:: max(len(case.pairs) // 100, 1)]
    is_above = above(case.close, pairs)
    return int(np.count_nonzero(is_above[1:] != is_above[:-1]) * len(case.pairs) / len(pairs))


def _best(work: Callable[[], Any]) -> float:
    work()
    found = []
    for _ in range(BEST_OF):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def _kernels() -> SimpleNamespace:
    from numba import njit

    # Additions in any order, so that they need not wait for each other; no sum of prices is formed like this.
    @njit(fastmath={"reassoc", "nsz"})
    def total_nb(values: Floats) -> float:
        total = 0.0
        for k in range(len(values)):
            total += values[k]
        return total

    @njit
    def sum_nb(values: Floats, n_times: int) -> float:
        total = 0.0
        for k in range(n_times):
            # Each pass changes a value, so that none can be left out.
            values[k % 8] = total * 1e-300
            total += total_nb(values)
        return total

    @njit
    def chain_nb(values: Floats, n_times: int) -> float:
        total = 0.0
        for _ in range(n_times):
            for value in values:
                total += value
        return total

    @njit(error_model="numpy")
    def divide_nb(values: Floats, out: Floats, n_times: int) -> None:
        for _ in range(n_times):
            for k in range(len(values)):
                out[k] = values[k] / (out[k] + 1.0)

    @njit
    def branch_nb(is_taken: Any, out: Any) -> int:
        n_taken, n_other = 0, 0
        for k in range(len(is_taken)):
            if is_taken[k]:
                out[n_taken] = k
                n_taken += 1
            else:
                out[len(out) - 1 - n_other] += n_taken
                n_other += 1
        return n_taken

    @njit
    def nothing_nb(a, b, c, d, e, f, g, h, i, j):  # type: ignore[no-untyped-def]
        return a[0] + f

    return SimpleNamespace(
        sum_nb=sum_nb, chain_nb=chain_nb, divide_nb=divide_nb, branch_nb=branch_nb, nothing_nb=nothing_nb
    )
