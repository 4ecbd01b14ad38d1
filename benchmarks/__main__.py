"""`python -m benchmarks`: check parity, measure, print tables and write `benchmarks/results.json`."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report
from benchmarks.results import Row

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "performance.md"
PARTS = ("contests", "cold", "threads", "platform", "minutes")
log = Console(stderr=True)


def main() -> None:
    """Run everything; about twenty minutes."""
    options = _options()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    extra: dict[str, Any] = {}
    # Whole processes first: what is imported for the rest would count as their memory.
    if "platform" in options.parts:
        platform_rows, extra = _platform()
    if "minutes" in options.parts:
        from benchmarks.intraday import a_year

        extra["minutes"] = {}
        for part, figures in a_year(n_symbols=8 if options.small else 500, n_months=1 if options.small else 12):
            log.print(f"a year of minutes: {part}")
            extra["minutes"][part] = figures
    if "cold" in options.parts:
        from benchmarks.cold import cold_starts

        log.print("cold starts")
        rows += cold_starts()
    if "threads" in options.parts:
        from benchmarks.scaling import scaling

        log.print("two threads beside one")
        rows += scaling()
    absent: list[str] = []
    speeds: dict[str, float] = {}
    if "contests" in options.parts:
        from benchmarks import entries, limits

        log.print("the speeds of this machine")
        machine = limits.measure()
        speeds = asdict(machine)
        found, absent = entries.measured(machine, options, log)
        rows = found + rows
    if "platform" in options.parts:
        rows += platform_rows
    facts = report.machine(load, absent, speeds)
    shown = Console(width=220)
    for table in report.tables(rows):
        shown.print(table)
    shown.print(report.summary(facts, options.date))
    report.write_json(options.output, rows, facts, options.date, extra)
    if options.docs and rows:
        report.write_markdown(PAGE, report.markdown(rows, facts, options.date))
    if options.docs and "minutes" in extra:
        report.write_markdown(PAGE, report.figures_markdown(extra["minutes"], options.date), "minutes")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    parser.add_argument("--date", default=today, help="date written with the results (default: today, UTC)")
    parser.add_argument("--output", type=Path, default=FOLDER / "results.json", help="JSON file to write")
    parser.add_argument("--docs", action="store_true", help="also put the tables into docs/performance.md")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", help="these workloads alone, such as W1 W4m")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="FAMILY", help="leave out peers, such as backtrader"
    )
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--no-memory", action="store_true", help="leave out the processes that show peak memory")
    parser.add_argument("--budget", type=float, default=8.0, help="seconds a contender may take in all its rounds")
    return parser.parse_args()


def _platform() -> tuple[list[Row], dict[str, Any]]:
    from benchmarks import data_path, platform_costs

    log.print("whole processes, the demo first")
    with tempfile.TemporaryDirectory(prefix="quantlake-bench-") as name:
        rows, extra = platform_costs.process_costs(Path(name))
    log.print("the data path")
    return rows + data_path.data_costs(), extra


if __name__ == "__main__":
    main()
