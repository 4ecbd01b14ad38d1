"""The rows of each core table, made of stored answers: what its asset writes, and what a rebuild compares with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from assets.answers import OnRead, daily_snapshots, no_read, parsed, table_snapshots
from assets.code_versions import code_version
from assets.metadata import batch_id
from lakehouse.core_schemas import QUARANTINE
from lakehouse.sources.catalogue import ACTIONS, BARS, MINUTES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from assets.resources import VendorsResource
    from lakehouse.lake import Lake

DAILY = (QUARANTINE, BARS, ACTIONS)
"""The tables made together of the daily answers, in the order they are written: no bar goes before it is known why."""

NORMALIZE_VERSION = code_version(
    "lakehouse/normalize.py", "lakehouse/winning.py", "lakehouse/bar_rules.py", "lakehouse/actions.py",
    "lakehouse/set_aside.py", "lakehouse/price_rules.py",
    "lakehouse/calendar.py", "lakehouse/sources",
)  # fmt: skip
UNIVERSE_VERSION = code_version("lakehouse/universe.py", "lakehouse/gather.py", "lakehouse/sources")
GATHER_VERSION = code_version(
    "lakehouse/gather.py", "lakehouse/minute_quarantine.py", "lakehouse/price_rules.py", "lakehouse/sources"
)


@dataclass(frozen=True)
class Made:
    """Rows of one table and where they are from.

    rows : in the table's schema
    aside : of minute bars, the rows of core/minute_quarantine that go with them
    batch_id : the sha256 of code and inputs, which names the write
    n_snapshots : answers read
    pins : versions of the tables read
    """

    rows: pa.Table
    batch_id: str
    n_snapshots: int
    pins: Mapping[str, int]
    aside: pa.Table | None = None


@dataclass(frozen=True)
class MadeDaily:
    """The tables of `DAILY` for some months, and what was left out or mended on the way, by reason."""

    tables: Mapping[str, pa.Table]
    counts: Mapping[str, int]
    batch_id: str
    n_snapshots: int


def make_daily(lake: Lake, vendors: VendorsResource, months: Sequence[str], on_read: OnRead = no_read) -> MadeDaily:
    """Return the daily bars, corporate actions and quarantined bars of the months, in order, from all their answers.

    Raises
    ------
    BadRows : too many bars of a month break a rule, or an answer contradicts itself.
    CorruptSnapshot : an answer is damaged.
    """
    from lakehouse.normalize import normalize

    snapshots = daily_snapshots(lake, vendors, months)
    made = normalize(
        parsed(lake, vendors, snapshots, on_read),
        exchange=vendors.exchange,
        months=months,
        sources=vendors.source_names,
        entries=vendors.sources,
        most_bad_rows=vendors.most_bad_rows,
    )
    return MadeDaily(
        tables={QUARANTINE: made.quarantine, BARS: made.bars, ACTIONS: made.actions},
        counts=made.counts,
        batch_id=batch_id(NORMALIZE_VERSION, months, [row["snapshot_id"] for row in snapshots]),
        n_snapshots=len(snapshots),
    )


def make_universe(lake: Lake, vendors: VendorsResource, on_read: OnRead = no_read) -> Made:
    """Return the universes made of the stored bars, and those that sources tell of."""
    import pyarrow as pa

    from lakehouse.gather import gather
    from lakehouse.universe import from_bars

    pins = lake.pins([BARS])
    bars = lake.scan(BARS, version=pins[BARS], columns=["symbol", "session", "source", "known_at"])
    snapshots = table_snapshots(lake, vendors, UNIVERSE)
    members = gather(UNIVERSE, parsed(lake, vendors, snapshots, on_read), sources=vendors.source_names)
    made_of = [str(pins[BARS]), *(row["snapshot_id"] for row in snapshots)]
    return Made(
        rows=pa.concat_tables([from_bars(bars), members]),
        batch_id=batch_id(UNIVERSE_VERSION, made_of),
        n_snapshots=len(snapshots),
        pins=pins,
    )


def make_month(lake: Lake, vendors: VendorsResource, table: str, month: str, on_read: OnRead = no_read) -> Made:
    """Return a month's rows of a gathered table, such as core/minute_bars.

    Answers say their days in the exchange's zone, a month is one in UTC: the days beside it are read too.

    Raises
    ------
    BadRows : too many bars of a month of minutes break a rule, or an answer contradicts itself.
    """
    from lakehouse.calendar import month_range
    from lakehouse.gather import gather
    from lakehouse.minute_quarantine import gather_minutes

    start, end = month_range(month)
    day = timedelta(days=1)
    snapshots = table_snapshots(lake, vendors, table, start - day, end + day)
    parts, names = parsed(lake, vendors, snapshots, on_read), vendors.source_names
    batch = batch_id(GATHER_VERSION, [month], [row["snapshot_id"] for row in snapshots])
    if table == MINUTES:
        made = gather_minutes(parts, sources=names, month=month, most_bad_rows=vendors.most_bad_rows)
        return Made(made.rows, batch, len(snapshots), pins={}, aside=made.quarantine)
    rows = gather(table, parts, sources=names, month=month)
    return Made(rows=rows, batch_id=batch, n_snapshots=len(snapshots), pins={})


def make_whole(lake: Lake, vendors: VendorsResource, table: str, on_read: OnRead = no_read) -> Made:
    """Return all rows of a gathered table without partitions, such as core/fundamentals."""
    from lakehouse.gather import gather

    snapshots = table_snapshots(lake, vendors, table)
    rows = gather(table, parsed(lake, vendors, snapshots, on_read), sources=vendors.source_names)
    batch = batch_id(GATHER_VERSION, [row["snapshot_id"] for row in snapshots])
    return Made(rows=rows, batch_id=batch, n_snapshots=len(snapshots), pins={})
