"""What a feature is: a causal function of a window, with all that a reader and a cache must know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strategies.errors import StrategyError
from strategies.panel import Panel
from strategies.window import Window

BARS, ACTIONS = "core/daily_bars", "core/corporate_actions"
FUNDAMENTALS, LISTINGS, SNAPSHOTS = "core/fundamentals", "core/listings", "raw/snapshots"
PRICES = (BARS, ACTIONS)
FILINGS = (BARS, ACTIONS, FUNDAMENTALS, LISTINGS, SNAPSHOTS)


@dataclass(frozen=True)
class Feature:
    """One feature; its name is its key in the registry.

    Parameters
    ----------
    function : from a window to a panel; a function of a module, or a `functools.partial` of one with numbers
    warmup_bars : how many bars before a bar its value looks back on: computed over a slice of history that begins
        that many bars earlier, a value is that of all history (of a recursive one, see `smoothing`, to 1e-7),
        whichever bars the asset did not trade
    unit : of the value, such as "rate" (a fraction)
    description : one sentence
    source : where the definition comes from
    reads : tables of the lake its value depends on

    Raises
    ------
    StrategyError : the warm-up is no number of bars
    """

    function: Callable[[Window], Panel]
    warmup_bars: int
    unit: str
    description: str
    source: str
    reads: tuple[str, ...] = PRICES

    def __post_init__(self) -> None:
        if isinstance(self.warmup_bars, bool) or not isinstance(self.warmup_bars, int) or self.warmup_bars < 0:
            raise StrategyError(f"warmup_bars must be a whole number of at least 0, was {self.warmup_bars!r}")
