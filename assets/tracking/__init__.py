"""Run tracking: our own layer over MLflow, which is imported only when a run is written or read."""

from __future__ import annotations

from assets.tracking.errors import BadRecord, ParamsChanged, StoreOutOfDate, TrackingError, UnknownRun
from assets.tracking.open_run import OpenRun, StoredRun
from assets.tracking.record import Dataset, RunRecord
from assets.tracking.server import ServerCommand, server_command
from assets.tracking.tracking import Tracking

__all__ = [
    "BadRecord",
    "Dataset",
    "OpenRun",
    "ParamsChanged",
    "RunRecord",
    "ServerCommand",
    "StoreOutOfDate",
    "StoredRun",
    "Tracking",
    "TrackingError",
    "UnknownRun",
    "server_command",
]
