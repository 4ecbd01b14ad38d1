"""How each table is made anew, for `quantlake rebuild`: by the same functions as its asset makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assets.answers import OnRead, no_read
from assets.making import DAILY, Made, make_daily, make_month, make_universe, make_whole
from assets.making_listings import make_listings
from engine.errors import QuantlakeError
from lakehouse.core_schemas import MINUTE_QUARANTINE
from lakehouse.remedies import why_not_made
from lakehouse.sources.catalogue import (
    ACTIONS,
    BARS,
    FUNDAMENTALS,
    LISTINGS,
    MINUTES,
    QUOTES,
    SERIES,
    TRADES,
    UNIVERSE,
    filling,
)

if TYPE_CHECKING:
    from datetime import date

    from assets.resources import VendorsResource
    from lakehouse.lake import Lake
    from lakehouse.rebuilding import Make, Piece

FEATURES = "features/daily"
_MONTHLY, _WHOLE = (MINUTES, TRADES, QUOTES), (FUNDAMENTALS, SERIES, LISTINGS)


class NotMade(QuantlakeError):
    """Nothing in force makes the table; the text says what would, or what can be done instead."""


def recipe(
    table: str, lake: Lake, vendors: VendorsResource, *, start: str, today: date, on_read: OnRead = no_read
) -> Make:
    """Return what makes a table's partitions anew from what the lake stores.

    Parameters
    ----------
    start, today : the first month there can be, and the day whose month is the last: those made where none is named
    on_read : told of each answer read

    Raises
    ------
    NotMade : results, the manifest, or a table that no source in force can fill.
    UnknownTable : no such table.
    """
    from lakehouse.calendar import month_keys, month_range
    from lakehouse.schemas import table_schema

    table_schema(table)
    why = why_not_made(table)
    if why is not None:
        raise NotMade(f"{table} cannot be rebuilt: {why}")
    made_of = MINUTES if table == MINUTE_QUARANTINE else table
    if made_of in (*_MONTHLY, *_WHOLE) and not filling(made_of, vendors.sources):
        raise NotMade(
            f"{table} cannot be rebuilt: none of the sources in force ({', '.join(vendors.sources)}) fills it; name the"
            " one whose snapshots it was made of in quantlake.yaml"
        )
    every = month_keys(month_range(start)[0], month_range(f"{today:%Y-%m}")[1])

    def make(partitions: Sequence[str] | None) -> Iterator[Piece]:
        months = sorted(partitions) if partitions is not None else every
        if table in DAILY:
            yield from _daily(table, lake, vendors, months, on_read)
        elif table in _MONTHLY:
            for month in months:
                yield _piece([month], make_month(lake, vendors, table, month, on_read))
        elif table == MINUTE_QUARANTINE:
            for month in months:
                yield _aside(month, make_month(lake, vendors, MINUTES, month, on_read))
        elif table == FEATURES:
            yield _features(lake, months)
        elif table == UNIVERSE:
            yield _piece([], make_universe(lake, vendors, on_read))
        elif table == LISTINGS:
            yield _piece([], make_listings(lake, vendors, on_read))
        else:
            yield _piece([], make_whole(lake, vendors, table, on_read))

    return make


def _daily(table: str, lake: Lake, vendors: VendorsResource, months: Sequence[str], on_read: OnRead) -> Iterator[Piece]:
    """Read every answer once, for all months together: of most vendors one tells of many years."""
    from lakehouse.rebuilding import Piece

    made = make_daily(lake, vendors, months, on_read)
    yield Piece(partitions=months, rows=made.tables[table], batch_id=made.batch_id)


def _aside(month: str, made: Made) -> Piece:
    from lakehouse.rebuilding import Piece

    if made.aside is None:
        raise ValueError(f"nothing says what was set aside of {month}")
    return Piece(partitions=[month], rows=made.aside, batch_id=made.batch_id)


def _piece(partitions: Sequence[str], made: Made) -> Piece:
    from lakehouse.rebuilding import Piece

    return Piece(partitions=partitions, rows=made.rows, batch_id=made.batch_id)


def _features(lake: Lake, months: Sequence[str]) -> Piece:
    """Compute every feature of the months, none taken from the stored rows."""
    from assets.feature_filings import SNAPSHOTS, read_filings
    from assets.feature_keys import CONTEXT, Plan, assemble, feature_keys
    from assets.features import FEATURES_VERSION, computed_months
    from assets.metadata import batch_id
    from lakehouse.rebuilding import Piece

    pins = lake.pins([BARS, ACTIONS, FUNDAMENTALS, LISTINGS, SNAPSHOTS])
    filings = read_filings(lake, pins)
    contents = {table: lake.contents(table, version=pins[table]) for table in (BARS, ACTIONS)}
    keys = feature_keys(months, contents, filings)
    todo = Plan(keys, stored={}, missing={month: list(own) for month, own in keys.items()})
    return Piece(
        partitions=months,
        rows=assemble(todo, computed_months(lake, pins, todo, filings)),
        batch_id=batch_id(FEATURES_VERSION, months, [f"{table}@{version}" for table, version in pins.items()]),
        context={CONTEXT: keys},
    )
