"""quantlake's side of each workload, through its public names only.

`Bars(...)` checks every price and is part of the time, unless a name says that the bars were checked before.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from benchmarks.cases import GROSS, UNITS, Case, Floats, above
from benchmarks.runs import Figures, Run, wanted
from engine import Bars, Result, TargetUnits, TargetWeights, simulate, sweep

METRICS = ("total_return", "sharpe", "max_drawdown", "n_fills")


def crossing(case: Case) -> Run:
    """W1, W2: one run of the rule that crosses two averages."""
    return lambda: _crossing(case, case.bars())


def crossing_again(case: Case) -> Run:
    """The same on bars that were checked before, as in a second run over the same data."""
    bars = case.bars()
    return lambda: _crossing(case, bars)


def crossing_units(case: Case) -> Run:
    """The same decisions made by NumPy and handed over as an array."""

    def run() -> Figures:
        is_above = above(case.close, case.pairs)
        is_changed = is_above.copy()
        is_changed[1:] = is_above[1:] != is_above[:-1]
        units = np.where(is_changed, np.where(is_above, UNITS, 0.0), np.nan)
        return _figures(_simulated(case, case.bars(), TargetUnits(units)))

    return run


def crossings(n_threads: int = 1) -> Callable[[Case], Run]:
    """W3: a sweep of the rule over all pairs."""

    def prepare(case: Case) -> Run:
        fast, slow = (sorted(set(column)) for column in zip(*case.pairs, strict=True))
        grid: object = {"fast": fast, "slow": slow}
        if tuple(product(fast, slow)) != tuple(case.pairs):
            grid = [dict(zip(("fast", "slow"), pair, strict=True)) for pair in case.pairs]

        def run() -> Figures:
            from engine.rules import Crossing

            return _swept(case, Crossing(units=UNITS), grid, n_threads)

        return run

    return prepare


def rebalancing(case: Case) -> Run:
    """W4: one run of given weights."""
    weights = wanted(case.weights)
    return lambda: _figures(_simulated(case, case.bars(), TargetWeights(weights)))


def rebalancing_again(case: Case) -> Run:
    """W4 with bars that were checked before."""
    bars, weights = case.bars(), wanted(case.weights)
    return lambda: _figures(_simulated(case, bars, TargetWeights(weights)))


def rebalancing_rows(case: Case) -> Run:
    """W4 with bars that were checked before and the weights of the deciding bars alone."""
    bars, weights = case.bars(), wanted(case.weights)
    rows = np.flatnonzero(~np.isnan(weights).all(axis=1))
    compact = weights[rows]
    return lambda: _figures(_simulated(case, bars, TargetWeights(compact, rows)))


def targets(case: Case) -> Run:
    """W5, W7: one run of given units, with the case's stop and profit."""
    units = wanted(case.units)
    return lambda: _figures(_simulated(case, case.bars(), TargetUnits(units)))


def targets_again(case: Case) -> Run:
    """The same with bars that were checked before."""
    bars, units = case.bars(), wanted(case.units)
    return lambda: _figures(_simulated(case, bars, TargetUnits(units)))


def orders(case: Case) -> Run:
    """W5 by an order each: a frame of market orders instead of an array of targets."""
    import pandas as pd

    from engine import Orders

    units = wanted(case.units)[:, 0]
    quantity = np.diff(units, prepend=0.0)
    rows = np.flatnonzero(quantity)
    frame = pd.DataFrame(
        {
            "bar_end": pd.DatetimeIndex(case.bar_end[rows], tz="UTC"),
            "symbol": pd.Categorical.from_codes(np.zeros(len(rows), dtype=np.int8), ["A0000"]),
            "quantity": quantity[rows],
            "kind": pd.Categorical.from_codes(np.zeros(len(rows), dtype=np.int8), ["market"]),
        }
    )

    def run() -> Figures:
        return _figures(simulate(case.bars(), Orders(frame), **_settings(case)))

    return run


def ranked(n_threads: int = 1) -> Callable[[Case], Run]:
    """W6: a sweep of momentum portfolios, decisions included."""

    def prepare(case: Case) -> Run:
        grid = [dict(row) for row in case.rankings]

        def run() -> Figures:
            from engine.rules import Ranking

            return _swept(case, Ranking(gross=GROSS), grid, n_threads)

        return run

    return prepare


def _crossing(case: Case, bars: Bars) -> Figures:
    from engine.rules import Crossing

    ((fast, slow),) = case.pairs
    return _figures(_simulated(case, bars, Crossing(fast=fast, slow=slow, units=UNITS)))


def _simulated(case: Case, bars: Bars, decisions: object) -> Result:
    return simulate(bars, decisions, **_settings(case))


def _settings(case: Case) -> dict[str, object]:
    settings = {
        "account": case.account,
        "costs": case.costs,
        "execution": case.execution,
        "periods_per_year": case.periods,
    }
    if case.stop_rate or case.profit_rate:
        from engine import Risk

        settings["risk"] = Risk(stop_loss_rate=case.stop_rate, take_profit_rate=case.profit_rate)
    return settings


def _swept(case: Case, rule: object, grid: object, n_threads: int) -> Figures:
    trials = sweep(case.bars(), rule, grid, metrics=METRICS, n_threads=n_threads, **_settings(case))
    found: dict[str, Floats] = trials.metrics
    return Figures(case.cash * (1.0 + found["total_return"]), found["n_fills"].astype(np.int64), found["sharpe"])


def _figures(result: Result) -> Figures:
    metrics = result.metrics
    found = {name: metrics[name] for name in METRICS}
    n_fills = np.array([found["n_fills"]], dtype=np.int64)
    return Figures(result.equity[-1:], n_fills, np.array([found["sharpe"]]))
