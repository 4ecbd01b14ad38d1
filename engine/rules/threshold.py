"""Momentum of each asset against a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.actions import Actions
from engine.bars import Bars
from engine.errors import InputError
from engine.kernels.rules import threshold_changes_nb
from engine.play import Instructions
from engine.rules.base import prices_of
from engine.rules.switching import Switching, instructions_of_changes, room_of
from engine.settings import finite, whole


@dataclass(frozen=True)
class Threshold(Switching):
    """Hold each asset from where its change over `lookback` bars is above `enter` until it is below `leave`.

    The change is close / close `lookback` bars ago - 1. Between the two thresholds what is held stays held, and
    what is not held stays out, so that a change that trembles around one threshold does not trade at every bar.
    Decided at the close of a bar where that changes, and filled at the next open. A bar that an asset misses does
    not count as one of its bars, and decides nothing for it.

    Parameters
    ----------
    lookback : int
        Bars, at least 1.
    enter, leave : float
        Fractions; leave is at most enter.
    units, weight : float
        As in `Crossing`.

    Raises
    ------
    InputError
        A parameter breaks its rule; both units and weight are given.
    """

    lookback: int = 20
    enter: float = 0.0
    leave: float = 0.0
    units: float | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.__dict__["lookback"] = whole("lookback", self.lookback, low=1)
        for name in ("enter", "leave"):
            self.__dict__[name] = finite(name, getattr(self, name))
        if self.leave > self.enter:
            raise InputError(f"leave must not be above enter, was {self.leave} against {self.enter}")

    def planner(self, bars: Bars, actions: Actions | None = None) -> Callable[[Threshold], Instructions]:
        """Return a function from rules of this kind to their instructions."""
        prices = prices_of(bars, actions)
        n_bars, n_assets = prices.shape

        def plan(rule: Threshold) -> Instructions:
            room = room_of(n_bars)
            change = np.zeros((n_bars, n_assets), dtype=np.int8)
            threshold_changes_nb(
                prices, rule.lookback, rule.enter, rule.leave, room.scratch, room.own, room.is_on, change
            )
            return instructions_of_changes(change, *rule.held(n_assets))

        return plan
