"""The state of this installation and its home, as `quantlake doctor` tells it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from assets.settings import config_path, settings
from engine.errors import QuantlakeError, nearest

HOME_FOLDERS = ("snapshots", "tables", "heads", "copies", "dagster", "mlflow", "reports", "locks", "logs", "numba")
# One of these is in every home that was ever used.
MARKS = ("tables/*/*/_delta_log", "snapshots/??", "dagster/dagster.yaml", "mlflow/mlflow.db", "numba/*")
MIN_FREE_GIB = 2.0


class NotAHome(QuantlakeError):
    """A folder holds what quantlake did not put there."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination: what was looked at, how it is ("ok", "note" or "mend"), and what to do."""

    what: str
    state: str
    detail: str


def examine() -> list[Finding]:
    """Return what was found, in the order in which to mend it."""
    return [_python(), *_packages(), _settings(), *_home(), *_ports()]


def require_home(home: Path) -> None:
    """Refuse a folder with anything in it that quantlake does not make.

    Raises
    ------
    NotAHome : names the foreign entries.
    """
    if not home.is_dir():
        raise NotAHome(f"{home} is no folder")
    foreign = sorted(entry.name for entry in home.iterdir() if entry.name not in HOME_FOLDERS or not entry.is_dir())
    if home.resolve() in (Path.home(), Path("/")):
        raise NotAHome(f"{home} is no folder of quantlake's own: set QUANTLAKE_HOME to one")
    if foreign:
        raise NotAHome(
            f"{home} holds what is not quantlake's ({', '.join(foreign[:5])}):"
            " remove those first, or the folder by hand"
        )
    # Other programs have folders named logs and reports, too.
    if any(home.iterdir()) and not any(any(home.glob(mark)) for mark in MARKS):
        raise NotAHome(f"{home} holds no tables, snapshots, runs or kernels of quantlake: remove it by hand")


def folder_sizes(home: Path) -> dict[str, int]:
    """Return the bytes in each folder of a home."""
    return {
        entry.name: sum(file.lstat().st_size for file in entry.rglob("*") if file.is_file())
        for entry in sorted(home.iterdir())
        if entry.is_dir()
    }


def _python() -> Finding:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("Python", "ok" if fits else "mend", version if fits else f"{version}: 3.11 to 3.13 are supported")


def _packages() -> Iterator[Finding]:
    lock = Path(__file__).resolve().parent.parent / "requirements.lock"
    if not lock.is_file():
        yield Finding("packages", "note", "no requirements.lock beside the code: versions are not pinned")
        return
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    versions: dict[str, set[str]] = {}
    for name, version in pinned:
        versions.setdefault(name, set()).add(version)
    differing = []
    for name, allowed in versions.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a marker leaves it out on this platform
        if installed not in allowed:
            differing.append(f"{name} {installed} instead of {' or '.join(sorted(allowed))}")
    if differing:
        yield Finding("packages", "mend", "; ".join(differing) + ": `make clean` and any other target reinstall")
    else:
        yield Finding("packages", "ok", f"{len(versions)} as locked")


def _settings() -> Finding:
    from lakehouse.calendar import exchanges

    config = settings()
    if config.exchange not in exchanges():
        hint = nearest(config.exchange, exchanges())
        return Finding("settings", "mend", f"exchange {config.exchange!r} has no calendar{hint}")
    source = str(config_path()) if config_path().is_file() else "defaults and environment"
    return Finding("settings", "ok", f"{source}; sources {', '.join(config.sources)}; exchange {config.exchange}")


def _home() -> Iterator[Finding]:
    home = settings().home
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not existing.is_dir():
        yield Finding("home", "mend", f"{existing} is no folder: set QUANTLAKE_HOME to one of yours")
        return
    if not os.access(existing, os.W_OK):
        yield Finding("home", "mend", f"{existing} cannot be written: set QUANTLAKE_HOME to a folder of yours")
        return
    free = shutil.disk_usage(existing).free / 2**30
    state = "ok" if free >= MIN_FREE_GIB else "mend"
    yield Finding("disk", state, f"{free:.1f} GiB free at {existing}, {MIN_FREE_GIB:g} wanted")
    if not home.exists():
        yield Finding("home", "note", f"{home} is empty: `quantlake demo` fills it")
        return
    from lakehouse.lake import Lake
    from lakehouse.verify import NEVER_WRITTEN

    found = Lake(home).verify(deep=False)
    problems = [problem for problem in found if problem.severity == "error"]
    if problems:
        yield Finding("lake", "mend", f"{len(problems)} damaged: `quantlake verify` lists them with the remedy")
    elif any(problem.what == NEVER_WRITTEN for problem in found):
        yield Finding("lake", "note", f"{home}: {NEVER_WRITTEN}; `quantlake demo` fills it")
    else:
        yield Finding("lake", "ok", f"{home} is sound (shallow check)")
    yield from _records(home)


def _records(home: Path) -> Iterator[Finding]:
    from assets.stores import check_stores

    damaged = [problem for problem in check_stores(home) if problem.severity == "error"]
    for problem in damaged:
        yield Finding("records", "mend", f"{problem.where}: {problem.what}: {problem.remedy}")
    if not damaged:
        yield Finding("records", "ok", "those of Dagster and MLflow, as far as SQLite can tell")


def _ports() -> Iterator[Finding]:
    from orchestration.serving import is_taken

    for name, port in (("Dagster", 3000), ("MLflow", 5000)):
        taken = is_taken(port)
        yield Finding(f"port {port}", "note" if taken else "ok", f"{'in use' if taken else 'free'} for {name}")
