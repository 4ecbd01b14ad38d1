"""Markets and orders for the comparison with other packages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import Actions, Bars, Orders
from engine.adapters import compare

# Markets every comparison runs over: one made up, a recorded one, and more of the first kind in the slow suite.
MARKETS = ["made up", "recorded", *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 115))]


def assert_agrees(result, peer, *, n_fills):
    """Equity at every bar and every fill are the same; and there were enough of them to mean something."""
    difference = compare(result, peer)
    assert difference.agrees(1e-9), f"\n{difference}"
    # Equity is mostly cash: its ninth digit would hide a price.
    assert difference.equity < 1e-11, f"\n{difference}"
    assert difference.n_fills >= n_fills


def wild_bars(seed, n_bars=600, n_assets=3, days=None):
    """Made-up bars in cents, with gaps and wide ranges, so that every rule about levels is met."""
    rng = np.random.default_rng(seed)
    shape = (n_bars, n_assets)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, shape), axis=0))
    before = np.vstack([close[:1], close[:-1]])
    open_ = before * np.exp(rng.normal(0.0, 0.012, shape))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0.0, 0.012, shape)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0.0, 0.012, shape)))
    prices = [np.round(values, 2) for values in (open_, high, low, close)]
    volume = rng.integers(200, 4000, shape).astype(float)
    if days is None:
        days = np.datetime64("2001-01-01") + np.arange(n_bars) * np.timedelta64(1, "D")
    return Bars(*prices, volume, days.astype("datetime64[us]") + np.timedelta64(21, "h"), tuple("ABCDEFGH"[:n_assets]))


def real_rows(shared_data, symbols, start, end):
    rows = pd.read_parquet(shared_data / "av_daily" / "daily_120_1999_2019.parquet")
    rows = rows[rows["ticker"].isin(symbols) & rows["date"].between(start, end)]
    rows = rows.rename(columns={"ticker": "symbol"})
    rows["bar_end"] = rows["date"].dt.tz_localize("UTC") + pd.Timedelta(hours=21)
    return rows


def real_bars(shared_data, symbols, start="2005-01-01", end="2009-12-31"):
    """As-traded daily bars; the vendor's few highs and lows that miss the open or close are widened."""
    rows = real_rows(shared_data, symbols, start, end)
    rows["high"] = rows[["open", "high", "low", "close"]].max(axis=1)
    rows["low"] = rows[["open", "high", "low", "close"]].min(axis=1)
    bars = Bars.from_frame(rows)
    assert not bars.has_gaps
    return bars


def real_actions(shared_data, bars, *, days_to_pay):
    """The vendor's splits and dividends; it knows no pay dates, so each is paid a number of bars later."""
    rows = real_rows(shared_data, bars.symbols, "1999-01-01", "2019-12-31")
    rows = rows[rows["bar_end"].isin(pd.DatetimeIndex(bars.bar_end).tz_localize("UTC"))]
    shape = bars.close.shape
    where = (
        np.searchsorted(bars.bar_end, rows["bar_end"].dt.tz_localize(None)),
        pd.Index(bars.symbols).get_indexer(rows["symbol"]),
    )
    split, dividend = np.ones(shape), np.zeros(shape)
    split[where], dividend[where] = rows["split_coefficient"], rows["dividend_amount"]
    pay_bar = np.arange(shape[0])[:, None] + np.full(shape, days_to_pay)
    return Actions(split=split, dividend=dividend, delisting=np.full(shape, np.nan), pay_bar=pay_bar)


def random_units(rng, bars, *, rate=0.1, most=5, lot=10.0):
    """Targets at random bars, long and short, some of them zero."""
    units = rng.integers(-most, most + 1, bars.close.shape) * lot
    return np.where(rng.random(bars.close.shape) < rate, units, np.nan)


class Plan:
    """Orders being written down, a row each."""

    def __init__(self, bars):
        self.bars = bars
        self.rows = []

    def add(self, bar, asset, quantity, kind, **columns):
        """Write an order and return its row label."""
        row = {"bar_end": self.bars.bar_end[bar], "symbol": self.bars.symbols[asset], "quantity": float(quantity)}
        self.rows.append(row | {"kind": kind} | columns)
        return len(self.rows) - 1

    def orders(self):
        frame = pd.DataFrame(self.rows)
        frame["bar_end"] = pd.DatetimeIndex(frame["bar_end"]).tz_localize("UTC")
        return Orders(frame)


def cents(price):
    return float(np.round(price, 2))


def random_orders(rng, bars, n_orders, kinds, tifs=("gtc", "bars:3", "ioc", "day")):
    """Orders of the kinds, with levels a few percent away on the side on which they rest."""
    plan = Plan(bars)
    for _ in range(n_orders):
        bar, asset = int(rng.integers(bars.n_bars - 5)), int(rng.integers(bars.n_assets))
        quantity = int(rng.choice([-1, 1])) * int(rng.integers(1, 10)) * 10
        kind = str(rng.choice(kinds))
        columns = levels(rng, kind, float(bars.close[bar, asset]), np.sign(quantity))
        if kind not in ("market", "moo", "moc"):
            columns["tif"] = str(rng.choice(tifs))
        plan.add(bar, asset, quantity, kind, **columns)
    return plan.orders()


def levels(rng, kind, close, side):
    away = rng.uniform(0.0, 0.05)
    if kind == "limit":
        return {"limit_price": cents(close * (1.0 - side * away))}
    if kind == "stop":
        return {"stop_price": cents(close * (1.0 + side * away))}
    if kind == "stop_limit":
        stop = cents(close * (1.0 + side * away))
        return {"stop_price": stop, "limit_price": cents(stop * (1.0 + side * rng.uniform(-0.02, 0.02)))}
    if kind == "trailing_stop":
        return {"trail": cents(close * away + 0.5)} if rng.random() < 0.5 else {"trail_rate": float(away + 0.005)}
    return {}


def brackets(rng, bars, n_brackets, entries=("market",), *, sides=(-1, 1)):
    """Entries with a stop loss and a take profit that cancel each other."""
    plan = Plan(bars)
    for number in range(n_brackets):
        bar, asset = int(rng.integers(bars.n_bars - 5)), int(rng.integers(bars.n_assets))
        close, side = float(bars.close[bar, asset]), int(rng.choice(sides))
        quantity = side * int(rng.integers(1, 10)) * 10
        kind = str(rng.choice(entries))
        at = levels(rng, kind, close, side)
        price = at.get("limit_price", at.get("stop_price", close))
        entry = plan.add(bar, asset, quantity, kind, **at)
        loss, profit = (cents(price * (1.0 + sign * side * rng.uniform(0.01, 0.06))) for sign in (-1, 1))
        ties = {"parent": entry, "oco_group": f"exits of {number}"}
        plan.add(bar, asset, -quantity, "stop", stop_price=loss, **ties)
        plan.add(bar, asset, -quantity, "limit", limit_price=profit, **ties)
    return plan.orders()
