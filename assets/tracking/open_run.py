"""A run that is being written, and one that is read back."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from assets.store_errors import store_errors
from assets.stores import MLFLOW
from assets.tracking.record import (
    Dataset,
    check_artifacts,
    check_metrics,
    check_tags,
    split_metrics,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

UNDEFINED = "undefined."
RUN_KEY = "quantlake.run_key"
PARENT = "mlflow.parentRunId"
_BATCH = 100  # the most parameters or tags MLflow takes at once

T = TypeVar("T")


@dataclass(frozen=True)
class StoredRun:
    """A run as the store holds it; `artifacts` is the folder of its files."""

    run_id: str
    experiment_id: str
    run_name: str
    run_key: str
    status: str
    parent_run_id: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    undefined: Mapping[str, str]
    tags: Mapping[str, str]
    datasets: tuple[Dataset, ...]
    artifacts: Path

    @classmethod
    def from_mlflow(cls, run: Run) -> StoredRun:
        """Return an MLflow run as plain data."""
        tags = dict(run.data.tags)
        return cls(
            run_id=run.info.run_id,
            experiment_id=run.info.experiment_id,
            run_name=run.info.run_name,
            run_key=tags.get(RUN_KEY, ""),
            status=run.info.status,
            parent_run_id=tags.get(PARENT),
            params=dict(run.data.params),
            metrics=dict(run.data.metrics),
            undefined={k.removeprefix(UNDEFINED): v for k, v in tags.items() if k.startswith(UNDEFINED)},
            tags=tags,
            datasets=tuple(_datasets(run)),
            artifacts=Path(unquote(urlsplit(run.info.artifact_uri).path)),
        )


@dataclass
class OpenRun:
    """A run whose id is known and whose results are still coming. Made by `Tracking.open`."""

    client: MlflowClient = field(repr=False)
    run_id: str
    experiment_id: str
    url: str
    was_reused: bool
    home: Path
    metrics: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set, repr=False)

    def log(
        self,
        *,
        metrics: Mapping[str, float] | None = None,
        undefined: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        datasets: Sequence[Dataset] = (),
        artifacts: Mapping[str, bytes | str] | None = None,
    ) -> None:
        """Add results to the run; everything is checked before anything is written.

        A metric logged again with the same value is not repeated; with another one, the newer value stands
        and both stay in its history. NaN and inf become the tag `undefined.<name>`.

        Raises
        ------
        BadRecord : a name, a value or the number of metrics breaks a rule of the store.
        StorageFull, StorageFailed, DamagedStore : the store or the disk refuses; what was written before stays.
        """
        metrics, tags, artifacts = metrics or {}, dict(tags or {}), artifacts or {}
        check_metrics(self._names | set(metrics))
        check_tags(tags)
        check_artifacts(artifacts)
        finite, reasons = split_metrics(metrics, undefined or {})
        with store_errors(self.home, MLFLOW):
            self._write_numbers(finite, tags | {UNDEFINED + name: reason for name, reason in reasons.items()})
            for name in [name for name in finite if name in self.undefined]:
                self.client.delete_tag(self.run_id, UNDEFINED + name)
                del self.undefined[name]
            self._names |= set(metrics)
            self.metrics |= finite
            self.undefined |= reasons
            self._write_datasets(datasets)
            self._write_artifacts(artifacts)

    def _write_numbers(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, RunTag

        now = time.time_ns() // 1_000_000
        fresh = [Metric(k, v, now, 0) for k, v in metrics.items() if self.metrics.get(k) != v]
        written = [RunTag(name, text) for name, text in tags.items()]
        # In the first batch the metrics go along; `batches` yields at least one where there are any.
        for some in batches(written) or ([[]] if fresh else []):
            self.client.log_batch(self.run_id, metrics=fresh, tags=some)
            fresh = []

    def _write_datasets(self, datasets: Sequence[Dataset]) -> None:
        if not datasets:
            return
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag

        inputs = []
        for each in datasets:
            source = DeltaDatasetSource(path=each.uri, delta_table_version=each.version)
            meta = MetaDataset(source, name=each.name, digest=f"v{each.version}")
            tags = [InputTag("mlflow.data.context", each.context)]
            inputs.append(DatasetInput(meta._to_mlflow_entity(), tags))
        self.client.log_inputs(self.run_id, inputs)

    def _write_artifacts(self, artifacts: Mapping[str, bytes | str]) -> None:
        if not artifacts:
            return
        with tempfile.TemporaryDirectory(prefix="quantlake-artifacts-") as folder:
            for name, content in artifacts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            self.client.log_artifacts(self.run_id, folder)


def batches(items: Sequence[T]) -> list[list[T]]:
    """Return the items in lists of at most a hundred."""
    return [list(items[start : start + _BATCH]) for start in range(0, len(items), _BATCH)]


def _datasets(run: Run) -> Iterator[Dataset]:
    inputs: Any = run.inputs.dataset_inputs if run.inputs else ()
    for each in inputs:
        source, digest = json.loads(each.dataset.source), each.dataset.digest
        context = next((tag.value for tag in each.tags if tag.key == "mlflow.data.context"), "")
        # MLflow's source leaves out version 0, a table's first; the digest has it.
        if "path" in source and digest.startswith("v") and digest[1:].isdigit():
            yield Dataset(each.dataset.name, source["path"], int(digest[1:]), context)
