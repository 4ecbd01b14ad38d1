"""A small graph that writes a table of the lake and logs a run to MLflow, run as a command does."""

from __future__ import annotations

import resource
from pathlib import Path

import dagster as dg

from assets.tracking import RunRecord, Tracking
from engine.errors import QuantlakeError
from lakehouse import Lake
from orchestration.instance import open_instance
from orchestration.materialize import materialize
from tests.faults.disks import filled
from tests.lakehouse.stored import BARS, MONTHS, bars


def run_graph(home: Path, price: float = 1.0) -> str:
    """Return "done", or the class and the text of the error; the price is that of all bars."""

    @dg.asset
    def prices() -> None:
        Lake(home).replace(BARS, bars(MONTHS, price=price), partitions=MONTHS, batch_id=str(price))

    @dg.asset(deps=[prices])
    def logged() -> None:
        # MLflow notes where an experiment's files lie when it makes it; a copied home needs one of its own.
        experiment = " ".join(home.resolve().parts[1:])
        record = RunRecord(experiment=experiment, run_name="r", run_key=f"k{price:g}", metrics={"a": 1.0})
        with Tracking(home).open(record) as run:
            run.log(metrics={f"m{n}": 1.0 for n in range(20)}, artifacts={"x.bin": bytes(20_000)})

    try:
        with open_instance(home) as instance:
            materialize(instance, ["prices", "logged"], definitions=dg.Definitions(assets=[prices, logged]))
    except QuantlakeError as error:
        return f"{type(error).__name__} {str(error)!r}"
    return "done"


def run_on_a_full_disk(home: Path, levels: list[int]) -> None:
    """Print what came of a run at each of so many bytes free."""
    for number, n_free in enumerate(levels):
        with filled(home.parent, n_free):
            print(run_graph(home, 2.0 + number), flush=True)


def run_with_small_files(home: Path, n_bytes: int) -> None:
    """Print what came of a run that may write files of so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
    print(run_graph(home, 2.0), flush=True)
