"""Volume: what is traded, in the price's currency, since a count of shares jumps at a split."""

from __future__ import annotations

from functools import partial

from strategies.features.feature import Feature
from strategies.features.prices import bar_return
from strategies.panel import Panel
from strategies.window import Window


def value_traded(window: Window) -> Panel:
    """Return close times volume, as traded."""
    return window.close * window.volume


def mean_value_traded(window: Window, n: int) -> Panel:
    """Return the mean value traded over n bars."""
    return value_traded(window).mean(n)


def illiquidity(window: Window, n: int) -> Panel:
    """Return the mean over n bars of the absolute total return a million of value traded.

    NaN where a bar of them traded nothing: no finite number says how illiquid that is.
    """
    traded = value_traded(window)
    return (abs(bar_return(window)) / (traded / 1e6).where(traded > 0.0)).mean(n)


def volume_zscore(window: Window, n: int) -> Panel:
    """Return by how many standard deviations (ddof 1) of n bars the value traded stands above their mean.

    NaN where it was the same on all of them.
    """
    traded = value_traded(window)
    deviation = traded.std(n)
    return ((traded - traded.mean(n)) / deviation).where(deviation > 0.0)


def turnover_trend(window: Window, short: int, long: int) -> Panel:
    """Return by what fraction the mean value traded over `short` bars stands above that over `long` bars."""
    traded = value_traded(window)
    return traded.mean(short) / traded.mean(long) - 1.0


FEATURES = {
    "dollar_volume_21": Feature(
        partial(mean_value_traded, n=21),
        20,
        "currency per bar",
        "mean of close times volume over the last 21 bars, as traded",
        "average daily value traded",
    ),
    "amihud_21": Feature(
        partial(illiquidity, n=21),
        21,
        "rate per million of currency",
        "mean over 21 bars of the absolute total return by the value traded in millions",
        "Amihud 2002",
    ),
    "volume_zscore_63": Feature(
        partial(volume_zscore, n=63),
        62,
        "standard deviations",
        "the bar's value traded against mean and deviation of 63 bars",
        "standard score; Gervais, Kaniel, Mingelgrin 2001",
    ),
    "turnover_trend_21_252": Feature(
        partial(turnover_trend, short=21, long=252),
        251,
        "rate",
        "how far the mean value traded over 21 bars stands above that over 252 bars",
        "Lee, Swaminathan 2000, as a ratio",
    ),
}
