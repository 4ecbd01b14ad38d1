"""Runs in MLflow: found again by their key, pinned to data versions, never left in a false state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from assets.store_errors import store_errors
from assets.stores import MLFLOW
from assets.tracking.errors import ParamsChanged, UnknownRun
from assets.tracking.open_run import PARENT, RUN_KEY, OpenRun, StoredRun, batches
from assets.tracking.owner import Owner
from assets.tracking.record import RunRecord
from assets.tracking.store import artifacts_path, client, create, database_path, database_uri, locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000


@dataclass(frozen=True)
class Tracking:
    """The MLflow store under a home folder: `mlflow/mlflow.db` and `mlflow/artifacts`.

    Threads and processes may share it. `port` is where the local MLflow pages are served, for links only.
    """

    home: Path
    port: int = 5000

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).resolve())

    @property
    def uri(self) -> str:
        """The store as MLflow names it."""
        return database_uri(database_path(self.home))

    def initialise(self) -> None:
        """Create the store unless it exists. Costs nothing where it does, and does not import MLflow then."""
        with self._explained():
            create(self.home)

    def record(self, record: RunRecord) -> str:
        """Write a whole run and return its MLflow run id; the same key again continues the same run."""
        with self.open(record) as run:
            return run.run_id

    @contextlib.contextmanager
    def open(self, record: RunRecord) -> Iterator[OpenRun]:
        """Start (or continue) a run, so that its id is known before its results are.

        Everything in `record` is written first, `OpenRun.log` adds the rest. The run is RUNNING inside,
        FINISHED after, FAILED where an error leaves the block, KILLED where it was interrupted. Of an error
        only its class is kept, as the tag `quantlake.error`, since its text may hold secrets.

        Raises
        ------
        ParamsChanged : a run of this key has other parameters.
        BadRecord, StoreOutOfDate, TrackingError
        StorageFull, StorageFailed, DamagedStore : the store or the disk under it refuses.
        """
        self.initialise()
        with self._explained():
            mlflow = client(database_path(self.home))
            run = self._begin(mlflow, record)
        try:
            run.log(
                metrics=record.metrics,
                undefined=record.undefined,
                tags=record.tags,
                datasets=record.datasets,
                artifacts=record.artifacts,
            )
            yield run
        except BaseException as error:
            try:
                # First what matters: on a full disk there may be room for one of the two.
                mlflow.set_terminated(run.run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
                mlflow.set_tag(run.run_id, "quantlake.error", type(error).__name__)
            except Exception as second:
                # The first error is the one to see.
                error.add_note(f"MLflow run {run.run_id} still says RUNNING: {type(second).__name__}")
            raise
        with self._explained():
            mlflow.set_terminated(run.run_id, "FINISHED")

    def find(self, run_id: str) -> StoredRun:
        """Return a run by its MLflow id.

        Raises
        ------
        UnknownRun : the store has none of this id.
        """
        from mlflow.exceptions import MlflowException

        self.initialise()
        try:
            with self._explained():
                return StoredRun.from_mlflow(client(database_path(self.home)).get_run(run_id))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise UnknownRun(f"no run {run_id!r} in the MLflow store at {database_path(self.home)}") from None

    def find_key(self, experiment: str, run_key: str) -> StoredRun | None:
        """Return the run of a key in an experiment, None where there is none."""
        self.initialise()
        with self._explained():
            mlflow = client(database_path(self.home))
            found = mlflow.get_experiment_by_name(experiment)
            run = _of_key(mlflow, found.experiment_id, run_key) if found else None
        return StoredRun.from_mlflow(run) if run else None

    def url(self, run_id: str) -> str:
        """Return the page of a run in the local MLflow UI."""
        return self._url(self.find(run_id).experiment_id, run_id)

    def kill_dead_runs(self) -> list[str]:
        """Mark as KILLED the RUNNING runs whose process on this host is gone, and return their ids.

        Runs of other hosts, and runs that another program logged, are left alone.
        """
        self.initialise()
        killed = []
        with self._explained(), self._lock():
            mlflow = client(database_path(self.home))
            for run in _running(mlflow):
                owner = Owner.from_tags(run.data.tags)
                if owner is not None and owner.is_dead():
                    mlflow.set_terminated(run.info.run_id, "KILLED")
                    killed.append(run.info.run_id)
        return killed

    def _begin(self, mlflow: MlflowClient, record: RunRecord) -> OpenRun:
        from mlflow.entities import Param

        tags = _own_tags(record)
        # Two processes with the same key must not both find nothing and create a run each.
        with self._lock():
            experiment_id = self._experiment(mlflow, record.experiment)
            run = found = _of_key(mlflow, experiment_id, record.run_key)
            if found is not None:
                _check_params(found, record)
            if run is None:
                run = mlflow.create_run(experiment_id, tags=tags, run_name=record.run_name)
            else:
                _continue(mlflow, run, tags)
            if not run.data.params:
                params = [Param(name, text) for name, text in record.written_params.items()]
                for some in batches(params):
                    mlflow.log_batch(run.info.run_id, params=some)
        stored = StoredRun.from_mlflow(run)
        return OpenRun(
            client=mlflow,
            run_id=stored.run_id,
            experiment_id=experiment_id,
            url=self._url(experiment_id, stored.run_id),
            was_reused=found is not None,
            home=self.home,
            metrics=dict(stored.metrics),
            undefined=dict(stored.undefined),
        )

    def _experiment(self, mlflow: MlflowClient, name: str) -> str:
        """The id of an experiment, created on first use and brought back where someone deleted it.

        A deleted experiment keeps its name, so there is no creating a second one.
        """
        found = mlflow.get_experiment_by_name(name)
        if found is None:
            folder = f"{artifacts_path(self.home).as_uri()}/{quote(name, safe='')}"
            # The kind makes MLflow's pages show runs and metrics first rather than its tools for language models.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            return str(mlflow.create_experiment(name, artifact_location=folder, tags=kind))
        if found.lifecycle_stage == "deleted":
            mlflow.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        """What SQLite and the disk refuse inside becomes an error that names the file and what to do."""
        return store_errors(self.home, MLFLOW)

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(database_path(self.home).with_name("runs.lock"))

    def _url(self, experiment_id: str, run_id: str) -> str:
        return f"http://127.0.0.1:{self.port}/#/experiments/{experiment_id}/runs/{run_id}"


def _own_tags(record: RunRecord) -> dict[str, str]:
    tags = {RUN_KEY: record.run_key, "mlflow.source.name": "quantlake"} | Owner.current().as_tags()
    optional = {
        PARENT: record.parent_run_id,
        "dagster.run_id": record.dagster_run_id,
        "dagster.url": record.dagster_url,
    }
    return tags | {name: value for name, value in optional.items() if value is not None}


def _continue(mlflow: MlflowClient, run: Run, tags: dict[str, str]) -> None:
    """Take over a run of an earlier attempt: this process owns it now, and it has not failed yet."""
    from mlflow.entities import RunTag

    mlflow.log_batch(run.info.run_id, tags=[RunTag(name, text) for name, text in tags.items()])
    mlflow.update_run(run.info.run_id, status="RUNNING")
    if "quantlake.error" in run.data.tags:
        mlflow.delete_tag(run.info.run_id, "quantlake.error")


def _check_params(run: Run, record: RunRecord) -> None:
    """Raise ParamsChanged unless the run has these parameters, or none yet (its process died early)."""
    stored, given = run.data.params, record.written_params
    if not stored or stored == given:
        return
    name = sorted(k for k in stored.keys() | given.keys() if stored.get(k) != given.get(k))[0]
    raise ParamsChanged(
        f"params of run {run.info.run_id} (key {record.run_key}) must stay as they are: {name} was "
        f"{stored.get(name, 'not set')}, now {given.get(name, 'not set')}; the run key leaves it out"
    )


def _of_key(mlflow: MlflowClient, experiment_id: str, run_key: str) -> Run | None:
    found = mlflow.search_runs([experiment_id], f"tags.`{RUN_KEY}` = '{run_key}'", max_results=1)
    return found[0] if found else None


def _running(mlflow: MlflowClient) -> Iterator[Run]:
    """Every run marked RUNNING, read before any is changed: pages of a changing list skip some."""
    experiments = [each.experiment_id for each in mlflow.search_experiments(max_results=_PAGE)]
    runs: list[Run] = []
    token = None
    while experiments:
        page = mlflow.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=_PAGE, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            break
    yield from runs
