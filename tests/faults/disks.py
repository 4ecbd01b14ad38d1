"""Disks that are small or may only be read, users without rights, and system calls that fail."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.homes import REPOSITORY


@contextlib.contextmanager
def small_disk(folder: Path, n_kib: int) -> Iterator[Path]:
    """Mount an empty disk of so many KiB at the folder."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={n_kib}k", "quantlake-test", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder one that nobody can write, root included."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    # Arrow's threads close what they read a moment after the rows are there.
    for _ in range(50):
        done = subprocess.run(["umount", str(folder)], capture_output=True, text=True)
        if not done.returncode:
            return
        gc.collect()
        time.sleep(0.1)
    raise OSError(done.stderr)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("this machine has no mount")
    if done.returncode:
        pytest.skip(f"this user may not mount disks: {done.stderr.strip()}")


def free(folder: Path) -> int:
    """Return the bytes free on the folder's disk."""
    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def filled(folder: Path, n_free: int) -> Iterator[None]:
    """Fill the folder's disk up to so many bytes."""
    filler = folder / "filler"
    filler.write_bytes(b"x" * max(free(folder) - n_free, 0))
    try:
        yield
    finally:
        filler.unlink()


def failing(
    call: str, error: str, when: int, script: str, *arguments: str, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Python script in a process in which one system call fails, or kills it (`error` SIGKILL).

    Parameters
    ----------
    when : which call of that name fails, counted in each thread
    path : only calls on this file count
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace, which makes system calls fail, is not installed")
    # Stopping at the wanted calls only is several times faster, and loses signals.
    fault, quick = (f"signal={error}", []) if error.startswith("SIG") else (f"error={error}", ["--seccomp-bpf"])
    command = [strace, "-f", *quick, "-qq", "-o", os.devnull]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}"]
    return python(script, *arguments, before=[*command, *(["-P", str(path)] if path else [])])


def python(script: str, *arguments: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a Python script in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*before, sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
