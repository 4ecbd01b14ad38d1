"""Threads that stay between sweeps: new ones begin on one core and lose milliseconds until they are moved apart."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_NAME = "quantlake-sweep"
_POOLS: dict[int, ThreadPoolExecutor] = {}

# A process made by fork has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOLS.clear)


@contextmanager
def pool_of(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads to work on; a sweep that runs inside another gets its own, since that one's are all taken."""
    if threading.current_thread().name.startswith(_NAME):
        with ThreadPoolExecutor(n_threads) as pool:
            yield pool
        return
    yield _POOLS.setdefault(n_threads, ThreadPoolExecutor(n_threads, thread_name_prefix=_NAME))
