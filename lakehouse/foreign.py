"""What another tool's commits did to a table's files, where the lake's own writes have not replaced it since.

A commit that the lake wrote tells its batch and the hashes of its files. One without that may have deleted rows, and
Delta reads the table as an honest one with fewer.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.log import LogCommit
from lakehouse.table_schema import TableSchema


def foreign_versions(commits: Mapping[int, LogCommit], table: TableSchema) -> list[int]:
    """Return the versions by another tool that took away or added files, and whose doing still shows.

    Parameters
    ----------
    commits : all of the table's, by version
    """
    current: set[str] = set()
    ours: dict[str, str | None] = {}
    by_others: dict[int, set[str]] = {}
    for version, commit in sorted(commits.items()):
        added = {action["path"]: _partition(action, table) for action in commit.actions.get("add", [])}
        removed = {action["path"] for action in commit.actions.get("remove", [])}
        current = current - removed | added.keys()
        if commit.metadata is None:
            by_others[version] = removed | added.keys()
            continue
        replaced = commit.metadata["partitions"] if added or removed else None
        if replaced is not None:
            whole = table.partition_by is None
            ours = {path: name for path, name in ours.items() if not whole and name not in replaced}
        ours = {path: name for path, name in ours.items() if path not in removed} | added
    differing = current ^ ours.keys()
    return [version for version, files in by_others.items() if files & differing]


def _partition(action: Mapping[str, Mapping[str, str]], table: TableSchema) -> str | None:
    return action["partitionValues"].get(table.partition_by) if table.partition_by else None
