"""What SQLite, SQLAlchemy and the system say while Dagster or MLflow writes its records, as one error that helps.

Dagster and MLflow wrap what SQLite said in errors of their own, and neither names the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from assets.causes import causes
from assets.stores import check_stores, is_new, store_files
from engine.errors import QuantlakeError

# A disk on which this much is left may be too full for SQLite's journal.
_NO_ROOM = 256 * 1024
# SQLite writes pages and frames somewhat before and after the limit on a file.
_NEAR_LIMIT = 64 * 1024
# What the system says of a disk; its other errors are not about storage.
_OF_STORAGE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE),
)


class DamagedStore(QuantlakeError):
    """A file in which Dagster or MLflow keeps its records is damaged; the text says what to move aside."""


def require_filled(home: Path, program: str) -> None:
    """Refuse an empty file of a program, which it would take for a new one and fill, as if nothing had ever run.

    Raises
    ------
    DamagedStore : names the file and what to do.
    """
    # An empty log of one run is made anew when it is asked for.
    for file in store_files(home, program, with_logs=False):
        if file.path.stat().st_size == 0 and not is_new(file):
            raise DamagedStore(f"{file.path} is damaged (the file is empty): {file.remedy}")


def require_sound(home: Path, program: str | None = None) -> None:
    """Refuse a home in which a file of Dagster or MLflow is damaged.

    Raises
    ------
    DamagedStore : names every such file and what to do.
    """
    damaged = [problem for problem in check_stores(home, program=program) if problem.severity == "error"]
    if damaged:
        raise DamagedStore(
            "; ".join(f"{problem.where} is damaged ({problem.what}): {problem.remedy}" for problem in damaged)
        )


@contextlib.contextmanager
def store_errors(home: Path, program: str) -> Iterator[None]:
    """Turn what SQLite and the system refuse inside into an error of ours, with place, cause and remedy.

    Parameters
    ----------
    program : whose records are read or written inside, "dagster" or "mlflow".

    Raises
    ------
    DamagedStore : one of its files is damaged.
    StorageFull : the disk has no room, or this process may not write files of that size.
    StorageFailed : the disk or its permissions refuse.
    LockTimeout : another process kept the file locked.
    """
    from lakehouse.errors import LockTimeout, StorageFull
    from lakehouse.files import storage_errors

    try:
        yield
    except QuantlakeError:
        raise
    except Exception as error:
        folder = home / program
        cause = _cause(error)
        if isinstance(cause, OSError):
            with storage_errors(_place(cause, folder)):
                raise OSError(cause.errno, cause.strerror) from error
        if cause is None:
            raise
        name = cause.sqlite_errorname or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise LockTimeout(
                f"another process keeps a file in {folder} locked: run it again when it has ended"
            ) from error
        if name.startswith("SQLITE_IOERR") and (limit := _limit_met(folder)) is not None:
            raise StorageFull(
                f"file too large for this process: a file of {program}'s in {folder} would grow over {limit:,} bytes;"
                " raise the limit (`ulimit -f unlimited`) and run it again, what was written so far is kept"
            ) from error
        number = _number(name, folder)
        if number is not None:
            with storage_errors(folder):
                raise OSError(number, os.strerror(number)) from error
        require_sound(home, program)
        raise


def _cause(error: BaseException | None) -> sqlite3.Error | OSError | None:
    """Return what SQLite or the system said, behind whatever wraps it; None where neither did."""
    for each in causes(error):
        if isinstance(each, sqlite3.Error) and getattr(each, "sqlite_errorname", None):
            return each
        if isinstance(each, OSError) and each.errno in _OF_STORAGE:
            return each
    return None


def _place(error: OSError, folder: Path) -> Path:
    return Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder


def _number(name: str, folder: Path) -> int | None:
    """Return the system's number for an error of SQLite; None where it is about what the file holds.

    SQLite tells a full disk from the rest, but calls whatever else the system refuses an input or output error.
    """
    if name == "SQLITE_FULL":
        return errno.ENOSPC
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _is_full(folder):
        return errno.ENOSPC
    if name.startswith("SQLITE_IOERR"):
        return errno.EIO
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
    return None


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < _NO_ROOM


def _limit_met(folder: Path) -> int | None:
    """Return the most bytes a file of this process may have, where one in the folder is nearly as large; else None."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return None
    is_met = any(path.stat().st_size > limit - _NEAR_LIMIT for path in folder.rglob("*.db*") if path.is_file())
    return limit if is_met else None
