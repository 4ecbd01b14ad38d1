"""Which stored answers tell of a table's months, and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse.sources.catalogue import ACTIONS, BARS, entry_of, filling

if TYPE_CHECKING:
    from datetime import date

    from assets.resources import VendorsResource
    from lakehouse.lake import Lake
    from lakehouse.sources import Parsed

OnRead = Callable[[int, int], None]
"""Called with the answers read so far and all there are to read."""


def no_read(_: int, __: int) -> None:
    """Do nothing at an answer read."""


def daily_snapshots(lake: Lake, vendors: VendorsResource, months: Sequence[str]) -> list[dict[str, Any]]:
    """Return the manifest rows that tell of the daily bars and actions of the months.

    Which of several sources supplies a symbol is decided over all that is known of it, not month by month. Of what
    does not touch the months, one answer a symbol tells that.
    """
    from lakehouse.calendar import month_range

    first, last = month_range(months[0])[0], month_range(months[-1])[1]
    found = []
    with_bars = filling(BARS, vendors.sources)
    has_rivals = len({entry.source for entry in with_bars}) > 1
    for entry in dict.fromkeys([*with_bars, *filling(ACTIONS, vendors.sources)]):
        touching = lake.snapshots.find(entry.source, entry.dataset, first, last)
        found += touching
        if has_rivals and entry in with_bars:
            found += _one_a_symbol(lake.snapshots.find(entry.source, entry.dataset), besides=touching)
    return found


def table_snapshots(
    lake: Lake, vendors: VendorsResource, table: str, first: date | None = None, last: date | None = None
) -> list[dict[str, Any]]:
    """Return the manifest rows that may hold rows of a table, between two days where given, known first first.

    Of answers with the same bytes to the same question, asked at several times, only the last is read.
    """
    import json

    distinct: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in filling(table, vendors.sources):
        for row in lake.snapshots.find(entry.source, entry.dataset, first, last):
            asked = {name: value for name, value in json.loads(row["request"]).items() if name != "as_of"}
            key = (row["source"], row["dataset"], row["snapshot_id"], json.dumps(asked, sort_keys=True))
            distinct.pop(key, None)
            distinct[key] = row
    return list(distinct.values())


def parsed(
    lake: Lake, vendors: VendorsResource, snapshots: Sequence[dict[str, Any]], on_read: OnRead = no_read
) -> Iterator[tuple[dict[str, Any], Parsed]]:
    """Yield each manifest row with what its answer holds, one read at a time."""
    import json

    sources = {
        (named.source, named.dataset): vendors.source(entry) for entry in vendors.sources for named in [entry_of(entry)]
    }
    for place, row in enumerate(snapshots, start=1):
        source = sources[row["source"], row["dataset"]]
        yield row, source.parse(lake.snapshots.read(row["snapshot_id"]), json.loads(row["request"]))
        on_read(place, len(snapshots))


def _one_a_symbol(rows: list[dict[str, Any]], *, besides: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row of each symbol that `besides` does not tell of, and every row of several symbols."""
    seen = {(row["snapshot_id"], row["request"]) for row in besides}
    known = {row["symbol"] for row in besides}
    several = [row for row in rows if row["symbol"] is None and (row["snapshot_id"], row["request"]) not in seen]
    single = {row["symbol"]: row for row in rows if row["symbol"] is not None and row["symbol"] not in known}
    return [*several, *single.values()]
