"""What one run leaves in MLflow, as plain data, checked before anything is written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from assets.tracking.errors import BadRecord

# More metrics make the runs table of the UI slow and hide the headline.
MAXIMUM_METRICS = 30
# MLflow cuts longer values without a word.
_MAXIMUM_PARAM = 6000
_MAXIMUM_TAG = 8000
_NAME = re.compile(r"[A-Za-z0-9_\-. :/]{1,250}")
_KEY = re.compile(r"[A-Za-z0-9_\-.:]{1,250}")


@dataclass(frozen=True)
class Dataset:
    """One table a run read: its name (`core/daily_bars`), where it lies, its pinned Delta version."""

    name: str
    uri: str
    version: int
    context: str = "backtest"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run.

    Parameters
    ----------
    experiment : the MLflow experiment, one a strategy.
    run_name : what people call the run.
    run_key : hash of everything that determines the result. A second record of the same key in the same
        experiment continues the same run.
    parent_run_id : the run this one belongs to, for the windows of a walk-forward.
    params : written once; values of any type, as text (floats in their shortest exact form).
    metrics : at most 30, named like `oos/sharpe`. NaN and inf are never stored: the metric is left out and
        the tag `undefined.<name>` says why, in the words of `undefined` where it has the name.
    tags : strings; names beginning with `mlflow.` or `quantlake.` are ours and MLflow's.
    datasets : the tables that were read.
    artifacts : relative name -> content.
    dagster_run_id, dagster_url : where the run came from.
    """

    experiment: str
    run_name: str
    run_key: str
    parent_run_id: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    artifacts: Mapping[str, bytes | str] = field(default_factory=dict)
    dagster_run_id: str | None = None
    dagster_url: str | None = None

    def __post_init__(self) -> None:
        for name in ("experiment", "run_name"):
            if not getattr(self, name).strip():
                raise BadRecord(f"{name} must not be empty")
        if not _KEY.fullmatch(self.run_key):
            raise BadRecord(f"run_key must be 1 to 250 letters, digits, '_-.:', was {self.run_key!r}")
        check_names("param", self.params)
        check_metrics(self.metrics)
        check_tags(self.tags)
        check_artifacts(self.artifacts)
        for name, text in self.written_params.items():
            if len(text) > _MAXIMUM_PARAM:
                raise BadRecord(
                    f"param {name} must have at most {_MAXIMUM_PARAM} characters, had {len(text)}; "
                    "put it into an artifact"
                )

    @property
    def written_params(self) -> dict[str, str]:
        """The parameters as MLflow holds them."""
        return {name: param_text(value) for name, value in self.params.items()}


def param_text(value: object) -> str:
    """Return a parameter as text, the same for equal values: JSON, with plain strings left as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    return json.dumps(value, default=str, sort_keys=True)


def split_metrics(
    metrics: Mapping[str, float], undefined: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the finite metrics, and for each of the others the reason."""
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    reasons = {
        name: undefined.get(name) or ("not a number" if math.isnan(value) else "infinite")
        for name, value in metrics.items()
        if not math.isfinite(value)
    }
    return finite, reasons


def check_names(kind: str, names: Iterable[str]) -> None:
    """Raise BadRecord for a name that MLflow would refuse half way through."""
    for name in names:
        parts = PurePosixPath(name).parts
        if not _NAME.fullmatch(name) or ".." in parts or name != str(PurePosixPath(name)):
            raise BadRecord(f"{kind} names are letters, digits and '_-. :/', was {name!r}")


def check_metrics(names: Iterable[str]) -> None:
    """Raise BadRecord for too many metrics or a name that MLflow would refuse."""
    names = list(names)
    if len(names) > MAXIMUM_METRICS:
        raise BadRecord(f"a run has at most {MAXIMUM_METRICS} metrics, was given {len(names)}")
    check_names("metric", names)


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise BadRecord for a tag that MLflow would refuse or cut."""
    check_names("tag", tags)
    for name, text in tags.items():
        if not isinstance(text, str):
            raise BadRecord(f"tag {name} must be a string, was {type(text).__name__}")
        if len(text) > _MAXIMUM_TAG:
            raise BadRecord(f"tag {name} must have at most {_MAXIMUM_TAG} characters, had {len(text)}")
        if name.startswith("quantlake."):
            raise BadRecord(f"tags beginning with quantlake. are set by tracking itself, was given {name!r}")


def check_artifacts(artifacts: Mapping[str, bytes | str]) -> None:
    """Raise BadRecord for a name that would leave the run's folder."""
    for name in artifacts:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or str(path) != name or "\0" in name:
            raise BadRecord(f"artifact names are relative paths inside the run's folder, was {name!r}")
