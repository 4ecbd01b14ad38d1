"""Rebuilding a table: what was made anew is compared with what is stored, and replaces what differs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse import log, noted
from lakehouse.commit import live_files, open_table
from lakehouse.errors import CorruptTable, LakeError
from lakehouse.files import make_folder, sync
from lakehouse.lake import Lake
from lakehouse.locks import table_lock
from lakehouse.parquet import DataFile
from lakehouse.paths import lock_path, table_path
from lakehouse.pinned_runs import LostRun, lost_runs, pinned_runs
from lakehouse.rebuilding.comparing import DIFFERS, REBUILT, SAME, Outcome, compare, keep_aside
from lakehouse.rebuilding.pieces import Make, Piece, check_origins, is_foreign, names_of, pieces, rows_of
from lakehouse.rebuilding.renewing import aside_folder, finish_earlier_move, renewed
from lakehouse.records import OnStep, no_step
from lakehouse.remedies import rebuild_command, why_not_made
from lakehouse.restating import Told, replace_and_tell
from lakehouse.rows import conform, split
from lakehouse.schemas import table_schema
from lakehouse.table_schema import TableSchema


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild, or a check for one, found and did.

    damage : what was wrong with the table's log; None where it is whole
    outcomes : one a partition; none where a check met a damaged log, which nothing can be compared with
    aside : folder that keeps the damaged files
    version : the table's version now; None where it cannot be said
    lost : recorded runs that cannot be replayed by version
    unread_runs : why that cannot be said, where research/runs cannot be read
    told : what the writes replaced, for `core/restatements`
    """

    table: str
    damage: str | None
    outcomes: Sequence[Outcome]
    aside: Path | None
    version: int | None
    lost: Sequence[LostRun] = ()
    unread_runs: str | None = None
    told: Sequence[Told] = ()

    @property
    def is_sound(self) -> bool:
        """Whether the table was what it should be, before anything was replaced."""
        return self.damage is None and all(outcome.state == SAME for outcome in self.outcomes)


def rebuild(
    lake: Lake,
    table: str,
    make: Make,
    *,
    partitions: Sequence[str] | None,
    check: bool,
    now: dt.datetime,
    lock_timeout: float = 60.0,
    on_step: OnStep = no_step,
) -> Rebuilt:
    """Make partitions anew, compare them with those stored, and replace what differs; see `Rebuilt`.

    A damaged data file is kept aside under its name and replaced; a damaged log is kept aside with the whole folder,
    and a new table takes its place that goes on with the next version. Killed anywhere, the table is as before, or
    refused, or as after, and the same call again ends in the same state.

    Parameters
    ----------
    partitions : those to look at; None: those the table holds and all that can be made, so that one that is
        missing is found
    check : change nothing
    now : for the names of what is kept aside, timezone-aware

    Raises
    ------
    LakeError : a table that is not made of anything that is stored; the text says what can be done.
    CorruptTable : the log is damaged and only some partitions were named: the others would be lost.
    Whatever `make` raises; nothing of its piece was replaced.
    """
    schema = table_schema(table)
    why_not = why_not_made(table)
    if why_not is not None:
        raise LakeError(f"{table} cannot be rebuilt: {why_not}")
    path = table_path(lake.home, table)
    moved = None
    if not check:
        with table_lock(lock_path(lake.home, table), table, timeout=lock_timeout):
            moved = finish_earlier_move(lake.home, schema, on_step)
    last_pinned, unread = _last_pinned(lake, table)
    damage = log_damage(path, last_pinned)
    if damage is not None:
        if partitions is not None:
            raise CorruptTable(
                f"{table} version {damage[0]} is damaged: {damage[1]}. No partition of it can be rebuilt alone, the "
                f"others would be lost: `{rebuild_command(table)}`"
            )
        if check:
            return _with_lost(lake, Rebuilt(table, _words(damage), [], None, None), unread)
        renewed_as = _renew(lake, schema, make, damage, last_pinned, now, lock_timeout, on_step)
        return _with_lost(lake, renewed_as, unread)
    aside = _Aside(path, now, moved)
    text = _mend_checkpoints(path, schema, aside, check=check)
    if text is not None and check:
        return _with_lost(lake, Rebuilt(table, text, [], None, None), unread)
    outcomes, told = _replace_different(lake, schema, make, partitions, check, aside, now)
    done = Rebuilt(table, text, outcomes, aside.used, lake.version(table), told=told)
    return _with_lost(lake, done, unread)


def log_damage(path: Path, last_pinned: int = -1) -> tuple[int, str] | None:
    """Return the first damaged version of a table's log, every commit read, and what is wrong with it.

    Parameters
    ----------
    last_pinned : the last version that a recorded run read; without it in the log, its number must not be given again
    """
    found = log.log_damage(path)
    first, last = (end(log.commit_files(path), default=-1) for end in (min, max))
    if found is None and first > 0:
        found = 0, f"the log begins at version {first}"
    if found is None and last < last_pinned:
        found = last + 1, f"recorded runs read version {last_pinned}, the log ends at {last}"
    damaged = dict.fromkeys(log.changed_commits(path, log.commit_files(path)), log.CHANGED)
    if found is not None:
        damaged[found[0]] = found[1]
    for version in log.commit_files(path):
        try:
            log.read_commit(path, version)
        except ValueError as error:
            damaged[version] = str(error)
    return min(damaged.items(), default=None)


class _Aside:
    """The folder for what is damaged: named once, made when something is put there."""

    def __init__(self, path: Path, now: dt.datetime, used: Path | None) -> None:
        self.folder = aside_folder(path, now)
        self.used = used

    def keep(self, path: Path, files: Sequence[DataFile]) -> None:
        """Keep the damaged files among these."""
        if keep_aside(path, self.folder, files):
            self.used = self.folder


