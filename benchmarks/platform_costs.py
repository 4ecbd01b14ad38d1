"""What the platform itself costs: whole processes, and the way of the data from a vendor's answer into a table."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import timing
from benchmarks.results import Row, row

if TYPE_CHECKING:
    import pyarrow as pa

REPOSITORY = Path(__file__).resolve().parents[1]
QUANTLAKE = (sys.executable, "-m", "orchestration.cli")
PYTHON = (sys.executable, "-c")
BARS = "core/daily_bars"
EXCHANGE = "XNYS"
SYMBOL = "AAPL"
LONG_AGO, FAR_AWAY = dt.date(1990, 1, 1), dt.date(2100, 1, 1)
AS_OF = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def process_costs(home: Path, *, repeats: int = 5) -> tuple[list[Row], dict[str, Any]]:
    """Return what commands cost as whole processes, and the demo's own report of its steps.

    The home is filled by the demo, which also compiles the kernels; they lie in the home, so nothing is found there
    that another process left.
    """
    environment = _environment(home)
    printed = home / "demo.json"
    demo = timing.command((*QUANTLAKE, "demo", "--json"), folder=home, environment=environment, output=printed)
    report = json.loads(printed.read_text(encoding="utf-8"))
    backtest = (*QUANTLAKE, "backtest", "ma_cross")

    def command(*arguments: str) -> timing.Measure:
        return lambda number: timing.command(arguments, folder=home, environment=environment)

    measures = {
        "backtest": command(*backtest),
        "help": command(*QUANTLAKE, "--help"),
        "python": command(*PYTHON, "pass"),
        "definitions": command(*PYTHON, "import orchestration.definitions"),
        "dagster": command(*PYTHON, "import dagster"),
    }
    timing.in_turn(measures, 1)  # reads the files into the operating system's cache
    samples = timing.in_turn(measures, repeats)
    share = import_share(backtest, home, environment)
    data = next((seconds for name, seconds in report["steps"].items() if name.startswith("prices")), 0.0)
    rows = [
        row(
            "quantlake backtest ma_cross",
            samples["backtest"],
            note=f"a new process on the demo's home, kernels cached; imports are {share:.0%} of it under -X importtime",
        ),
        row("quantlake --help", samples["help"], {"python -c pass": samples["python"]}),
        row("import orchestration.definitions", samples["definitions"], {"import dagster": samples["dagster"]}),
        row(
            "quantlake demo, new home",
            [demo],
            note=f"once, kernels compiled on the way; {data:.1f} s of it are the five data tables over 157 months",
        ),
    ]
    return rows, {"demo": {"seconds": report["seconds"], "steps": report["steps"]}}


def import_share(arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> float:
    """Return the share of a process's wall time that goes into imports, by Python's own account of them."""
    python, *rest = arguments
    started = time.perf_counter()
    done = subprocess.run(
        [python, "-X", "importtime", *rest], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - started
    lines = (line.removeprefix("import time:").split("|")[0].strip() for line in done.stderr.splitlines())
    return sum(int(own) for own in lines if own.isdigit()) / 1e6 / wall


def data_costs(*, repeats: int = 7) -> list[Row]:
    """Return what the data path costs: parsing and normalising, writing, and reading one symbol."""
    from deltalake import DeltaTable, write_deltalake

    from lakehouse.lake import Lake

    table, months = sample_bars()
    with tempfile.TemporaryDirectory(prefix="quantlake-bench-") as name:
        folder = Path(name)
        number = itertools.count()

        def replaced() -> Path:
            home = folder / f"lake-{next(number)}"
            Lake(home).replace(BARS, table, partitions=months, batch_id="bench")
            return home

        def written() -> Path:
            path = folder / f"delta-{next(number)}"
            write_deltalake(path, table, partition_by=["month"])
            return path

        lake, delta = Lake(replaced()), written()
        wanted = [("symbol", "=", SYMBOL)]
        scans: dict[str, Callable[[], pa.Table]] = {
            "lake": lambda: lake.scan(BARS, where=wanted),
            "delta": lambda: DeltaTable(delta).to_pyarrow_table(filters=wanted),
        }
        n_rows = scans["lake"]().num_rows
        if n_rows == 0 or scans["delta"]().num_rows != n_rows:
            raise ValueError(f"both tables must hold the same rows of {SYMBOL}, {n_rows} were in the lake's")
        writes = _timed({"lake": replaced, "delta": written}, repeats)
        reads = _timed(scans, repeats)
        normalized = _timed({"sample": sample_bars}, repeats)["sample"]
    rate = table.num_rows / timing.median(normalized, "wall")
    size = f"{table.num_rows:,} rows in {len(months)} month partitions"
    return [
        row(
            "fetch, parse and normalize the sample", normalized, note=f"{rate:,.0f} rows/s, corporate actions included"
        ),
        row(
            "Lake.replace, new table",
            writes["lake"],
            {"write_deltalake": writes["delta"]},
            note=f"{size}; unlike the peer it checks the rows, locks the table, syncs to disk and reads back",
        ),
        row(
            f"Lake.scan of {SYMBOL}",
            reads["lake"],
            {"DeltaTable.to_pyarrow_table": reads["delta"]},
            note=f"{n_rows:,} of {size}; unlike the peer it verifies page checksums and orders the rows",
        ),
    ]


def _timed(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[timing.Sample]]:
    measures = {name: timing.calls([work]) for name, work in works.items()}
    timing.in_turn(measures, 1)  # the first call is not counted
    return timing.in_turn(measures, repeats)


def sample_bars() -> tuple[pa.Table, list[str]]:
    """Return the sample's rows of core/daily_bars and their months, through source and normalisation."""
    from lakehouse.calendar import month_keys
    from lakehouse.normalize import normalize
    from lakehouse.sources import get_source

    source = get_source("sample")
    (answer,) = source.fetch([], LONG_AGO, FAR_AWAY, as_of=AS_OF)
    parsed = source.parse(answer.content, answer.request)
    if answer.first_session is None or answer.last_session is None:
        raise ValueError("the sample names its first and last session")
    months = month_keys(answer.first_session, answer.last_session + dt.timedelta(days=1))
    manifest = {"source": answer.source, "snapshot_id": "0" * 64, "known_at": AS_OF}
    return normalize([(manifest, parsed)], exchange=EXCHANGE, months=months).bars, months


def _environment(home: Path) -> dict[str, str]:
    """Return this process's environment with another home, and no kernels but that home's."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("QUANTLAKE_", "DAGSTER_HOME"))}
    return settings | {"QUANTLAKE_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
