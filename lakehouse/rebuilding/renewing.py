"""A damaged log replaced by a whole one, so that at no moment a reader finds less than it was promised.

The new table is built beside the old one: the commits before the damage with the files they name, a commit for each
number that was lost, then what is written into it. Only when all of that is on disk do they change places: the old
log goes aside, then the old files; the new files come in, then, in one step, the new log. In between the folder says
which version it had and has no log, which every reader refuses. A move that was killed is finished by the next.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lakehouse import log, noted
from lakehouse.commit import ensure_table, sync_commit
from lakehouse.files import make_folder, sync
from lakehouse.lake import Lake
from lakehouse.lost import empty_commit
from lakehouse.paths import table_path, tables_root
from lakehouse.records import OnStep
from lakehouse.table_schema import TableSchema

_STATE = "state.json"
_LOG, _NOTES = "_delta_log", "_quantlake"


def aside_folder(path: Path, now: dt.datetime) -> Path:
    """Return a free name beside a table's folder that says what is kept in it."""
    name = f"{path.name}.damaged-{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"
    taken = 1
    while path.with_name(name if taken == 1 else f"{name}-{taken}").exists():
        taken += 1
    return path.with_name(name if taken == 1 else f"{name}-{taken}")


@contextlib.contextmanager
def renewed(
    home: Path, table: TableSchema, *, first_lost: int, last_lost: int, now: dt.datetime, on_step: OnStep
) -> Iterator[tuple[Lake, Path]]:
    """Yield a lake that holds what is whole of the table, to be written into; it takes the table's place at the end.

    An error inside leaves the damaged table where it is. The caller holds the table's lock.

    Parameters
    ----------
    first_lost, last_lost : versions from the first damaged commit to the last there was, both included

    Returns
    -------
    The lake to write the whole table into, and the folder the damaged one will be kept in.
    """
    path, beside = table_path(home, table.name), _beside(home, table)
    shutil.rmtree(beside, ignore_errors=True)
    aside = aside_folder(path, now)
    built = table_path(beside, table.name)
    _keep_whole(path, built, first_lost)
    if first_lost == 0:
        ensure_table(built, table, on_step)
    why = f"its log was damaged; it was rebuilt on {now.astimezone(dt.UTC):%Y-%m-%d}, the damaged files are in {aside}"
    for version in range(max(first_lost, 1), last_lost + 1):
        _write_empty(built, version, why, now, is_lost=True)
    on_step("numbers_held")
    yield Lake(beside, on_step=on_step), aside
    if max(log.commit_files(built)) == last_lost:
        # Nothing differed from what was kept: the last number is still one that was lost.
        _write_empty(built, last_lost + 1, why, now, is_lost=False)
        sync_commit(built, last_lost + 1)
    for folder in (built, *(entry for entry in built.rglob("*") if entry.is_dir())):
        sync(folder)
    _note(beside, "whole", aside)
    on_step("rebuilt")
    _change_places(path, beside, built, last_lost, on_step)


def finish_earlier_move(home: Path, table: TableSchema, on_step: OnStep) -> Path | None:
    """Finish the move that a killed rebuild had begun and return where the damaged files are; None: there was none.

    What was built but not yet being moved is left alone: the damaged table is still in its place, and may have been
    mended since.
    """
    path, beside = table_path(home, table.name), _beside(home, table)
    state, aside = _noted(beside)
    if aside is None or (state == "whole" and (path / _LOG).is_dir()):
        return None
    _change_places(path, beside, table_path(beside, table.name), noted.acknowledged(path), on_step)
    return aside


def _keep_whole(path: Path, built: Path, first_lost: int) -> None:
    """Link the commits before the damage, and the data files they name, into the new folder."""
    make_folder(built / _LOG)
    for version in range(first_lost):
        commit = log.read_commit(path, version)
        for action in commit.actions.get("add", []):
            file = path / action["path"]
            if file.is_file():
                make_folder((built / action["path"]).parent)
                _link(file, built / action["path"])
        _link(log.commit_file(path, version), log.commit_file(built, version))


def _link(file: Path, target: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.link(file, target)


def _write_empty(built: Path, version: int, why: str, now: dt.datetime, *, is_lost: bool) -> None:
    text = empty_commit(
        version,
        why=why,
        is_lost=is_lost,
        timestamp=int(now.timestamp() * 1000),
        metadata_key=log.METADATA_KEY,
        file_format=log.FORMAT,
    )
    file = log.commit_file(built, version)
    file.write_text(text, encoding="utf-8")
    sync(file)


def _change_places(path: Path, beside: Path, built: Path, last_lost: int, on_step: OnStep) -> None:
    """Move the damaged table aside and the rebuilt one in, from wherever an earlier attempt was killed."""
    state, aside = _noted(beside)
    if aside is None:
        raise AssertionError(f"{beside} does not say where the damaged table goes")
    if state == "whole":
        make_folder(path / _NOTES)
        # A folder without a log is then refused, and not taken for a new table.
        noted.promise(path, last_lost)
        make_folder(aside)
        shutil.copytree(path / _NOTES, aside / _NOTES, dirs_exist_ok=True)
        for name in (_LOG, *_others(path)):
            if (path / name).exists():
                (path / name).rename(aside / name)
                on_step("moved_aside")
        sync(path)
        sync(aside)
        _note(beside, "cleared", aside)
        on_step("cleared")
    for name in _others(built):
        (built / name).rename(path / name)
        on_step("moved_in")
    # The hashes of the commits go before the commits, which then make the table whole in one step.
    for source, target in ((noted.hashes_file(built), noted.hashes_file(path)), (built / _LOG, path / _LOG)):
        if source.exists():
            source.rename(target)
            on_step("moved_in")
        sync(target.parent)
    noted.promise(path, max(log.commit_files(path)))
    shutil.rmtree(beside, ignore_errors=True)


def _others(folder: Path) -> list[str]:
    """Return the entries of a table's folder beside its log and notes; none of a folder that is gone."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in (_LOG, _NOTES))


def _beside(home: Path, table: TableSchema) -> Path:
    return tables_root(home) / ".rebuilding" / table.name.replace("/", ".")


def _note(beside: Path, state: str, aside: Path) -> None:
    stage = beside / f"{_STATE}#"
    stage.write_text(json.dumps({"state": state, "aside": str(aside)}), encoding="utf-8")
    sync(stage)
    stage.replace(beside / _STATE)
    sync(beside)


def _noted(beside: Path) -> tuple[str, Path | None]:
    try:
        noted = json.loads((beside / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "", None
    return str(noted["state"]), Path(noted["aside"])
