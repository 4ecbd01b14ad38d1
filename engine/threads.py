"""Pieces of work shared by the calling thread and helpers that stay between calls.

The caller works too: one that only waited would be woken for each piece, and wake-ups crowd threads onto one core.
Helpers stay, since new ones begin on one core and lose milliseconds until they are moved apart.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

Piece = tuple[int, int]  # its first and the one after its last

_POOLS: dict[int, ThreadPoolExecutor] = {}

# A process made by fork has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOLS.clear)


def work_through(
    pieces: Iterable[Piece],
    run: Callable[[int, int], None],
    n_threads: int,
    *,
    report: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> int:
    """Run `run(first, end)` for consecutive pieces that begin at 0, on n threads; return where it ended.

    Pieces are begun in their order and, once begun, finished: what is done is always the first ones. `report` and
    `should_stop` are called between pieces, from the calling thread, the first with what is done without a gap.

    Raises
    ------
    Exception
        That of the first piece that failed, for any number of threads.
    """
    # Helpers must not run far ahead of a caller who is asked whether to go on, or told how far they are.
    is_held = report is not None or should_stop is not None
    line = _Line(pieces, run, lead=n_threads if is_held else None)
    helpers: list[Future[None]] = []
    if n_threads > 1:
        pool = _POOLS.setdefault(n_threads, ThreadPoolExecutor(n_threads - 1, thread_name_prefix="quantlake-sweep"))
    told = 0
    try:
        while line.pieces:
            if should_stop is not None and should_stop():
                break
            line.admit(n_threads - 1)
            if n_threads > 1 and not helpers:
                helpers = [pool.submit(line.work) for _ in range(min(n_threads, len(line.pieces)) - 1)]
            line.take()
            if report is not None and (done := line.done()) > told:
                told = done
                report(told)
    finally:
        # After a stop, an error or Ctrl-C: who has begun a piece ends it, and nobody begins another.
        line.close(n_threads)
        wait(helper for helper in helpers if not helper.cancel())
    line.raise_first()
    done = line.done()
    if report is not None and done > told:
        report(done)
    return done


class _Line:
    """Pieces that threads take in turn; taking and noting are single steps of the interpreter."""

    def __init__(self, pieces: Iterable[Piece], run: Callable[[int, int], None], *, lead: int | None) -> None:
        self.pieces = deque(pieces)
        self._run = run
        self._done = 0
        self._ends: dict[int, int] = {}
        self._errors: dict[int, Exception] = {}
        self._permits = threading.Semaphore(len(self.pieces) if lead is None else lead)

    def admit(self, n: int) -> None:
        """Let helpers take n more pieces."""
        if n > 0:
            self._permits.release(n)

    def work(self) -> None:
        """Take pieces until there are none, as a helper."""
        while True:
            self._permits.acquire()
            if not self.take():
                return

    def take(self) -> bool:
        """Run the next piece; return whether there was one and it went well."""
        try:
            first, end = self.pieces.popleft()
        except IndexError:
            return False
        try:
            self._run(first, end)
        except Exception as error:
            self._errors[first] = error
            self.pieces.clear()
            return False
        self._ends[first] = end
        return True

    def close(self, n_threads: int) -> None:
        """Let nobody take another piece, and helpers go."""
        self.pieces.clear()
        self._permits.release(n_threads)

    def done(self) -> int:
        """Return where the pieces end that are done without a gap."""
        while self._done in self._ends:
            self._done = self._ends.pop(self._done)
        return self._done

    def raise_first(self) -> None:
        """Raise the error of the first piece that failed, if one did."""
        if self._errors:
            raise self._errors[min(self._errors)]
