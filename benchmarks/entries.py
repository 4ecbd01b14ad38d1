"""Contests, one after the other: who can take part, parity, rounds in turn, memory, rows."""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import timing
from benchmarks.cases import Case
from benchmarks.contests import Contest, contests
from benchmarks.limits import Machine
from benchmarks.parity import Prepared, prepared
from benchmarks.results import Known, Row, row
from benchmarks.runs import OURS, Contender

REPOSITORY = Path(__file__).resolve().parents[1]
SINGLE = ", a single call"


def measured(machine: Machine, options: argparse.Namespace, log: Console) -> tuple[list[Row], list[str]]:
    """Return the rows of all contests wanted, and the modules that peers lack here.

    options : only, without, small, no_memory and budget as `python -m benchmarks --help` explains them
    """
    rows: list[Row] = []
    absent: set[str] = set()
    for contest in contests(small=options.small):
        if options.only and contest.name not in options.only:
            continue
        entered = {name: who for name, who in contest.contenders.items() if who.family not in options.without}
        absent |= {module for who in entered.values() for module in who.missing()}
        entered = {name: who for name, who in entered.items() if not who.missing()}
        log.print(f"{contest.name}: {len(entered)} contenders")
        started = time.monotonic()
        found = _measured(contest, entered, machine, options.budget)
        if not (options.no_memory or options.small):
            _add_memory(contest, found)
        rows += found
        log.print(f"    {time.monotonic() - started:.0f} s")
    return rows, sorted(absent)


def _measured(contest: Contest, entered: Mapping[str, Contender], machine: Machine, budget: float) -> list[Row]:
    cases = contest.cases()
    ready = prepared(entered, cases)
    # Peers' packages and compilers are millions of objects: each collection between two calls would visit them all.
    gc.collect()
    gc.freeze()
    rows = []
    for most in sorted({contest.in_a_row, 1}, reverse=True):
        # What takes long needs no row of calls to be seen warm.
        in_a_row = {name: timing.affordable(who.seconds, most, budget / 4.0) for name, who in ready.items()}
        measures = {name: timing.calls(who.runs, in_a_row[name]) for name, who in ready.items()}
        rounds = {
            name: timing.affordable(who.seconds * in_a_row[name], contest.rounds, budget) for name, who in ready.items()
        }
        samples = timing.in_turn(measures, rounds)
        rows += _rows(contest, entered, ready, samples, "" if most == contest.in_a_row else SINGLE)
    limit = None if contest.limit is None else contest.limit(machine, cases[0])
    for item in rows:
        _add_rates(item, contest, cases[0], limit)
    return rows


def _rows(
    contest: Contest,
    entered: Mapping[str, Contender],
    ready: Mapping[str, Prepared],
    samples: Mapping[str, Sequence[timing.Sample]],
    suffix: str,
) -> list[Row]:
    peers = {name: taken for name, taken in samples.items() if entered[name].family != OURS}
    known = {
        name: Known(entered[name].family, entered[name].differs, entered[name].n_threads, ready[name].difference)
        for name in peers
    }
    rows = []
    for mine in contest.ours:
        if mine.name in samples:
            item = row(mine.name + suffix, samples[mine.name], peers, known)
            item.n_threads = mine.n_threads
            rows.append(item)
    return rows


def _add_rates(item: Row, contest: Contest, case: Case, limit: float | None) -> None:
    item.rate, item.unit = contest.amount(case) / item.seconds, contest.unit
    if limit is not None:
        item.limit_seconds, item.ratio_limit = limit, item.seconds / limit


def _add_memory(contest: Contest, rows: Sequence[Row]) -> None:
    """Fill in the peak memory of a process of each of ours, and of each family's fastest."""
    wanted = {who.name for who in contest.ours}
    for item in rows:
        fastest = {peer.family: peer.name for peer in reversed(item.peers)}
        wanted |= set(fastest.values())
    peaks = {name: _peak(contest.name, name) for name in sorted(wanted)}
    for item in rows:
        item.peak_mib = peaks[item.workload.removesuffix(SINGLE)]
        for peer in item.peers:
            peer.peak_mib = peaks.get(peer.name)


def _peak(contest: str, contender: str) -> float:
    """Return the peak memory (MiB) of a process of its own that runs a contender once."""
    arguments = [sys.executable, "-m", "benchmarks.peak", contest, contender]
    done = subprocess.run(arguments, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])
