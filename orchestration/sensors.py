"""What follows a run: nothing a failed one left behind looks finished, and a walk-forward gets its report."""

from pathlib import Path

import dagster as dg

from assets.resources import TrackingResource
from orchestration.jobs import SPEC_TAG, reports, walk_forwards


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks MLflow runs whose process died as killed; tables need nothing, each write is whole or absent.",
)
def failed_run(context: dg.RunFailureSensorContext, tracking: TrackingResource) -> None:
    """Close what the failed run left open in MLflow."""
    closed = tracking.open().kill_dead_runs()
    context.log.info(f"run {context.dagster_run.run_id} failed; MLflow runs closed: {closed}")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports runs whose process died without a word, so that none holds a slot of the queue for ever.",
)
def dead_runs(context: dg.SensorEvaluationContext, tracking: TrackingResource) -> dg.SkipReason:
    """Report runs whose process is gone, and close what they left open in MLflow."""
    from orchestration.reaper import close_dead_mlflow_runs, reap

    reaped = reap(context.instance)
    close_dead_mlflow_runs(Path(tracking.home))
    return dg.SkipReason(f"runs whose process died: {', '.join(reaped)}" if reaped else "no run lost its process")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[walk_forwards],
    request_job=reports,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Stitches a spec's windows into its report when the weekly walk-forward of the spec is through.",
)
def report_walk_forward(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for the report of the spec whose windows were made."""
    run = context.dagster_run
    spec = run.tags.get(SPEC_TAG)
    if spec is None:
        return dg.SkipReason(f"run {run.run_id} does not name one spec ({SPEC_TAG}): materialize its report by hand")
    return dg.RunRequest(run_key=run.run_id, partition_key=spec, tags={SPEC_TAG: spec})


SENSORS = [failed_run, dead_runs, report_walk_forward]
