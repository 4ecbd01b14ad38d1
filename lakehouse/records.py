"""What the lake answers to a write and to a check of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

STEPS = ("locked", "staged", "file_linked", "files_stored", "table_created", "committed", "synced")
"""The points of a write at which it may be interrupted, in order; see `OnStep`."""

OnStep = Callable[[str], None]
"""Called with the name of each step of a write just done. Fault tests stop the process there."""


def no_step(_: str) -> None:
    """Do nothing at a step."""


@dataclass(frozen=True)
class Commit:
    """A write that is on disk: the table's version that holds it, and its number of rows.

    `was_new` is False where the lake already held exactly this, and nothing was written.
    """

    table: str
    version: int
    n_rows: int
    was_new: bool


@dataclass(frozen=True)
class Problem:
    """One finding of `Lake.verify`: what is wrong, where, and what to do.

    `severity` is "error" (rows are lost or wrong) or "warning" (leftovers that no reader sees).
    """

    table: str
    version: int | None
    what: str
    where: str
    remedy: str
    severity: str = "error"
