"""Prices that go on over splits and dividends: on the scale of the forward total-return index.

As-traded prices jump at a split, and so would any comparison of today's price with an earlier one. The index
grows with the total return instead, and a bar's open, high and low lie around it as they lie around the close.

A bar that the asset did not trade has no value in any of them. A window's own index is carried over such bars, and
its total return reaches back to the last close however long ago: a feature made of those would tell of a price that
was not there, and look back further than its warm-up.
"""

from __future__ import annotations

from strategies.panel import Panel
from strategies.window import Window


def bar_return(window: Window) -> Panel:
    """Return the total return since the bar before; NaN where the asset traded in only one of the two."""
    return window.total_return.where(window.close.is_valid() & window.close.lag(1).is_valid())


def index_as_traded(window: Window) -> Panel:
    """Return the total-return index; NaN on bars the asset did not trade."""
    return window.index.where(window.close.is_valid())


def on_index_scale(window: Window, price: Panel) -> Panel:
    """Return a price of the bar as traded (open, high or low), on the scale of the index; NaN without a close."""
    return price * (window.index / window.close)


def larger(one: Panel, other: Panel) -> Panel:
    """Return the larger of two values; NaN where either is missing."""
    return one.where(one > other, other).where(one.is_valid())


def smaller(one: Panel, other: Panel) -> Panel:
    """Return the smaller of two values; NaN where either is missing."""
    return one.where(one < other, other).where(one.is_valid())


def true_range(window: Window) -> Panel:
    """Return the range of the bar together with the previous close, on the scale of the index.

    The previous close is the asset's last one, however long ago. NaN on an asset's first bar and on bars it did not
    trade (Wilder 1978, New Concepts in Technical Trading Systems, chapter 3).
    """
    before = window.index.lag(1)
    high = larger(before, on_index_scale(window, window.high))
    low = smaller(before, on_index_scale(window, window.low))
    return (high - low).where(window.close.is_valid())
