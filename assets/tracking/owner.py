"""Which process a run belongs to, told apart from a later process that got the same number."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "quantlake."


@dataclass(frozen=True)
class Owner:
    """A process: its host, its number, and when it started (boot id and clock ticks; empty where unknown)."""

    host: str
    pid: int
    start_time: str

    @classmethod
    def current(cls) -> Owner:
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), _start_time(os.getpid()))

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Owner | None:
        """Return the owner that a run's tags name, None where they name none."""
        host, pid = tags.get(f"{_PREFIX}host"), tags.get(f"{_PREFIX}pid", "")
        if not host or not pid.isdigit():
            return None
        return cls(host, int(pid), tags.get(f"{_PREFIX}start_time", ""))

    def as_tags(self) -> dict[str, str]:
        """Return the tags that name this process."""
        return {
            f"{_PREFIX}host": self.host,
            f"{_PREFIX}pid": str(self.pid),
            f"{_PREFIX}start_time": self.start_time,
        }

    def is_dead(self) -> bool:
        """Whether the process certainly ended. Of another host nothing is known, so nothing there is dead."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it lives, under another user
        now = _start_time(self.pid)
        # One whose end nobody has taken note of still answers to signals, and does nothing any more.
        return bool(self.start_time and now and now != self.start_time) or _state(self.pid) in ("Z", "X")


def _start_time(pid: int) -> str:
    fields = _stat(pid)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f"{boot}:{fields[19]}" if fields else ""


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """Return what Linux tells of a process after its name; nothing elsewhere."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return []
    # The name in the second field may hold spaces and brackets.
    return status.rpartition(")")[2].split()
