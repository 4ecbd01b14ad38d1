"""Days that a table of spans no longer gives: what a write takes away of memberships, or of a symbol's meaning.

Rows of such a table are spans [start, end), and a write moves their ends: compared row by row, a membership that is
found to have begun earlier would look like one taken away. So the days are compared. Days that were given and are not
any more are a restatement; days that were not given before are none, as with every table.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

Span = tuple[dt.date, dt.date]
SPANS: Mapping[str, tuple[str, str]] = {
    "core/universe": ("universe", "symbol"),
    "core/listings": ("security_id", "symbol"),
}
"""The tables of spans, each with the columns that say whose a span is; the last is the symbol."""

_NEVER = dt.date.max


class Lost(NamedTuple):
    """What one owner (such as a universe and a symbol) lost.

    rows_changed, rows_removed : rows that lost some of their days, and all of them
    first, last : the first and the last day lost; `date.max` where the last one was yet to come
    column : start or end, the side that days were lost from; None where whole rows went
    """

    rows_changed: int
    rows_removed: int
    first: dt.date
    last: dt.date
    column: str | None


def lost(before: pa.Table, after: pa.Table, table: str) -> dict[tuple[str, str], Lost]:
    """Return what each owner lost between two states of a table of `SPANS`; owners that lost nothing have no entry."""
    old, new = (_by_owner(rows, SPANS[table]) for rows in (before, after))
    found = {}
    for owner, spans in old.items():
        pieces = [(span, _without(span, new.get(owner, []))) for span in spans]
        touched = [(span, left) for span, left in pieces if left]
        if touched:
            days = [piece for _, left in touched for piece in left]
            removed = [span for span, left in touched if left == [span]]
            changed = [(span, left) for span, left in touched if left != [span]]
            at_start = any(left[0][0] == span[0] for span, left in changed)
            found[owner] = Lost(
                rows_changed=len(changed),
                rows_removed=len(removed),
                first=min(start for start, _ in days),
                last=max(end if end == _NEVER else end - dt.timedelta(days=1) for _, end in days),
                column=None if not changed else "start" if at_start else "end",
            )
    return found


def figures(before: pa.Table, after: pa.Table, table: str, today: dt.date) -> dict[str, dict[str, Any]]:
    """Return what rows of core/restatements say of each symbol that lost days; see `lakehouse.restating`.

    Parameters
    ----------
    today : the last day lost, where it was yet to come
    """
    by_symbol: defaultdict[str, list[Lost]] = defaultdict(list)
    for owner, what in lost(before, after, table).items():
        by_symbol[owner[-1]].append(what)
    keys = [*SPANS[table], "start"]
    known = {tuple(row.values()) for row in before.select(keys).to_pylist()}
    fresh = [row["symbol"] for row in after.select(keys).to_pylist() if tuple(row.values()) not in known]
    return {
        symbol: {
            "rows_added": fresh.count(symbol),
            "rows_removed": sum(what.rows_removed for what in parts),
            "rows_changed": sum(what.rows_changed for what in parts),
            "first_session": min(what.first for what in parts),
            "last_session": max(max(today, what.first) if what.last == _NEVER else what.last for what in parts),
            "greatest_column": next((what.column for what in parts if what.column), None),
            "greatest_change": None,
        }
        for symbol, parts in sorted(by_symbol.items())
    }


def _by_owner(rows: pa.Table, owner: tuple[str, str]) -> dict[tuple[str, str], list[Span]]:
    found: defaultdict[tuple[str, str], list[Span]] = defaultdict(list)
    for row in rows.select([*owner, "start", "end"]).to_pylist():
        found[row[owner[0]], row[owner[1]]].append((row["start"], row["end"] or _NEVER))
    return dict(found)


def _without(span: Span, others: Iterable[Span]) -> list[Span]:
    """Return the parts of a span that none of the others covers, in order."""
    left, begin = [], span[0]
    for start, end in sorted(others):
        if start > begin:
            left.append((begin, min(start, span[1])))
        begin = max(begin, end)
        if begin >= span[1]:
            return [piece for piece in left if piece[0] < piece[1]]
    left.append((begin, span[1]))
    return [piece for piece in left if piece[0] < piece[1]]
