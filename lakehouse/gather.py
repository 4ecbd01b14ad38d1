"""Rows of other tables of `core` than daily bars and actions, gathered from all answers that hold some.

Which row wins a key: between sources the last listed one's, within a source that of the snapshot known later. A
universe is told as a whole: the snapshot known last supplies all its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse.errors import SourceError
from lakehouse.schemas import table_schema
from lakehouse.sources.base import Parsed
from lakehouse.table_schema import TableSchema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WHOLE_BY = {"core/universe": ["universe"]}
"""Columns whose values a later snapshot tells whole, rows it no longer has included."""


def gather(
    table: str,
    parts: Iterable[tuple[Mapping[str, Any], Parsed]],
    *,
    sources: Sequence[str],
    month: str | None = None,
) -> pa.Table:
    """Return the rows of a table that the answers hold, in its schema and sorted by key.

    Parameters
    ----------
    parts : manifest rows (of raw/snapshots; source, snapshot_id and known_at are read), each with its parsed answer
    sources : in rising precedence
    month : of a table by month, the one whose rows are kept, like "2024-05"; of a timestamp its month in UTC

    Raises
    ------
    SourceError : a snapshot of a source that is not listed.
    UnknownColumn, BadRows : rows that are not the table's, or a key twice in one answer.
    """
    import pandas as pd

    schema = table_schema(table)
    found = []
    for row, parsed in parts:
        if row["source"] not in sources:
            raise SourceError(
                f"snapshot {row['snapshot_id']} is of source {row['source']!r}; known: {', '.join(sources)}"
            )
        frame = parsed.tables.get(table)
        if frame is None:
            continue
        kept = _in_month(frame, schema, month)
        if len(kept):
            rank = (list(sources).index(row["source"]), row["known_at"], row["snapshot_id"])
            found.append((rank, _with_origin(kept, row, schema)))
    found.sort(key=lambda item: item[0])
    if not found:
        return schema.schema.empty_table()
    for _, frame in found:
        _check_twice(frame, schema)
    rows = pd.concat([frame.assign(_at=at) for at, (_, frame) in enumerate(found)], ignore_index=True)
    if table in WHOLE_BY:
        last = rows.groupby(WHOLE_BY[table])["_at"].transform("max")
        rows = rows[(rows["_at"] == last).to_numpy()]
    rows = rows.drop_duplicates(list(schema.key), keep="last")
    return _as_table(rows.sort_values(list(schema.key), kind="stable"), schema)


def _in_month(frame: pd.DataFrame, schema: TableSchema, month: str | None) -> pd.DataFrame:
    import numpy as np

    if schema.month_of is None or month is None:
        return frame
    months = _plain(frame[schema.month_of]).astype("datetime64[M]")
    return frame[months == np.datetime64(month, "M")].assign(month=month)


def _with_origin(frame: pd.DataFrame, row: Mapping[str, Any], schema: TableSchema) -> pd.DataFrame:
    origin = {name: str(row[name]) for name in ("source", "snapshot_id") if name in schema.column_names}
    return frame.assign(**origin)


def _check_twice(frame: pd.DataFrame, schema: TableSchema) -> None:
    from lakehouse.rows import bad_rows

    twice = frame.duplicated(list(schema.key), keep=False).to_numpy()
    if twice.any():
        rows = frame[twice].sort_values(list(schema.key), kind="stable")
        raise bad_rows(schema, "one answer has the key more than once", "keys_unique", _as_table(rows, schema))


def _as_table(frame: pd.DataFrame, schema: TableSchema) -> pa.Table:
    """Return the columns in the table's types: days from datetime64, times as UTC."""
    import pyarrow as pa

    missing = [name for name in schema.column_names if name not in frame]
    unknown = [name for name in frame.columns if name not in schema.column_names and name != "_at"]
    if missing or unknown:
        from lakehouse.errors import UnknownColumn

        raise UnknownColumn(f"rows of {schema.name} lack {missing} and have unknown {unknown}")
    arrays = []
    for field in schema.schema:
        column = frame[field.name]
        is_time = pa.types.is_temporal(field.type)
        values = _plain(column) if is_time else column
        if pa.types.is_date(field.type):
            values = values.astype("datetime64[D]")
        arrays.append(pa.array(values, type=field.type, from_pandas=True))
    return pa.Table.from_arrays(arrays, schema=schema.schema)


def _plain(column: pd.Series) -> Any:
    """Return times and days as numpy's, times in UTC."""
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    return column.to_numpy(dtype="datetime64[s]" if column.dtype == object else None)
