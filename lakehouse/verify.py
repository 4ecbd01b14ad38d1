"""Finding what a power cut, a failing disk or a careless hand did to a lake's files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lakehouse import log, noted
from lakehouse.commit import live_files, opened
from lakehouse.errors import CorruptTable, LakeError, UnknownFormat
from lakehouse.files import STAGING_MARK, sha256_of_file, storage_errors
from lakehouse.let_go import let_go, record_file
from lakehouse.parquet import DataFile
from lakehouse.paths import snapshots_root, table_path
from lakehouse.reading import scan
from lakehouse.records import Problem
from lakehouse.remedies import file_remedy
from lakehouse.schemas import TABLES, TableSchema, table_schema
from lakehouse.snapshots import MANIFEST
from lakehouse.snapshots import REMEDY as SNAPSHOT_REMEDY

_KILLED = "a write that was killed left this"
_LEFTOVER = "no reader sees it; delete it while nothing writes"
_REFUSED = "do what the text says, then run `quantlake verify` again"


def verify(home: Path, *, deep: bool) -> list[Problem]:
    """Return everything wrong with the lake, errors first; see `Lake.verify`."""
    problems: list[Problem] = []
    for table in TABLES.values():
        problems += _or_refusal(_table(home, table, deep=deep), table.name, table_path(home, table.name))
    problems += _or_refusal(_snapshots(home, deep=deep), MANIFEST, snapshots_root(home))
    return sorted(problems, key=lambda problem: problem.severity)


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
        if path.is_dir():
            yield _no_commits(path, table)
        return
    damage = list(_log(path, table, list(versions)))
    yield from damage
    if damage:
        return
    if noted.is_head_damaged(path):
        what = "the note of the last acknowledged version is damaged"
        remedy = "delete the file: the next write notes it again"
        yield Problem(table.name, None, what, str(noted.head_file(path)), remedy, "warning")
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
    for version in versions:
        commit = log.read_commit(path, version)
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


def _no_commits(path: Path, table: TableSchema) -> Problem:
    if noted.acknowledged(path) < 0:
        what = "a write that was killed left a folder without commits"
        return Problem(table.name, None, what, str(path), "none needed: the next write goes on", "warning")
    return Problem(table.name, None, "all commits are missing", str(path), log.remedy(path, 0))


def _log(path: Path, table: TableSchema, versions: list[int]) -> Iterator[Problem]:
    damage = dict.fromkeys(log.changed_commits(path, versions), log.CHANGED)
    found = log.log_damage(path)
    if found is not None:
        damage[found[0]] = found[1]
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
    return None if digest is None or not deep else _hash_damage(path, digest, "the data file")


def _hash_damage(path: Path, digest: str, what: str) -> str | None:
    """Return what is wrong with a file that should have the hash."""
    try:
        return None if sha256_of_file(path) == digest else f"{what}'s bytes do not have the hash they were written with"
    except OSError as error:
        return f"{what} cannot be read: {error}"


def _old_files(
    path: Path, table: TableSchema, old: set[str], recorded: Mapping[str, Any], *, deep: bool
) -> Iterator[Problem]:
    """Files of earlier versions: a pinned run needs them, the current version does not."""
    for name in sorted(old):
        what = None
        if not (path / name).is_file():
            what = "the data file of an earlier version is missing"
        elif deep and name in recorded:
            what = _hash_damage(path / name, recorded[name]["sha256"], "the data file of an earlier version")
        if what is not None:
            remedy = "runs pinned to that version cannot be replayed; restore the file from a backup"
            yield Problem(table.name, None, what, str(path / name), remedy, "warning")


def _leftovers(path: Path, table: TableSchema, named: set[str]) -> Iterator[Problem]:
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        if STAGING_MARK in file.name:
            yield Problem(table.name, None, _KILLED, str(file), _LEFTOVER, "warning")
        elif _is_data(file) and file.relative_to(path).as_posix() not in named:
            what = "a data file that no version names"
            yield Problem(table.name, None, what, str(file), _LEFTOVER, "warning")


def _is_data(file: Path) -> bool:
    return file.suffix == ".parquet" and file.parent.name != "_delta_log"


def _snapshots(home: Path, *, deep: bool) -> Iterator[Problem]:
    root = snapshots_root(home)
    table = table_schema(MANIFEST)
    try:
        rows = scan(home, table, version=None, columns=("snapshot_id", "size"), where=None).to_pylist()
    except LakeError:
        # The manifest's own damage was reported with the tables; a snapshot's name says what its bytes must be.
        files = [path for path in root.rglob("*") if path.is_file() and STAGING_MARK not in path.name]
        rows = [{"snapshot_id": path.name, "size": path.stat().st_size} for path in files]
    sizes = {row["snapshot_id"]: row["size"] for row in rows}
    for snapshot_id, size in sorted(sizes.items()):
        path = root / snapshot_id[:2] / snapshot_id
        what: str | None = None
        if not path.is_file():
            what = "the snapshot is missing"
        elif path.stat().st_size != size:
            what = f"the snapshot has {path.stat().st_size} bytes, not {size}"
        elif deep:
            what = _hash_damage(path, snapshot_id, "the snapshot")
        if what is not None:
            yield Problem(MANIFEST, None, what, str(path), SNAPSHOT_REMEDY)
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name not in sizes:
            is_stage = STAGING_MARK in path.name
            text = _KILLED if is_stage else "a snapshot without a manifest row"
            remedy = _LEFTOVER if is_stage else "fetch the same request again: the file is then adopted"
            yield Problem(MANIFEST, None, text, str(path), remedy, "warning")
