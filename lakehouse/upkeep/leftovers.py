"""What killed writes leave behind, which no reader sees and no vacuum of Delta's removes.

Staged files of ours (`name#process-thread`), temporaries of delta-rs (`name#1`), and whole data files that were not
committed any more. A day must have passed: a slow source may be filling a staged file right now.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote

from lakehouse.files import STAGING_MARK
from lakehouse.log import log_folder

AGE = dt.timedelta(days=1)
_STAGED_BY = re.compile(rf"{STAGING_MARK}(\d+)-\d+")
_CHECKPOINT = re.compile(r"\d{20}\.checkpoint\.parquet")


def table_leftovers(path: Path, named: Collection[str], now: dt.datetime) -> Iterator[Path]:
    """Yield the leftovers in a table's folder; `named` are the data files that some version holds or held."""
    # A log of another tool's may hold paths as they stand in URLs.
    known = {*named, *map(unquote, named)}
    for file in sorted(path.rglob("*")):
        is_staged = STAGING_MARK in file.name
        is_data = file.suffix == ".parquet" and file.parent != log_folder(path)
        if (is_staged or (is_data and file.relative_to(path).as_posix() not in known)) and _is_left(file, now):
            yield file


def staged_leftovers(folder: Path, now: dt.datetime) -> Iterator[Path]:
    """Yield the staged files below a folder; whole files are no leftovers there."""
    for file in sorted(folder.rglob(f"*{STAGING_MARK}*")):
        if _is_left(file, now):
            yield file


def superseded_checkpoints(path: Path) -> list[Path]:
    """Return the checkpoints of a table but for the last: they repeat commits, which are all there."""
    found = sorted(file for file in log_folder(path).iterdir() if _CHECKPOINT.fullmatch(file.name))
    return found[:-1]


def _is_left(file: Path, now: dt.datetime) -> bool:
    try:
        if not file.is_file() or file.stat().st_mtime > (now - AGE).timestamp():
            return False
    except FileNotFoundError:
        return False  # its writer ended in this moment
    writer = _STAGED_BY.search(file.name)
    return writer is None or not _is_alive(int(writer[1]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
