"""Finding what a power cut, a failing disk or a careless hand did to a lake's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse import log
from lakehouse.commit import live_files
from lakehouse.errors import LakeError
from lakehouse.files import STAGING_MARK, sha256_of_file
from lakehouse.parquet import DataFile
from lakehouse.paths import snapshots_root, table_path
from lakehouse.reading import scan
from lakehouse.records import Problem
from lakehouse.schemas import TABLES, TableSchema, table_schema
from lakehouse.snapshots import MANIFEST
from lakehouse.snapshots import REMEDY as SNAPSHOT_REMEDY

_REBUILD = "materialize the partition again from its snapshots"
_KILLED = "a write that was killed left this"
_LEFTOVER = "no reader sees it; delete it while nothing writes"


def verify(home: Path, *, deep: bool) -> list[Problem]:
    """Return everything wrong with the lake, errors first; see `Lake.verify`."""
    problems = [problem for table in TABLES.values() for problem in _table(home, table, deep=deep)]
    problems += _snapshots(home, deep=deep)
    return sorted(problems, key=lambda problem: problem.severity)


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
    last = max(versions)
    try:
        files = live_files(DeltaTable(str(path), version=last), table)
    except (DeltaError, OSError) as error:
        what = f"cannot be opened: {error}"
        yield Problem(table.name, last, what, str(log.log_folder(path)), log.CHECKPOINT_REMEDY)
        return
    named: set[str] = set()
    current: set[str] = set()
    recorded: dict[str, dict[str, Any]] = {}
    for version in versions:
        commit = log.read_commit(path, version)
        added = {action["path"] for action in commit.actions.get("add", [])}
        named |= added
        current = current - {action["path"] for action in commit.actions.get("remove", [])} | added
        recorded |= (commit.metadata or {}).get("files", {})
    if current != {file.path for file in files}:
        what = "the checkpoint and the commits name different files"
        yield Problem(table.name, last, what, str(log.log_folder(path)), log.CHECKPOINT_REMEDY)
    for file in files:
        wrong = _file_damage(path / file.path, file, recorded.get(file.path, {}), deep=deep)
        if wrong is not None:
            yield Problem(table.name, last, wrong, str(path / file.path), _remedy(table, file))
    yield from _old_files(path, table, named - {file.path for file in files}, recorded, deep=deep)
    yield from _leftovers(path, table, named)


def _no_commits(path: Path, table: TableSchema) -> Problem:
    if log.acknowledged(path) < 0:
        what = "a write that was killed left a folder without commits"
        return Problem(table.name, None, what, str(path), "none needed: the next write goes on", "warning")
    return Problem(table.name, None, "all commits are missing", str(path), log.REMEDY)


def _log(path: Path, table: TableSchema, versions: list[int]) -> Iterator[Problem]:
    found = log.log_damage(path)
    for version in versions:
        try:
            log.read_commit(path, version)
        except (ValueError, OSError) as error:
            where = str(log.commit_file(path, version))
            yield Problem(table.name, version, str(error), where, log.remedy(path, version))
            if found is not None and found[0] == version:
                found = None
    if found is not None:
        version, what = found
        yield Problem(table.name, version, what, str(log.commit_file(path, version)), log.remedy(path, version))


def _remedy(table: TableSchema, file: DataFile) -> str:
    where = "" if file.partition is None else f" ({table.partition_by} {file.partition})"
    return _REBUILD + where


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
    if deep and digest is not None and sha256_of_file(path) != digest:
        return "the data file's bytes do not have the hash they were written with"
    return None


def _old_files(
    path: Path, table: TableSchema, old: set[str], recorded: Mapping[str, Any], *, deep: bool
) -> Iterator[Problem]:
    """Files of earlier versions: a pinned run needs them, the current version does not."""
    for name in sorted(old):
        what = None
        if not (path / name).is_file():
            what = "the data file of an earlier version is missing"
        elif deep and name in recorded and sha256_of_file(path / name) != recorded[name]["sha256"]:
            what = "the data file of an earlier version does not have the hash it was written with"
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
        rows = []  # the manifest's own damage was reported with the tables
    sizes = {row["snapshot_id"]: row["size"] for row in rows}
    for snapshot_id, size in sorted(sizes.items()):
        path = root / snapshot_id[:2] / snapshot_id
        what: str | None = None
        if not path.is_file():
            what = "the snapshot is missing"
        elif path.stat().st_size != size:
            what = f"the snapshot has {path.stat().st_size} bytes, not {size}"
        elif deep and sha256_of_file(path) != snapshot_id:
            what = "the snapshot's bytes do not have its hash"
        if what is not None:
            yield Problem(MANIFEST, None, what, str(path), SNAPSHOT_REMEDY)
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name not in sizes:
            is_stage = STAGING_MARK in path.name
            text = _KILLED if is_stage else "a snapshot without a manifest row"
            remedy = _LEFTOVER if is_stage else "fetch the same request again: the file is then adopted"
            yield Problem(MANIFEST, None, text, str(path), remedy, "warning")
