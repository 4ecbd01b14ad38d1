"""Upkeep of the tables: few files, no leftovers, and of old versions those that somebody may still ask for."""

from __future__ import annotations

from lakehouse.upkeep.records import TableUpkeep
from lakehouse.upkeep.tables import STEPS, upkeep

__all__ = ["STEPS", "TableUpkeep", "upkeep"]
