"""The whole path of a night, from a vendor's answers to the tables of core, in a process that may be killed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from lakehouse import Lake
from lakehouse.normalize import normalize
from lakehouse.sources import get_source

MONTHS = ["2024-01", "2024-02"]
TABLES = ("raw/snapshots", "core/daily_bars", "core/corporate_actions")
START, END = dt.date(2024, 1, 1), dt.date(2024, 3, 1)


def ingest(lake: Lake, night: int, acknowledge: Callable[[str], None] = lambda what: None) -> None:
    """Fetch, keep and normalize what a made-up market says that night; tell `acknowledge` of each thing on disk."""
    source = get_source("synthetic", {"n_symbols": 3, "seed": night, "begin": "2024-01-01", "delisting_rate": 0.0})
    as_of = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC) + dt.timedelta(days=night)
    for answer in source.fetch(source.symbols([]), START, END, as_of=as_of):
        lake.snapshots.put([answer])
        acknowledge(f"snapshot {answer.snapshot_id}")
    rows = lake.snapshots.find(source.name, source.dataset)
    parts = [(row, source.parse(lake.snapshots.read(row["snapshot_id"]), json.loads(row["request"]))) for row in rows]
    tables = normalize(parts, exchange="XNYS", months=MONTHS, sources=[source.name])
    for table, content in (("core/daily_bars", tables.bars), ("core/corporate_actions", tables.actions)):
        lake.replace(table, content, partitions=MONTHS, batch_id=f"night {night}")
        acknowledge(f"table {table}")


def ingest_and_tell(home: Path, night: int, told: Path) -> None:
    """In a process of its own: ingest, and append what was acknowledged to a file."""
    with told.open("a", buffering=1) as file:
        file.write("begun\n")
        ingest(Lake(home, lock_timeout=5), night, lambda what: print(what, file=file))
        file.write("done\n")


def content(lake: Lake) -> dict[str, pa.Table]:
    """Every row of the tables."""
    return {table: lake.scan(table) for table in TABLES}


def errors(lake: Lake) -> list[str]:
    """What `verify` calls an error."""
    return [f"{problem.where}: {problem.what}" for problem in lake.verify() if problem.severity == "error"]
