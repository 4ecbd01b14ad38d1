"""Compiled kernels on disk, with a hash in front: what a power cut or a failing disk left is compiled anew.

Numba takes its files for sound. A cut one ends every use of the kernel in an error of pickle, and machine code with a
flipped bit is run. Nor does it know of other processes: those that start together would all compile the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile

_DIGEST_BYTES = hashlib.sha256().digest_size
# The largest kernel takes 20 s; who waited for longer compiles it, too.
_MOST_SECONDS = 90.0


class _DamagedFileError(OSError):
    """A file does not have the hash it was written with. Numba takes an OSError for a file that is not there."""


class CheckedFiles(IndexDataCacheFile):
    """Numba's index and data files of one kernel, each with the sha256 of its content in front.

    What cannot be read counts as absent, and what cannot be written is compiled again next time.
    """

    _data_path: Callable[[str], str]
    _dump: Callable[[Any], bytes]
    _open_for_write: Any
    _lock: int | None = None

    def load(self, key: Any) -> Any:
        """Return a kernel that was kept, or None: then the caller compiles it, and other processes wait for that."""
        found = super().load(key)  # type: ignore[no-untyped-call]
        if found is None and self._lock is None:
            self._lock = _locked(f"{self._index_path}.lock")
            found = super().load(key)  # type: ignore[no-untyped-call]
            if found is not None:
                self._unlock()
        return found

    def save(self, key: Any, data: Any) -> None:
        """Keep a compiled kernel, where the disk lets us."""
        with contextlib.suppress(OSError):
            super().save(key, data)  # type: ignore[no-untyped-call]
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = pickle.loads(_read(self._index_path))  # noqa: S301 - hashed, and our own
        except (OSError, ValueError):
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, self._dump((self._version, self._source_stamp, overloads)))

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_read(self._data_path(name)))  # noqa: S301 - hashed, and our own

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), self._dump(data))

    def _write(self, path: str, content: bytes) -> None:
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(content).digest() + content)


def _read(path: str) -> bytes:
    content = Path(path).read_bytes()
    if hashlib.sha256(content[_DIGEST_BYTES:]).digest() != content[:_DIGEST_BYTES]:
        raise _DamagedFileError(f"{path} is damaged")
    return content[_DIGEST_BYTES:]


def _locked(path: str) -> int | None:
    """Return a file that nobody else holds, None where it stays held or cannot be locked. Closing it lets it go."""
    lock = None
    try:
        import fcntl

        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                time.sleep(0.05)
    except (ImportError, OSError):
        pass
    if lock is not None:
        os.close(lock)
    return None


def check_files(dispatcher: Any) -> Any:
    """Let a function that Numba keeps on disk keep its files with their hash, and return it."""
    files = dispatcher._cache._cache_file
    checked = CheckedFiles.__new__(CheckedFiles)
    checked.__dict__.update(files.__dict__)
    dispatcher._cache._cache_file = checked
    return dispatcher
