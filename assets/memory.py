"""A step that runs out of memory says so, and what to make smaller; nothing is tried again at the same size."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sys
from collections.abc import Iterator

from assets.causes import causes
from engine.errors import QuantlakeError

SMALLER = (
    "take a smaller piece: fewer symbols (a smaller `universe`), a shorter span (`start` and `end` in the spec, fewer"
    " partitions in a run), or fewer runs at the same time; what was committed stays"
)
_GIB = 2**30
# What numpy, Arrow and Python itself raise; Dagster keeps a step's error as the name of its class and its text.
MEMORY_ERRORS = ("MemoryError", "_ArrayMemoryError", "numpy._core._exceptions._ArrayMemoryError", "ArrowMemoryError")
# The system refuses memory for a thread, a library or a process in words of its own.
_REFUSALS = ("can't start new thread", "failed to map segment", "annot allocate memory")


class OutOfMemory(QuantlakeError):
    """A step needed more memory than there was; it failed alone and left nothing half written."""


@contextlib.contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Turn a lack of memory inside into `OutOfMemory`.

    Parameters
    ----------
    what : what is being done, such as "the backtest of spec 'momentum'".
    """
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as error:
        cause = lack_of_memory(error)
        if cause is None:
            raise
        told = str(cause) or type(cause).__name__
        raise OutOfMemory(f"{what} ran out of memory ({told}; {held()}): {SMALLER}") from error


def lack_of_memory(error: BaseException | None) -> BaseException | None:
    """Return the error that tells of a lack of memory, this one or one behind it; None where there is none."""
    for each in causes(error):
        if isinstance(each, MemoryError) or (isinstance(each, OSError) and each.errno == errno.ENOMEM):
            return each
        if isinstance(each, RuntimeError | ImportError | OSError) and any(text in str(each) for text in _REFUSALS):
            return each
    return None


def held() -> str:
    """Return in words how much this process held at most, and how much it may hold."""
    # Linux counts in KiB, macOS in bytes.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    allowed = "" if limit == resource.RLIM_INFINITY else f", limited to {limit / _GIB:.1f} GiB of addresses"
    return f"this process held up to {most / _GIB:.1f} GiB of the machine's {machine / _GIB:.0f}{allowed}"
