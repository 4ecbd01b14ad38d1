"""The Delta log, read by ourselves, because damage to it can look like an honest older table.

delta-rs reads an empty or cut last commit as a commit that changed nothing: rows vanish without an error. So
before a table is used, its log is checked: commits follow each other without a gap, none is empty, none the
lake acknowledged is missing, and the one in use has all the actions it says it has.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse import noted
from lakehouse.errors import CorruptTable, UnknownFormat, UnknownTable
from lakehouse.files import sha256, storage_errors
from lakehouse.let_go import require_kept
from lakehouse.lost import refuse_lost
from lakehouse.remedies import log_remedy

_COMMIT_FILE = re.compile(r"(\d{20})\.json")
METADATA_KEY = "quantlake"
FORMAT = 1
"""The form of what the lake's commits record; a higher number is a newer version's."""


@dataclass(frozen=True)
class LogCommit:
    """One commit: its commitInfo, and its other actions by kind."""

    info: dict[str, Any]
    actions: dict[str, list[dict[str, Any]]]

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the lake wrote about the commit; None for a commit made by another tool."""
        return self.info.get(METADATA_KEY)


def log_folder(path: Path) -> Path:
    """Return the folder of a table's log."""
    return path / "_delta_log"


def commit_file(path: Path, version: int) -> Path:
    """Return the file of one commit."""
    return log_folder(path) / f"{version:020d}.json"


def commit_files(path: Path) -> dict[int, int]:
    """Return the size in bytes of each commit file by version, in order; empty where there is no table."""
    with storage_errors(log_folder(path)):
        try:
            found = list(log_folder(path).iterdir())
        except FileNotFoundError:
            return {}
    matches = ((_COMMIT_FILE.fullmatch(file.name), file) for file in found)
    return dict(sorted((int(match[1]), file.stat().st_size) for match, file in matches if match))


def checkpoint_files(path: Path, *, since: int) -> list[Path]:
    """Return the checkpoint files of a version or a later one, and the pointer to the last."""
    names = (f"{version:020d}.checkpoint.parquet" for version in (since - 1, since, since + 1))
    files = [log_folder(path) / name for name in (*names, "_last_checkpoint")]
    return [file for file in files if file.is_file()] if any(file.is_file() for file in files[:-1]) else []


def read_commit(path: Path, version: int) -> LogCommit:
    """Return one commit.

    Raises
    ------
    ValueError : the file is damaged; the text says how.
    UnknownFormat : a newer version of quantlake wrote it.
    StorageFailed : it cannot be read.
    """
    info: dict[str, Any] = {}
    actions: dict[str, list[dict[str, Any]]] = {}
    text = _content(path, version).decode("utf-8")
    if not text.strip():
        raise ValueError("the commit is empty")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            ((kind, action),) = json.loads(line).items()
        except (ValueError, AttributeError, TypeError):
            raise ValueError(f"line {number} of the commit is cut or not JSON") from None
        if kind == "commitInfo":
            info = action
        else:
            actions.setdefault(kind, []).append(action)
    commit = LogCommit(info, actions)
    try:
        _check_format(commit, path, version)
        _check_whole(commit)
    except (KeyError, TypeError, AttributeError):
        raise ValueError("the commit lacks a field or has one of another kind: it was changed") from None
    return commit


def _check_format(commit: LogCommit, path: Path, version: int) -> None:
    written = (commit.metadata or {}).get("format", FORMAT)
    if written != FORMAT:
        raise UnknownFormat(
            f"{'/'.join(path.parts[-2:])} version {version} is in the lake's format {written!r:.20}, this version of "
            f"quantlake knows format {FORMAT}: {UPDATE}"
        )


