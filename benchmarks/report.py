"""Measured rows as a table on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.timing import Sample, median, median_peak, median_ratio

PACKAGES = ("numpy", "numba", "pandas", "vectorbt", "vectorbt-rust", "pyarrow", "deltalake", "dagster", "mlflow")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass
class Row:
    """One comparison, or one cost without a peer.

    seconds, cpu_seconds, peer_seconds, peer_cpu_seconds : medians; wall, and user and system time of all threads
    ratio, cpu_ratio : median over rounds of peer / ours: above 1 we are faster
    peak_mib, peer_peak_mib : largest resident set of a process that does this once, imports included
    """

    workload: str
    seconds: float
    cpu_seconds: float
    peer: str | None = None
    peer_seconds: float | None = None
    peer_cpu_seconds: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    peak_mib: float | None = None
    peer_peak_mib: float | None = None
    rounds: int = 1
    note: str = ""


def row(
    workload: str, ours: Sequence[Sample], peer: str | None = None, theirs: Sequence[Sample] = (), *, note: str = ""
) -> Row:
    """Return the medians of the samples of a workload, and of a peer's samples of the same rounds."""
    result = Row(workload, median(ours, "wall"), median(ours, "cpu"), rounds=len(ours), note=note)
    result.peak_mib = median_peak(ours)
    if peer is not None:
        result.peer = peer
        result.peer_seconds, result.peer_cpu_seconds = median(theirs, "wall"), median(theirs, "cpu")
        result.ratio, result.cpu_ratio = median_ratio(ours, theirs, "wall"), median_ratio(ours, theirs, "cpu")
        result.peer_peak_mib = median_peak(theirs)
    return result


def machine(load_before: float) -> dict[str, Any]:
    """Return what the figures depend on: processor, memory, load until now, Python, packages, the engine's version.

    The load is the system's average over a minute; the measurements themselves account for about 1.
    """
    from engine import ENGINE_HASH

    return {
        "cpu": _proc("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "engine": ENGINE_HASH,
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }


def table(rows: Sequence[Row]) -> Table:
    """Return the rows for the terminal."""
    shown = Table(title="medians; ratio = peer / quantlake, above 1 quantlake is faster", title_justify="left")
    for place, name in enumerate(_HEADINGS):
        shown.add_column(name, justify="left" if place in _TEXT else "right")
    for item in rows:
        shown.add_row(*_cells(item))
    return shown


def markdown(rows: Sequence[Row], facts: dict[str, Any], date: str) -> str:
    """Return the rows and the machine as Markdown."""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if version)
    lines = [
        f"Measured {date}: {facts['cpu']}, {facts['cores']} cores, {facts['memory_gib'] or '?'} GiB, "
        f"Python {facts['python']}, {packages}; engine {facts['engine']}. "
        f"Load average before and after: {facts['load_before']:g}, {facts['load_after']:g}.",
        "",
        "| " + " | ".join(_HEADINGS) + " |",
        "|" + "|".join(" --- " if place in _TEXT else " ---: " for place in range(len(_HEADINGS))) + "|",
        *("| " + " | ".join(_cells(item)) + " |" for item in rows),
        "",
        *(f"- {item.workload}: {item.note}." for item in rows if item.note),
    ]
    return "\n".join(lines).rstrip() + "\n"


def write_json(path: Path, rows: Sequence[Row], facts: dict[str, Any], date: str, extra: dict[str, Any]) -> None:
    """Write everything that was measured."""
    content = {"date": date, "machine": facts, "results": [asdict(item) for item in rows], **extra}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_markdown(path: Path, text: str) -> None:
    """Put the text between the markers of a page."""
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path.name} must hold the lines {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


_HEADINGS = ("workload", "wall", "CPU", "MiB", "peer", "wall", "CPU", "MiB", "ratio wall", "ratio CPU")
_TEXT = (0, 4)


def _cells(item: Row) -> list[str]:
    return [
        item.workload,
        _seconds(item.seconds),
        _seconds(item.cpu_seconds),
        _number(item.peak_mib, ".0f"),
        item.peer or "",
        _seconds(item.peer_seconds),
        _seconds(item.peer_cpu_seconds),
        _number(item.peer_peak_mib, ".0f"),
        _number(item.ratio, ".2f"),
        _number(item.cpu_ratio, ".2f"),
    ]


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1e3:.3g} ms" if value < 1.0 else f"{value:.2f} s"


def _number(value: float | None, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gib() -> float | None:
    total = _proc("/proc/meminfo", "MemTotal")
    return None if total is None else round(int(total.split()[0]) / 2**20, 1)


def _proc(path: str, name: str) -> str | None:
    """Return the first value of a name in one of Linux's files of facts, None elsewhere."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
