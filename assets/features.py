"""Features layer: causal features of the daily bars, month by month."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.arranging import arrange
from assets.code_versions import code_version
from assets.core import ACTIONS, BARS
from assets.feature_months import FEATURES, WARM_UP_MONTHS, features_table, months_before
from assets.metadata import (
    add_partition_rows,
    batch_id,
    count_metadata,
    run_context,
    table_spec,
    version_of,
    write_metadata,
)
from assets.partitions import MONTHS, SINGLE_RUN, warm_up_mapping
from assets.resources import LakeResource
from lakehouse.sources.catalogue import FUNDAMENTALS, LISTINGS, filling

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.feature_filings import Filings
    from assets.feature_keys import Plan
    from lakehouse.lake import Lake

__all__ = ["FEATURES", "WARM_UP_MONTHS", "daily_asset", "features_table", "months_before"]

FEATURES_VERSION = code_version(
    "strategies/features",
    *(f"strategies/{name}.py" for name in ("window", "panel", "elementwise", "rolling", "crosssection")),
    *(f"strategies/{name}.py" for name in ("total_return", "kernels")),
    "engine/bars.py",
    "engine/actions.py",
    *(f"lakehouse/{name}.py" for name in ("companies", "securities", "market_assets")),
    *(f"assets/{name}.py" for name in ("features", "feature_filings", "feature_keys", "feature_months")),
)


def daily_asset(entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset of the features; with filings among what these entries fill, it waits for them."""
    filed = [table for table in (FUNDAMENTALS, LISTINGS) if filling(table, entries)]

    @dg.asset(
        **table_spec(FEATURES),
        deps=[
            *(
                dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=warm_up_mapping(WARM_UP_MONTHS))
                for table in (BARS, ACTIONS)
            ),
            *(dg.AssetDep(dg.AssetKey(table.split("/"))) for table in filed),
        ],
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        code_version=FEATURES_VERSION,
    )
    def daily(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        """Compute what of the months' features is not stored, from their bars and those of the months before."""
        from assets.feature_filings import SNAPSHOTS, read_filings
        from assets.feature_keys import CONTEXT, assemble, confirm, plan

        months = list(context.partition_keys)
        opened = lake.open()
        pins = opened.pins([BARS, ACTIONS, FUNDAMENTALS, LISTINGS, SNAPSHOTS])
        filings = read_filings(opened, pins)
        contents = {table: opened.contents(table, version=pins[table]) for table in (BARS, ACTIONS)}
        todo = plan(opened, months, contents, filings)
        context.log.info(f"features by month: {todo.n_computed} to compute, {todo.n_reused} as stored")
        rows = assemble(todo, computed_months(opened, pins, todo, filings))
        batch = batch_id(FEATURES_VERSION, months, [f"{table}@{version}" for table, version in pins.items()])
        kept = run_context(context)
        commit = opened.replace(FEATURES, rows, partitions=months, batch_id=batch, context={**kept, CONTEXT: todo.keys})
        commit = confirm(opened, todo, commit, batch_id=batch, context=kept)
        add_partition_rows(context, FEATURES, rows)
        arrange(opened, FEATURES, context.log)
        return dg.MaterializeResult(
            data_version=version_of(commit),
            metadata={
                **write_metadata(commit, rows, "session", svg=_picture(rows)),
                **count_metadata({"computed": todo.n_computed, "reused": todo.n_reused}, "features"),
                "computed": todo.computed_names,
                "reads": pins,
            },
        )

    return daily


def computed_months(lake: "Lake", pins: dict[str, int], todo: "Plan", filings: "Filings") -> dict[str, "pa.Table"]:
    """Return the features that are not stored, by month; reads the bars they need and no others."""
    from assets.feature_months import compute_months
    from lakehouse.calendar import month_range

    if not todo.missing:
        return {}
    start = month_range(months_before(min(todo.missing), WARM_UP_MONTHS))[0]
    end = month_range(max(todo.missing))[1]
    bars = lake.scan(BARS, version=pins[BARS], where=[("session", ">=", start), ("session", "<", end)])
    actions = lake.scan(ACTIONS, version=pins[ACTIONS], where=[("ex_date", ">=", start), ("ex_date", "<", end)])
    return compute_months(bars, actions, filings, todo.missing)


def _picture(rows: "pa.Table") -> str:
    import numpy as np

    from assets.reports.charts import sparkline

    frame = rows.select(["session", "volatility_21"]).to_pandas().dropna()
    if len(frame) < 2:
        return ""
    median = frame.groupby("session")["volatility_21"].median()
    return sparkline(np.array(median.index, dtype="datetime64[D]"), median.to_numpy())
