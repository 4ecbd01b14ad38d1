"""Cross-sectional momentum (Jegadeesh and Titman 1993): last year's winners, without the last month."""

from strategies.errors import StrategyError
from strategies.panel import Panel
from strategies.registry import strategy
from strategies.window import Window


@strategy
def momentum(window: Window, *, lookback: int = 252, skip: int = 21, top: int = 2) -> Panel:
    """Hold, in equal parts, the members that rose most from `lookback` to `skip` bars ago.

    Decided at each month's first bar.
    """
    if skip >= lookback:
        raise StrategyError(f"skip must be less than lookback, was {skip} against {lookback}")
    score = window.index.lag(skip) / window.index.lag(lookback) - 1.0
    return score.top(top).equal_weight().where(window.month_start)
