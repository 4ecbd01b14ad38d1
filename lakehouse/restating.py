"""Stored history that a write changes: found, recorded in `core/restatements`, never lost.

Only a stored row whose values change, or that goes, is a restatement. A month filled for the first time, sessions
appended, a symbol that is new: nothing that was read before has another value. Where a row came from (`source`,
`snapshot_id`) is no value either: a vendor asked again who answers the same restates nothing. Of memberships and
listings, which are spans of days, the days count that are no longer there (`lakehouse.spans_lost`).

A write that restates says so in its own commit, and the rows of `core/restatements` follow. Killed in between, the
next write of the table finds the commit and adds them first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.core_schemas import RESTATEMENTS
from lakehouse.errors import CorruptTable, LakeError
from lakehouse.origins import require_origins
from lakehouse.schemas import table_schema
from lakehouse.spans_lost import SPANS, figures

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lakehouse.lake import Lake
    from lakehouse.records import Commit

WATCHED: Mapping[str, tuple[str, ...]] = {
    "core/daily_bars": ("open", "high", "low", "close", "volume"),
    "core/corporate_actions": ("value", "pay_date"),
    "core/universe": ("start", "end"),
    "core/listings": ("start", "end"),
    "core/fundamentals": ("value",),
    "core/series": ("value",),
}
"""The tables watched, each with the columns whose change is a restatement."""

_DAY = {"core/fundamentals": "filed", "core/series": "about"}
"""The day of a row, where it is neither its month's nor the last of its key."""

_FLAG = "restated_at"
_SUBJECT, _IS_THERE = "_subject", "_is_there"


@dataclass(frozen=True)
class Told:
    """A write, and the rows of core/restatements it caused; `unread` says why none could be looked for."""

    commit: Commit
    restatements: pa.Table
    unread: str | None = None


def replace_and_tell(
    lake: Lake,
    table: str,
    rows: pa.Table,
    *,
    partitions: Sequence[str],
    batch_id: str,
    now: dt.datetime,
    context: Mapping[str, Any] | None = None,
) -> Told:
    """Do `Lake.replace`, and record which stored rows it changed or took away, where the table is watched.

    Stored rows that are damaged cannot be compared: the write mends them, and `Told.unread` says so.

    Parameters
    ----------
    now : when the new rows are written, timezone-aware.

    Raises as `Lake.replace`; CorruptTable also where the manifest lost what rows that would go were made of.
    """
    unread, is_restating = None, False
    if table in WATCHED:
        _tell_untold(lake, table)
        unread, is_restating = _looked_for(lake, table, rows, partitions, now)
    flag = {_FLAG: now.astimezone(dt.UTC).isoformat()} if is_restating else {}
    commit = lake.replace(table, rows, partitions=partitions, batch_id=batch_id, context={**(context or {}), **flag})
    told = _record(lake, table, commit.version) if is_restating and commit.was_new else _none()
    return Told(commit, told, unread)


