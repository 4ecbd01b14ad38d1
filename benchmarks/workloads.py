"""What is run: seeded markets, the decisions on them, and our side of each workload.

A contender is a function of a case that returns a call without arguments. What the function itself does (arrays
into frames, say) is not timed; the call is, and returns figures that must be the peers' own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import Account, Bars, Costs, TargetUnits, TargetWeights, simulate, sweep
from strategies import Window, evaluate
from strategies.rolling import rolling_mean

Floats = NDArray[np.float64]
CASH = 1_000_000.0
UNITS = 100.0
COSTS = Costs(commission_bps=5.0, slippage_bps=1.0)
ACCOUNT = Account(cash=CASH)
LOOKBACK, SKIP = 252, 21
# Two percent stay in cash: the peers differ in whom they cut where cash is short, which is not what is compared.
GROSS = 0.98


class Figures(NamedTuple):
    """What contenders must agree on: float64[n_runs] final equity (ccy) and int64[n_runs] orders filled."""

    equity: Floats
    n_orders: NDArray[np.int64]


Run = Callable[[], Figures]
Contender = Callable[["Case"], Run]


@dataclass(frozen=True)
class Case:
    """One data set of a workload.

    open, high, low, close, volume : float64[n_bars, n_assets]; prices of five decimals, so that two averages
        are never equal but for rounding
    bar_end : datetime64[us][n_bars], UTC
    pairs : (fast, slow) windows of moving averages, bars
    weights : float64[n_bars, n_assets] decided at each bar's close, NaN: leave alone; None without a portfolio
    top : how many assets the portfolio holds
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    bar_end: NDArray[np.datetime64]
    pairs: tuple[tuple[int, int], ...] = ()
    weights: Floats | None = None
    top: int = 0

    @property
    def windows(self) -> set[int]:
        """The windows of all pairs, each once."""
        return {window for pair in self.pairs for window in pair}

    def bars(self) -> Bars:
        """Return the bars, every price checked."""
        symbols = tuple(f"A{asset:04d}" for asset in range(self.close.shape[1]))
        return Bars(self.open, self.high, self.low, self.close, self.volume, self.bar_end, symbols)


def market(seed: int, n_bars: int, n_assets: int) -> dict[str, Any]:
    """Return the prices of a seeded random market: one common and one own lognormal step an asset and bar."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0003, 0.008, (n_bars, 1)) + rng.normal(0.0, 0.012, (n_bars, n_assets))
    close = np.round(100.0 * np.exp(np.cumsum(steps, axis=0)), 5)
    before = np.vstack([close[:1], close[:-1]])
    open_ = np.round(before * np.exp(rng.normal(0.0, 0.003, close.shape)), 5)
    bar_end = np.busday_offset("2010-01-04", np.arange(n_bars)).astype("datetime64[us]") + np.timedelta64(21, "h")
    return {
        "open": open_,
        "high": np.maximum(open_, close),
        "low": np.minimum(open_, close),
        "close": close,
        "volume": np.full(close.shape, 1e6),
        "bar_end": bar_end,
    }


def crossing_case(seed: int, n_bars: int, pairs: tuple[tuple[int, int], ...]) -> Case:
    """Return one asset and the pairs of moving averages to cross."""
    return Case(**market(seed, n_bars, 1), pairs=pairs)


def momentum_case(seed: int, n_bars: int, n_assets: int, top: int) -> Case:
    """Return a market and, decided at each month's first bar, equal weights of its winners of the last year.

    The return is that from 252 to 21 bars ago; weights add up to 0.98 and the other assets are sold.
    """
    prices = market(seed, n_bars, n_assets)
    return Case(**prices, weights=momentum_weights(prices["close"], prices["bar_end"], top), top=top)


def momentum_weights(close: Floats, bar_end: NDArray[np.datetime64], top: int) -> Floats:
    """Return the weights of `momentum_case`, computed on the rows of a month's first bar alone."""
    months = bar_end.astype("datetime64[M]")
    weights = np.full(close.shape, np.nan)
    for t in np.flatnonzero(months[1:] != months[:-1]) + 1:
        if t >= LOOKBACK:
            winners = np.argsort(-(close[t - SKIP] / close[t - LOOKBACK]), kind="stable")[:top]
            weights[t] = 0.0
            weights[t, winners] = GROSS / top
    return weights


