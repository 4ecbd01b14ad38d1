"""Risk: exits that every position carries with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.settings import amount, number, whole

_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True)
class Risk:
    """Levels at which a whole position is left, whatever the decisions say. No arguments: none.

    A level is measured from the position's average fill price, which reductions keep and a reversal starts
    anew. Inside a bar it fills at the level, at the open where the bar opens beyond it; of two stops the one
    nearer to the price counts. `Execution.children_from` says whether levels work in the bar of the entry.
    Exits are not limited by cash, but by participation: what is left leaves at the next opens. A target that
    is pending stays so, and fills after the exit.

    Parameters
    ----------
    stop_loss_rate : float
        Fraction in [0, 1): long positions leave at entry x (1 - rate), short ones at entry x (1 + rate). A
        market order: it pays spread, slippage and impact (see `Execution.stop_slippage`).
    take_profit_rate : float
        Fraction: long positions leave at entry x (1 + rate), short ones at entry x (1 - rate), like a limit
        order: never at a worse price. From 1 on, short positions never get there.
    trailing_stop_rate : float
        Fraction in [0, 1): like a stop, from the best price since the entry: its high (low for a short
        position), which a bar moves after it was tested.
    time_stop_bars : int
        Leave at the open of this many bars after the entry's bar.
    """

    stop_loss_rate: float = 0.0
    take_profit_rate: float = 0.0
    trailing_stop_rate: float = 0.0
    time_stop_bars: int = 0

    def __post_init__(self) -> None:
        self.__dict__.update(
            stop_loss_rate=_fraction("stop_loss_rate", self.stop_loss_rate),
            take_profit_rate=amount("take_profit_rate", self.take_profit_rate),
            trailing_stop_rate=_fraction("trailing_stop_rate", self.trailing_stop_rate),
            time_stop_bars=whole("time_stop_bars", self.time_stop_bars, low=0),
        )


def _fraction(name: str, value: float) -> float:
    number(name, value, low=0.0, high=_BELOW_ONE, rule="at least 0 (off) and below 1")
    return amount(name, value)
