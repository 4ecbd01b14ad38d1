"""The executor of this deployment: steps in the process of the run, which says who it is and dies with its parent."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.init import InitExecutorContext


class OwnedExecutor(InProcessExecutor):
    """Dagster's in-process executor; the run's tags name its process before the first step begins.

    A process a step would cost seconds; the parallel work is inside the engine.
    """

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Execute the plan's steps, one after the other."""
        from assets.tracking.owner import Owner
        from orchestration.lifeline import end_with_parent

        plan_context.instance.add_run_tags(plan_context.run_id, Owner.current().as_tags())
        # A worker that a code server started is of no use without it: nobody could cancel it. A run in a process
        # that a person started lives as long as that process.
        server = multiprocessing.parent_process()
        if server is not None and server.pid is not None:
            end_with_parent(server.pid)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema)
def owned_executor(context: InitExecutorContext) -> OwnedExecutor:
    """All steps in one process, which the run's tags name."""
    plain = dg.in_process_executor.executor_creation_fn
    assert plain is not None  # Dagster's own executor can be made
    made = plain(context)
    return OwnedExecutor(made.retries, made.step_dependency_config, made.marker_to_close)
