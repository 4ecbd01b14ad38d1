"""What is run: seeded markets and the decisions on them, the same arrays for quantlake and for every peer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import Account, Bars, Costs, Execution

Floats = NDArray[np.float64]
CASH = 1_000_000.0
# A million orders cost more than a million.
ORDERS_CASH = 100_000_000.0
UNITS = 100.0
COSTS = Costs(commission_bps=5.0, slippage_bps=1.0)
# Per-share commission with a minimum, half the spread, slippage, square-root impact, borrowing.
ALL_COSTS = Costs(
    commission_per_share=0.005,
    commission_min=1.0,
    spread_bps=2.0,
    slippage_bps=1.0,
    impact_coefficient=0.1,
    borrow_rate=0.03,
)
# What a peer with a callback can also charge: the same without impact, which needs a history of volumes.
BROKER_COSTS = Costs(commission_per_share=0.005, commission_min=1.0, slippage_bps=2.0, borrow_rate=0.03)
PARTICIPATION = 0.05
LOOKBACK, SKIP = 252, 21
# Two percent stay in cash: the peers differ in whom they cut where cash is short, which is not what is compared.
GROSS = 0.98
# Where buys may come before capped sales are done, half stays in cash.
CAPPED_GROSS = 0.5
# Drift, deviation of the common and of the own step of an asset a bar, and of the open from the last close.
DAILY = (0.0003, 0.008, 0.012, 0.003)
MINUTELY = (0.0, 0.0, 0.001, 0.0002)
SESSION_BARS = 390


@dataclass(frozen=True)
class Case:
    """One data set of a workload.

    open, high, low, close, volume : float64[n_bars, n_assets]; prices of five decimals, so that two averages
        are never equal but for rounding
    bar_end : datetime64[us][n_bars], UTC
    pairs : (fast, slow) windows of moving averages, bars
    units : float64[n_bars, n_assets] units decided at each bar's close, NaN: leave alone; None without
    weights : the same as fractions of equity
    top : how many assets the portfolio holds
    rankings : parameters of momentum portfolios: lookback, skip, top
    stop_rate, profit_rate : fractions; 0: none
    cash : initial cash, ccy
    periods : bars a year, for Sharpe ratios
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    bar_end: NDArray[np.datetime64]
    pairs: tuple[tuple[int, int], ...] = ()
    units: Floats | None = None
    weights: Floats | None = None
    top: int = 0
    rankings: tuple[Mapping[str, int], ...] = ()
    costs: Costs = COSTS
    execution: Execution = field(default_factory=Execution)
    stop_rate: float = 0.0
    profit_rate: float = 0.0
    cash: float = CASH
    periods: float = 252.0

    @property
    def windows(self) -> list[int]:
        """The windows of all pairs, each once."""
        return sorted({window for pair in self.pairs for window in pair})

    @property
    def account(self) -> Account:
        """The account all runs begin with."""
        return Account(cash=self.cash)

    @property
    def fees(self) -> float:
        """Commission as a fraction of value."""
        return self.costs.commission_bps / 1e4

    @property
    def slippage(self) -> float:
        """Slippage as a fraction of price."""
        return self.costs.slippage_bps / 1e4

    @property
    def n_bars(self) -> int:
        """Number of bars."""
        return int(self.close.shape[0])

    @property
    def n_assets(self) -> int:
        """Number of assets."""
        return int(self.close.shape[1])

    def bars(self) -> Bars:
        """Return the bars, every price checked."""
        symbols = tuple(f"A{asset:04d}" for asset in range(self.n_assets))
        return Bars(self.open, self.high, self.low, self.close, self.volume, self.bar_end, symbols)


def daily_market(seed: int, n_bars: int, n_assets: int) -> dict[str, Any]:
    """Return the prices of a seeded market, one bar a business day."""
    bar_end = np.busday_offset("2010-01-04", np.arange(n_bars)).astype("datetime64[us]") + np.timedelta64(21, "h")
    return _market(seed, bar_end, n_assets, DAILY)


