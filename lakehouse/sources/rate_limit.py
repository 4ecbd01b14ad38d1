"""A vendor's rate limit, kept by all processes of a user together.

The times of the last requests stand in a small file; who holds its lock (`flock`) may send when there is room.
A process that waits for room keeps the lock, so that nobody overtakes it; one that is killed lets go of it.
Times are the machine's monotonic clock, which all its processes share and no change of the wall clock moves.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import SourceError, SourceUnavailable

_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Rate:
    """At most `n_requests` in any `seconds`, counted over all processes that name the same folder and limit.

    Parameters
    ----------
    name : whose limit it is, such as a vendor's name; names the file
    n_requests, seconds : the limit
    folder : where the file lies; by default a folder of the user's own among the temporary ones
    """

    name: str
    n_requests: int
    seconds: float = 1.0
    folder: Path | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]{1,64}", self.name):
            raise SourceError(f"a rate's name is 1 to 64 of a-z, 0-9 and _, was {self.name!r}")
        if self.n_requests < 1 or not self.seconds > 0.0:
            raise SourceError(f"a rate is at least 1 request in some seconds, was {self.n_requests} in {self.seconds}")

    def wait(self, *, give_up_at: float) -> float:
        """Wait until a request may be sent, count it, and return that time.

        Parameters
        ----------
        give_up_at : how long to wait at most, in seconds of `time.monotonic`

        Returns
        -------
        float : when the request was let go, in seconds of `time.monotonic`

        Raises
        ------
        SourceUnavailable : there was no room before `give_up_at`.
        SourceError : the folder belongs to somebody else, or others may write to it.
        """
        folder = _own_folder() if self.folder is None else self.folder
        if self.folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder / f"{self.name}-{self.seconds:g}s.rate", self, give_up_at) as descriptor:
            sent = self._recent(descriptor)
            if len(sent) >= self.n_requests:
                room_at = sorted(sent)[-self.n_requests] + self.seconds
                if room_at >= give_up_at:
                    raise self._no_room()
                while (left := room_at - time.monotonic()) > 0.0:  # a sleep may end a little early
                    time.sleep(left)
            now = time.monotonic()
            kept = [*(at for at in sent if at > now - self.seconds), now]
            os.ftruncate(descriptor, 8 * len(kept))
            os.pwrite(descriptor, struct.pack(f"={len(kept)}d", *kept), 0)
            return now

    def _recent(self, descriptor: int) -> list[float]:
        """Return the times of the last requests that still count.

        A file that cannot be read counts as a limit just used up. Times ahead of now are from before a restart
        of the machine.
        """
        now = time.monotonic()
        content = os.pread(descriptor, 1 << 20, 0)
        if len(content) % 8:
            return [now] * self.n_requests
        return [at for at in struct.unpack(f"={len(content) // 8}d", content) if now - self.seconds < at <= now]

    def _no_room(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"the limit of {self.n_requests} requests in {self.seconds:g} s to {self.name} leaves no room before the "
            "deadline, other processes may be using it up: run it again, what was fetched stays"
        )


@contextmanager
def _locked(path: Path, rate: Rate, give_up_at: float) -> Iterator[int]:
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    raise rate._no_room() from None
                time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def _own_folder() -> Path:
    """Return the user's own temporary folder, made when it is not there; others must have no access to it."""
    folder = Path(tempfile.gettempdir()) / f"quantlake-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SourceError(
            f"{folder} must be a folder of yours that nobody else may enter: remove it, or run `chmod 700` on it"
        )
    return folder
