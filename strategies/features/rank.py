"""Ranks: an asset's place among all assets that traded in the bar and have a value."""

from __future__ import annotations

from functools import partial

from strategies.features.across import sum_across
from strategies.features.feature import Feature
from strategies.features.momentum import past_return
from strategies.features.volatility import standard_deviation
from strategies.features.volume import mean_value_traded
from strategies.panel import Panel
from strategies.window import Window


def percentile(window: Window, values: Panel) -> Panel:
    """Return the share of the others below: 0 the lowest, 1 the highest; ties share the mean of their places.

    Ranked are members with a bar and a value; all else gets NaN, as does whoever is alone.
    """
    rank = values.where(window.close.is_valid() & window.members).rank()
    others = sum_across(rank.is_valid()) - 1.0
    return ((rank - 1.0) / others).where(others > 0.0)


def momentum_rank(window: Window, since: int, until: int) -> Panel:
    """Return the place of the return from `since` to `until` bars ago."""
    return percentile(window, past_return(window, since=since, until=until))


def volatility_rank(window: Window, n: int) -> Panel:
    """Return the place of the volatility over n bars: 1 the most volatile."""
    return percentile(window, standard_deviation(window, n=n))


def value_traded_rank(window: Window, n: int) -> Panel:
    """Return the place of the mean value traded over n bars: 1 the most liquid."""
    return percentile(window, mean_value_traded(window, n=n))


FEATURES = {
    "rank_momentum_252_21": Feature(
        partial(momentum_rank, since=252, until=21),
        252,
        "0 to 1",
        "share of the other assets whose momentum_252_21 is lower",
        "Jegadeesh, Titman 1993, as a percentile",
    ),
    "rank_volatility_63": Feature(
        partial(volatility_rank, n=63),
        63,
        "0 to 1",
        "share of the other assets whose volatility_63 is lower",
        "Ang, Hodrick, Xing, Zhang 2006, as a percentile",
    ),
    "rank_dollar_volume_21": Feature(
        partial(value_traded_rank, n=21),
        20,
        "0 to 1",
        "share of the other assets whose dollar_volume_21 is lower",
        "percentile of liquidity",
    ),
}
