"""Finding what a power cut, a failing disk or a careless hand did to a lake's files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lakehouse import log, noted
from lakehouse.commit import live_files, opened
from lakehouse.errors import CorruptTable, LakeError, UnknownFormat
from lakehouse.files import STAGING_MARK, storage_errors
from lakehouse.foreign import foreign_versions
from lakehouse.let_go import let_go, record_file
from lakehouse.parquet import DataFile
from lakehouse.paths import snapshots_root, table_path, tables_root
from lakehouse.reading import scan
from lakehouse.records import Problem
from lakehouse.remedies import MANIFEST, file_remedy, foreign_remedy, log_remedy
from lakehouse.schemas import TABLES, TableSchema, table_schema
from lakehouse.verify_snapshots import KILLED, LEFTOVER, hash_damage, snapshot_problems

NEVER_WRITTEN = "nothing was ever written here"
_NO_NOTE = (
    "leave it: nothing notes the last version that was acknowledged, so it may be of a commit that is gone; the next "
    "write of the table notes it again"
)
_REFUSED = "do what the text says, then run `quantlake verify` again"


def verify(home: Path, *, deep: bool) -> list[Problem]:
    """Return everything wrong with the lake, errors first; see `Lake.verify`."""
    problems: list[Problem] = []
    for table in TABLES.values():
        problems += _or_refusal(_table(home, table, deep=deep), table.name, table_path(home, table.name))
    damaged = {problem.table for problem in problems if problem.severity == "error"}
    whole = [table.name for table in TABLES.values() if table.name not in damaged]
    problems += _or_refusal(_pins(home, whole), _RUNS, table_path(home, _RUNS))
    problems += _or_refusal(snapshot_problems(home, deep=deep), MANIFEST, snapshots_root(home))
    return sorted(problems, key=lambda problem: problem.severity) or _never_written(home)


_RUNS = "research/runs"


def _never_written(home: Path) -> list[Problem]:
    """Return a warning where there is nothing that could be sound: the home may be another folder."""
    if any(tables_root(home).glob("*/*")) or any(snapshots_root(home).glob("*")):
        return []
    remedy = "if it should hold data, set QUANTLAKE_HOME to the right folder; `quantlake demo` fills a new one"
    return [Problem("(none)", None, NEVER_WRITTEN, str(home), remedy, "warning")]


def _pins(home: Path, tables: Sequence[str]) -> Iterator[Problem]:
    """Versions beyond the end of a log that recorded runs read: they were there."""
    if _RUNS not in tables:
        return
    rows = scan(home, table_schema(_RUNS), version=None, columns=("run_id", "pins"), where=None).to_pylist()
    read: list[tuple[Mapping[str, int], str]] = []
    for row in rows:
        try:
            read.append((dict(json.loads(row["pins"])), row["run_id"]))
        except (ValueError, TypeError) as error:
            what = f"the pins of run {row['run_id']} cannot be read: {error}"
            yield Problem(_RUNS, None, what, str(table_path(home, _RUNS)), log_remedy(_RUNS))
    for table in tables:
        path = table_path(home, table)
        last = max(log.commit_files(path), default=-1)
        pinned, run = max(((pins.get(table, -1), run_id) for pins, run_id in read), default=(-1, ""))
        if pinned > last:
            end = f"the log ends at {last}" if last >= 0 else "the table is gone"
            what = f"version {pinned} was written, run {run} read it; {end}"
            yield Problem(table, pinned, what, str(path), log_remedy(table))


def _or_refusal(problems: Iterator[Problem], table: str, path: Path) -> Iterator[Problem]:
    """Yield the problems; a folder that cannot be looked into is one, and keeps no other from being looked into."""
    try:
        with storage_errors(path):
            yield from problems
    except LakeError as error:
        yield Problem(table, None, str(error), str(path), _REFUSED)


def _table(home: Path, table: TableSchema, *, deep: bool) -> Iterator[Problem]:
    path = table_path(home, table.name)
    versions = log.commit_files(path)
    if not versions:
        yield from _no_commits(path, table)
        return
    damage = list(_log(path, table, list(versions)))
    yield from damage
    if damage:
        return
    for head in noted.damaged_heads(path):
        what = "the note of the last acknowledged version is damaged"
        yield Problem(table.name, None, what, str(head), "none needed: the next write notes it again", "warning")
    last = max(versions)
    try:
        files = live_files(opened(path, table.name, last), table)
    except CorruptTable as error:
        yield Problem(table.name, last, str(error), str(log.log_folder(path)), log.CHECKPOINT_REMEDY)
        return
    try:
        gone = let_go(path)
    except LakeError as error:
        gone = {}
        what = "the record of versions that upkeep let go is damaged"
        yield Problem(table.name, None, what, str(record_file(path)), str(error), "warning")
    named: set[str] = set()
    needed: set[str] = set()
    current: set[str] = set()
    adding: dict[str, dict[str, Any]] = {}
    recorded: dict[str, dict[str, Any]] = {}
    commits = {version: log.read_commit(path, version) for version in versions}
    for version, commit in commits.items():
        adding |= {action["path"]: action for action in commit.actions.get("add", [])}
        added = {action["path"] for action in commit.actions.get("add", [])}
        named |= added
        current = current - {action["path"] for action in commit.actions.get("remove", [])} | added
        recorded |= (commit.metadata or {}).get("files", {})
        if version not in gone:
            needed |= current
    if current != {file.path for file in files} or any(_differs(file, adding[file.path], table) for file in files):
        what = "the checkpoint and the commits name different files, or tell different things of them"
        yield Problem(table.name, last, what, str(log.log_folder(path)), log.CHECKPOINT_REMEDY)
    for file in files:
        wrong = _file_damage(path / file.path, file, recorded.get(file.path, {}), deep=deep)
        if wrong is not None:
            yield Problem(table.name, last, wrong, str(path / file.path), _remedy(table, file))
    yield from _old_files(path, table, needed - {file.path for file in files}, recorded, deep=deep)
    for version in foreign_versions(commits, table):
        what = "another tool changed which files are in use: rows may be missing, or there that no answer told of"
        is_loose = version == last and noted.acknowledged(path) < version
        remedy = foreign_remedy(table.name, is_loose)
        yield Problem(table.name, version, what, str(log.commit_file(path, version)), remedy)
    yield from _leftovers(path, table, named)


def _differs(file: DataFile, action: Mapping[str, Any], table: TableSchema) -> bool:
    """Return whether a file in use is not what its commit says: size, partition, rows, or the range of its keys.

    Readers skip files by that range, so a wrong one would hide rows.
    """
    said = json.loads(action.get("stats") or "{}")
    partition = action["partitionValues"].get(table.partition_by) if table.partition_by else None
    if (file.size, file.partition, file.n_rows) != (action["size"], partition, said.get("numRecords", file.n_rows)):
        return True
    return any(
        not isinstance(value, dt.datetime) and str(value) != str(said.get(end, {}).get(name))
        for end in ("minValues", "maxValues")
        for name, value in file.statistics[end].items()
    )


def _no_commits(path: Path, table: TableSchema) -> Iterator[Problem]:
    promised = noted.acknowledged(path)
    if promised >= 0:
        gone = "all commits are missing" if path.is_dir() else "the table's folder is missing"
        yield Problem(table.name, None, f"{gone}, version {promised} was written", str(path), log.remedy(path, 0))
    elif path.is_dir() and any(_is_data(file) and STAGING_MARK not in file.name for file in path.rglob("*")):
        # The first write of a table makes its log before a data file gets its name.
        what = "there are data files and all commits are missing"
        yield Problem(table.name, None, what, str(path), log.remedy(path, 0))
    elif path.is_dir():
        what = "a write that was killed left a folder without commits"
        yield Problem(table.name, None, what, str(path), "none needed: the next write goes on", "warning")


def _log(path: Path, table: TableSchema, versions: list[int]) -> Iterator[Problem]:
    damage = dict.fromkeys(log.changed_commits(path, versions), log.CHANGED)
    found = log.log_damage(path)
    if found is not None:
        damage[found[0]] = found[1]
    hashed, last = max(noted.hashes(path), default=-1), max(versions)
    if found is None and hashed > last:
        damage[last + 1] = f"version {hashed} was written, its hash is noted; the log ends at {last}"
    for version in versions:
        try:
            log.read_commit(path, version)
        except ValueError as error:
            damage[version] = str(error)
        except UnknownFormat:
            if version not in damage:  # else a damaged number, not a newer version's
                raise
    for version, what in sorted(damage.items()):
        yield Problem(table.name, version, what, str(log.commit_file(path, version)), log.remedy(path, version))


def _remedy(table: TableSchema, file: DataFile) -> str:
    return file_remedy(table.name, table.partition_by, file.partition)


def _file_damage(path: Path, file: DataFile, recorded: Mapping[str, Any], *, deep: bool) -> str | None:
    """Return what is wrong with one data file, by the cheapest test that shows it."""
    if not path.is_file():
        return "the data file is missing"
    size = path.stat().st_size
    if size != file.size:
        return f"the data file has {size} bytes, not {file.size}"
    try:
        n_rows = pq.read_metadata(path).num_rows
    except (OSError, ValueError) as error:
        return f"the data file has no readable footer: {error}"
    if n_rows != file.n_rows:
        return f"the data file has {n_rows} rows, not {file.n_rows}"
    digest = recorded.get("sha256", file.sha256)
    return None if digest is None or not deep else hash_damage(path, digest, "the data file")


def _old_files(
    path: Path, table: TableSchema, old: set[str], recorded: Mapping[str, Any], *, deep: bool
) -> Iterator[Problem]:
    """Files of earlier versions: a pinned run needs them, the current version does not."""
    for name in sorted(old):
        what = None
        if not (path / name).is_file():
            what = "the data file of an earlier version is missing"
        elif deep and name in recorded:
            what = hash_damage(path / name, recorded[name]["sha256"], "the data file of an earlier version")
        if what is not None:
            remedy = "runs pinned to that version cannot be replayed; restore the file from a backup"
            yield Problem(table.name, None, what, str(path / name), remedy, "warning")


def _leftovers(path: Path, table: TableSchema, named: set[str]) -> Iterator[Problem]:
    remedy = LEFTOVER if noted.acknowledged(path) >= 0 else _NO_NOTE
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        if STAGING_MARK in file.name:
            yield Problem(table.name, None, KILLED, str(file), LEFTOVER, "warning")
        elif _is_data(file) and file.relative_to(path).as_posix() not in named:
            what = "a data file that no version names"
            yield Problem(table.name, None, what, str(file), remedy, "warning")


def _is_data(file: Path) -> bool:
    return file.suffix == ".parquet" and file.parent.name != "_delta_log"
