"""Vendors' answers, kept byte for byte under their hash, and a manifest table of what each answered."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import CorruptSnapshot, LakeError
from lakehouse.files import make_folder, sha256, storage_failed, store
from lakehouse.paths import snapshots_root
from lakehouse.records import OnStep, no_step
from lakehouse.schemas import table_schema

if TYPE_CHECKING:
    from lakehouse.lake import Lake

MANIFEST = "raw/snapshots"


@dataclass(frozen=True)
class Answer:
    """What a vendor answered to one request, untouched.

    `request` holds what was asked, as JSON values and without secrets. `known_at` is timezone-aware and says
    when the answer was received (or, for recorded data, when it was published). `first_session` and
    `last_session` are the first and last session the answer covers, both inclusive.
    """

    content: bytes = field(repr=False)
    source: str
    dataset: str
    request: Mapping[str, Any]
    known_at: dt.datetime
    media_type: str
    etag: str | None = None
    symbol: str | None = None
    first_session: dt.date | None = None
    last_session: dt.date | None = None

    @property
    def snapshot_id(self) -> str:
        """The sha256 of the bytes: the name the snapshot is stored under."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """A stored answer. `was_new` is False where its bytes and its manifest row were there before."""

    snapshot_id: str
    source: str
    dataset: str
    symbol: str | None
    size: int
    known_at: dt.datetime
    was_new: bool


class SnapshotStore:
    """The vendors' answers of a lake; immutable, each file named by the sha256 of its bytes."""

    def __init__(self, lake: Lake, *, on_step: OnStep = no_step) -> None:
        self._lake = lake
        self._on_step = on_step

    def path(self, snapshot_id: str) -> Path:
        """Return the file of a snapshot, below a folder named by the first two characters of its hash."""
        if len(snapshot_id) != 64 or not set(snapshot_id) <= set("0123456789abcdef"):
            raise CorruptSnapshot(f"a snapshot_id is a sha256 of 64 hex digits, was {snapshot_id[:80]!r}")
        return snapshots_root(self._lake.home) / snapshot_id[:2] / snapshot_id

    def put(self, answers: Iterable[Answer]) -> list[Snapshot]:
        """Store the answers, add their manifest rows and return one snapshot an answer.

        The same bytes are one file; the same bytes for the same request are one manifest row, the first, so
        that `known_at` says when they were known first. A file a killed fetch left without a manifest row
        gets its row. Each answer is on disk before the next is asked for. Their rows are committed together, but
        after a few seconds or some dozens of answers at the latest; if asking fails, those that came are recorded
        and the error goes on.
        """
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        snapshots: list[Snapshot] = []
        known = self._known_keys()
        recorded_at = time.monotonic()
        try:
            for answer in answers:
                row = self._store(answer)
                key = _key(row)
                is_new = key not in known
                if is_new:
                    known.add(key)
                    rows[key] = row
                fields = {name: row[name] for name in ("snapshot_id", "source", "dataset", "symbol", "size")}
                snapshots.append(Snapshot(**fields, known_at=answer.known_at, was_new=is_new))
                if len(rows) >= _MOST_UNRECORDED or time.monotonic() - recorded_at > _SECONDS_UNRECORDED:
                    waiting, rows = rows, {}
                    self._record(list(waiting.values()))
                    recorded_at = time.monotonic()
        finally:
            self._record(list(rows.values()))
        return snapshots

    def read(self, snapshot_id: str) -> bytes:
        """Return a snapshot's bytes after comparing them with its hash.

        Raises
        ------
        CorruptSnapshot : missing or damaged; names the file and what to do.
        StorageFailed : this user may not read it.
        """
        path = self.path(snapshot_id)
        try:
            content = path.read_bytes()
        except PermissionError as error:
            raise storage_failed(path, errno.EACCES) from error
        except OSError as error:
            raise CorruptSnapshot(f"snapshot {snapshot_id} cannot be read: {error}; {REMEDY}") from error
        if sha256(content) != snapshot_id:
            raise CorruptSnapshot(f"snapshot {path} is damaged: its bytes do not have its hash; {REMEDY}")
        return content

    def find(
        self,
        source: str,
        dataset: str,
        first: dt.date | None = None,
        last: dt.date | None = None,
    ) -> list[dict[str, Any]]:
        """Return the manifest rows of a source and dataset, known first first.

        With `first` or `last` (sessions, both inclusive) only those whose coverage touches them; an answer
        that does not state its coverage is always included. `request` is a JSON text, as stored.
        """
        rows = self._lake.scan(MANIFEST, where=[("source", "=", source), ("dataset", "=", dataset)]).to_pylist()
        touching = [
            row
            for row in rows
            if (last is None or row["first_session"] is None or row["first_session"] <= last)
            and (first is None or row["last_session"] is None or row["last_session"] >= first)
        ]
        return sorted(touching, key=lambda row: (row["known_at"], row["snapshot_id"], row["request"]))

    def _store(self, answer: Answer) -> dict[str, Any]:
        row = _manifest_row(answer)
        path = self.path(row["snapshot_id"])
        make_folder(path.parent)
        store(path, answer.content, on_step=self._on_step)
        self._on_step("snapshot_stored")
        return row

    def _known_keys(self) -> set[tuple[Any, ...]]:
        key = table_schema(MANIFEST).key
        return {_key(row) for row in self._lake.scan(MANIFEST, columns=key).to_pylist()}

    def _record(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        import pyarrow as pa

        batch_id = sha256(json.dumps(sorted(_key(row) for row in rows)).encode())
        table = pa.Table.from_pylist(rows, schema=table_schema(MANIFEST).schema)
        self._lake.append_once(MANIFEST, table, batch_id=f"snapshots:{batch_id}")


# A commit takes as long as a few answers: each alone would be most of what a night of 500 symbols costs.
_MOST_UNRECORDED = 64
_SECONDS_UNRECORDED = 5.0
REMEDY = "restore the file from a backup, or delete it and fetch the same request again"


def _manifest_row(answer: Answer) -> dict[str, Any]:
    if answer.known_at.tzinfo is None:
        raise LakeError(f"known_at must be timezone-aware, was {answer.known_at.isoformat()} of {answer.source}")
    try:
        request = json.dumps(dict(answer.request), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LakeError(f"a request of {answer.source} holds JSON values only: {error}") from None
    return {
        "snapshot_id": answer.snapshot_id,
        "source": answer.source,
        "dataset": answer.dataset,
        "request": request,
        "known_at": answer.known_at.astimezone(dt.UTC),
        "size": len(answer.content),
        "media_type": answer.media_type,
        "etag": answer.etag,
        "first_session": answer.first_session,
        "last_session": answer.last_session,
        "symbol": answer.symbol,
    }


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in table_schema(MANIFEST).key)
