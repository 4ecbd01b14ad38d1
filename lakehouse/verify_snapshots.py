"""Whether the vendors' answers are as they came, and the manifest tells of all that the tables were made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lakehouse.errors import LakeError
from lakehouse.files import STAGING_MARK, sha256_of_file
from lakehouse.paths import snapshots_root, table_path
from lakehouse.reading import scan
from lakehouse.records import Problem
from lakehouse.remedies import ORIGINS_REMEDY
from lakehouse.schemas import TABLES, table_schema
from lakehouse.snapshots import MANIFEST
from lakehouse.snapshots import REMEDY as SNAPSHOT_REMEDY

KILLED = "a write that was killed left this"
LEFTOVER = "no reader sees it; delete it while nothing writes"
_UNLISTED = "fetch or import the same again: the file is then adopted"


def snapshot_problems(home: Path, *, deep: bool) -> Iterator[Problem]:
    """Yield what is wrong with the snapshots, each file hashed where `deep`."""
    root = snapshots_root(home)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    try:
        rows = scan(home, table_schema(MANIFEST), version=None, columns=("snapshot_id", "size"), where=None).to_pylist()
    except LakeError:
        # The manifest's own damage was reported with the tables; a snapshot's name says what its bytes must be.
        whole = [path for path in files if STAGING_MARK not in path.name]
        rows = [{"snapshot_id": path.name, "size": path.stat().st_size} for path in whole]
    sizes = {row["snapshot_id"]: row["size"] for row in rows}
    for snapshot_id, size in sorted(sizes.items()):
        path = root / snapshot_id[:2] / snapshot_id
        what: str | None = None
        if not path.is_file():
            what = "the snapshot is missing"
        elif path.stat().st_size != size:
            what = f"the snapshot has {path.stat().st_size} bytes, not {size}"
        elif deep:
            what = hash_damage(path, snapshot_id, "the snapshot")
        if what is not None:
            yield Problem(MANIFEST, None, what, str(path), SNAPSHOT_REMEDY)
    unlisted = [path for path in files if path.name not in sizes and STAGING_MARK not in path.name]
    yield from _lost_rows(home, [path.name for path in unlisted])
    for path in files:
        if STAGING_MARK in path.name:
            yield Problem(MANIFEST, None, KILLED, str(path), LEFTOVER, "warning")
    for path in unlisted:
        yield Problem(MANIFEST, None, "a snapshot without a manifest row", str(path), _UNLISTED, "warning")


def _lost_rows(home: Path, unlisted: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each table made of snapshots that the manifest does not list: it did when they were read."""
    if not unlisted:
        return
    for table in TABLES.values():
        if table.name == MANIFEST or "snapshot_id" not in table.column_names:
            continue
        try:
            where = [("snapshot_id", "in", list(unlisted))]
            found = scan(home, table, version=None, columns=["snapshot_id"], where=where).column("snapshot_id").unique()
        except LakeError:
            continue  # reported with the tables
        if len(found):
            what = f"the manifest lost the rows of {len(found)} snapshots that {table.name} was made of"
            yield Problem(MANIFEST, None, what, str(table_path(home, MANIFEST)), ORIGINS_REMEDY)


def hash_damage(path: Path, digest: str, what: str) -> str | None:
    """Return what is wrong with a file that should have the hash."""
    try:
        return None if sha256_of_file(path) == digest else f"{what}'s bytes do not have the hash they were written with"
    except OSError as error:
        return f"{what} cannot be read: {error}"
