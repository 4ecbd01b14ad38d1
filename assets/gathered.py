"""Core tables beside daily bars: minutes, ticks, filings, series and listings, made of what the sources answered."""

from collections.abc import Sequence

import dagster as dg

from assets.making import GATHER_VERSION, make_month, make_whole
from assets.making_listings import LISTINGS_VERSION, make_listings
from assets.metadata import run_context, table_spec, version_of, write_metadata
from assets.partitions import MONTHS, SINGLE_RUN, warm_up_mapping
from assets.resources import LakeResource, VendorsResource
from lakehouse.sources.catalogue import (
    ACTIONS,
    BARS,
    FUNDAMENTALS,
    LISTINGS,
    MINUTES,
    QUOTES,
    SERIES,
    TRADES,
    filling,
)

BY_MONTH = {MINUTES: "bar_end", TRADES: "time", QUOTES: "time"}
WHOLE = {FUNDAMENTALS: "filed", SERIES: "about", LISTINGS: "start"}


def filled(entries: Sequence[str]) -> list[str]:
    """Return the tables, of those gathered here, that one of the entries can fill."""
    return [table for table in (*BY_MONTH, *WHOLE) if filling(table, entries)]


def gathered_asset(table: str, entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset of a table, made of what these entries' sources answered."""
    raw = [dg.AssetKey(["raw", entry.key]) for entry in filling(table, entries)]
    if table == LISTINGS:
        return _listings(raw)
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
            made = make_month(opened, vendors, table, month)
            rows = made.rows
            commit = opened.replace(
                table, rows, partitions=[month], batch_id=made.batch_id, context=run_context(context)
            )
            context.log.info(f"{month}: {rows.num_rows:,} rows of {made.n_snapshots} snapshots")
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
        opened = lake.open()
        made = make_whole(opened, vendors, table)
        commit = opened.replace(table, made.rows, batch_id=made.batch_id, context=run_context(context))
        return dg.MaterializeResult(
            data_version=version_of(commit), metadata=write_metadata(commit, made.rows, WHOLE[table])
        )

    return whole


def _listings(raw: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    every = dg.AllPartitionMapping()
    read = [dg.AssetKey(table.split("/")) for table in (BARS, ACTIONS)]

    @dg.asset(
        **table_spec(LISTINGS),
        deps=[dg.AssetDep(key, partition_mapping=every) for key in [*raw, *read]],
        code_version=LISTINGS_VERSION,
        backfill_policy=SINGLE_RUN,
    )
    def listings(
        context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource
    ) -> dg.MaterializeResult:
        """Rewrite the table from all that was told; the bars say since when and until when."""
        opened = lake.open()
        made = make_listings(opened, vendors)
        commit = opened.replace(LISTINGS, made.rows, batch_id=made.batch_id, context=run_context(context))
        securities = len(made.rows.column("security_id").unique())
        return dg.MaterializeResult(
            data_version=version_of(commit),
            metadata={
                **write_metadata(commit, made.rows, WHOLE[LISTINGS]),
                "securities": securities,
                "reads": dict(made.pins),
            },
        )

    return listings
