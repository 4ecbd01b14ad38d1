"""Trend following by two moving averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.actions import Actions
from engine.bars import Bars
from engine.errors import InputError
from engine.kernels.rules import crossing_changes_nb, crossing_events_nb
from engine.play import Instructions
from engine.rules.base import prices_of
from engine.rules.switching import Switching, instructions_of_changes, instructions_of_events, room_of
from engine.settings import whole


@dataclass(frozen=True)
class Crossing(Switching):
    """Hold each asset while the mean of its last `fast` closes is above that of its last `slow` ones.

    Decided at the close of a bar where that changes, and filled at the next open; between changes nothing is
    traded. Nothing is held before the asset has had `slow` bars. A bar that an asset misses does not count as one
    of its bars, and decides nothing for it.

    Parameters
    ----------
    fast, slow : int
        Bars, at least 1; fast is the lesser.
    units : float
        Signed units of each asset held.
    weight : float
        Fraction of equity held in each asset, sized when it is entered. By default 1 / n_assets.

    Raises
    ------
    InputError
        A parameter breaks its rule; both units and weight are given.
    """

    fast: int = 10
    slow: int = 50
    units: float | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.__dict__.update(fast=whole("fast", self.fast, low=1), slow=whole("slow", self.slow, low=1))
        if self.fast >= self.slow:
            raise InputError(f"fast must be less than slow, was {self.fast} against {self.slow}")

    def planner(self, bars: Bars, actions: Actions | None = None) -> Callable[[Crossing], Instructions]:
        """Return a function from rules of this kind to their instructions."""
        prices = prices_of(bars, actions)
        n_bars, n_assets = prices.shape
        if n_assets == 1 and not bars.has_gaps and prices is bars.close:
            line = prices.reshape(-1)

            def plan_one(rule: Crossing) -> Instructions:
                room = room_of(n_bars)
                n = crossing_events_nb(line, rule.fast, rule.slow, room.scratch, room.is_on, room.bars, room.rows)
                return instructions_of_events(room.bars[:n].copy(), room.rows[:n].copy(), *rule.held(1))

            return plan_one

        def plan(rule: Crossing) -> Instructions:
            room = room_of(n_bars)
            change = np.zeros((n_bars, n_assets), dtype=np.int8)
            crossing_changes_nb(prices, rule.fast, rule.slow, room.scratch, room.own, room.is_on, change)
            return instructions_of_changes(change, *rule.held(n_assets))

        return plan
