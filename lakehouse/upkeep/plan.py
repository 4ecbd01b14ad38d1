"""Which versions of a table are kept and why, and which data files nobody needs then.

Commits are kept for ever: they are a few kilobytes each, and they are the record of what was written, by which batch
and with which hashes. What takes room is data files, and a file is needed while one kept version holds it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lakehouse.log import LogCommit


@dataclass(frozen=True)
class Plan:
    """What upkeep does with a table's versions.

    Attributes
    ----------
    current : the last version.
    pinned : versions that recorded runs read, with the number of those runs.
    recent : versions that were the last one at some moment of the retention.
    letting_go : versions that lose a file now.
    going : the data files that no kept version holds, as paths in the table's folder.
    named : every data file that some version holds or held.
    """

    current: int
    pinned: Mapping[int, int]
    recent: tuple[int, ...]
    letting_go: tuple[int, ...]
    going: tuple[str, ...]
    named: frozenset[str]


def plan(
    commits: Mapping[int, LogCommit], *, pinned: Mapping[int, int], gone: Collection[int], horizon_ms: int
) -> Plan:
    """Return the plan for a table.

    A version that nothing pins and that another replaced before the horizon is not kept. It is let go only where a
    file goes with it: a version all of whose files others need stays readable at no cost.

    Parameters
    ----------
    commits : all of the table's, by version in order.
    pinned : versions that recorded runs read, with the number of those runs.
    gone : versions let go before.
    horizon_ms : begin of the retention, ms since 1970, UTC.
    """
    current = max(commits)
    recent = _recent(commits, horizon_ms)
    here = {version: runs for version, runs in pinned.items() if version in commits and version not in gone}
    kept = sorted({current, *here, *recent} - set(gone))
    going, lost = [], set()
    spans = lifetimes(commits)
    for file, held in spans.items():
        if any(_holds_one(kept, first, end) for first, end in held):
            continue
        going.append(file)
        lost |= {version for first, end in held for version in range(first, end)}
    return Plan(
        current=current,
        pinned=here,
        recent=tuple(version for version in recent if version not in gone),
        letting_go=tuple(sorted(lost - set(gone))),
        going=tuple(sorted(going)),
        named=frozenset(spans),
    )


def lifetimes(commits: Mapping[int, LogCommit]) -> dict[str, list[tuple[int, int]]]:
    """Return in which versions each data file was part of the table: [first, end), several where it came back."""
    past_the_end = max(commits, default=-1) + 1
    begun: dict[str, int] = {}
    spans: dict[str, list[tuple[int, int]]] = {}
    for version, commit in sorted(commits.items()):
        added = {action["path"] for action in commit.actions.get("add", [])}
        removed = {action["path"] for action in commit.actions.get("remove", [])} - added
        for file in removed & begun.keys():
            spans.setdefault(file, []).append((begun.pop(file), version))
        for file in added:
            begun.setdefault(file, version)
    for file, version in begun.items():
        spans.setdefault(file, []).append((version, past_the_end))
    return spans


def _recent(commits: Mapping[int, LogCommit], horizon_ms: int) -> list[int]:
    """Return the versions that were not replaced before the horizon, the last one left out.

    A clock that stepped back must not make a version look older than those before it.
    """
    versions = sorted(commits)
    latest, recent = 0, []
    for version, successor in itertools.pairwise(versions):
        stamp = commits[successor].info.get("timestamp")
        latest = max(latest, stamp) if isinstance(stamp, int) else latest
        if stamp is None or latest >= horizon_ms:
            recent.append(version)
    return recent


def _holds_one(kept: list[int], first: int, end: int) -> bool:
    place = bisect_left(kept, first)
    return place < len(kept) and kept[place] < end
