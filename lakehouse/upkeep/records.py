"""What upkeep tells of each table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TableUpkeep:
    """What upkeep found in a table and did, or in a dry run would do.

    Attributes
    ----------
    rows, files, bytes : of the current version, afterwards; a dry run counts them as they are.
    small_files : files that share a partition with others, before they were made one.
    merged : whether some were made one.
    freed_bytes, removed_files : data files let go, leftovers, checkpoints that later ones repeat.
    leftovers : how many of the removed files killed writes had left.
    versions : versions of the table that can be read.
    pinned : those that recorded runs read, with the number of runs.
    recent : those that were current during the retention, the current one included.
    let_go : versions let go now.
    left_out : why the table was not touched; None where it was.
    is_damaged : whether damage is the reason.
    """

    table: str
    rows: int = 0
    files: int = 0
    bytes: int = 0
    small_files: int = 0
    merged: bool = False
    freed_bytes: int = 0
    removed_files: int = 0
    leftovers: int = 0
    versions: int = 0
    pinned: dict[int, int] = field(default_factory=dict)
    recent: int = 0
    let_go: tuple[int, ...] = ()
    left_out: str | None = None
    is_damaged: bool = False
