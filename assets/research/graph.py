"""Research layer: the assets of each spec, from its backtest to its stitched out-of-sample report."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.code_versions import code_version
from assets.metadata import OWNERS
from assets.partitions import SINGLE_RUN, SPECS, WINDOWS, specs_and_windows
from assets.research.market import INPUTS, LISTINGS
from assets.research.recording import Origin, Recorded
from assets.research.workflow import Bench
from assets.resources import LakeResource, TrackingResource

RESEARCH_VERSION = code_version("engine", "strategies", "assets/research")
ONE_A_RUN = dg.BackfillPolicy.multi_run(1)
INPUT_DEPS = [
    dg.AssetDep(
        dg.AssetKey(table.split("/")),
        partition_mapping=None if table == "core/universe" else dg.AllPartitionMapping(),
    )
    for table in INPUTS
    # Only some sources tell of listings: a graph without them has no such asset, and runs pin the table in any case.
    if table != LISTINGS
]


def _asset_arguments(name: str, description: str) -> dict[str, object]:
    return {
        "key": ["research", name],
        "group_name": "research",
        "description": description,
        "owners": OWNERS,
        "kinds": {"numba", "mlflow", "deltalake"},
        "code_version": RESEARCH_VERSION,
    }


@dg.asset(
    **_asset_arguments("backtest", "The spec's own parameters over the whole sample. In sample: never a headline."),
    partitions_def=SPECS,
    backfill_policy=ONE_A_RUN,
    deps=INPUT_DEPS,
    check_specs=[
        dg.AssetCheckSpec(
            "no_lookahead",
            asset=dg.AssetKey(["research", "backtest"]),
            blocking=True,
            description="Decisions recomputed on data cut at 50 bars equal those made with all data.",
        )
    ],
)
def backtest(
    context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Check the spec for look-ahead, then run it."""
    from strategies.errors import LookaheadError
    from strategies.spec import load_spec

    spec = load_spec(context.partition_key)
    try:
        recorded = _bench(context, lake, tracking, "research/backtest", context.partition_key).backtest(spec)
    except LookaheadError as error:
        yield dg.AssetCheckResult(check_name="no_lookahead", passed=False, description=str(error))
        raise dg.Failure(str(error), allow_retries=False) from error
    yield dg.AssetCheckResult(
        check_name="no_lookahead",
        passed=True,
        description=f"decisions unchanged at {recorded.n_cuts} cuts",
        metadata={"cuts": recorded.n_cuts},
    )
    yield _materialized(recorded)


@dg.asset(
    **_asset_arguments("sweep", "Every point of the spec's search space over the whole sample; each is a trial."),
    partitions_def=SPECS,
    backfill_policy=ONE_A_RUN,
    deps=[backtest],
)
def sweep(context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource) -> dg.MaterializeResult:
    """Run the grid in one step; thousands of trials are rows of research/trials, not partitions."""
    from strategies.spec import load_spec

    bench = _bench(context, lake, tracking, "research/sweep", context.partition_key)
    return _materialized(bench.sweep(load_spec(context.partition_key)))


@dg.asset(
    **_asset_arguments(
        "walk_forward", "Parameters chosen on years before, judged on the year after, window by window."
    ),
    partitions_def=WINDOWS,
    backfill_policy=SINGLE_RUN,
    deps=[
        dg.AssetDep(
            sweep,
            partition_mapping=dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="spec"),
        )
    ],
)
def walk_forward(
    context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource
) -> dg.MaterializeResult:
    """Search each window's training bars and run its test bars; years without enough data stay empty."""
    from strategies.spec import load_spec

    metadata: dict[str, object] = {}
    for name, years in specs_and_windows(context).items():
        bench = _bench(context, lake, tracking, "research/walk_forward", name)
        parent, windows = bench.windows(load_spec(name), years)
        for recorded in windows:
            context.add_asset_metadata(
                _summary(recorded),
                asset_key=context.asset_key,
                partition_key=dg.MultiPartitionKey({"spec": name, "window": str(recorded.run.test_window)}),
            )
        metadata |= {"windows": len(windows), "outside_the_data": len(years) - len(windows)}
        metadata["mlflow"] = dg.MetadataValue.url(bench.tracking.url(parent))
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    **_asset_arguments(
        "report", "The stitched out-of-sample run of the spec: the headline, with its deflated Sharpe ratio."
    ),
    partitions_def=SPECS,
    backfill_policy=ONE_A_RUN,
    deps=[
        dg.AssetDep(
            walk_forward,
            partition_mapping=dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="spec"),
        )
    ],
)
def report(context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource) -> dg.MaterializeResult:
    """Stitch the windows into one continuous run and write its tear sheet."""
    from strategies.spec import load_spec

    bench = _bench(context, lake, tracking, "research/report", context.partition_key)
    return _materialized(bench.report(load_spec(context.partition_key)))


def _bench(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    tracking: TrackingResource,
    asset: str,
    partition: str,
) -> Bench:
    run_id = context.run.run_id
    origin = Origin(run_id=run_id, asset=asset, partition=partition, url=f"http://127.0.0.1:3000/runs/{run_id}")
    return Bench(lake.open(), tracking.open(), datetime.now(UTC), origin)


def _materialized(recorded: Recorded) -> dg.MaterializeResult:
    from assets.reports.charts import markdown_image, sparkline

    result = recorded.run.result
    picture = markdown_image(sparkline(result.bar_end, result.equity), f"equity of {recorded.spec}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(recorded.hash[:16]),
        metadata={**_summary(recorded), "equity": dg.MetadataValue.md(picture)},
    )


def _summary(recorded: Recorded) -> dict[str, object]:
    import math

    metrics = recorded.run.result.metrics
    prefix = "oos" if recorded.run.is_out_of_sample else "is"
    figures = {
        f"{prefix}_sharpe": metrics["sharpe"],
        f"{prefix}_sharpe_error": recorded.validity.sharpe_error,
        f"{prefix}_deflated_sharpe": recorded.validity.deflated_sharpe,
        f"{prefix}_cagr": metrics["cagr"],
        f"{prefix}_max_drawdown": metrics["max_drawdown"],
    }
    return {
        **{name: value for name, value in figures.items() if math.isfinite(value)},
        "trials": recorded.validity.n_trials,
        "universe_coverage": recorded.coverage.shown,
        "assumed_ends": len(recorded.assumed_ends),
        "trades": int(metrics["n_trades"]),
        "run_id": recorded.run_id,
        "result_hash": recorded.hash,
        "reads": dict(recorded.pins),
        "mlflow": dg.MetadataValue.url(recorded.url),
    }
