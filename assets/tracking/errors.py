"""Errors of run tracking.

QuantlakeError
└── TrackingError         the MLflow store could not do what was asked; text names the run or the file
    ├── BadRecord         what is to be recorded breaks a rule of the store; nothing was written
    ├── ParamsChanged     a run of the same key exists with other parameters; the key leaves something out
    ├── UnknownRun        no such run in this store
    └── StoreOutOfDate    another MLflow version wrote the store; migrate it with the command in the text
"""

from __future__ import annotations

from engine.errors import QuantlakeError


class TrackingError(QuantlakeError):
    """Root of the errors of run tracking."""


class BadRecord(TrackingError):
    """A record breaks a rule of the store: too many metrics, a forbidden name, a value too long."""


class ParamsChanged(TrackingError):
    """Parameters are written once; a run of the same key has others."""


class UnknownRun(TrackingError):
    """The store has no run of this id."""


class StoreOutOfDate(TrackingError):
    """The store's schema belongs to another MLflow version."""