def restatements(
    before: pa.Table, after: pa.Table, *, table: str, versions: tuple[int, int], detected_at: dt.datetime
) -> pa.Table:
    """Return the rows of core/restatements for a table's rows before and after a write, one a symbol.

    Parameters
    ----------
    before, after : all rows of the partitions written, in the table's columns and any order
    table : one of `WATCHED`
    versions : the table's versions that hold them
    detected_at : timezone-aware

    Raises
    ------
    LakeError : a table that is not watched.
    """

    if table not in WATCHED:
        raise LakeError(f"restatements are looked for in {', '.join(WATCHED)}, not in {table}")
    if table in SPANS:
        found = figures(before, after, table, detected_at.astimezone(dt.UTC).date())
        return _rows(table, versions, detected_at, found)
    values = WATCHED[table]
    key = list(table_schema(table).key)
    columns = [*key, *values]
    if before.num_rows == 0 or before.select(columns).equals(after.select(columns)):
        return _none()
    old, new = (_with_subject(rows.select(columns), table) for rows in (before, after))
    old, new = _of_touched(old, new, key, values)
    if old.num_rows == 0:
        return _none()
    old, new = (rows.to_pandas() for rows in (old, new))
    pairs = old.merge(new, on=[*key, _SUBJECT], how="outer", suffixes=("", "_new"), indicator=True)
    pairs["session"] = pairs[_DAY.get(table) or table_schema(table).month_of]
    is_both = (pairs["_merge"] == "both").to_numpy()
    pairs["is_removed"] = (pairs["_merge"] == "left_only").to_numpy()
    pairs["is_added"] = (pairs["_merge"] == "right_only").to_numpy()
    pairs["is_changed"], pairs["column"], pairs["change"] = _changes(pairs, values, is_both)
    told = {
        str(symbol): _figures(group)
        for symbol, group in pairs.groupby(_SUBJECT, sort=True)
        if (group["is_changed"] | group["is_removed"]).any()
    }
    return _rows(table, versions, detected_at, told)


def _rows(
    table: str, versions: tuple[int, int], detected_at: dt.datetime, told: Mapping[str, Mapping[str, Any]]
) -> pa.Table:
    """Return rows of core/restatements from what they say of each symbol."""
    import pandas as pd
    import pyarrow as pa

    rows = [
        {
            "table": table,
            "from_version": versions[0],
            "to_version": versions[1],
            "symbol": symbol,
            **of_symbol,
            "detected_at": detected_at,
            "month": f"{detected_at.astimezone(dt.UTC):%Y-%m}",
        }
        for symbol, of_symbol in told.items()
    ]
    return pa.Table.from_pylist(
        [{name: None if pd.isna(value) else value for name, value in row.items()} for row in rows],
        schema=table_schema(RESTATEMENTS).schema,
    )


def _with_subject(rows: pa.Table, table: str) -> pa.Table:
    """Return rows with what core/restatements calls their symbol: of a company its number, of a series its name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if table == "core/fundamentals":
        number = pc.utf8_lpad(rows.column("cik").cast(pa.string()), 10, padding="0")
        return rows.append_column(_SUBJECT, pc.binary_join_element_wise("CIK", number, ""))
    if table == "core/series":
        is_named = pc.equal(rows.column("symbol"), "")
        return rows.append_column(_SUBJECT, pc.if_else(is_named, rows.column("name"), rows.column("symbol")))
    return rows.append_column(_SUBJECT, rows.column("symbol"))


def _of_touched(before: pa.Table, after: pa.Table, key: list[str], values: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Return the rows of those symbols alone of which a stored row changed or went: mostly few, of a large table."""
    import pyarrow as pa
    import pyarrow.compute as pc

    new = after.select([*key, *values]).rename_columns([*key, *(f"{name}_new" for name in values)])
    pairs = before.join(new.append_column(_IS_THERE, pa.repeat(True, new.num_rows)), keys=key, join_type="left outer")
    is_same = pc.fill_null(pairs.column(_IS_THERE), False)
    for name in values:
        one, other = pairs.column(name), pairs.column(f"{name}_new")
        both_null = pc.and_(pc.is_null(one), pc.is_null(other))
        is_same = pc.and_(is_same, pc.or_(pc.fill_null(pc.equal(one, other), False), both_null))
    touched = pc.unique(pairs.filter(pc.invert(is_same)).column(_SUBJECT).combine_chunks())
    before, after = (rows.filter(pc.is_in(rows.column(_SUBJECT), value_set=touched)) for rows in (before, after))
    return before, after


def _looked_for(
    lake: Lake, table: str, rows: pa.Table, partitions: Sequence[str], now: dt.datetime
) -> tuple[str | None, bool]:
    """Return why the stored rows could not be read, if so, and whether the new ones restate some."""
    try:
        stored = lake.scan(table, where=_where(table, partitions))
    except CorruptTable as error:
        return str(error), False
    require_origins(lake, table, stored, rows)
    found = restatements(stored, rows, table=table, versions=(0, 1), detected_at=now)
    return None, found.num_rows > 0


