"""Rebuilding a table of this home by the settings in force."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engine.errors import QuantlakeError, nearest

if TYPE_CHECKING:
    from assets.settings import Settings
    from lakehouse.rebuilding import Rebuilt
    from lakehouse.table_schema import TableSchema

_RANGE = re.compile(r"(?P<first>\d{4}-\d{2})\.\.(?P<last>\d{4}-\d{2})")


class BadWhere(QuantlakeError):
    """A condition does not name partitions of the table."""


def rebuild_table(
    config: Settings,
    table: str,
    where: Sequence[str] = (),
    *,
    check: bool,
    on_read: Callable[[int, int], None],
    now: datetime | None = None,
) -> Rebuilt:
    """Rebuild a table, or the partitions that the conditions name; with `check` only look.

    Raises
    ------
    BadWhere : a condition that names no partitions.
    NotMade, LakeError, BadRows : as `assets.recipes.recipe` and `lakehouse.rebuilding.rebuild`.
    """
    from assets.recipes import recipe
    from lakehouse.lake import Lake
    from lakehouse.rebuilding import rebuild
    from lakehouse.schemas import table_schema
    from orchestration.resources import resources_for

    moment = now or datetime.now(UTC)
    lake = Lake(config.home)
    partitions = partitions_of(table_schema(table), where)
    vendors = resources_for(config)["vendors"]
    make = recipe(table, lake, vendors, start=config.start, today=moment.date(), on_read=on_read)
    return rebuild(lake, table, make, partitions=partitions, check=check, now=moment)


def partitions_of(table: TableSchema, where: Sequence[str]) -> list[str] | None:
    """Return the partitions that conditions such as `month=2004-03` or `month=2004-03..2005-12` name; None for none.

    Raises
    ------
    BadWhere : another column than the partition's, no value, or a range that runs backwards.
    """
    from lakehouse.calendar import month_keys, month_range

    found: set[str] = set()
    for condition in where:
        column, equals, value = condition.partition("=")
        if not equals or not value:
            raise BadWhere(
                f"--where takes COLUMN=VALUE, such as month=2004-03 or month=2004-03..2005-12, was {condition!r}"
            )
        if table.partition_by is None:
            raise BadWhere(f"{table.name} is not partitioned: it is rebuilt whole, without --where")
        if column != table.partition_by:
            hint = nearest(column, [table.partition_by])
            raise BadWhere(f"{table.name} is partitioned by {table.partition_by}, was asked for {column!r}{hint}")
        span = _RANGE.fullmatch(value)
        first, last = (span["first"], span["last"]) if span else (value, value)
        if month_range(first) > month_range(last):
            raise BadWhere(f"the range {value} of --where runs backwards")
        found |= set(month_keys(month_range(first)[0], month_range(last)[1]))
    return sorted(found) if where else None
