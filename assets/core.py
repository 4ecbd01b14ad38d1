"""Core layer: vendors' answers normalized into as-traded bars, corporate actions and universes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.arranging import arrange
from assets.making import DAILY, NORMALIZE_VERSION, UNIVERSE_VERSION, make_universe
from assets.metadata import (
    add_partition_rows,
    count_metadata,
    run_context,
    sample_table,
    table_spec,
    version_of,
    write_metadata,
)
from assets.one_source import MixedSources, make_whole_histories
from assets.partitions import MONTHS, SINGLE_RUN
from assets.raw import raw_key
from assets.resources import LakeResource, TrackingResource, VendorsResource
from assets.writing import (
    along_metadata,
    log_along,
    mark_runs,
    report_along,
    restatement_metadata,
    write_daily,
    write_whole,
)
from lakehouse.sources.catalogue import ACTIONS, BARS, UNIVERSE, entry_of, filling

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ACTIONS", "BARS", "UNIVERSE", "normalize_asset", "universe_asset"]


def normalize_asset(entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset that makes bars and corporate actions of what these entries' sources answered."""
    raw = [raw_key(entry) for entry in entries if {BARS, ACTIONS} & set(entry_of(entry).tables)]

    @dg.multi_asset(
        name="normalize",
        specs=[dg.AssetSpec(**table_spec(table), deps=raw, code_version=NORMALIZE_VERSION) for table in DAILY],
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        can_subset=True,
    )
    def normalize(
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource, vendors: VendorsResource
    ) -> Iterator[dg.MaterializeResult]:
        """Read every snapshot that covers the months and rewrite those months of all three tables.

        They are one computation and must not drift apart: whichever is selected, all are written. So are other months
        where a symbol has another source than it now has (`assets.one_source`): the log and the metadata say which.
        """
        from lakehouse.errors import BadRows

        months, opened = list(context.partition_keys), lake.open()
        try:
            whole = make_whole_histories(opened, vendors, months)
        except BadRows as error:
            rows = {"rows": sample_table(error.rows), "rule": error.rule}
            raise dg.Failure(str(error), metadata=rows, allow_retries=False) from error
        except MixedSources as error:
            raise dg.Failure(str(error), metadata={"rows": sample_table(error.rows)}, allow_retries=False) from error
        made = whole.made
        context.log.info(f"read {made.n_snapshots} snapshots for {months[0]} to {months[-1]}")
        log_along(context.log, whole)
        for told in write_daily(opened, made, whole.months, now=vendors.now(), context=run_context(context)):
            table = told.commit.table
            rows, day = made.tables[table], "ex_date" if table == ACTIONS else "session"
            marked = mark_runs(opened, tracking, told.restatements, context.log)
            key = dg.AssetKey(table.split("/"))
            if key not in context.selected_asset_keys:
                continue
            add_partition_rows(context, table, rows)
            report_along(context, whole, told)
            yield dg.MaterializeResult(
                asset_key=key,
                data_version=version_of(told.commit),
                metadata={
                    **write_metadata(told.commit, rows, day, svg=_picture(rows, table)),
                    **(count_metadata(made.counts) if table == BARS else {}),
                    **restatement_metadata(told, marked),
                    **along_metadata(whole),
                },
            )
        for table in (BARS, ACTIONS):
            arrange(opened, table, context.log)

    return normalize


def universe_asset(entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset of all universes: those made of the bars, and those that sources tell of."""
    told = [named for entry in entries for named in filling(UNIVERSE, [entry])]
    every = dg.AllPartitionMapping()

    @dg.asset(
        **table_spec(UNIVERSE),
        deps=[
            dg.AssetDep(dg.AssetKey(BARS.split("/")), partition_mapping=every),
            *(dg.AssetDep(dg.AssetKey(["raw", named.key]), partition_mapping=every) for named in told),
        ],
        code_version=UNIVERSE_VERSION,
        backfill_policy=SINGLE_RUN,
    )
    def universe(
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource, vendors: VendorsResource
    ) -> dg.MaterializeResult:
        """Make one universe a source, and `all`, each symbol a member from its first bar on; add those told."""
        opened = lake.open()
        made = make_universe(opened, vendors)
        told = write_whole(opened, UNIVERSE, made, now=vendors.now(), context=run_context(context))
        marked = mark_runs(opened, tracking, told.restatements, context.log)
        return dg.MaterializeResult(
            data_version=version_of(told.commit),
            metadata={
                **write_metadata(told.commit, made.rows, "start"),
                "reads": dict(made.pins),
                **restatement_metadata(told, marked),
            },
        )

    return universe


def _picture(rows: "pa.Table", table: str) -> str:
    """Return a small chart of the symbols' median close, each as a multiple of its first; of bars only."""
    import numpy as np

    from assets.reports.charts import sparkline

    if table != BARS or rows.num_rows < 2:
        return ""
    frame = rows.select(["symbol", "session", "close"]).to_pandas()
    wide = frame.pivot(index="session", columns="symbol", values="close").sort_index()
    relative = wide / wide.bfill().iloc[0]
    return sparkline(np.array(relative.index, dtype="datetime64[D]"), relative.median(axis=1).to_numpy())
