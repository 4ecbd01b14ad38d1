"""Immutable files that survive a crash and a power cut.

A file is staged beside its final name, synced, linked to the final name (which fails rather than overwrites)
and the folder synced. A reader therefore finds the whole file or none. Names end in the content's hash, so a
file that is already there holds the same bytes, unless the disk damaged it; then it is replaced by the good
ones.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from lakehouse.errors import LakeError, StorageFailed, StorageFull
from lakehouse.records import OnStep, no_step

STAGING_MARK = "#"
_FULL = {errno.ENOSPC: "disk full", errno.EDQUOT: "disk quota used up", errno.EFBIG: "file too large for this process"}
_REMEDIES = {
    errno.EACCES: "let this user read and write there, or name another home in QUANTLAKE_HOME",
    errno.EPERM: "let this user read and write there, or name another home in QUANTLAKE_HOME",
    errno.EROFS: "mount it for writing, or name another home in QUANTLAKE_HOME",
    errno.EIO: "the disk fails: copy the home to another one and run `quantlake verify` there",
    errno.EMFILE: "close other programs, or raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "close other programs, or raise the limit of open files (`ulimit -n`)",
}
_NUMBER = re.compile(r"\(os error (\d+)\)")


def sha256(content: bytes) -> str:
    """Return the sha256 of the bytes in hex."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes in hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def store(path: Path, content: bytes, *, on_step: OnStep = no_step) -> bool:
    """Put the bytes at the path, durably and never halfway; return False where they already were there.

    The path's name must depend on the content's hash. The folder must exist.

    Raises
    ------
    StorageFull, StorageFailed : no room, or the system refuses; nothing is visible at the path.
    """
    with storage_errors(path, len(content)):
        if _holds(path, content):
            sync(path)
            sync(path.parent)
            return False
    stage = path.with_name(f"{path.name}{STAGING_MARK}{os.getpid()}-{threading.get_ident()}")
    with storage_errors(path, len(content)):
        try:
            with stage.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            on_step("staged")
            _publish(stage, path, content)
            on_step("file_linked")
        finally:
            stage.unlink(missing_ok=True)
        sync(path.parent)
    return True


def publish(stage: Path, path: Path, digest: str) -> None:
    """Give a staged, synced file of the same file system its final name, durably; the stage is gone afterwards.

    `digest` is the sha256 of its bytes, which the name must depend on. A file that is there already stays, unless
    the disk damaged it.
    """
    try:
        os.link(stage, path)
    except FileExistsError:
        if sha256_of_file(path) != digest:
            stage.replace(path)
    stage.unlink(missing_ok=True)
    sync(path)
    sync(path.parent)


def _publish(stage: Path, path: Path, content: bytes) -> None:
    try:
        os.link(stage, path)
    except FileExistsError:
        if not _holds(path, content):
            stage.replace(path)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, durably."""
    with storage_errors(folder):
        if folder.is_dir():
            return
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file's or folder's content survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(path: Path, n_bytes: int = 0) -> Iterator[None]:
    """Turn what the operating system refuses into `StorageFull` or `StorageFailed`, with place, cause and remedy.

    delta-rs reports some of it as an error of its own, with the system's number in the text.

    Parameters
    ----------
    path : what is read or written
    n_bytes : the room needed, where it is known
    """
    try:
        yield
    except LakeError:
        raise
    except Exception as error:
        number = _error_number(error)
        if number is None:
            raise
        if number not in _FULL:
            raise storage_failed(path, number) from error
        free = shutil.disk_usage(path.parent if path.parent.is_dir() else path.anchor).free
        needed = f"{n_bytes:,} bytes needed, " if n_bytes else ""
        raise StorageFull(
            f"{_FULL[number]}: {needed}{free:,} free at {path}; free some room and run it again, "
            "what was written so far is kept"
        ) from error


def storage_failed(path: Path, number: int) -> StorageFailed:
    """Return the error for what the system refused, by its number (`errno`)."""
    remedy = _REMEDIES.get(number, "see to that and run it again")
    return StorageFailed(f"{path} cannot be read or written ({os.strerror(number)}): {remedy}; nothing was changed")


def _error_number(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    stated = _NUMBER.search(str(error))
    return None if stated is None else int(stated[1])
