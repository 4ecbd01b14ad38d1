"""Cross-sectional momentum."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.actions import Actions
from engine.bars import Bars
from engine.errors import InputError
from engine.kernels.rules_ranking import scores_nb, top_weights_nb
from engine.kernels.state import Plan
from engine.panels import read_only
from engine.play import Instructions
from engine.rules.base import Rule, prices_of
from engine.settings import choice, finite, whole

PERIODS = ("day", "week", "month", "year")
_MONDAY = np.datetime64("1970-01-05")


@dataclass(frozen=True)
class Ranking(Rule):
    """Hold, in equal parts, the assets that rose most from `lookback` to `skip` bars ago.

    Ranked by close[t - skip] / close[t - lookback] at the first bar t of each period (UTC), from bar `lookback` on,
    and filled at the next open (Jegadeesh and Titman 1993). An asset takes part that has a price at these two bars
    and at t. Of equal changes the asset that stands first is taken; where fewer than `top` take part, all are held.
    All other assets are sold.

    Parameters
    ----------
    lookback, skip : int
        Bars of the market's axis; skip is the lesser, and 0 or more.
    top : int
        Assets to hold, at least 1.
    gross : float
        What the weights add up to, a fraction of equity.
    every : {"day", "week", "month", "year"}
        Weeks begin on Mondays.

    Raises
    ------
    InputError
        A parameter breaks its rule.
    """

    lookback: int = 252
    skip: int = 21
    top: int = 50
    gross: float = 1.0
    every: str = "month"

    def __post_init__(self) -> None:
        self.__dict__.update(
            lookback=whole("lookback", self.lookback, low=1),
            skip=whole("skip", self.skip, low=0),
            top=whole("top", self.top, low=1),
            gross=finite("gross", self.gross),
            every=choice("every", self.every, PERIODS),
        )
        if self.skip >= self.lookback:
            raise InputError(f"skip must be less than lookback, was {self.skip} against {self.lookback}")

    def planner(self, bars: Bars, actions: Actions | None = None) -> Callable[[Ranking], Instructions]:
        """Return a function from rules of this kind to their instructions, in arrays of the calling thread.

        Rules that follow each other in a thread and differ in `top` and `gross` alone share their scores.
        """
        prices = prices_of(bars, actions)
        starts = {every: first_bars(bars.bar_end, every) for every in PERIODS}
        memory = threading.local()

        def plan(rule: Ranking) -> Instructions:
            key = (rule.lookback, rule.skip, rule.every)
            if getattr(memory, "key", None) != key:
                first = starts[rule.every]
                memory.bars = first[first >= rule.lookback]
                memory.scores = np.empty((memory.bars.size, bars.n_assets), dtype=np.int64)
                memory.rows = np.arange(memory.bars.size)
                scores_nb(prices, memory.bars, rule.lookback, rule.skip, memory.scores)
                memory.key = key
            weights = np.empty(memory.scores.shape)
            top_weights_nb(memory.scores, rule.top, rule.gross, weights)
            return Instructions(Plan(memory.bars, memory.rows, read_only(weights), True))

        return plan


def first_bars(bar_end: NDArray[np.datetime64], every: str) -> NDArray[np.int64]:
    """Return the first bar of each period but the one that the first bar is in: it may have begun before."""
    if every == "week":
        periods = (bar_end.astype("datetime64[D]") - _MONDAY) // np.timedelta64(7, "D")
    else:
        periods = bar_end.astype(f"datetime64[{every[0].upper()}]")
    return np.flatnonzero(periods[1:] != periods[:-1]) + 1
