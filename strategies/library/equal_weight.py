"""The benchmark every other strategy has to beat."""

from strategies.errors import StrategyError
from strategies.panel import Panel
from strategies.registry import strategy
from strategies.window import Window


@strategy
def equal_weight(window: Window, *, every_months: int = 1) -> Panel:
    """Hold all members in equal parts, rebalanced every so many months and when the membership changes."""
    if every_months < 1:
        raise StrategyError(f"every_months must be at least 1, was {every_months}")
    weights = window.members.equal_weight()
    month_number = window.month_start.expanding_sum()
    is_due = window.month_start & ((month_number - 1.0) % every_months == 0.0)
    return weights.where(is_due | weights.has_changed())
