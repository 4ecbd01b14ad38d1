"""Materializing assets in this process, on the home's Dagster instance, as `dg launch` does in its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.memory import MEMORY_ERRORS, SMALLER
from engine.errors import QuantlakeError

if TYPE_CHECKING:
    import dagster as dg


class MaterializeError(QuantlakeError):
    """A Dagster run failed; its events, in the Dagster UI, say where."""


def materialize(
    instance: dg.DagsterInstance,
    selection: Sequence[str],
    *,
    partition: str | None = None,
    partition_range: tuple[str, str] | None = None,
    log_level: str = "CRITICAL",
    definitions: dg.Definitions | None = None,
) -> dg.ExecuteInProcessResult:
    """Return the result of one Dagster run over the selected assets (`layer/table`) and their checks.

    Parameters
    ----------
    partition : the partition key; of several, `partition_range` names the first and last.
    log_level : from which level on the run's events go to the terminal too; the instance keeps them all.
    definitions : used instead of those of the settings in force.

    Raises
    ------
    MaterializeError : the run failed; the text is the failing step's own.
    StorageFull, StorageFailed, DamagedStore : Dagster could not keep its records; where the run is still marked as
        started, the next process that opens the home ends it.
    """
    import dagster as dg

    from assets.store_errors import store_errors
    from assets.stores import DAGSTER
    from assets.tracking.owner import Owner
    from orchestration.definitions import defs

    keys = [dg.AssetKey(name.split("/")) for name in selection]
    repository = (definitions or defs).get_repository_def()
    job = repository.get_implicit_job_def_for_assets(keys)
    if job is None:
        raise MaterializeError(f"{', '.join(selection)} do not share their partitions: materialize them in turn")
    # Should this process be killed, the next one can tell that the run is not going on.
    tags = Owner.current().as_tags()
    if partition_range is not None:
        tags |= {
            "dagster/asset_partition_range_start": partition_range[0],
            "dagster/asset_partition_range_end": partition_range[1],
        }
    with store_errors(Path(instance.root_directory).parent, DAGSTER):
        result = job.execute_in_process(
            instance=instance,
            asset_selection=keys,
            partition_key=partition,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
            raise_on_error=False,
        )
    if not result.success:
        raise MaterializeError(_failure(result))
    return result


def _failure(result: dg.ExecuteInProcessResult) -> str:
    texts = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            stated = data.user_failure_data.description if data.user_failure_data else None
            texts.append(f"{event.step_key}: {stated or _root_message(data.error)}")
    checks = [
        f"check {item.check_name} of {item.asset_key.to_user_string()} failed: {item.description}"
        for item in result.get_asset_check_evaluations()
        if not item.passed and item.blocking
    ]
    return "; ".join(texts + checks) or f"Dagster run {result.run_id} failed"


def _root_message(error: Any) -> str:
    while error is not None and error.cause is not None and not _is_ours(error):
        error = error.cause
    if error is None:
        return "failed"
    if error.cls_name in MEMORY_ERRORS:
        return f"out of memory ({str(error.message).strip()}): {SMALLER}"
    # Dagster puts the class in front: `lakehouse.errors.BadRows: two bars ...`.
    return (
        str(error.message).strip().removeprefix(f"{error.cls_name}: ").partition(f"{error.cls_name}: ")[2]
        or str(error.message).strip()
    )


def _is_ours(error: Any) -> bool:
    """Return whether an error is one of our packages', whose text says more than what is behind it."""
    return str(error.message).startswith(("assets.", "engine.", "lakehouse.", "strategies."))
