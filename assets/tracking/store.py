"""The MLflow store: one SQLite file and a folder of artifacts, created once and alone."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.store_errors import require_filled
from assets.stores import MLFLOW
from assets.tracking.errors import StoreOutOfDate, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow reads these when it is imported: no telemetry, no two lines printed for each run, no pickles.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
_DATABASE_LOG = "mlflow.store.db.utils"
_NOISY = ("alembic", _DATABASE_LOG)


def database_path(home: Path) -> Path:
    """Return where the store of a home folder lies."""
    return home / "mlflow" / "mlflow.db"


def artifacts_path(home: Path) -> Path:
    """Return the folder of all artifacts of a home folder."""
    return home / "mlflow" / "artifacts"


def database_uri(path: Path) -> str:
    """Return an SQLite file as MLflow names it."""
    return f"sqlite:///{path}"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, across threads and processes; it ends with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create(home: Path) -> None:
    """Create the store of a home folder unless it exists; safe from several processes at once.

    MLflow's first migration by several processes together leaves a database that is broken for good. Here one
    process migrates a file of another name and renames it when it is whole, so a database that can be seen is
    complete and needs no lock to be trusted.

    Raises
    ------
    DamagedStore : there is one, and it is empty.
    """
    database = database_path(home)
    if database.exists():
        require_filled(home, MLFLOW)
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with locked(database.parent / "create.lock"):
        if not database.exists():
            _migrate(home)


def _migrate(home: Path) -> None:
    database, artifacts = database_path(home), artifacts_path(home)
    artifacts.mkdir(parents=True, exist_ok=True)
    young = database.with_name("mlflow.db.new")
    for leftover in (young, young.with_name(young.name + "-journal")):
        leftover.unlink(missing_ok=True)
    os.environ.update(ENVIRONMENT)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _quiet(), _unsynced():
        # Kept by SQLAlchemy, the connections would go on pointing at the renamed file.
        SqlAlchemyStore(database_uri(young), artifacts.as_uri()).engine.dispose()
    for path in (young, young.parent):
        _sync(path)
    young.rename(database)
    _sync(database.parent)


@lru_cache(maxsize=16)
def client(database: Path) -> MlflowClient:
    """Return the client of a store, one a process; it may be shared by threads.

    Raises
    ------
    TrackingError : the store was not created.
    StoreOutOfDate : its schema is another MLflow version's.
    """
    if not database.exists():
        raise TrackingError(f"no MLflow store at {database}; initialise it first")
    os.environ.update(ENVIRONMENT)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = database_uri(database)
    logging.getLogger(_DATABASE_LOG).addFilter(_is_not_raised_too)
    try:
        with _quiet():
            return MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        if "out-of-date database schema" in str(error):
            raise StoreOutOfDate(
                f"the MLflow store at {database} was written by another MLflow version; copy the file, "
                f"then run: mlflow db upgrade {uri}"
            ) from error
        raise


@contextlib.contextmanager
def _unsynced() -> Iterator[None]:
    """Let SQLite leave syncing to the caller: the hundred migrations of a new store wait seconds for the disk else."""
    from sqlalchemy import Engine, event

    def connected(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow from announcing each of its schema migrations."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _is_not_raised_too(record: logging.LogRecord) -> bool:
    """Drop the stack traces that MLflow prints of errors which it then raises, and which are explained here."""
    return record.exc_info is None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
