"""Versions of a table that damage took, and that nobody may take for others.

Rebuilding a table whose log is damaged makes a new log. The numbers of the versions that are gone are not given
again: each is held by a commit that changes nothing and says it was lost. A run pinned to it is refused, not replayed
on other rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakehouse.errors import UnknownTable

_LOST = "lost"


def empty_commit(version: int, *, why: str, is_lost: bool, timestamp: int, metadata_key: str, file_format: int) -> str:
    """Return the text of a commit that changes nothing: one that holds the number of a lost version, or the next.

    Parameters
    ----------
    why : what happened and where the damaged files are, as readers of a lost version will see it
    timestamp : ms since 1970, UTC
    """
    kind = _LOST if is_lost else "rebuilt"
    metadata = {
        "format": file_format,
        "batch_id": f"{kind} {version}",
        "rows": 0,
        "partitions": [],
        "files": {},
        "context": {kind: why},
    }
    info = {"timestamp": timestamp, "operation": "WRITE", "operationParameters": {}, metadata_key: metadata}
    transaction = {"appId": f"{kind} {version}", "version": 1, "lastUpdated": timestamp}
    return "".join(json.dumps(action) + "\n" for action in ({"commitInfo": info}, {"txn": transaction}))


def refuse_lost(metadata: Mapping[str, Any] | None, table: str, version: int) -> None:
    """Refuse to read a version whose commit says that it was lost.

    Raises
    ------
    UnknownTable : it was; says when, and where what is left of it lies.
    """
    why = (metadata or {}).get("context", {}).get(_LOST)
    if why is not None:
        raise UnknownTable(f"version {version} of {table} was lost: {why}")
