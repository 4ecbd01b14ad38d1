"""Trend: where the price stands against its own past averages and extremes."""

from __future__ import annotations

from functools import partial

from strategies.features.feature import Feature
from strategies.features.prices import index_as_traded, on_index_scale
from strategies.features.smoothing import settled_ema, warmup_of
from strategies.panel import Panel
from strategies.window import Window


def distance_from_mean(window: Window, n: int) -> Panel:
    """Return by what fraction the index stands above its mean over n bars."""
    index = index_as_traded(window)
    return index / index.mean(n) - 1.0


def slope_of_mean(window: Window, n: int, step: int) -> Panel:
    """Return by what fraction the mean over n bars grew within `step` bars."""
    return index_as_traded(window).mean(n).change(step)


def gap_of_averages(window: Window, fast: int, slow: int) -> Panel:
    """Return by what fraction the fast exponential average stands above the slow one."""
    index = index_as_traded(window)
    return settled_ema(window, index, fast) / settled_ema(window, index, slow) - 1.0


def donchian_position(window: Window, n: int) -> Panel:
    """Return where the index stands between the lowest low (0) and the highest high (1) of n bars.

    NaN where the price did not move over the n bars.
    """
    low = on_index_scale(window, window.low).min(n)
    width = on_index_scale(window, window.high).max(n) - low
    return ((index_as_traded(window) - low) / width).where(width > 0.0)


FEATURES = {
    "distance_sma_50": Feature(
        partial(distance_from_mean, n=50),
        49,
        "rate",
        "how far the total-return index stands above its mean over 50 bars",
        "Brock, Lakonishok, LeBaron 1992",
    ),
    "distance_sma_200": Feature(
        partial(distance_from_mean, n=200),
        199,
        "rate",
        "how far the total-return index stands above its mean over 200 bars",
        "Brock, Lakonishok, LeBaron 1992",
    ),
    "sma_slope_50_21": Feature(
        partial(slope_of_mean, n=50, step=21),
        70,
        "rate",
        "growth over 21 bars of the index's mean over 50 bars",
        "moving average, textbook",
    ),
    "ema_gap_12_26": Feature(
        partial(gap_of_averages, fast=12, slow=26),
        warmup_of(26),
        "rate",
        "how far the exponential average of span 12 of the index stands above that of span 26",
        "Appel 2005, the MACD as a fraction (PPO)",
    ),
    "donchian_position_55": Feature(
        partial(donchian_position, n=55),
        54,
        "fraction of the channel",
        "where the index stands between the lowest low (0) and the highest high (1) of 55 bars",
        "Donchian's channel, textbook",
    ),
}
