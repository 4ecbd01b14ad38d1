"""Made-up markets for tests, and small ones written by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine import Account, Actions, Bars, Costs, Execution, TargetUnits, TargetWeights


def times(n_bars, start="2020-01-01T21:00"):
    return np.datetime64(start, "us") + np.arange(n_bars) * np.timedelta64(1, "D")


def bars_of(closes, opens=None, symbols=None):
    """Bars from lists of rows; opens equal closes unless given; NaN in close is a missing bar."""
    close = np.array(closes, dtype=float)
    open_ = close.copy() if opens is None else np.array(opens, dtype=float)
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    names = symbols or tuple(f"A{i}" for i in range(close.shape[1]))
    return Bars(open_, high, low, close, np.where(np.isnan(close), np.nan, 1e6), times(len(close)), names)


def targets(n_bars, n_assets, cells):
    """A panel that is NaN but for the cells {(bar, asset): value}."""
    values = np.full((n_bars, n_assets), np.nan)
    for where, value in cells.items():
        values[where] = value
    return values


@dataclass
class Market:
    bars: Bars
    actions: Actions
    decisions: TargetWeights | TargetUnits
    account: Account
    costs: Costs
    execution: Execution

    @property
    def settings(self):
        return {"account": self.account, "costs": self.costs, "execution": self.execution, "actions": self.actions}


def random_bars(rng, n_bars, n_assets, *, missing_rate=0.0):
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, (n_bars, n_assets)), axis=0))
    open_ = close * np.exp(rng.normal(0.0, 0.02, (n_bars, n_assets)))
    high = np.maximum(open_, close) * (1.0 + rng.uniform(0.0, 0.01, (n_bars, n_assets)))
    low = np.minimum(open_, close) * (1.0 - rng.uniform(0.0, 0.01, (n_bars, n_assets)))
    volume = rng.integers(1, 10_000, (n_bars, n_assets)).astype(float)
    missing = rng.random((n_bars, n_assets)) < missing_rate
    for values in (open_, high, low, close, volume):
        values[missing] = np.nan
    symbols = tuple(f"A{i}" for i in range(n_assets))
    return Bars(open_, high, low, close, volume, times(n_bars), symbols)


def random_market(seed, n_bars=60, n_assets=5):
    """A market with gaps, actions, costs and settings drawn from the seed; weights never precede a price."""
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, n_bars, n_assets, missing_rate=rng.choice([0.0, 0.05, 0.3]))
    return Market(
        bars=bars,
        actions=random_actions(rng, n_bars, n_assets),
        decisions=random_decisions(rng, bars),
        account=Account(
            cash=float(rng.choice([1_000.0, 100_000.0])),
            leverage=float(rng.choice([1.0, 1.0, 1.5, 3.0])),
            allow_short=bool(rng.random() < 0.6),
        ),
        costs=random_costs(rng),
        execution=Execution(
            timing=str(rng.choice(["next_open", "next_open", "same_close"])),
            lot_size=float(rng.choice([0.0, 0.0, 1.0, 0.1])),
            cash_policy=str(rng.choice(["scale", "scale", "reject"])),
        ),
    )


def random_actions(rng, n_bars, n_assets):
    shape = (n_bars, n_assets)
    split = np.where(rng.random(shape) < 0.02, rng.choice([2.0, 1.5, 0.1], shape), 1.0)
    dividend = np.where(rng.random(shape) < 0.04, rng.uniform(0.1, 3.0, shape), 0.0)
    delisting = np.full(shape, np.nan)
    for asset in range(n_assets):
        if rng.random() < 0.25:
            delisting[rng.integers(n_bars // 2, n_bars), asset] = rng.choice([-1.0, -0.3, 0.0, 0.1])
    return Actions(split, dividend, delisting)


def random_decisions(rng, bars):
    shape = bars.close.shape
    is_decided = rng.random(shape) < rng.choice([0.03, 0.3, 1.0])
    if rng.random() < 0.4:
        units = np.where(rng.random(shape) < 0.3, 0.0, rng.uniform(-60.0, 120.0, shape))
        return TargetUnits(np.where(is_decided, units, np.nan))
    weights = np.where(rng.random(shape) < 0.2, 0.0, rng.uniform(-0.3, 0.5, shape))
    has_price = np.maximum.accumulate(~np.isnan(bars.close), axis=0)
    return TargetWeights(np.where(is_decided & has_price, weights, np.nan))


def random_costs(rng):
    if rng.random() < 0.2:
        return Costs()
    has_limits = rng.random() < 0.5
    return Costs(
        commission_bps=float(rng.choice([0.0, 5.0, 30.0])),
        commission_fixed=float(rng.choice([0.0, 1.0])),
        commission_per_share=float(rng.choice([0.0, 0.005])),
        commission_min=float(rng.choice([0.0, 1.0, 5.0])) if has_limits else 0.0,
        commission_max_rate=float(rng.choice([0.005, 0.01, np.inf])) if has_limits else np.inf,
        spread_bps=float(rng.choice([0.0, 4.0])),
        slippage_bps=float(rng.choice([0.0, 2.0])),
    )
