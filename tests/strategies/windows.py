"""Made-up markets for the strategy tests: every awkwardness a real one has, from one seed."""

from __future__ import annotations

import numpy as np

from engine.actions import Actions
from engine.bars import Bars
from strategies.window import Window


def business_days(n_bars: int, first: str = "2001-12-20") -> np.ndarray:
    """Closes at 21:00 UTC on weekdays."""
    days = np.busday_offset(np.datetime64(first), np.arange(n_bars), roll="forward")
    return (days.astype("datetime64[us]") + np.timedelta64(21, "h")).astype("datetime64[us]")


def symbols(n_assets: int) -> tuple[str, ...]:
    return tuple(f"S{j}" for j in range(n_assets))


def bars_from_close(close: np.ndarray, first: str = "2001-12-20") -> Bars:
    close = np.asarray(close, np.float64)
    volume = np.where(np.isnan(close), np.nan, 1000.0)
    times = business_days(len(close), first)
    return Bars(close, close * 1.01, close * 0.99, close, volume, times, symbols(close.shape[1]))


def random_close(n_bars: int, n_assets: int, seed: int, missing: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(random.normal(0.0005, 0.02, (n_bars, n_assets)), axis=0))
    close[random.random(close.shape) < missing] = np.nan
    return close


def random_window(
    n_bars: int = 400, n_assets: int = 4, seed: int = 0, missing: float = 0.02, first: str = "2001-12-20"
) -> Window:
    """A window with gaps, late starts, splits, dividends, a delisting, membership changes and a gappy feature."""
    random = np.random.default_rng(seed + 1)
    close = random_close(n_bars, n_assets, seed, missing)
    for j in range(1, n_assets, 3):
        close[: random.integers(0, n_bars), j] = np.nan
    split = np.where(random.random(close.shape) < 0.01, random.choice([0.5, 1.5, 2.0, 3.0], close.shape), 1.0)
    dividend = np.where(random.random(close.shape) < 0.02, random.uniform(0.1, 1.0, close.shape), 0.0)
    delisting = np.full(close.shape, np.nan)
    if n_assets > 2 and n_bars > 10:
        end = int(random.integers(n_bars // 2, n_bars))
        delisting[end, 2] = -0.3
        close[end:, 2] = np.nan
    bars = bars_from_close(close, first)
    volume = np.where(np.isnan(close), np.nan, random.uniform(1e3, 1e6, close.shape))
    bars = Bars(bars.open, bars.high, bars.low, bars.close, volume, bars.bar_end, bars.symbols)
    feature = random.normal(size=close.shape)
    feature[random.random(close.shape) < missing] = np.nan
    members = np.repeat(random.random((n_bars // 20 + 1, n_assets)) < 0.8, 20, axis=0)[:n_bars]
    return Window(bars, Actions(split, dividend, delisting), features={"signal": feature}, members=members)
