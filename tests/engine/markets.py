"""Made-up markets for tests, and small ones written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from engine import Account, Actions, Bars, Costs, Execution, TargetUnits, TargetWeights
from engine.orders import Orders
from engine.risk import Risk

NAN = np.nan
FAMILIES = ("targets", "orders", "brackets", "risk", "intrabar", "margin", "financing", "finer")


def times(n_bars, start="2020-01-01T21:00"):
    return np.datetime64(start, "us") + np.arange(n_bars) * np.timedelta64(1, "D")


def session_times(n_bars, bars_a_session, start="2020-01-01T15:00"):
    """Ends of bars an hour long; a session begins each day, two days apart at a weekend."""
    day, hour = np.divmod(np.arange(n_bars), bars_a_session)
    day = day + 2 * (day // 5)
    return np.datetime64(start, "us") + day * np.timedelta64(1, "D") + hour * np.timedelta64(1, "h")


def bars_of(closes, opens=None, symbols=None):
    """Bars from lists of rows; opens equal closes unless given; NaN in close is a missing bar."""
    close = np.array(closes, dtype=float)
    open_ = close.copy() if opens is None else np.array(opens, dtype=float)
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    names = symbols or tuple(f"A{i}" for i in range(close.shape[1]))
    return Bars(open_, high, low, close, np.where(np.isnan(close), np.nan, 1e6), times(len(close)), names)


def shaped_bars(shapes, *, bar_end=None, volume=1e6):
    """One asset's bars from (open, high, low, close); None is a missing bar."""
    rows = np.array([(NAN,) * 4 if shape is None else shape for shape in shapes], dtype=float)
    panels = [rows[:, [i]] for i in range(4)]
    volumes = np.where(np.isnan(panels[0]), NAN, volume)
    return Bars(*panels, volumes, times(len(rows)) if bar_end is None else bar_end, ("A0",))


def orders_of(bars, rows):
    """Orders from rows such as {"bar": 0, "quantity": 5, "kind": "limit", "limit_price": 9}, of the first asset."""
    table = [{"bar_end": bars.bar_end[row["bar"]], "symbol": bars.symbols[row.get("asset", 0)], **row} for row in rows]
    frame = pd.DataFrame(table).drop(columns=["bar", "asset"], errors="ignore")
    return Orders(frame.assign(bar_end=pd.DatetimeIndex(frame["bar_end"]).tz_localize("UTC")))


def targets(n_bars, n_assets, cells):
    """A panel that is NaN but for the cells {(bar, asset): value}."""
    values = np.full((n_bars, n_assets), np.nan)
    for where, value in cells.items():
        values[where] = value
    return values


@dataclass
class Market:
    bars: Bars
    decisions: TargetWeights | TargetUnits | Orders
    actions: Actions | None = None
    account: Account = field(default_factory=Account)
    costs: Costs = field(default_factory=Costs)
    execution: Execution = field(default_factory=Execution)
    risk: Risk = field(default_factory=Risk)
    finer: Bars | None = None
    family: str = "by hand"

    @property
    def settings(self):
        names = ("account", "costs", "execution", "risk", "actions", "finer")
        return {name: getattr(self, name) for name in names}


def random_market(seed, n_bars=50, n_assets=4, family=None):
    """A market with gaps, actions, costs and settings drawn from the seed; its family says what it is rich in.

    Weights and orders may precede nothing but a missing bar; weights never precede a price.
    """
    from tests.engine import random_settings as draw

    rng = np.random.default_rng(seed)
    family = family or FAMILIES[seed % len(FAMILIES)]
    bars, finer = random_prices(rng, n_bars, n_assets, family)
    has_orders = family in ("orders", "brackets", "finer") or (family == "intrabar" and rng.random() < 0.7)
    has_orders = has_orders or (family == "margin" and rng.random() < 0.5)
    decisions = draw.orders(rng, bars, family) if has_orders else draw.targets(rng, bars, family)
    actions, account, costs = draw.actions(rng, bars, family), draw.account(rng, family), draw.costs(rng, family)
    return Market(
        bars=bars,
        actions=actions,
        decisions=decisions,
        account=account,
        costs=costs,
        execution=draw.execution(rng, family, costs.slippage_ticks),
        risk=draw.risk(rng, family),
        finer=finer,
        family=family,
    )


def random_prices(rng, n_bars, n_assets, family):
    """Bars, with finer ones of which they are made for the family `finer`; half of the markets move in ticks."""
    missing_rate, tick = rng.choice([0.0, 0.05, 0.3]), rng.choice([0.0, 0.5])
    bar_end = times(n_bars) if rng.random() < 0.4 else session_times(n_bars, int(rng.integers(2, 6)))
    if family != "finer":
        return random_bars(rng, n_bars, n_assets, missing_rate=missing_rate, tick=tick, bar_end=bar_end), None
    parts = 3
    steps = np.arange(1 - parts, 1) * np.timedelta64(10, "m")
    ends = (bar_end[:, None] + steps).reshape(-1)
    finer = random_bars(rng, parts * n_bars, n_assets, missing_rate=missing_rate, tick=tick, bar_end=ends)
    return coarser(finer, parts, bar_end), finer


def random_bars(rng, n_bars, n_assets, *, missing_rate=0.0, tick=0.0, bar_end=None):
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, (n_bars, n_assets)), axis=0))
    open_ = close * np.exp(rng.normal(0.0, 0.02, (n_bars, n_assets)))
    if tick > 0.0:
        close, open_ = (np.maximum(np.round(price / tick), 1.0) * tick for price in (close, open_))
    high = np.maximum(open_, close) * (1.0 + rng.uniform(0.0, 0.01, (n_bars, n_assets)))
    low = np.minimum(open_, close) * (1.0 - rng.uniform(0.0, 0.01, (n_bars, n_assets)))
    if tick > 0.0:
        high, low = np.ceil(high / tick) * tick, np.maximum(np.floor(low / tick), 1.0) * tick
    volume = rng.integers(1, 10_000, (n_bars, n_assets)).astype(float)
    missing = rng.random((n_bars, n_assets)) < missing_rate
    for values in (open_, high, low, close, volume):
        values[missing] = np.nan
    symbols = tuple(f"A{i}" for i in range(n_assets))
    return Bars(open_, high, low, close, volume, times(n_bars) if bar_end is None else bar_end, symbols)


def coarser(finer, parts, bar_end):
    """Bars of so many finer ones each; an asset's bar is missing where all of its parts are."""
    shape = (len(bar_end), parts, finer.n_assets)
    panels = {name: np.full((len(bar_end), finer.n_assets), NAN) for name in ("open", "high", "low", "close", "volume")}
    for bar, asset in np.ndindex(len(bar_end), finer.n_assets):
        values = {name: getattr(finer, name).reshape(shape)[bar, :, asset] for name in panels}
        has = ~np.isnan(values["close"])
        if has.any():
            panels["open"][bar, asset] = values["open"][has][0]
            panels["high"][bar, asset] = values["high"][has].max()
            panels["low"][bar, asset] = values["low"][has].min()
            panels["close"][bar, asset] = values["close"][has][-1]
            panels["volume"][bar, asset] = values["volume"][has].sum()
    return Bars(**panels, bar_end=bar_end, symbols=finer.symbols)
