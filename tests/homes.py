"""Homes for tests: an empty one, one filled with the sample, and the command line as users run it.

A conftest imports the fixtures it needs from here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.features import features_table
from assets.settings import Settings
from lakehouse.calendar import month_keys
from lakehouse.lake import Lake
from lakehouse.normalize import normalize
from lakehouse.sources import get_source
from lakehouse.universe import from_bars
from orchestration.definitions import definitions_for
from orchestration.instance import INSTANCE_SETTINGS
from orchestration.materialize import materialize

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = ("raw/sample", "core/daily_bars", "core/corporate_actions", "core/universe", "features/daily")


@dataclass(frozen=True)
class Home:
    """A quantlake home of a test: its folder, its lake, its Dagster instance."""

    path: Path
    instance: dg.DagsterInstance

    @property
    def lake(self) -> Lake:
        return Lake(self.path)

    @property
    def definitions(self) -> dg.Definitions:
        return definitions_for(Settings(home=self.path))

    def materialize(self, *selection: str, **partitions: Any) -> dg.ExecuteInProcessResult:
        return materialize(self.instance, selection, definitions=self.definitions, **partitions)


def open_home(path: Path) -> Iterator[Home]:
    folder = path / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(INSTANCE_SETTINGS, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield Home(path, instance)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home."""
    yield from open_home(tmp_path / "home")


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the whole sample in its tables; copy it before changing anything."""
    path = tmp_path_factory.mktemp("sample")
    fill_with_sample(Lake(path))
    return path


def fill_with_sample(lake: Lake) -> None:
    """Do what the graph does to the sample's months, without the thousand events a Dagster run writes about it."""
    source = get_source("sample")
    now = datetime.now(UTC)
    (answer,) = source.fetch(source.symbols([]), date(2000, 1, 1), date(2014, 1, 1), as_of=now)
    lake.snapshots.put([answer])
    rows = lake.snapshots.find(source.name, source.dataset)
    parts = [(row, source.parse(lake.snapshots.read(row["snapshot_id"]), json.loads(row["request"]))) for row in rows]
    months = month_keys(date(2000, 3, 1), date(2013, 4, 1))
    tables = normalize(parts, exchange="XNYS", months=months, sources=["sample"])
    features = features_table(tables.bars, tables.actions, months)
    for table, content in (
        ("core/daily_bars", tables.bars),
        ("core/corporate_actions", tables.actions),
        ("features/daily", features),
    ):
        lake.replace(table, content, partitions=months, batch_id="sample")
    lake.replace("core/universe", from_bars(tables.bars), batch_id="sample")


@pytest.fixture
def sample_home(sample_folder: Path, tmp_path: Path) -> Iterator[Home]:
    """A home of its own, filled with the sample."""
    shutil.copytree(sample_folder, tmp_path / "home")
    yield from open_home(tmp_path / "home")


@pytest.fixture
def quantlake(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own: quantlake("backtest", "ma_cross", home=path, expect=0)."""

    def run(
        *arguments: str, home: Path | None = None, expect: int = 0, python_path: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "QUANTLAKE_HOME": str(home or tmp_path / "home"),
            "PYTHONPATH": os.pathsep.join(str(item) for item in (python_path, REPOSITORY) if item),
            "COLUMNS": "200",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "orchestration.cli", *arguments],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=170,
        )
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a command printed as JSON."""
    return json.loads(done.stdout)