def minute_market(seed: int, n_bars: int) -> dict[str, Any]:
    """Return the prices of one asset of a seeded market, 390 minutes a business day."""
    bar = np.arange(n_bars)
    days = np.busday_offset("2010-01-04", bar // SESSION_BARS).astype("datetime64[us]")
    bar_end = days + (14 * 60 + 31 + bar % SESSION_BARS).astype("timedelta64[m]")
    return _market(seed, bar_end, 1, MINUTELY)


def crossing_case(seed: int, n_bars: int, pairs: tuple[tuple[int, int], ...] = ((10, 50),)) -> Case:
    """Return one asset of daily bars and the pairs of moving averages to cross."""
    return Case(**daily_market(seed, n_bars, 1), pairs=pairs)


def minute_case(seed: int, n_bars: int) -> Case:
    """Return one asset of minute bars and a pair of moving averages to cross."""
    return Case(**minute_market(seed, n_bars), pairs=((10, 50),), periods=252.0 * SESSION_BARS)


def guarded_case(seed: int, n_bars: int) -> Case:
    """Return minute bars where crossings only enter: positions leave at a stop of 2 % or a profit of 4 %.

    Levels work from the bar after the entry and pay no slippage, as in vectorbt.
    """
    prices = minute_market(seed, n_bars)
    is_above = above(prices["close"], ((10, 50),))[:, :1]
    entries = is_above.copy()
    entries[1:] &= ~is_above[:-1]
    execution = Execution(children_from="next_bar", stop_slippage=False, limit_slippage=False)
    return Case(
        **prices,
        pairs=((10, 50),),
        units=np.where(entries, UNITS, np.nan),
        execution=execution,
        stop_rate=0.02,
        profit_rate=0.04,
        periods=252.0 * SESSION_BARS,
    )


def orders_case(seed: int, n_orders: int, *, costs: Costs = COSTS, participation_rate: float = np.inf) -> Case:
    """Return minute bars of one asset with an order each: other whole units, 0 to 100, at every close but the last.

    A limit on participation binds in about every fifth bar.
    """
    prices = minute_market(seed, n_orders + 1)
    rng = np.random.default_rng([seed, 1])
    steps = rng.integers(1, 101, n_orders + 1)
    units = np.cumsum(steps) % 101
    prices["volume"] = rng.uniform(400.0, 4_000.0, (n_orders + 1, 1)).round()
    execution = Execution(participation_rate=participation_rate)
    return Case(
        **prices,
        units=units.astype(np.float64)[:, None],
        costs=costs,
        execution=execution,
        cash=ORDERS_CASH,
        periods=252.0 * SESSION_BARS,
    )


def monthly_case(seed: int, n_bars: int, n_assets: int, top: int, n_rankings: int = 0) -> Case:
    """Return a market and, decided at each month's first bar, equal weights of its winners of the last year.

    The return is that from 252 to 21 bars ago; weights add up to 0.98 and the other assets are sold.
    """
    prices = daily_market(seed, n_bars, n_assets)
    weights = momentum_weights(prices["close"], prices["bar_end"], LOOKBACK, SKIP, top)
    return Case(**prices, weights=weights, top=top, rankings=rankings(n_rankings, n_assets))


def daily_case(seed: int, n_bars: int, n_assets: int) -> Case:
    """Return a market and random weights of all assets at every close, adding up to 0.98."""
    weights = np.random.default_rng([seed, 1]).uniform(0.5, 1.5, (n_bars, n_assets))
    weights *= GROSS / weights.sum(axis=1, keepdims=True)
    return Case(**daily_market(seed, n_bars, n_assets), weights=weights)


def costed_case(seed: int, n_bars: int, n_assets: int, top: int, *, is_short: bool = False) -> Case:
    """Return W4m in whole shares, with half the weights, a broker's costs and at most 5 % of a bar's volume.

    The rest is carried to the next bars; about half of the first orders need some. is_short: the losers are sold
    short, they are borrowed, and all costs are charged.
    """
    prices = daily_market(seed, n_bars, n_assets)
    scale = CAPPED_GROSS / GROSS
    weights = scale * momentum_weights(prices["close"], prices["bar_end"], LOOKBACK, SKIP, top)
    if is_short:
        # The losers are the winners of the prices turned upside down.
        weights -= scale * momentum_weights(1.0 / prices["close"], prices["bar_end"], LOOKBACK, SKIP, top)
    rng = np.random.default_rng([seed, 2])
    prices["volume"] = np.round(np.exp(rng.normal(np.log(2_000.0), 0.7, prices["close"].shape)))
    return Case(
        **prices,
        weights=weights,
        top=top,
        costs=ALL_COSTS if is_short else BROKER_COSTS,
        execution=Execution(participation_rate=PARTICIPATION, lot_size=1.0),
    )


def momentum_weights(
    close: Floats, bar_end: NDArray[np.datetime64], lookback: int, skip: int, top: int, gross: float = GROSS
) -> Floats:
    """Return equal weights of the winners, computed on the rows of a month's first bar alone."""
    rows = rebalancing_bars(bar_end, lookback)
    weights = np.full(close.shape, np.nan)
    weights[rows] = winners_weights(close, rows, lookback, skip, top, gross)
    return weights


def rebalancing_bars(bar_end: NDArray[np.datetime64], lookback: int) -> NDArray[np.int64]:
    """Return the first bar of each month that has a past of `lookback` bars."""
    months = bar_end.astype("datetime64[M]")
    first = np.flatnonzero(months[1:] != months[:-1]) + 1
    return first[first >= lookback]


def winners_weights(
    close: Floats, rows: NDArray[np.int64], lookback: int, skip: int, top: int, gross: float = GROSS
) -> Floats:
    """Return float64[n_rows, n_assets]: equal weights of the greatest returns from `lookback` to `skip` bars ago."""
    returns = close[rows - skip] / close[rows - lookback]
    winners = np.argpartition(-returns, top, axis=1)[:, :top]
    weights = np.zeros_like(returns)
    np.put_along_axis(weights, winners, gross / top, axis=1)
    return weights


def rankings(n_sets: int, n_assets: int) -> tuple[dict[str, int], ...]:
    """Return parameters of momentum portfolios: up to five lookbacks, four skips and five sizes."""
    tops = (n_assets // 20, n_assets // 15, n_assets // 10, n_assets // 7, n_assets // 5)
    sets = product((63, 126, 189, 252, 315), (0, 5, 10, 21), tops)
    return tuple({"lookback": lookback, "skip": skip, "top": top} for lookback, skip, top in sets)[:n_sets]


def above(close: Floats, pairs: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    """Return whether the fast average is above the slow one, bool[n_bars, n_pairs], by NumPy alone.

    Averages are differences of cumulated ticks, whole numbers and therefore exact.
    """
    ticks = np.zeros(len(close) + 1)
    np.cumsum(np.rint(close[:, 0] * 1e5), out=ticks[1:])
    result = np.zeros((len(close), len(pairs)), dtype=np.bool_)
    for column, (fast, slow) in enumerate(pairs):
        sums = [ticks[slow:] - ticks[slow - window : len(ticks) - window] for window in (fast, slow)]
        result[slow - 1 :, column] = sums[0] * slow > sums[1] * fast
    return result


def _market(seed: int, bar_end: NDArray[np.datetime64], n_assets: int, steps: tuple[float, ...]) -> dict[str, Any]:
    drift, common, own, gap = steps
    rng = np.random.default_rng(seed)
    shape = (len(bar_end), n_assets)
    moves = rng.normal(drift, common, (shape[0], 1)) + rng.normal(0.0, own, shape)
    close = np.round(100.0 * np.exp(np.cumsum(moves, axis=0)), 5)
    before = np.vstack([close[:1], close[:-1]])
    open_ = np.round(before * np.exp(rng.normal(0.0, gap, shape)), 5)
    return {
        "open": open_,
        "high": np.maximum(open_, close),
        "low": np.minimum(open_, close),
        "close": close,
        "volume": np.full(shape, 1e6),
        "bar_end": bar_end,
    }
