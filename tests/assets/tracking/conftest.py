"""A real MLflow store in a temporary folder, migrated once for the whole suite."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assets.tracking import Tracking


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose store is complete and empty."""
    home = tmp_path_factory.mktemp("migrated")
    Tracking(home).initialise()
    return home


@pytest.fixture
def tracking(migrated: Path, tmp_path: Path) -> Tracking:
    """Tracking in a home of its own; the blank in its name belongs to the test."""
    home = tmp_path / "a home"
    (home / "mlflow").mkdir(parents=True)
    shutil.copy(migrated / "mlflow" / "mlflow.db", home / "mlflow" / "mlflow.db")
    return Tracking(home)
