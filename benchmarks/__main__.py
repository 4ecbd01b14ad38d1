"""`python -m benchmarks`: check parity, measure, print a table and write `benchmarks/results.json`."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import platform_costs, report, timing
from benchmarks.report import Row

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "performance.md"
log = Console(stderr=True)


def main() -> None:
    """Run everything; about five minutes."""
    options = _options()
    load = os.getloadavg()[0]
    # Whole processes first: what is imported for the rest would count as their memory.
    rows, extra = _processes()
    log.print("the data path")
    rows += platform_costs.data_costs()
    rows = _contests() + rows
    facts = report.machine(load)
    Console(width=200).print(report.table(rows))
    report.write_json(options.output, rows, facts, options.date, extra)
    if options.docs:
        report.write_markdown(PAGE, report.markdown(rows, facts, options.date))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    parser.add_argument("--date", default=today, help="date written with the results (default: today, UTC)")
    parser.add_argument("--output", type=Path, default=FOLDER / "results.json", help="JSON file to write")
    parser.add_argument("--docs", action="store_true", help="also put the table into docs/performance.md")
    return parser.parse_args()


def _processes() -> tuple[list[Row], dict[str, object]]:
    log.print("whole processes, the demo first")
    with tempfile.TemporaryDirectory(prefix="quantlake-bench-") as name:
        return platform_costs.process_costs(Path(name))


def _contests() -> list[Row]:
    from benchmarks.contests import check_parity, contests

    rows = []
    for contest in contests():
        log.print(contest.name)
        cases = contest.cases()
        check_parity(contest, cases)
        contenders = {**contest.ours, **contest.peers}
        measures = {
            name: timing.calls([prepare(case) for case in cases], contest.in_a_row)
            for name, prepare in contenders.items()
        }
        samples = timing.in_turn(measures, contest.repeats)
        peaks = {name: _peak(contest.name, name) for name in contenders}
        for ours in contest.ours:
            for peer in contest.peers:
                found = report.row(ours, samples[ours], peer, samples[peer])
                found.peak_mib, found.peer_peak_mib = peaks[ours], peaks[peer]
                rows.append(found)
    return rows


def _peak(contest: str, contender: str) -> float:
    """Return the peak memory (MiB) of a process of its own that runs a contender once."""
    arguments = [sys.executable, "-m", "benchmarks.peak", contest, contender]
    done = subprocess.run(arguments, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
