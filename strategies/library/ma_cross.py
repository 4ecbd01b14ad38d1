"""Trend following by two moving averages."""

from strategies.errors import StrategyError
from strategies.panel import Panel
from strategies.registry import strategy
from strategies.window import Window


@strategy
def ma_cross(window: Window, *, fast: int = 20, slow: int = 100) -> Panel:
    """Hold, in equal parts, the members whose fast average of the total-return index is above the slow one.

    Decided where that set changes and at each month's first bar.
    """
    if fast >= slow:
        raise StrategyError(f"fast must be less than slow, was {fast} against {slow}")
    is_rising = window.index.mean(fast) > window.index.mean(slow)
    weights = is_rising.equal_weight()
    return weights.where(weights.has_changed() | window.month_start)
