"""Core tables beside daily bars: minutes, ticks, filings and series, gathered from what the sources answered."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.code_versions import code_version
from assets.core import parsed, table_snapshots
from assets.metadata import batch_id, run_context, table_spec, version_of, write_metadata
from assets.partitions import MONTHS, SINGLE_RUN, warm_up_mapping
from assets.resources import LakeResource, VendorsResource
from lakehouse.sources.catalogue import FUNDAMENTALS, MINUTES, QUOTES, SERIES, TRADES, filling

BY_MONTH = {MINUTES: "bar_end", TRADES: "time", QUOTES: "time"}
WHOLE = {FUNDAMENTALS: "filed", SERIES: "about"}
GATHER_VERSION = code_version("lakehouse/gather.py", "lakehouse/sources")


def filled(entries: Sequence[str]) -> list[str]:
    """Return the tables, of those gathered here, that one of the entries can fill."""
    return [table for table in (*BY_MONTH, *WHOLE) if filling(table, entries)]


def gathered_asset(table: str, entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset of a table, made of what these entries' sources answered."""
    raw = [dg.AssetKey(["raw", entry.key]) for entry in filling(table, entries)]
    return _by_month(table, raw) if table in BY_MONTH else _whole(table, raw)


def _by_month(table: str, raw: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        **table_spec(table),
        # A month's first hours in UTC are the evening of the month before in New York.
        deps=[dg.AssetDep(key, partition_mapping=warm_up_mapping(1)) for key in raw],
        partitions_def=MONTHS,
        code_version=GATHER_VERSION,
        backfill_policy=SINGLE_RUN,
    )
    def months_of(
        context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource
    ) -> dg.MaterializeResult:
        """Rewrite month after month, so that memory holds one."""
        opened = lake.open()
        n_rows, metadata, version = 0, {}, None
        for month in context.partition_keys:
            rows, snapshots = _rows_of(opened, vendors, table, month)
            batch = batch_id(GATHER_VERSION, [month], [row["snapshot_id"] for row in snapshots])
            commit = opened.replace(table, rows, partitions=[month], batch_id=batch, context=run_context(context))
            context.log.info(f"{month}: {rows.num_rows:,} rows of {len(snapshots)} snapshots")
            context.add_asset_metadata(
                {"dagster/partition_row_count": rows.num_rows},
                asset_key=dg.AssetKey(table.split("/")),
                partition_key=month,
            )
            n_rows, version = n_rows + rows.num_rows, version_of(commit)
            metadata = {"delta_version": commit.version}
        return dg.MaterializeResult(data_version=version, metadata={"rows": n_rows, **metadata})

    return months_of


def _whole(table: str, raw: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        **table_spec(table),
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in raw],
        code_version=GATHER_VERSION,
        backfill_policy=SINGLE_RUN,
    )
    def whole(context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource) -> dg.MaterializeResult:
        """Rewrite the table from all that was answered."""
        from lakehouse.gather import gather

        opened = lake.open()
        snapshots = table_snapshots(opened, vendors, table)
        rows = gather(table, parsed(opened, vendors, snapshots), sources=vendors.source_names)
        batch = batch_id(GATHER_VERSION, [row["snapshot_id"] for row in snapshots])
        commit = opened.replace(table, rows, batch_id=batch, context=run_context(context))
        return dg.MaterializeResult(
            data_version=version_of(commit), metadata=write_metadata(commit, rows, WHOLE[table])
        )

    return whole


def _rows_of(opened: Any, vendors: VendorsResource, table: str, month: str) -> tuple[Any, list[dict[str, Any]]]:
    """Return a month's rows and the manifest rows they are from; answers say their days in the exchange's zone."""
    from datetime import timedelta

    from lakehouse.calendar import month_range
    from lakehouse.gather import gather

    start, end = month_range(month)
    day = timedelta(days=1)
    snapshots = table_snapshots(opened, vendors, table, start - day, end + day)
    return gather(table, parsed(opened, vendors, snapshots), sources=vendors.source_names, month=month), snapshots