def _changes(pairs: pd.DataFrame, values: Sequence[str], is_both: np.ndarray[Any, Any]) -> tuple[Any, Any, Any]:
    """Return which rows changed, and of each the column that changed most and by what part of its old value."""
    is_changed = np.zeros(len(pairs), dtype=np.bool_)
    column = np.full(len(pairs), "", dtype=object)
    change = np.full(len(pairs), np.nan)
    for name in values:
        old, new = pairs[name], pairs[f"{name}_new"]
        differs = is_both & ((old != new) & ~(old.isna() & new.isna())).to_numpy(dtype=np.bool_)
        relative = np.full(len(pairs), np.nan)
        if old.dtype.kind == "f":
            before, now = old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = np.abs(now - before) / np.abs(before)
            relative[~np.isfinite(relative)] = np.nan
        is_greater = differs & ((column == "") | (relative > np.nan_to_num(change, nan=-1.0)))
        column[is_greater], change[is_greater] = name, relative[is_greater]
        is_changed |= differs
    return is_changed, column, change


def _figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Return what one symbol's row of core/restatements says of its compared rows."""
    touched = rows[rows["is_changed"] | rows["is_removed"]]
    changed = rows[rows["is_changed"]]
    greatest = changed.sort_values("change", ascending=False, na_position="last", kind="stable").head(1)
    return {
        "rows_added": int(rows["is_added"].sum()),
        "rows_removed": int(rows["is_removed"].sum()),
        "rows_changed": len(changed),
        "first_session": touched["session"].min(),
        "last_session": touched["session"].max(),
        "greatest_column": greatest["column"].iloc[0] if len(greatest) else None,
        "greatest_change": float(greatest["change"].iloc[0]) if len(greatest) else None,
    }


def _tell_untold(lake: Lake, table: str) -> None:
    """Record what the last write restated, where it was killed before it could."""
    try:
        version = lake.version(table)
    except CorruptTable:
        return  # the write that follows says so
    if version is None or _FLAG not in _context(lake, table, version):
        return
    told = lake.scan(RESTATEMENTS, columns=["symbol"], where=[("table", "=", table), ("to_version", "=", version)])
    if not told.num_rows:
        _record(lake, table, version)


def _record(lake: Lake, table: str, version: int) -> pa.Table:
    """Compare a version with the one before, in the partitions it wrote, and append what is found."""
    detected_at = dt.datetime.fromisoformat(_context(lake, table, version)[_FLAG])
    where = _where(table, _metadata(lake, table, version)["partitions"])
    before, after = (lake.scan(table, version=number, where=where) for number in (version - 1, version))
    rows = restatements(before, after, table=table, versions=(version - 1, version), detected_at=detected_at)
    if rows.num_rows:
        lake.append_once(RESTATEMENTS, rows, batch_id=f"restated {table} {version}")
    return rows


def _where(table: str, partitions: Sequence[str]) -> list[tuple[str, str, Any]] | None:
    """Return which rows a write replaces; None: all, of a table without partitions."""
    column = table_schema(table).partition_by
    return None if column is None else [(column, "in", list(partitions))]


def _context(lake: Lake, table: str, version: int) -> Mapping[str, Any]:
    context: Mapping[str, Any] = _metadata(lake, table, version).get("context", {})
    return context


def _metadata(lake: Lake, table: str, version: int) -> Mapping[str, Any]:
    """Return what the lake wrote about a version; nothing for one another tool made."""
    from lakehouse import log
    from lakehouse.paths import table_path

    return log.read_commit(table_path(lake.home, table), version).metadata or {}


def _none() -> pa.Table:
    return table_schema(RESTATEMENTS).schema.empty_table()
