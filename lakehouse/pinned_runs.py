"""The recorded runs that read a table, and whether what they read is still there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.errors import LakeError
from lakehouse.files import sha256_of_file
from lakehouse.paths import table_path
from lakehouse.schemas import table_schema

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.parquet import DataFile

_RUNS = "research/runs"


@dataclass(frozen=True)
class PinnedRun:
    """A recorded run and the version of a table that it read."""

    run_id: str
    spec: str
    kind: str
    version: int


@dataclass(frozen=True)
class LostRun:
    """A run that cannot be replayed by version any more, and why."""

    run_id: str
    spec: str
    kind: str
    version: int
    why: str


def pinned_runs(lake: Lake, table: str) -> list[PinnedRun]:
    """Return the recorded runs that read the table at some version, by version and run.

    Raises
    ------
    CorruptTable : research/runs is damaged.
    """
    rows = lake.scan(_RUNS, columns=["run_id", "spec", "kind", "pins"]).to_pylist()
    found = [(json.loads(row["pins"]).get(table, -1), row) for row in rows]
    runs = [PinnedRun(row["run_id"], row["spec"], row["kind"], version) for version, row in found if version >= 0]
    return sorted(runs, key=lambda run: (run.version, run.run_id))


def lost_runs(lake: Lake, table: str) -> list[LostRun]:
    """Return the recorded runs whose version of the table is lost or damaged; every file they need is hashed."""
    runs = pinned_runs(lake, table)
    broken = _cached(lambda file: _damage(lake, table, file))
    why = {version: _why_unreadable(lake, table, version, broken) for version in {run.version for run in runs}}
    return [LostRun(**vars(run), why=text) for run in runs if (text := why[run.version]) is not None]


def _why_unreadable(lake: Lake, table: str, version: int, broken: Callable[[DataFile], str | None]) -> str | None:
    from lakehouse.reading import files_at

    try:
        files = files_at(table_path(lake.home, table), table_schema(table), version)
    except LakeError as error:
        return str(error)
    return next((text for file in files if (text := broken(file)) is not None), None)


def _damage(lake: Lake, table: str, file: DataFile) -> str | None:
    path = table_path(lake.home, table) / file.path
    if not path.is_file():
        return f"the data file {path} is missing"
    if path.stat().st_size != file.size or (file.sha256 is not None and sha256_of_file(path) != file.sha256):
        return f"the data file {path} is not as it was written"
    return None


def _cached(look: Callable[[DataFile], str | None]) -> Callable[[DataFile], str | None]:
    known: dict[str, str | None] = {}

    def cached(file: DataFile) -> str | None:
        if file.path not in known:
            known[file.path] = look(file)
        return known[file.path]

    return cached
