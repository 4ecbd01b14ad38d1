"""Memory that one thread writes to while others write beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Processors fetch lines of 64 bytes by pairs; two threads that write to one pair wait for each other.
_LINES = 128


def scratch(shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Return zeros in memory whose cache lines hold nothing else."""
    kind = np.dtype(dtype)
    size = kind.itemsize * (shape if isinstance(shape, int) else math.prod(shape))
    room = np.zeros(size + 2 * _LINES, dtype=np.uint8)
    start = -room.__array_interface__["data"][0] % _LINES
    return room[start : start + size].view(kind).reshape(shape)
