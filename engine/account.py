"""The account: what it starts with and what it may do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import InputError
from engine.panels import number


@dataclass(frozen=True)
class Account:
    """Cash at the start and the limits on what may be bought.

    Parameters
    ----------
    cash : float
        Initial cash (ccy), positive.
    leverage : float
        At least 1. At a fill, buys may bring cash down to -(leverage - 1) x equity at the fill's prices, which
        is 0 without leverage. Proceeds of short sales are cash; the size of short positions is not limited.
    allow_short : bool
        False: targets below zero are taken as zero.
    """

    cash: float = 100_000.0
    leverage: float = 1.0
    allow_short: bool = True

    def __post_init__(self) -> None:
        tiny = math.nextafter(0.0, 1.0)
        largest = math.nextafter(math.inf, 0.0)
        cash = number("cash", self.cash, low=tiny, high=largest, rule="positive and finite")
        leverage = number("leverage", self.leverage, low=1.0, high=largest, rule="at least 1 and finite")
        if not isinstance(self.allow_short, bool):
            raise InputError(f"allow_short must be True or False, was {self.allow_short!r}")
        object.__setattr__(self, "cash", cash)
        object.__setattr__(self, "leverage", leverage)
