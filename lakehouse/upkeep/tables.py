"""Upkeep of each table in turn: let old versions go, sweep leftovers, make one file of many.

Killed anywhere it leaves a sound lake: what versions lose is written down before the first file goes, files go one by
one, and making one file of many is a write like any other. Run again, it goes on.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lakehouse import log, noted, writing
from lakehouse.commit import live_files, open_table
from lakehouse.errors import CorruptTable, LakeError, LockTimeout
from lakehouse.foreign import foreign_versions
from lakehouse.let_go import let_go, note_let_go
from lakehouse.locks import table_lock
from lakehouse.parquet import DataFile
from lakehouse.paths import lock_path, snapshots_root, table_path
from lakehouse.reading import scan
from lakehouse.records import OnStep, no_step
from lakehouse.schemas import TABLES, TableSchema, table_schema
from lakehouse.upkeep.leftovers import staged_leftovers, superseded_checkpoints, table_leftovers
from lakehouse.upkeep.plan import Plan, plan
from lakehouse.upkeep.records import TableUpkeep

STEPS = ("noted", "file_removed", "swept")
"""The points of letting versions go at which it may be interrupted, in order; see `lakehouse.records.OnStep`."""

RUNS = "research/runs"


def upkeep(
    home: Path,
    *,
    now: dt.datetime,
    keep: dt.timedelta,
    dry_run: bool = False,
    timeout: float = 5.0,
    on_step: OnStep = no_step,
) -> Iterator[TableUpkeep]:
    """Yield what was done to each table that was ever written, and last to the snapshots; see `Lake.upkeep`."""
    if keep < dt.timedelta(0):
        raise LakeError(f"upkeep keeps versions for some days, not for {keep}")
    pinned_versions(home, RUNS)  # without the pins nothing may go: damage there ends it here
    for table in TABLES.values():
        if not log.commit_files(table_path(home, table.name)):
            continue
        try:
            if dry_run:
                yield _foretold(home, table, now, keep)
            else:
                yield _kept_up(home, table, now, keep, timeout, on_step)
        except LockTimeout as error:
            yield TableUpkeep(table.name, left_out=str(error))
        except LakeError as error:
            yield TableUpkeep(table.name, left_out=str(error), is_damaged=isinstance(error, CorruptTable))
    yield _snapshots(home, now, dry_run)


def pinned_versions(home: Path, table: str) -> dict[int, int]:
    """Return the versions of a table that recorded runs read, with the number of those runs.

    Raises
    ------
    CorruptTable : the runs cannot be read, so nobody knows what they need.
    """
    rows = scan(home, table_schema(RUNS), version=None, columns=["run_id", "pins"], where=None).to_pylist()
    counts: Counter[int] = Counter()
    for row in rows:
        try:
            pins = json.loads(row["pins"])
            if table in pins:
                counts[int(pins[table])] += 1
        except (ValueError, TypeError) as error:
            raise CorruptTable(
                f"the pins of run {row['run_id']} in {RUNS} cannot be read ({error}): without them nothing may be let "
                "go; restore the table from a backup"
            ) from error
    return dict(sorted(counts.items()))


def _kept_up(
    home: Path, table: TableSchema, now: dt.datetime, keep: dt.timedelta, timeout: float, on_step: OnStep
) -> TableUpkeep:
    path = table_path(home, table.name)
    # First what frees room, then what takes some for a while.
    with table_lock(lock_path(home, table.name), table.name, timeout=timeout):
        planned = _planned(home, table, now, keep)
        left = list(table_leftovers(path, planned.named, now))
        going = [path / name for name in planned.going]
        if planned.letting_go:
            note_let_go(path, planned.letting_go, now.astimezone(dt.UTC).date())
            on_step("noted")
        report = _report(home, table, planned, _removed([*going, *left, *superseded_checkpoints(path)], on_step))
        on_step("swept")
    report = replace(report, leftovers=len(left))
    if not report.small_files:
        return report
    scattered = sorted({file.partition for file in _scattered(_live(path, table)) if file.partition is not None})
    merged = writing.compact(home, table, partitions=scattered, timeout=timeout, on_step=on_step)
    return _sized(replace(report, merged=merged.was_new), _live(path, table))


def _foretold(home: Path, table: TableSchema, now: dt.datetime, keep: dt.timedelta) -> TableUpkeep:
    path = table_path(home, table.name)
    planned = _planned(home, table, now, keep)
    left = list(table_leftovers(path, planned.named, now))
    going = [file for name in planned.going if (file := path / name).is_file()]
    sizes = [file.stat().st_size for file in [*going, *left, *superseded_checkpoints(path)]]
    report = replace(_report(home, table, planned, sizes), leftovers=len(left))
    return replace(report, merged=report.small_files > 0)


def _planned(home: Path, table: TableSchema, now: dt.datetime, keep: dt.timedelta) -> Plan:
    """Return the plan of a table whose log is whole.

    Raises
    ------
    CorruptTable : it is not, so that nobody knows which files are needed.
    LakeError : nothing notes the last version that was acknowledged, so that the log may have lost its end.
    """
    path = table_path(home, table.name)
    last = log.checked_version(path, table.name, None)
    if noted.acknowledged(path) < 0:
        raise LakeError(
            f"nothing notes the last version of {table.name} that was acknowledged, so files that no version names may "
            "be of a commit that is gone; the next write of the table notes it"
        )
    commits = {}
    for version in range(last + 1):
        try:
            commits[version] = log.read_commit(path, version)
        except (ValueError, OSError) as error:
            raise CorruptTable(
                f"{table.name} version {version} is damaged: {error}; nothing of the table was let go. "
                "`quantlake verify` says how to mend it"
            ) from error
    if foreign_versions(commits, table):
        raise CorruptTable(
            f"another tool changed which files of {table.name} are in use, and may have taken rows away; nothing of "
            "the table was let go. `quantlake verify` says how to mend it"
        )
    planned = plan(
        commits,
        pinned=pinned_versions(home, table.name),
        gone=let_go(path),
        horizon_ms=int((now - keep).timestamp() * 1000),
    )
    lost = {file.path for file in _live(path, table)} & set(planned.going)
    if lost:
        raise CorruptTable(
            f"{table.name}: the checkpoint and the commits name different files, such as {min(lost)}; nothing of the "
            "table was let go. `quantlake verify` says how to mend it"
        )
    return planned


def _report(home: Path, table: TableSchema, planned: Plan, freed: Iterable[int]) -> TableUpkeep:
    path = table_path(home, table.name)
    live = _live(path, table)
    sizes = list(freed)
    gone = {*let_go(path), *planned.letting_go}
    report = TableUpkeep(
        table.name,
        small_files=len(_scattered(live)),
        freed_bytes=sum(sizes),
        removed_files=len(sizes),
        versions=planned.current + 1 - len(gone),
        pinned=dict(planned.pinned),
        recent=len({planned.current, *planned.recent}),
        let_go=planned.letting_go,
    )
    return _sized(report, live)


def _live(path: Path, table: TableSchema) -> list[DataFile]:
    delta = open_table(path, table.name)
    return [] if delta is None else live_files(delta, table)


def _sized(report: TableUpkeep, live: Iterable[DataFile]) -> TableUpkeep:
    files = list(live)
    return replace(
        report,
        rows=sum(file.n_rows for file in files),
        files=len(files),
        bytes=sum(file.size for file in files),
    )


def _scattered(live: Iterable[DataFile]) -> list[DataFile]:
    """Return the files that share their partition with others."""
    files = list(live)
    counts = Counter(file.partition for file in files)
    return [file for file in files if counts[file.partition] > 1]


def _removed(files: Iterable[Path], on_step: OnStep) -> list[int]:
    """Remove the files that are there and return their sizes."""
    sizes = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            size = file.stat().st_size
            file.unlink()
            sizes.append(size)
            on_step("file_removed")
    return sizes


def _snapshots(home: Path, now: dt.datetime, dry_run: bool) -> TableUpkeep:
    """Sweep what killed fetches left among the snapshots. No snapshot goes, ever."""
    root = snapshots_root(home)
    left = list(staged_leftovers(root, now))
    sizes = [file.stat().st_size for file in left] if dry_run else _removed(left, no_step)
    kept = [file.stat().st_size for file in root.rglob("*") if file.is_file()]
    return TableUpkeep(
        "snapshots",
        files=len(kept),
        bytes=sum(kept),
        freed_bytes=sum(sizes),
        removed_files=len(sizes),
        leftovers=len(sizes),
    )
