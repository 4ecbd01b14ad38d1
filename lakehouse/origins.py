"""Stored rows whose snapshot the manifest does not tell of any more: no write may take them away.

The graph makes a month of the answers that the manifest lists. Where the manifest lost rows, a month made anew lacks
what those answers said, and would replace the stored one as if a vendor had taken it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import CorruptTable
from lakehouse.remedies import MANIFEST, ORIGINS_REMEDY
from lakehouse.schemas import table_schema
from lakehouse.spans_lost import SPANS

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.lake import Lake

_SNAPSHOT = "snapshot_id"


def require_origins(lake: Lake, table: str, stored: pa.Table, rows: pa.Table) -> None:
    """Refuse rows that lack stored ones whose snapshot the manifest does not list.

    Tables of spans are let pass: where the end of a span moved, its row has another key, and nothing is lost.

    Parameters
    ----------
    stored, rows : all rows of the partitions to be written, before and after

    Raises
    ------
    CorruptTable : the manifest lost rows, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = table_schema(table)
    if _SNAPSHOT not in schema.column_names or table in SPANS:
        return
    named = set(stored.column(_SNAPSHOT).unique().to_pylist()) - {None}
    if named <= set(rows.column(_SNAPSHOT).unique().to_pylist()):
        return  # what rows are made of was found in the manifest
    key = list(schema.key)
    after = rows.select(key).cast(pa.schema([schema.schema.field(name) for name in key]))
    gone = stored.select([*key, _SNAPSHOT]).join(after, keys=key, join_type="left anti")
    if not gone.num_rows:
        return
    known = lake.scan(MANIFEST, columns=[_SNAPSHOT]).column(_SNAPSHOT).combine_chunks()
    unknown = gone.filter(pc.invert(pc.is_in(gone.column(_SNAPSHOT), value_set=known))).sort_by(
        [(name, "ascending") for name in key]
    )
    if not unknown.num_rows:
        return
    first = unknown.slice(0, 1).to_pylist()[0]
    raise CorruptTable(
        f"{MANIFEST} does not tell any more of {len(unknown.column(_SNAPSHOT).unique())} snapshots that {table} was "
        f"made of, the first {first[_SNAPSHOT][:16]} of {first[key[0]]}: the write would take {unknown.num_rows:,} "
        f"stored rows away, so nothing was replaced; {ORIGINS_REMEDY}, and this can be run again"
    )
