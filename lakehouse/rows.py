"""Rows a table accepts: exact columns, safe types, no nulls where none are allowed, unique keys, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import nearest
from lakehouse.errors import BadRows, LakeError, UnknownColumn
from lakehouse.paths import partition_value
from lakehouse.schemas import TableSchema

if TYPE_CHECKING:
    import pandas as pd

N_SHOWN = 5


def conform(rows: pa.Table | pd.DataFrame, table: TableSchema) -> pa.Table:
    """Return the rows in the table's exact schema, sorted by partition and key.

    Types change only where nothing is lost: int64 to float64 where exact, large or dictionary strings to
    strings, a timestamp's zone to UTC. Columns may come in any order.

    Raises
    ------
    UnknownColumn : a column too many or too few; names the nearest.
    BadRows : a value that does not fit, a null where none is allowed, a key twice, a
        partition that is not the row's month. Carries the first offending rows.
    """
    result = typed(rows, table)
    order = sort_columns(table)
    is_increasing = _is_increasing(result, order)
    if not is_increasing:
        result = result.take(pc.sort_indices(result, sort_keys=[(name, "ascending") for name in order]))
        is_increasing = _is_increasing(result, order)
    _check_months(result, table)
    if not (is_increasing and key_decides_partition(table)):
        _check_keys(result, table)
    return result.combine_chunks()


def typed(rows: pa.Table | pd.DataFrame, table: TableSchema) -> pa.Table:
    """Return the rows in the table's exact schema, in the order given; what `conform` does first."""
    arrow = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
    _check_columns(arrow, table)
    return pa.Table.from_arrays([_column(arrow, table, field) for field in table.schema], schema=table.schema)


def key_decides_partition(table: TableSchema) -> bool:
    """Return whether rows of one key are always in one partition: the month of a column of the key, or the only one."""
    return table.partition_by is None or table.partition_by in table.key or table.month_of in table.key


def _is_increasing(rows: pa.Table, columns: Sequence[str]) -> bool:
    """Return whether each row is greater than the one before, compared by the columns from the first to the last."""
    is_greater, is_equal = pa.scalar(False), pa.scalar(True)
    for name in columns:
        column = rows.column(name)
        before, after = column.slice(0, max(len(column) - 1, 0)), column.slice(1)
        is_greater = pc.or_(is_greater, pc.and_(is_equal, pc.greater(after, before)))
        is_equal = pc.and_(is_equal, pc.equal(after, before))
    return bool(pc.all(is_greater, skip_nulls=False).as_py())


def sort_columns(table: TableSchema) -> list[str]:
    """Return the columns rows are ordered by: the partition, then the key."""
    return list(dict.fromkeys([*([table.partition_by] if table.partition_by else []), *table.key]))


def split(rows: pa.Table, table: TableSchema, partitions: Sequence[str]) -> dict[str | None, pa.Table]:
    """Return the conformed rows by partition value, partitions without rows left out.

    Raises
    ------
    BadRows : rows outside the partitions that may be written.
    """
    if table.partition_by is None:
        return {None: rows} if rows.num_rows else {}
    column = rows.column(table.partition_by)
    outside = pc.invert(pc.is_in(column, value_set=pa.array(partitions, pa.string())))
    if pc.any(outside).as_py():
        raise bad_rows(
            table,
            f"lies outside the partitions written ({_some(partitions)})",
            "partition",
            rows.filter(outside),
        )
    counts = pc.value_counts(column).to_pylist()  # in order of first appearance, and the rows are sorted
    parts: dict[str | None, pa.Table] = {}
    start = 0
    for count in counts:
        part = rows.slice(start, count["counts"])
        parts[count["values"]] = part.drop_columns([table.partition_by])
        start += count["counts"]
    return parts


def partition_values(table: TableSchema, partitions: Sequence[str] | str | None) -> list[str]:
    """Return the checked partition values a write names, sorted; empty for an unpartitioned table.

    Raises
    ------
    BadName : a value no partition can have.
    LakeError : none given for a partitioned table, or some for an unpartitioned one.
    """
    values = [partitions] if isinstance(partitions, str) else list(partitions or [])
    if table.partition_by is None and values:
        raise LakeError(f"{table.name} is not partitioned, was given the partitions {_some(values)}")
    if table.partition_by is not None and not values:
        raise LakeError(f"{table.name} is partitioned by {table.partition_by}: name the partitions to replace")
    return sorted({partition_value(value) for value in values})


