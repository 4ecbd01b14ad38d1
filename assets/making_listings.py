"""The rows of `core/listings`, made of all that sources told of securities and of the stored bars."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from assets.answers import OnRead, no_read, parsed
from assets.code_versions import code_version
from assets.making import Made
from assets.metadata import batch_id
from lakehouse.sources.catalogue import ACTIONS, BARS, LISTINGS, filling

if TYPE_CHECKING:
    from assets.resources import VendorsResource
    from lakehouse.lake import Lake

LISTINGS_VERSION = code_version(
    "lakehouse/listing", "lakehouse/calendar.py", "lakehouse/sources", "lakehouse/columns.py"
)

_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)
"""All that is stored counts: each row says when it was known, and who reads it chooses a moment."""


def make_listings(lake: Lake, vendors: VendorsResource, on_read: OnRead = no_read) -> Made:
    """Return which security each symbol meant when, of those that a source tells of.

    Nothing of the table as it is stored is read: a security's name is made of what was told of it first, so it stays
    when more is told, and a table that is lost comes back with the same names. Every answer counts for that, the
    first of many with the same bytes, too.

    Raises
    ------
    BadRows : two ticker histories claim a symbol for the same day.
    """
    import pyarrow as pa

    from lakehouse.listing import build_listings, told_by

    pins = lake.pins([BARS, ACTIONS])
    bars = lake.scan(BARS, version=pins[BARS], columns=["symbol", "session", "known_at", "source"])
    columns = ["symbol", "ex_date", "kind", "known_at"]
    actions = lake.scan(ACTIONS, version=pins[ACTIONS], columns=columns, where=[("kind", "=", "delisting")])
    snapshots = [
        row for entry in filling(LISTINGS, vendors.sources) for row in lake.snapshots.find(entry.source, entry.dataset)
    ]
    told = told_by(parsed(lake, vendors, snapshots, on_read), exchange=vendors.exchange)
    rows = build_listings(
        bars,
        as_of=_EVER,
        histories=told.histories,
        companies=told.companies,
        delistings=pa.concat_tables([actions, pa.Table.from_pylist(told.delistings, schema=actions.schema)]),
        only_told=True,
    )
    made_of = [f"{row['snapshot_id']} {row['request']}" for row in snapshots]
    reads = [f"{table}@{version}" for table, version in pins.items()]
    return Made(rows=rows, batch_id=batch_id(LISTINGS_VERSION, made_of, reads), n_snapshots=len(snapshots), pins=pins)
