"""The Dagster instance of a quantlake home: its folder, its settings file, its handle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

# Telemetry and the sign-up pane are off: a research machine talks to its vendors only. A run that lost its
# worker is ended by the monitor, so that it cannot hold a slot of the queue for ever.
INSTANCE_SETTINGS = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
run_monitoring:
  enabled: true
  max_runtime_seconds: 14400
  free_slots_after_run_end_seconds: 300
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: -1
"""


_MAKING_SECONDS = 60.0


def prepare_instance(home: Path) -> Path:
    """Return the Dagster folder of a home, created with its settings where absent, and point DAGSTER_HOME at it."""
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if not config.exists():
        config.write_text(INSTANCE_SETTINGS, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    return folder


def open_instance(home: Path) -> dg.DagsterInstance:
    """Return the Dagster instance of a home; use it as a context manager.

    Runs that an earlier process left behind when it died are reported first, in Dagster and in MLflow.

    Raises
    ------
    DamagedStore : a file of Dagster's or MLflow's is damaged; the text says what to move aside.
    StorageFull, StorageFailed : the disk under them refuses.
    LockTimeout : another process has been making them for a minute.
    """
    import dagster as dg

    from assets.store_errors import require_filled, store_errors
    from assets.stores import DAGSTER
    from lakehouse.locks import table_lock
    from lakehouse.paths import lock_path
    from orchestration.reaper import close_dead_mlflow_runs, reap

    with store_errors(home, DAGSTER):
        # Two processes that make one store at a time fail each other: Dagster has no lock for that.
        with table_lock(lock_path(home, DAGSTER), "the records of Dagster", timeout=_MAKING_SECONDS):
            prepare_instance(home)
            require_filled(home, DAGSTER)
            instance = dg.DagsterInstance.get()
            _touch(instance)
        reap(instance)
    close_dead_mlflow_runs(home)
    return instance


def _touch(instance: dg.DagsterInstance) -> None:
    """Have every store of the instance made that is only made when it is first asked."""
    instance.get_runs(limit=1)
    instance.all_instigator_state()