def bad_rows(table: TableSchema, text: str, rule: str, offenders: pa.Table) -> BadRows:
    """Return the error for rows that break a rule, naming the first of them by its key."""
    shown: list[dict[str, Any]] = offenders.slice(0, N_SHOWN).to_pylist()
    key = ", ".join(f"{name} {shown[0].get(name)}" for name in table.key) if shown else ""
    return BadRows(
        f"{table.name}: {offenders.num_rows} row(s): {text}; first {key or 'unknown'}", rule=rule, rows=shown
    )


def _check_columns(rows: pa.Table, table: TableSchema) -> None:
    known = table.column_names
    for name in rows.column_names:
        if name not in known:
            raise UnknownColumn(f"{table.name} has no column {name!r}{nearest(name, known)}")
    missing = [name for name in known if name not in rows.column_names]
    if missing:
        raise UnknownColumn(f"{table.name} needs the column(s) {', '.join(missing)}")
    if len(rows.column_names) != len(known):
        raise UnknownColumn(f"{table.name}: a column was given twice: {_some(rows.column_names)}")


def _column(rows: pa.Table, table: TableSchema, field: pa.Field) -> pa.ChunkedArray:
    column = rows.column(field.name)
    if not (pa.types.is_null(column.type) or _may_become(column.type, field.type)):
        raise BadRows(
            f"{table.name}.{field.name} is {field.type}, was given {column.type}{_type_hint(column.type, field.type)}",
            rule="type",
            rows=rows.slice(0, N_SHOWN).to_pylist() if rows.num_rows else [],
        )
    try:
        cast = column.cast(field.type, safe=True)
    except pa.ArrowInvalid as error:
        raise BadRows(
            f"{table.name}.{field.name} is {field.type}: {error}",
            rule="type",
            rows=rows.slice(0, N_SHOWN).to_pylist(),
        ) from None
    if not field.nullable and cast.null_count:
        raise bad_rows(table, f"{field.name} must not be null", "null", rows.filter(pc.is_null(cast)))
    return cast


def _may_become(given: pa.DataType, wanted: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(given):
        given = given.value_type
    if types.is_string(wanted):
        return bool(types.is_string(given) or types.is_large_string(given) or types.is_string_view(given))
    if types.is_timestamp(wanted):
        return bool(types.is_timestamp(given) and given.tz is not None and given.unit != "ns")
    if types.is_date(wanted):
        return bool(types.is_date(given))
    if types.is_boolean(wanted):
        return bool(types.is_boolean(given))
    return bool(types.is_integer(given) or types.is_floating(given))


def _type_hint(given: pa.DataType, wanted: pa.DataType) -> str:
    if not pa.types.is_timestamp(wanted) or not pa.types.is_timestamp(given):
        return ""
    if given.tz is None:
        return "; a time without a zone is ambiguous, localize it and convert it to UTC"
    return "; nanoseconds would be cut silently, convert to microseconds (pandas: .dt.as_unit('us'))"


def _check_months(rows: pa.Table, table: TableSchema) -> None:
    if table.partition_by is None or table.month_of is None or _has_its_months(rows, table):
        return
    wrong = pc.not_equal(pc.strftime(rows.column(table.month_of), format="%Y-%m"), rows.column(table.partition_by))
    if pc.any(wrong).as_py():
        text = f"{table.partition_by} is not the month of {table.month_of}"
        raise bad_rows(table, text, "partition", rows.filter(wrong))


def _has_its_months(rows: pa.Table, table: TableSchema) -> bool:
    """Return whether the first and last time of each partition of sorted rows are in its month: so all are.

    Formatting the month of every row took two thirds of the time of writing minutes.
    """
    start = 0
    for count in pc.value_counts(rows.column(table.partition_by)).to_pylist():
        ends = pc.min_max(rows.column(table.month_of).slice(start, count["counts"]))
        months = {pc.strftime(ends[end], format="%Y-%m").as_py() for end in ("min", "max")}
        if months != {count["values"]}:
            return False
        start += count["counts"]
    return True


def _check_keys(rows: pa.Table, table: TableSchema) -> None:
    key = list(table.key)
    groups = rows.select(key).group_by(key).aggregate([([], "count_all")])
    if groups.num_rows == rows.num_rows:
        return
    repeated = groups.filter(pc.greater(groups.column("count_all"), 1)).select(key)
    offenders = rows.join(repeated, keys=key, join_type="inner").sort_by([(name, "ascending") for name in key])
    raise bad_rows(table, f"the key ({', '.join(key)}) occurs more than once", "unique key", offenders)


def _some(values: Sequence[str]) -> str:
    shown = ", ".join(values[:6])
    return shown if len(values) <= 6 else f"{shown}, ... {len(values)} in all"
