"""Making a table anew and replacing what differs or is damaged; nothing that is there is deleted."""

from __future__ import annotations

from lakehouse.rebuilding.comparing import Outcome
from lakehouse.rebuilding.pieces import Make, Piece
from lakehouse.rebuilding.rebuilding import Rebuilt, rebuild

__all__ = ["Make", "Outcome", "Piece", "Rebuilt", "rebuild"]
