"""Adjusted prices, made from as-traded bars and corporate actions each time they are read."""

from __future__ import annotations

from lakehouse.adjusting.bars import How, adjust_bars
from lakehouse.adjusting.conflicts import conflicts
from lakehouse.adjusting.conventions import CONVENTIONS, Convention
from lakehouse.adjusting.reading import read_bars

__all__ = ["CONVENTIONS", "Convention", "How", "adjust_bars", "conflicts", "read_bars"]
