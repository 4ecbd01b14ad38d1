"""Rules that hold an asset or do not, each asset on its own."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.kernels.rules import ENTER, STAY
from engine.kernels.state import Plan
from engine.panels import Floats, read_only
from engine.play import Instructions
from engine.rules.base import Rule
from engine.settings import finite, shown

_ROOM = threading.local()


class Switching(Rule):
    """A rule with `units` or a `weight` that is held while the rule says so."""

    units: float | None
    weight: float | None

    def __post_init__(self) -> None:
        if self.units is not None and self.weight is not None:
            units, weight = shown(self.units), shown(self.weight)
            raise InputError(f"a rule holds units or a weight, was units {units} and weight {weight}")
        for name in ("units", "weight"):
            value = getattr(self, name)
            if value is not None:
                self.__dict__[name] = finite(name, value)

    def held(self, n_assets: int) -> tuple[float, bool]:
        """Return what is held while the rule says so, and whether that is a weight."""
        if self.units is not None:
            return self.units, False
        return (1.0 / n_assets if self.weight is None else self.weight), True


class Room:
    """Scratch of a thread for kernels that look at one asset: used again and again."""

    def __init__(self, n_bars: int) -> None:
        self.scratch = np.empty((4, n_bars))
        self.own = np.empty(n_bars, dtype=np.int64)
        # Whole words of eight, of which what is behind the last bar stays zero.
        self.is_on = np.zeros(-(-n_bars // 8) * 8, dtype=np.uint8)
        self.bars = np.empty(n_bars + 1, dtype=np.int64)
        self.rows = np.empty(n_bars + 1, dtype=np.int64)


def room_of(n_bars: int) -> Room:
    """Return the scratch of this thread for so many bars."""
    room: Room | None = getattr(_ROOM, "room", None)
    if room is None or room.own.size != n_bars:
        room = _ROOM.room = Room(n_bars)
    return room


def instructions_of_changes(change: NDArray[np.int8], held: float, is_weight: bool) -> Instructions:
    """Return instructions from int8[n_bars, n_assets]: where assets are entered and left."""
    bars = np.flatnonzero((change != STAY).any(axis=1))
    changed = change[bars]
    values = np.where(changed == STAY, np.nan, np.where(changed == ENTER, held, 0.0))
    return Instructions(Plan(bars, np.arange(bars.size), read_only(values), is_weight))


def instructions_of_events(bars: Any, rows: Any, held: float, is_weight: bool) -> Instructions:
    """Return instructions from the bars at which one asset is entered (row 1) and left (row 0)."""
    values: Floats = np.array(((0.0,), (held,)))
    return Instructions(Plan(bars, rows, read_only(values), is_weight))
