"""Runs whose process died are reported, so that none stays started for ever and holds a slot of the queue.

A worker killed with everything around it (out of memory, a power cut, kill -9) can report nothing. The next process
that opens the home does it: a run's tags name its process by host, number and start, and a process that is gone does
not come back.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from assets.tracking.owner import Owner

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.storage.dagster_run import RunRecord

REMEDY = (
    "What it had committed is whole and stays. Launch it again, with Re-execute in the Dagster UI or with the same "
    "command: nothing is doubled."
)
# The kernel kills with signal 9 what uses up the memory, and such a process can report nothing.
SUSPECT = (
    "Something killed it, perhaps the system for want of memory (signal 9; `dmesg` tells). If so, take a smaller piece"
    " before launching it again: fewer symbols, a shorter span, fewer runs at once."
)
_LAUNCHED_FROM = ".dagster/grpc_info"


def reap(instance: dg.DagsterInstance) -> list[str]:
    """Report every run whose process on this host is gone, and return their ids.

    One that was being cancelled is then cancelled, any other failed. Runs of other hosts are left alone, and so are
    those waiting in the queue, which the daemon starts.
    """
    import dagster as dg

    unfinished = [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    reaped = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=unfinished)):
        why = cause_of_death(record)
        if why is None:
            continue
        run = instance.get_run_by_id(record.dagster_run.run_id)
        if run is None or run.is_finished:
            continue  # it ended by itself in this moment
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=f"{why} It was being cancelled.")
        else:
            instance.report_run_failed(run, message=f"{why} {REMEDY}")
        # A slot of a vendor's pool would stay taken, and its next fetch would wait for it for ever.
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        reaped.append(run.run_id)
    return reaped


def close_dead_mlflow_runs(home: Path) -> list[str]:
    """Mark the MLflow runs of dead processes as killed and return their ids; costs nothing where none is running."""
    from assets.tracking import Tracking

    return Tracking(home).kill_dead_runs() if _has_running(home / "mlflow" / "mlflow.db") else []


def cause_of_death(record: RunRecord) -> str | None:
    """Return what became of a run's process; None where it may be alive."""
    import dagster as dg

    run = record.dagster_run
    owner = Owner.from_tags(run.tags)
    if owner is not None:
        is_dead = owner.is_dead()
        return f"The run's process {owner.pid} on {owner.host} died without a word. {SUSPECT}" if is_dead else None
    # Without an owner the run was launched and its process has said nothing yet, or an older version made it.
    begun = record.start_time or record.create_timestamp.timestamp()
    if begun < (booted_at() or 0.0):
        return "The machine was started anew since; the run's process went down with it."
    is_starting = run.status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING)
    if is_starting and record.start_time is None and not _answers(run.tags):
        return "The code server that was to start the run's process is gone."
    return None


def booted_at() -> float | None:
    """Return when this machine was started, seconds since 1970, UTC; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("btime ")))
    with contextlib.suppress(OSError, AttributeError):
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return None


def _answers(tags: Mapping[str, str]) -> bool:
    """Return whether the code server a run was handed to can be reached; True where none is named."""
    try:
        server = json.loads(tags.get(_LAUNCHED_FROM, ""))
        if server.get("socket"):
            address: str | tuple[str, int] = str(server["socket"])
            family = socket.AF_UNIX
        else:
            address = (str(server["host"]), int(server["port"]))
            family = socket.AF_INET
    except (ValueError, KeyError, TypeError, AttributeError):
        return True
    with socket.socket(family) as probe:
        probe.settimeout(2.0)
        return probe.connect_ex(address) == 0


def _has_running(database: Path) -> bool:
    """Return whether the MLflow store holds a run marked as running, without importing MLflow, which takes seconds."""
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as store:
            return store.execute("SELECT 1 FROM runs WHERE status = 'RUNNING' LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return True  # MLflow itself says what is wrong
