"""What happens when a run fails: nothing it left behind looks finished."""

import dagster as dg

from assets.resources import TrackingResource


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks MLflow runs whose process died as killed; tables need nothing, each write is whole or absent.",
)
def failed_run(context: dg.RunFailureSensorContext, tracking: TrackingResource) -> None:
    """Close what the failed run left open in MLflow."""
    closed = tracking.open().kill_dead_runs()
    context.log.info(f"run {context.dagster_run.run_id} failed; MLflow runs closed: {closed}")


SENSORS = [failed_run]
