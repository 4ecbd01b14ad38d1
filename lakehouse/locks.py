"""One writer a table, across processes.

The lock is the kernel's (`flock`), so a killed process never leaves it behind; the file's text only tells
others who holds it. Network file systems may not carry such locks between machines; a lake there needs one
writing machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from lakehouse.errors import LockTimeout
from lakehouse.files import make_folder, storage_errors

_POLL_SECONDS = 0.02


@contextlib.contextmanager
def table_lock(path: Path, table: str, *, timeout: float) -> Iterator[None]:
    """Hold the write lock of a table.

    Raises
    ------
    LockTimeout : another holder kept it for `timeout` seconds; names its process and host.
    StorageFull, StorageFailed : the lock's file cannot be written.
    """
    make_folder(path.parent)
    with storage_errors(path):
        lock = _acquired(path, table, timeout)
    try:
        with contextlib.suppress(OSError):  # on a full disk the text is all that is missing, the lock is held
            os.ftruncate(lock, 0)
            os.write(lock, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
    finally:
        os.close(lock)


def _acquired(path: Path, table: str, timeout: float) -> int:
    """Return the open, locked file."""
    import fcntl

    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockTimeout(
                        f"{table} is being written by {_holder(path)}; waited {timeout:g} s. "
                        "Run it again when that has ended"
                    ) from None
                time.sleep(_POLL_SECONDS)
    except BaseException:
        os.close(lock)
        raise


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
