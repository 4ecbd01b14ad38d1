"""What a materialization tells the Dagster UI about a table: rows, time range, version, columns, a small picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.schemas import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.records import Commit

OWNERS = ["team:research"]


def column_schema(table: str) -> dg.TableSchema:
    """Return a table's columns with types, units and descriptions, for the asset's page."""
    schema = TABLES[table]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=column.description + (f" [{column.unit}]" if column.unit else ""),
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=schema.key == (column.name,)),
            )
            for column in schema.columns
        ],
        constraints=dg.TableConstraints(other=[f"key: {', '.join(schema.key)}"]),
    )


def table_spec(table: str, **more: Any) -> dict[str, Any]:
    """Return the arguments of an asset that is a table: key, group, description, owners and columns."""
    layer, _, _ = table.partition("/")
    return {
        "key": dg.AssetKey(table.split("/")),
        "group_name": layer,
        "description": TABLES[table].description,
        "owners": OWNERS,
        "kinds": {"deltalake"},
        "metadata": {"dagster/column_schema": column_schema(table), "sql": TABLES[table].sql_name},
        **more,
    }


def version_of(commit: Commit) -> dg.DataVersion:
    """Return the data version of a write: the Delta version that holds it."""
    return dg.DataVersion(f"delta:{commit.version}")


def write_metadata(commit: Commit, rows: pa.Table, time_column: str, *, svg: str = "") -> dict[str, Any]:
    """Return the metadata of a write: rows, first and last time, Delta version, a picture where given."""
    metadata: dict[str, Any] = {
        "rows": rows.num_rows,
        "delta_version": commit.version,
        "changed": commit.was_new,
    }
    if rows.num_rows:
        times = rows.column(time_column).to_pylist()
        metadata |= {"first": str(min(times)), "last": str(max(times))}
    if "symbol" in rows.column_names:
        metadata["symbols"] = len(rows.column("symbol").unique())
    return metadata | picture_metadata(svg, "how it looks")


def picture_metadata(svg: str, alt: str) -> dict[str, dg.MarkdownMetadataValue]:
    """Return a picture as a metadata entry, none where there is no picture."""
    if not svg:
        return {}
    from assets.reports.charts import markdown_image

    return {"picture": dg.MetadataValue.md(markdown_image(svg, alt))}


def add_partition_rows(context: dg.AssetExecutionContext, table: str, rows: pa.Table) -> None:
    """Give each month of a run its own row count: a result's metadata is the same for all of them."""
    counts = {item["values"]: item["counts"] for item in rows.column("month").value_counts().to_pylist()}
    for month in context.partition_keys:
        context.add_asset_metadata(
            {"dagster/partition_row_count": counts.get(month, 0)},
            asset_key=dg.AssetKey(table.split("/")),
            partition_key=month,
        )


def batch_id(*parts: Iterable[str] | str) -> str:
    """Return the name of a write: the sha256 of what it was made from."""
    content = json.dumps([part if isinstance(part, str) else list(part) for part in parts])
    return hashlib.sha256(content.encode()).hexdigest()


def run_context(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> dict[str, str]:
    """Return what a Delta commit keeps of the Dagster run that made it."""
    return {"dagster_run_id": context.run.run_id}


def count_metadata(counts: Mapping[str, int], prefix: str = "count") -> dict[str, int]:
    """Return counts (rows mended, left out) as metadata entries."""
    return {f"{prefix}/{name}": int(value) for name, value in sorted(counts.items())}


def sample_table(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """Return the first offending rows of a check as a table."""
    shown = rows[:10]
    columns = list(dict.fromkeys(name for row in shown for name in row))
    # Dagster wants every record to have every field.
    records = [
        dg.TableRecord({name: "" if row.get(name) is None else str(row[name]) for name in columns}) for row in shown
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in columns]))