def _mend_checkpoints(path: Path, table: TableSchema, aside: _Aside, *, check: bool) -> str | None:
    """Put damaged checkpoints aside, which only repeat the commits; return what was wrong with them."""
    try:
        open_table(path, table.name)
        return None
    except CorruptTable as error:
        text = str(error)
    if not check:
        kept = aside.folder / log.log_folder(path).name
        make_folder(kept)
        for name in ("_last_checkpoint", "*.checkpoint.parquet"):
            for file in sorted(log.log_folder(path).glob(name)):
                file.rename(kept / file.name)
        for folder in (log.log_folder(path), kept):
            sync(folder)
        aside.used = aside.folder
    return text


def _replace_different(
    lake: Lake,
    table: TableSchema,
    make: Make,
    partitions: Sequence[str] | None,
    check: bool,
    aside: _Aside,
    now: dt.datetime,
) -> tuple[list[Outcome], list[Told]]:
    path = table_path(lake.home, table.name)
    stored = _by_partition(path, table)
    outcomes: list[Outcome] = []
    told: list[Told] = []
    for piece in pieces(make, partitions, filter(None, stored)):
        parts = split(conform(piece.rows, table), table, piece.partitions)
        names = names_of(table, piece)
        if partitions is None:
            names = [name for name in names if name is None or name in stored or name in parts]
        found = [compare(path, table, name, stored.get(name, []), parts.get(name)) for name in names]
        # The same rows in files of another tool's are replaced, too: those carry no hash that tells of damage.
        changed = [outcome for outcome in found if outcome.state != SAME or is_foreign(stored, outcome.partition)]
        if check:
            check_origins(lake, table, piece, [item.partition for item in changed if item.state == DIFFERS])
        else:
            aside.keep(path, [file for outcome in changed for file in stored.get(outcome.partition, [])])
            # Damaged rows cannot be compared: written apart, they keep no other from being looked at for restatements.
            for state in sorted({outcome.state for outcome in changed}):
                some = [outcome.partition for outcome in changed if outcome.state == state]
                told.append(_write(lake, table, piece, some, now))
        replaced = {outcome.partition for outcome in changed} if not check else set()
        outcomes += [_with_replaced(outcome, outcome.partition in replaced) for outcome in found]
    return outcomes, told


def _write(lake: Lake, table: TableSchema, piece: Piece, partitions: Sequence[str | None], now: dt.datetime) -> Told:
    return replace_and_tell(
        lake,
        table.name,
        rows_of(table, piece, partitions),
        partitions=[name for name in partitions if name is not None],
        batch_id=piece.batch_id,
        now=now,
        context={**piece.context, **_REBUILD},
    )


_REBUILD = {"command": "rebuild"}


def _renew(
    lake: Lake,
    table: TableSchema,
    make: Make,
    damage: tuple[int, str],
    last_pinned: int,
    now: dt.datetime,
    lock_timeout: float,
    on_step: OnStep,
) -> Rebuilt:
    """Build the whole table beside the damaged one and let it take its place."""
    path = table_path(lake.home, table.name)
    names = sorted(entry.name.partition("=")[2] for entry in path.glob(f"{table.partition_by}=*"))
    outcomes = []
    with table_lock(lock_path(lake.home, table.name), table.name, timeout=lock_timeout):
        last = max([noted.acknowledged(path), *log.commit_files(path), last_pinned, 0])
        with renewed(lake.home, table, first_lost=damage[0], last_lost=last, now=now, on_step=on_step) as (
            beside,
            aside,
        ):
            for piece in pieces(make, None, names):
                beside.replace(
                    table.name,
                    piece.rows,
                    partitions=piece.partitions or None,
                    batch_id=piece.batch_id,
                    context={**piece.context, **_REBUILD},
                )
                outcomes += [item for item in _made(table, piece) if item.rows_made or item.partition in {None, *names}]
    return Rebuilt(table.name, _words(damage), outcomes, aside, lake.version(table.name))


def _made(table: TableSchema, piece: Piece) -> list[Outcome]:
    """Return the outcomes of partitions of which nothing stored could be compared."""
    parts = split(conform(piece.rows, table), table, piece.partitions)
    names = names_of(table, piece)
    made = [compare(Path(), table, name, [], parts.get(name)) for name in names]
    return [Outcome(item.partition, REBUILT, None, item.rows_made, item.sha256, was_replaced=True) for item in made]


def _by_partition(path: Path, table: TableSchema) -> dict[str | None, list[DataFile]]:
    delta = open_table(path, table.name)
    found: dict[str | None, list[DataFile]] = {}
    for file in [] if delta is None else live_files(delta, table):
        found.setdefault(file.partition, []).append(file)
    return found


def _words(damage: tuple[int, str]) -> str:
    return f"version {damage[0]}: {damage[1]}"


def _last_pinned(lake: Lake, table: str) -> tuple[int, str | None]:
    """Return the last version of the table that a recorded run read, -1 where none did, or why it cannot be said."""
    try:
        return max((run.version for run in pinned_runs(lake, table)), default=-1), None
    except CorruptTable as error:
        return -1, str(error)


def _with_lost(lake: Lake, done: Rebuilt, unread: str | None) -> Rebuilt:
    lost = [] if unread is not None else lost_runs(lake, done.table)
    return replace(done, lost=lost, unread_runs=unread)


def _with_replaced(outcome: Outcome, was_replaced: bool) -> Outcome:
    return replace(outcome, was_replaced=was_replaced)
