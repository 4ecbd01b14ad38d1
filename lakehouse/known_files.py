"""The data files that a table's log lists, kept while the log is as it was when it was checked.

Reading and checking a log takes milliseconds, as long as a query of one symbol. What is kept was checked, so that
damage done afterwards can give no other rows; a changed file of the log has another time, and is checked again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from lakehouse.log import log_folder
from lakehouse.noted import head_file, outer_head_file
from lakehouse.parquet import DataFile

State = tuple[tuple[str, int, int, int, int], ...]

_MOST = 64
# Files that changed just now may change again without another time.
_SETTLED_NS = 100_000_000
_KEPT: dict[tuple[Path, int | None], tuple[State, tuple[DataFile, ...]]] = {}


def known_files(path: Path, version: int | None, read: Callable[[], list[DataFile]]) -> list[DataFile]:
    """Return the files that `read` returns of a version (None: the last), read only where the log has changed.

    Raises what `read` raises, of which nothing is kept.
    """
    state = _state(path)
    if state is None:
        return read()
    kept = _KEPT.get((path, version))
    if kept is not None and kept[0] == state:
        return list(kept[1])
    files = read()
    if _state(path) == state:
        if len(_KEPT) >= _MOST:
            _KEPT.clear()
        _KEPT[path, version] = state, tuple(files)
    return files


def _state(path: Path) -> State | None:
    """Return name, size, place and times of each file of the log, or None where that does not tell its content."""
    found: list[tuple[str, int, int, int, int]] = []
    newest = 0
    outer = outer_head_file(path)
    try:
        about = outer.stat()
        found.append((str(outer), about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns))
        newest = max(about.st_mtime_ns, about.st_ctime_ns)
    except FileNotFoundError:
        pass  # a home written before there was a note outside of the table
    except OSError:
        return None
    for folder in (log_folder(path), head_file(path).parent):
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    about = entry.stat()
                    found.append((entry.name, about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns))
                    newest = max(newest, about.st_mtime_ns, about.st_ctime_ns)
        except OSError:
            return None
    return tuple(sorted(found)) if newest < time.time_ns() - _SETTLED_NS else None