def crossing_units(is_above: NDArray[np.bool_]) -> Floats:
    """Return 100 units while the fast average is above, decided where that changes; NaN elsewhere."""
    is_changed = is_above.copy()
    is_changed[1:] = is_above[1:] != is_above[:-1]
    return np.where(is_changed, np.where(is_above, UNITS, 0.0), np.nan)


def one_crossing(case: Case) -> Run:
    """Our side of W1: bars checked, averages, one run, all its figures."""
    ((fast, slow),) = case.pairs

    def run() -> Figures:
        bars = case.bars()
        units = crossing_units(rolling_mean(bars.close, fast) > rolling_mean(bars.close, slow))
        result = simulate(bars, TargetUnits(units), account=ACCOUNT, costs=COSTS)
        n_fills = result.metrics["n_fills"]
        return Figures(result.equity[-1:], np.array([n_fills], dtype=np.int64))

    return run


def crossing_sweep(case: Case) -> Run:
    """Our side of W3: bars checked, each average once, decisions once a pair, all figures of each run."""

    def run() -> Figures:
        bars = case.bars()
        decide = decider(case, bars.close)
        parameters = [{"fast": fast, "slow": slow} for fast, slow in case.pairs]
        metrics = sweep(bars, decide, parameters, account=ACCOUNT, costs=COSTS).metrics
        return Figures(CASH * (1.0 + metrics["total_return"]), metrics["n_fills"].astype(np.int64))

    return run


def crossing_decisions(case: Case) -> Run:
    """The part of W3 that is not the engine: the averages and the decisions of each pair."""

    def run() -> Figures:
        decide = decider(case, case.close)
        # A decision at the last bar has no bar to fill in.
        decided = (decide({"fast": fast, "slow": slow}).units[:-1] for fast, slow in case.pairs)
        return Figures(np.empty(0), np.array([np.count_nonzero(units == units) for units in decided]))

    return run


def decider(case: Case, close: Floats) -> Callable[[Mapping[str, int]], TargetUnits]:
    """Return the function from a pair of windows to its decisions; each average is computed once."""
    averages = {window: rolling_mean(close, window) for window in case.windows}
    return lambda row: TargetUnits(crossing_units(averages[row["fast"]] > averages[row["slow"]]))


def rebalancing(case: Case) -> Run:
    """Our side of W4m: bars checked, one run of given weights, all its figures."""
    return lambda: _rebalanced(case, case.bars())


def rebalancing_again(case: Case) -> Run:
    """Our side of W4m with bars that were checked before, as in a second run over the same data."""
    bars = case.bars()
    return lambda: _rebalanced(case, bars)


def rebalancing_by_strategy(case: Case) -> Run:
    """W4m as a user of the platform runs it: the bundled momentum strategy decides, then the run as before.

    The strategy decides from the second month on; to be the same work, decisions of the first 252 bars are dropped.
    """

    def run() -> Figures:
        bars = case.bars()
        parameters = {"lookback": LOOKBACK, "skip": SKIP, "top": case.top}
        weights = evaluate("momentum", Window(bars), parameters).weights
        weights = np.where(np.arange(bars.n_bars)[:, None] < LOOKBACK, np.nan, weights * GROSS)
        return _figures(bars, weights)

    return run


def _rebalanced(case: Case, bars: Bars) -> Figures:
    if case.weights is None:
        raise ValueError("this workload needs a case with weights")
    return _figures(bars, case.weights)


def _figures(bars: Bars, weights: Floats) -> Figures:
    result = simulate(bars, TargetWeights(weights), account=ACCOUNT, costs=COSTS)
    n_fills = result.metrics["n_fills"]
    return Figures(result.equity[-1:], np.array([n_fills], dtype=np.int64))
