"""The SQLite files in which Dagster and MLflow keep their records: which a home has, and whether they are sound.

The tables of the lake do not depend on them: a damaged one is moved aside, and the next command makes a new one.
SQLite keeps no checksums. What its own check finds is a structure that does not hold together; a bit flipped inside
a text or a number is not found. The figures of runs therefore stand in the lake too, where every file is hashed.
"""

from __future__ import annotations

import contextlib
import shlex
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.records import Problem

DAGSTER, MLFLOW = "dagster", "mlflow"
_BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class StoreFile:
    """One SQLite file.

    Attributes
    ----------
    program : whose it is, "dagster" or "mlflow"; also the name of its folder in the home.
    table : one that is in every such file.
    loss : what is gone once it is moved aside.
    """

    home: Path
    path: Path
    program: str
    table: str
    loss: str

    @property
    def remedy(self) -> str:
        """The command that moves the file aside, and what that costs.

        What SQLite keeps beside it (-wal, -shm, -journal) goes along: left behind, it would be read into the new file.
        """
        aside = self.home / self.program / f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return (
            f"stop `quantlake ui`, move it aside (mkdir -p {shlex.quote(str(aside))} &&"
            f" mv {shlex.quote(str(self.path))}* {shlex.quote(str(aside))}) and run the command again, which makes"
            f" a new one; gone is then {self.loss}; no table of the lake depends on it"
        )


def store_files(home: Path, program: str | None = None, *, with_logs: bool = True) -> list[StoreFile]:
    """Return the files that there are, MLflow's first, the logs of single runs last.

    Parameters
    ----------
    program : only those of "dagster" or "mlflow".
    with_logs : also Dagster's logs of single runs, which may be thousands.
    """
    history = home / DAGSTER / "history"
    runs = history / "runs"
    files = [
        StoreFile(
            home,
            home / MLFLOW / "mlflow.db",
            MLFLOW,
            "runs",
            "the list of earlier runs in MLflow (their figures stay in research/runs, their files in mlflow/artifacts)",
        ),
        StoreFile(home, history / "runs.db", DAGSTER, "runs", "the list of earlier runs in Dagster"),
        StoreFile(
            home,
            runs / "index.db",
            DAGSTER,
            "event_logs",
            "which partitions Dagster shows as materialized (materializing them again changes no table)",
        ),
        StoreFile(
            home,
            home / DAGSTER / "schedules" / "schedules.db",
            DAGSTER,
            "jobs",
            "which schedules and sensors were switched on or off by hand",
        ),
    ]
    if with_logs and program != MLFLOW:
        files += [
            StoreFile(home, path, DAGSTER, "event_logs", f"the log of Dagster run {path.stem}") for path in _logs(runs)
        ]
    return [file for file in files if program in (None, file.program) and file.path.is_file()]


def check_stores(home: Path, *, program: str | None = None, deep: bool = False) -> list[Problem]:
    """Return what is wrong with the files, changing nothing; empty where all are sound or there are none.

    Parameters
    ----------
    program : only those of "dagster" or "mlflow".
    deep : also compare every index with its table.
    """
    found = [check(file, deep=deep) for file in store_files(home, program)]
    return [problem for problem in found if problem is not None]


def check(file: StoreFile, *, deep: bool = False) -> Problem | None:
    """Return what is wrong with a file, None for a sound one."""
    from lakehouse.errors import LakeError
    from lakehouse.files import storage_errors

    try:
        with storage_errors(file.path), file.path.open("rb") as opened:
            is_empty = not opened.read(1)
    except LakeError as error:
        return _problem(file, "cannot be read", str(error))
    if is_empty:
        return None if is_new(file) else _problem(file, "the file is empty", file.remedy)
    told: Problem | None = None
    for way in _ways(file.path):
        told = _examine(file, way, deep)
        if told is None:
            break
    return told


def is_new(file: StoreFile) -> bool:
    """Return whether an empty file is one that Dagster was just making, and goes on with at the next start.

    SQLite makes a file before it writes to it. MLflow's gets its name when it is whole, and where Dagster has run
    anything its three are whole, too.
    """
    if file.program == MLFLOW:
        return False
    logs = list(_logs(file.home / DAGSTER / "history" / "runs"))
    return file.path in logs or not logs


def _logs(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.db")) if path.stem != "index")


def _ways(path: Path) -> list[str]:
    """Return how to open a file so that nothing is written, the most careful way first.

    Opened as one that nobody changes, SQLite leaves no file of its own beside it. Should somebody change it just then,
    what it reads makes no sense; so a file is only called damaged where it looks so with locks, too.
    """
    has_more = any(_beside(path, end) for end in ("-wal", "-journal"))
    return ["mode=ro"] if has_more else ["mode=ro&immutable=1", "mode=ro"]


def _beside(path: Path, end: str) -> bool:
    other = path.with_name(path.name + end)
    return other.is_file() and other.stat().st_size > 0


def _examine(file: StoreFile, way: str, deep: bool) -> Problem | None:
    uri = f"{file.path.resolve().as_uri()}?{way}"
    pragma = "integrity_check" if deep else "quick_check"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as store:
            told = str(store.execute(f"PRAGMA {pragma}(1)").fetchone()[0])
            tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    except sqlite3.Error as error:
        return _refused(file, error)
    if told != "ok":
        return _problem(file, f"SQLite says: {' '.join(told.split())[:200]}", file.remedy)
    return None if file.table in tables or is_new(file) else _problem(file, f"no table {file.table!r}", file.remedy)


def _refused(file: StoreFile, error: sqlite3.Error) -> Problem:
    name = error.sqlite_errorname or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return _problem(file, "not checked: a process is writing it", "check again when it has ended", "warning")
    if name.startswith("SQLITE_READONLY"):
        what, remedy = "a write to it was interrupted", "nothing to do: the next command that uses it takes it back"
        return _problem(file, what, remedy, "warning")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return _problem(file, f"cannot be read ({error})", "see that this user may read it and that the disk works")
    return _problem(file, f"SQLite says: {error}", file.remedy)


def _problem(file: StoreFile, what: str, remedy: str, severity: str = "error") -> Problem:
    from lakehouse.records import Problem

    return Problem(file.program, None, what, str(file.path), remedy, severity)
