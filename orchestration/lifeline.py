"""A process that ends when the one that started it is gone, so that nothing goes on working for nobody.

On Linux the kernel tells the child of its parent's death at once; elsewhere, and to make sure, the child looks once a
second. It is asked to end first (SIGTERM: a Dagster worker reports its run as cancelled then), and killed if it has not
ended a few seconds later.

    python -m orchestration.lifeline MODULE ARGUMENT ...    runs a module that way
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 10.0
_POLL_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Tie this process to the life of its parent, whose number the caller knows.

    The number matters: where the parent died before this call, the present one is another process.
    """
    if sys.platform == "linux":
        # It is the death of the thread that started this process that counts. A pool's thread may end a little
        # before its process; so the signal is one that a process may survive.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run a module as `python -m` does, tied to the parent's life."""
    end_with_parent(os.getppid())
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