def _check_whole(commit: LogCommit) -> None:
    if not commit.info:
        raise ValueError("the commit has no commitInfo")
    if not commit.actions:
        raise ValueError("the commit has commitInfo but no actions: it was cut")
    added = {action["path"] for action in commit.actions.get("add", [])}
    if not all(action["path"] for action in commit.actions.get("remove", [])):
        raise ValueError("the commit removes a file without a name: it was changed")
    if commit.metadata is None:
        return
    if "txn" not in commit.actions:
        raise ValueError("the commit lacks its txn action: it was cut")
    if added != set(commit.metadata["files"]):
        raise ValueError("the commit does not add the files it names: it was cut or changed")


def log_damage(path: Path, version: int | None = None) -> tuple[int, str] | None:
    """Return the version and description of the first damage a reader must not pass over, if any.

    The last commit, and the one of `version`, are read whole; those since the last checkpoint are compared with their
    noted hashes; of the others presence and size are checked.
    """
    promised = noted.acknowledged(path)  # before the listing: a writer may go on in between
    sizes = commit_files(path)
    versions = list(sizes)
    for before, after in itertools.pairwise(versions):
        if after != before + 1:
            return before + 1, f"the log has a gap between versions {before} and {after}"
    for number, size in sizes.items():
        if size == 0:
            return number, "the commit is empty"
    last = versions[-1] if versions else -1
    if last < promised:
        end = f"the log ends at {last}" if versions else "all of the log is gone"
        return last + 1, f"version {promised} was written, {end}"
    for number in {last, last if version is None else version} & set(versions):
        try:
            read_commit(path, number)
        except ValueError as error:
            return number, str(error)
    checkpoint = max((int(file.name[:20]) for file in log_folder(path).glob("*.checkpoint.parquet")), default=-1)
    changed = changed_commits(path, [number for number in versions if number > checkpoint])
    return (changed[0], CHANGED) if changed else None


def changed_commits(path: Path, versions: Iterable[int]) -> list[int]:
    """Return those of the versions whose commits do not have the hashes that were noted of them."""
    hashes = noted.hashes(path)
    return [number for number in versions if number in hashes and hashes[number] != sha256(_content(path, number))]


def unnoted_commits(path: Path, version: int) -> dict[int, bytes]:
    """Return the content of the commits up to a version that were written after the last one whose hash was noted."""
    last = max(noted.hashes(path), default=-1)
    return {number: _content(path, number) for number in commit_files(path) if last < number <= version}


def _content(path: Path, version: int) -> bytes:
    file = commit_file(path, version)
    with storage_errors(file):
        return file.read_bytes()


CHANGED = "the commit does not have the hash it was written with"
UPDATE = "update quantlake (`git pull` in its folder, or `pip install --upgrade quantlake`) and run it again"
CHECKPOINT_REMEDY = (
    "delete `_last_checkpoint` and the `*.checkpoint.parquet` files in the table's `_delta_log`: "
    "they only repeat the commits, which are whole"
)


def remedy(path: Path, version: int) -> str:
    """Return what to do about a damaged commit."""
    if 0 <= noted.acknowledged(path) < version:
        return "no writer was told that this version is on disk: delete the file and run the write again"
    return log_remedy("/".join(path.parts[-2:]))


def checked_version(path: Path, table: str, version: int | None) -> int:
    """Return the version to read (the last where none is given) after checking the log; -1: never written.

    Raises
    ------
    CorruptTable : the log is damaged; reading on would silently give the wrong rows.
    UnknownTable : no such version, or upkeep let it go, or damage took it.
    UnknownFormat : a newer version of quantlake wrote it.
    StorageFailed : the log cannot be read.
    """
    damage = log_damage(path, version)
    if damage is not None:
        number, what = damage
        raise CorruptTable(
            f"{table} version {number} is damaged: {what} ({commit_file(path, number)}); {remedy(path, number)}"
        )
    last = max(commit_files(path), default=-1)
    if version is None or version == last:
        return last
    if not 0 <= version <= last:
        raise UnknownTable(f"{table} has versions 0 to {last}, asked for {version}")
    require_kept(path, table, version, last)
    refuse_lost(read_commit(path, version).metadata, table, version)
    return version
