"""A made-up market for tests of features: whole bars, splits, dividends, gaps, a delisting, figures as filed."""

from __future__ import annotations

import numpy as np

from engine.actions import Actions
from engine.bars import Bars
from strategies.features.filed import FIGURES, window_name
from strategies.window import Window
from tests.strategies.windows import business_days, symbols

SCALES = {"net_income": 4e8, "gross_profit": 9e8, "equity": 5e9, "assets": 2e10, "shares": 1e8}


def market(n_bars: int, n_assets: int, seed: int, *, missing: float = 0.0, has_actions: bool = True) -> Window:
    """Return a window whose bars have opens, highs and lows of their own; `missing` is the share of absent bars."""
    random = np.random.default_rng(seed)
    shape = (n_bars, n_assets)
    split, dividend, delisting = np.ones(shape), np.zeros(shape), np.full(shape, np.nan)
    if has_actions:
        split[random.random(shape) < 0.004] = 2.0
        dividend[random.random(shape) < 0.02] = 0.3
    adjusted = 80.0 * np.exp(np.cumsum(random.normal(0.0004, 0.02, shape), axis=0))
    close = adjusted / np.cumprod(split, axis=0)
    open_ = close * np.exp(random.normal(0.0, 0.008, shape))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0.0, 0.006, shape)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0.0, 0.006, shape)))
    volume = random.lognormal(13.0, 0.6, shape) * np.cumprod(split, axis=0)
    gone = random.random(shape) < missing
    if missing and n_assets > 2:
        gone[: n_bars // 3, 1] = True  # listed later
        gone[2 * n_bars // 3 :, 2] = True
        delisting[2 * n_bars // 3, 2] = -0.4
    for values in (open_, high, low, close, volume):
        values[gone] = np.nan
    bars = Bars(open_, high, low, close, volume, business_days(n_bars), symbols(n_assets))
    return Window(bars, Actions(split, dividend, delisting), features=figures(n_bars, n_assets, seed))


def figures(n_bars: int, n_assets: int, seed: int) -> dict[str, np.ndarray]:
    """Return figures that change every 60 bars or so; the last asset has none, as a symbol without a company."""
    random = np.random.default_rng(seed + 100)
    found = {}
    for name in FIGURES:
        quarters = SCALES[name] * random.normal(1.0, 0.4, (n_bars // 60 + 1, n_assets))
        values = np.repeat(np.abs(quarters) if name in ("shares", "assets") else quarters, 60, axis=0)[:n_bars]
        values[:, -1] = np.nan
        found[window_name(name)] = values
    return found


def with_holes(window: Window, gone: np.ndarray) -> Window:
    """Return the window without the bars where `gone` is True; actions and figures stay."""
    bars = window._bars
    prices = {name: np.where(gone, np.nan, getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")}
    return Window(
        Bars(**prices, bar_end=bars.bar_end, symbols=bars.symbols), window._actions, features=window._features
    )


def part(window: Window, time: slice) -> Window:
    """Return the window of a slice of time, as if history began there."""
    features = {name: values[time] for name, values in window._features.items()}
    return Window(window._bars[time], window._actions[time], features=features, members=window._universe[time])


def reordered(window: Window, order: np.ndarray) -> Window:
    """Return the window with its assets in another order."""
    bars, actions = window._bars, window._actions
    prices = {name: getattr(bars, name)[:, order] for name in ("open", "high", "low", "close", "volume")}
    return Window(
        Bars(**prices, bar_end=bars.bar_end, symbols=tuple(bars.symbols[place] for place in order)),
        Actions(*(getattr(actions, name)[:, order] for name in ("split", "dividend", "delisting"))),
        features={name: values[:, order] for name, values in window._features.items()},
        members=window._universe[:, order],
    )
