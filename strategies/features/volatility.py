"""Volatility: how much the price moves, alone and with the market. Per bar, never annualised."""

from __future__ import annotations

import math
from functools import partial

from strategies.features.across import market_return
from strategies.features.feature import Feature
from strategies.features.prices import bar_return, true_range
from strategies.features.smoothing import settled_ema, warmup_of, wilder_span
from strategies.panel import Panel
from strategies.window import Window


def standard_deviation(window: Window, n: int) -> Panel:
    """Return the standard deviation (ddof 1) of the last n total returns."""
    return bar_return(window).std(n)


def downside_deviation(window: Window, n: int) -> Panel:
    """Return the root of the mean square of the last n total returns, those above zero counted as zero."""
    return (bar_return(window).clip(-math.inf, 0.0) ** 2).mean(n) ** 0.5


def parkinson(window: Window, n: int) -> Panel:
    """Return the volatility that n bars' highs and lows tell of."""
    return ((window.high / window.low).log() ** 2).mean(n) ** 0.5 / math.sqrt(4.0 * math.log(2.0))


def garman_klass(window: Window, n: int) -> Panel:
    """Return the volatility that n bars' opens, highs, lows and closes tell of."""
    ranges = 0.5 * (window.high / window.low).log() ** 2
    moves = (2.0 * math.log(2.0) - 1.0) * (window.close / window.open).log() ** 2
    return (ranges - moves).mean(n).clip(0.0, math.inf) ** 0.5


def average_true_range(window: Window, n: int) -> Panel:
    """Return Wilder's average of the true range as a fraction of the price."""
    return settled_ema(window, true_range(window), wilder_span(n), n_before=1) / window.index


def beta(window: Window, n: int) -> Panel:
    """Return the slope of the asset's last n returns on those of the equal-weighted market, itself included.

    NaN where one of its n returns is missing, or the market did not move.
    """
    own, market = bar_return(window), market_return(window)
    covariance = (own * market).mean(n) - own.mean(n) * market.mean(n)
    variance = market.std(n, ddof=0) ** 2
    return (covariance / variance).where(variance > 0.0)


FEATURES = {
    "volatility_21": Feature(
        partial(standard_deviation, n=21),
        21,
        "rate per bar",
        "standard deviation (ddof 1) of the last 21 total returns",
        "sample standard deviation",
    ),
    "volatility_63": Feature(
        partial(standard_deviation, n=63),
        63,
        "rate per bar",
        "standard deviation (ddof 1) of the last 63 total returns",
        "sample standard deviation",
    ),
    "downside_volatility_63": Feature(
        partial(downside_deviation, n=63),
        63,
        "rate per bar",
        "root mean square of the last 63 total returns below zero, the others counted as zero",
        "Sortino, Price 1994, target 0",
    ),
    "parkinson_21": Feature(
        partial(parkinson, n=21), 20, "rate per bar", "volatility by the highs and lows of 21 bars", "Parkinson 1980"
    ),
    "garman_klass_21": Feature(
        partial(garman_klass, n=21),
        20,
        "rate per bar",
        "volatility by the opens, highs, lows and closes of 21 bars",
        "Garman, Klass 1980, estimator 7",
    ),
    "atr_14": Feature(
        partial(average_true_range, n=14),
        warmup_of(wilder_span(14), n_before=1),
        "fraction of the price",
        "Wilder's average true range over 14 bars, by the price",
        "Wilder 1978",
    ),
    "beta_252": Feature(
        partial(beta, n=252),
        252,
        "ratio",
        "slope of 252 total returns on those of the equal-weighted market of all assets in the lake",
        "Sharpe 1964, ordinary least squares",
    ),
}
