"""Hashes that name a version of the engine and the outcome of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def source_hash(folder: Path, names: Iterable[str] = ("**/*.py",)) -> str:
    """Return the first 16 hex digits of the sha256 over the Python files below a folder that match a pattern.

    Names and line ends are normalised, so that one commit has one hash on every platform.
    """
    digest = hashlib.sha256()
    for path in sorted(
        {path for name in names for path in folder.glob(name)}, key=lambda path: path.relative_to(folder).as_posix()
    ):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def arrays_hash(arrays: Iterable[NDArray[Any]]) -> str:
    """Return the sha256 hex digest over the shapes and bytes of arrays, in order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


_FOLDER = Path(__file__).resolve().parent
ENGINE_HASH = source_hash(_FOLDER)
# What compiled code depends on: the kernels, and the constants and types they share with their doors.
KERNELS_HASH = source_hash(_FOLDER, ("kernels/*.py", "jit.py", "records.py", "actions.py", "bounds.py"))
