"""The outside world and storage: vendor clients, snapshots, Delta tables, schemas, calendar, SQL."""

from __future__ import annotations

from lakehouse.home import connect
from lakehouse.lake import NEVER_WRITTEN, Lake
from lakehouse.records import Commit, Problem
from lakehouse.schemas import TABLES, Column, TableSchema, table_schema
from lakehouse.snapshots import Answer

__all__ = [
    "NEVER_WRITTEN",
    "TABLES",
    "Answer",
    "Column",
    "Commit",
    "Lake",
    "Problem",
    "TableSchema",
    "connect",
    "table_schema",
]
