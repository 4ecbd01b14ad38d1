"""Execution: when and how much of a target is filled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import InputError, nearest
from engine.panels import number

TIMINGS = ("next_open", "same_close")
CASH_POLICIES = ("scale", "reject")


@dataclass(frozen=True)
class Execution:
    """How targets become fills.

    Parameters
    ----------
    timing : {"next_open", "same_close"}
        A target decided at the close of bar t fills at the open of the asset's next bar, or at the very close it
        was decided on. The latter trades at a price that was part of the decision: ask for it on purpose.
    lot_size : float
        Smallest tradable step in units; 0: fractions trade. Targets, and what is left of an order, are rounded
        towards zero; a target of zero also sells an odd rest.
    cash_policy : {"scale", "reject"}
        Where cash is short for all buys of a bar: scale all of them down in proportion, or reject all of them.
    """

    timing: str = "next_open"
    lot_size: float = 0.0
    cash_policy: str = "scale"

    def __post_init__(self) -> None:
        _check_choice("timing", self.timing, TIMINGS)
        _check_choice("cash_policy", self.cash_policy, CASH_POLICIES)
        largest = math.nextafter(math.inf, 0.0)
        lot_size = number("lot_size", self.lot_size, low=0.0, high=largest, rule="zero or positive, and finite")
        object.__setattr__(self, "lot_size", lot_size)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, was {value!r}{nearest(str(value), choices)}")
