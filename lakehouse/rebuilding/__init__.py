"""Making a table anew and replacing what differs or is damaged; nothing that is there is deleted."""

from __future__ import annotations

from lakehouse.rebuilding.comparing import Outcome
from lakehouse.rebuilding.rebuilding import Make, Piece, Rebuilt, rebuild

__all__ = ["Make", "Outcome", "Piece", "Rebuilt", "rebuild"]
