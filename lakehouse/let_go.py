"""Which versions of a table upkeep let go: versions whose data files it removed, and when.

The record is written before the first file goes. So a version is there whole, or is known to have been let go, and a
missing file of any other version is damage.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from lakehouse.errors import CorruptTable, UnknownTable
from lakehouse.files import STAGING_MARK, make_folder, sync


def record_file(path: Path) -> Path:
    """Return the file of a table's folder that holds the record."""
    return path / "_quantlake" / "let_go.json"


def let_go(path: Path) -> dict[int, str]:
    """Return the versions of a table that upkeep let go, with the day (ISO, UTC) of each.

    Raises
    ------
    CorruptTable : the record cannot be read; nobody can tell then what is damage and what was meant.
    """
    file = record_file(path)
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {
            version: str(entry["on"])
            for entry in entries
            for first, last in entry["versions"]
            for version in range(first, last + 1)
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptTable(
            f"the record of versions let go, {file}, cannot be read: {error}; restore it from a backup, or delete it: "
            "old versions whose files are gone then count as damaged, the current one is whole without it"
        ) from error


def note_let_go(path: Path, versions: Collection[int], on: dt.date) -> None:
    """Add versions to the record, durably and never halfway. The caller holds the table's lock."""
    by_day: dict[str, list[int]] = {}
    for version, day in {**dict.fromkeys(versions, on.isoformat()), **let_go(path)}.items():
        by_day.setdefault(day, []).append(version)
    entries = [{"on": day, "versions": ranges(by_day[day])} for day in sorted(by_day)]
    file = record_file(path)
    make_folder(file.parent)
    stage = file.with_name(file.name + STAGING_MARK)
    stage.write_text(json.dumps(entries), encoding="utf-8")
    sync(stage)
    stage.replace(file)
    sync(file.parent)


def require_kept(path: Path, table: str, version: int, last: int) -> None:
    """Refuse to read a version that was let go; `last` is the table's last one.

    Raises
    ------
    UnknownTable : it was let go; names the day and the versions that are there.
    """
    gone = let_go(path)
    if version in gone:
        kept = shown(number for number in range(last + 1) if number not in gone)
        raise UnknownTable(
            f"version {version} of {table} was let go by upkeep on {gone[version]}, no recorded run read it; "
            f"there are versions {kept}"
        )


def ranges(versions: Iterable[int]) -> list[tuple[int, int]]:
    """Return the versions as ranges, first and last included."""
    found: list[tuple[int, int]] = []
    for version in sorted(versions):
        if found and version == found[-1][1] + 1:
            found[-1] = (found[-1][0], version)
        else:
            found.append((version, version))
    return found


def shown(versions: Iterable[int], at_most: int = 6) -> str:
    """Return versions as people read them, `3, 17 to 19, 40 to 52`; of many ranges the last ones."""
    found = ranges(versions)
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in found]
    return _joined(texts[-at_most:], len(texts) - at_most)


def _joined(texts: Sequence[str], n_left_out: int) -> str:
    return ("..., " if n_left_out > 0 else "") + ", ".join(texts)
