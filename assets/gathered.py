"""Core tables beside daily bars: minutes, ticks, filings, series and listings, made of what the sources answered."""

from collections.abc import Sequence

import dagster as dg

from assets.making import GATHER_VERSION, make_month, make_whole
from assets.making_listings import LISTINGS_VERSION, make_listings
from assets.metadata import run_context, sample_table, table_spec, version_of, write_metadata
from assets.partitions import MONTHS, SINGLE_RUN, warm_up_mapping
from assets.resources import LakeResource, TrackingResource, VendorsResource
from assets.writing import mark_runs, restatement_metadata, write_aside, write_whole
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
        from lakehouse.errors import BadRows

        opened = lake.open()
        n_rows, n_aside, metadata, version = 0, 0, {}, None
        for month in context.partition_keys:
            try:
                made = make_month(opened, vendors, table, month)
            except BadRows as error:
                shown = {"rows": sample_table(error.rows), "rule": error.rule}
                raise dg.Failure(str(error), metadata=shown, allow_retries=False) from error
            rows = made.rows
            if made.aside is not None:  # first, so that no bar goes before it is known why
                write_aside(opened, made, month, run_context(context))
                n_aside += made.aside.num_rows
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
        if n_aside:
            metadata["rows_in_quarantine"] = n_aside
        return dg.MaterializeResult(data_version=version, metadata={"rows": n_rows, **metadata})

    return months_of


def _whole(table: str, raw: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        **table_spec(table),
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in raw],
        code_version=GATHER_VERSION,
        backfill_policy=SINGLE_RUN,
    )
    def whole(
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource, vendors: VendorsResource
    ) -> dg.MaterializeResult:
        """Rewrite the table from all that was answered."""
        opened = lake.open()
        made = make_whole(opened, vendors, table)
        told = write_whole(opened, table, made, now=vendors.now(), context=run_context(context))
        marked = mark_runs(opened, tracking, told.restatements, context.log)
        return dg.MaterializeResult(
            data_version=version_of(told.commit),
            metadata={
                **write_metadata(told.commit, made.rows, WHOLE[table]),
                **restatement_metadata(told, marked),
            },
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
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource, vendors: VendorsResource
    ) -> dg.MaterializeResult:
        """Rewrite the table from all that was told; the bars say since when and until when."""
        opened = lake.open()
        made = make_listings(opened, vendors)
        told = write_whole(opened, LISTINGS, made, now=vendors.now(), context=run_context(context))
        marked = mark_runs(opened, tracking, told.restatements, context.log)
        securities = len(made.rows.column("security_id").unique())
        return dg.MaterializeResult(
            data_version=version_of(told.commit),
            metadata={
                **write_metadata(told.commit, made.rows, WHOLE[LISTINGS]),
                **restatement_metadata(told, marked),
                "securities": securities,
                "reads": dict(made.pins),
            },
        )

    return listings
