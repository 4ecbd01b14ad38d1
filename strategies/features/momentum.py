"""Momentum: what the asset returned, over which past."""

from __future__ import annotations

from functools import partial

from strategies.features.feature import Feature
from strategies.features.prices import bar_return, index_as_traded, on_index_scale
from strategies.features.smoothing import settled_ema, warmup_of, wilder_span
from strategies.panel import Panel
from strategies.window import Window


def past_return(window: Window, since: int, until: int) -> Panel:
    """Return the total return from `since` bars ago to `until` bars ago.

    NaN where the asset did not trade in one of the two, or does not now. Bars missing between them change nothing:
    what a holder earned from one close to the other does not depend on how often it was quoted.
    """
    index = index_as_traded(window)
    return (index.lag(until) / index.lag(since) - 1.0).where(window.close.is_valid())


def reversal(window: Window, n: int) -> Panel:
    """Return the total return over n bars, negated: high where the asset fell; NaN without a bar at both ends."""
    return -index_as_traded(window).change(n)


def relative_strength_index(window: Window, n: int) -> Panel:
    """Return Wilder's index of gains against losses, 0 (losses only) to 100 (gains only).

    A change is that since the asset's last close, however long ago. NaN where nothing moved.
    """
    change = window.index.difference(1).where(window.close.is_valid())
    gain = settled_ema(window, change.where(change > 0.0, change * 0.0), wilder_span(n), n_before=1)
    loss = settled_ema(window, (-change).where(change < 0.0, change * 0.0), wilder_span(n), n_before=1)
    return 100.0 * gain / (gain + loss)


def nearness_to_high(window: Window, n: int) -> Panel:
    """Return the index as a fraction of the highest high of n bars, at most 1."""
    return index_as_traded(window) / on_index_scale(window, window.high).max(n)


FEATURES = {
    "total_return": Feature(bar_return, 1, "rate", "total return since the bar before", "simple return with dividends"),
    "momentum_252_21": Feature(
        partial(past_return, since=252, until=21),
        252,
        "rate",
        "total return from 252 bars ago to 21 bars ago",
        "Jegadeesh, Titman 1993; Carhart 1997",
    ),
    "momentum_126_21": Feature(
        partial(past_return, since=126, until=21),
        126,
        "rate",
        "total return from 126 bars ago to 21 bars ago",
        "Jegadeesh, Titman 1993",
    ),
    "reversal_21": Feature(
        partial(reversal, n=21), 21, "rate", "total return over the last 21 bars, negated", "Jegadeesh 1990"
    ),
    "rsi_14": Feature(
        partial(relative_strength_index, n=14),
        warmup_of(wilder_span(14), n_before=1),
        "0 to 100",
        "Wilder's relative strength index of the total-return index over 14 bars",
        "Wilder 1978",
    ),
    "nearness_high_252": Feature(
        partial(nearness_to_high, n=252),
        251,
        "fraction",
        "the total-return index as a fraction of its highest high of 252 bars",
        "George, Hwang 2004",
    ),
}
