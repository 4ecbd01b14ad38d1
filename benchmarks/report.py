"""Measured rows as tables on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.results import Peer, Row

PACKAGES = (
    "numpy",
    "numba",
    "pandas",
    "vectorbt",
    "vectorbt-rust",
    "raptorbt",
    "backtesting",
    "backtrader",
    "polars",
    "polars-bt",
    "polars-backtest",
    "pyarrow",
    "deltalake",
    "dagster",
    "mlflow",
)
SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def machine(load_before: float, absent: Sequence[str], speeds: dict[str, float]) -> dict[str, Any]:
    """Return what the figures depend on: processor, memory, load, Python, packages, engine, measured speeds.

    The load is the system's average over a minute; the measurements themselves account for about 1.
    absent : peers that are not installed
    """
    from engine import ENGINE_HASH

    return {
        "cpu": _proc("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "absent": list(absent),
        "engine": ENGINE_HASH,
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "speeds": speeds,
    }


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return our rows and the peers' for the terminal."""
    return [
        _table("medians; ratio = peer / quantlake, above 1 quantlake is faster", _COLUMNS, rows),
        _table("peers, the fastest first", _PEER_COLUMNS, _meetings(rows)),
    ]


def summary(facts: dict[str, Any], date: str) -> str:
    """Return the machine in one paragraph."""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if version)
    absent = f" Not installed: {', '.join(facts['absent'])}." if facts["absent"] else ""
    speeds = ", ".join(f"{name} {value:.3g}" for name, value in facts["speeds"].items())
    return (
        f"Measured {date}: {facts['cpu']}, {facts['cores']} cores, {facts['memory_gib'] or '?'} GiB, "
        f"Python {facts['python']}, {packages}; engine {facts['engine']}.{absent} "
        f"Load average before and after: {facts['load_before']:g}, {facts['load_after']:g}. "
        f"Speeds of one core, measured in this run: {speeds}."
    )


def markdown(rows: Sequence[Row], facts: dict[str, Any], date: str) -> str:
    """Return the machine and the tables as Markdown."""
    lines = [summary(facts, date), "", *_markdown(_COLUMNS, rows), ""]
    lines += [f"- {item.workload}: {item.note}." for item in rows if item.note]
    lines += ["", "Peers, the fastest first:", "", *_markdown(_PEER_COLUMNS, _meetings(rows))]
    return "\n".join(lines).rstrip() + "\n"


def write_json(path: Path, rows: Sequence[Row], facts: dict[str, Any], date: str, extra: dict[str, Any]) -> None:
    """Write everything that was measured."""
    content = {"date": date, "machine": facts, "results": [asdict(item) for item in rows], **extra}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_markdown(path: Path, text: str, place: str = "measured") -> None:
    """Put the text between the markers of a place of a page."""
    page = path.read_text(encoding="utf-8")
    opening, closing = f"<!-- {place}: begin -->", f"<!-- {place}: end -->"
    before, begin, rest = page.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"{path.name} must hold the lines {opening} and {closing}")
    path.write_text(f"{before}{opening}\n{text}{closing}{after}", encoding="utf-8")


def figures_markdown(figures: Mapping[str, Mapping[str, float]], date: str) -> str:
    """Return the figures of each part as Markdown."""
    lines = [f"Measured {date}.", "", "| part | figure | value |", "| --- | --- | ---: |"]
    lines += [
        f"| {part} | {name} | {value:,.0f} |" if value >= 100 else f"| {part} | {name} | {value:.3g} |"
        for part, found in figures.items()
        for name, value in found.items()
    ]
    return "\n".join(lines) + "\n"


def seconds(value: float | None) -> str:
    """Return a time with its unit."""
    if value is None:
        return ""
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e6:.3g} us"


def _meetings(rows: Sequence[Row]) -> list[tuple[Row, Peer]]:
    """Return each peer beside the first row it was timed for; other rows of the contest have the same time."""
    found: dict[tuple[str, float], tuple[Row, Peer]] = {}
    for item in rows:
        for peer in item.peers:
            found.setdefault((peer.name, peer.seconds), (item, peer))
    return list(found.values())


def _rate(item: Row) -> str:
    if item.rate is None:
        return ""
    scale, letter = next(((scale, letter) for scale, letter in SCALES if item.rate >= scale), (1.0, ""))
    return f"{item.rate / scale:.3g}{letter} {item.unit}/s"


def _number(value: float | None, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1_000 else f"{value:,.0f}"


Column = tuple[str, bool, Callable[[Any], str]]
# Heading, whether it is text, and the cell of a row.
_COLUMNS: tuple[Column, ...] = (
    ("workload", True, lambda item: item.workload),
    ("time", False, lambda item: seconds(item.seconds)),
    ("CPU", False, lambda item: seconds(item.cpu_seconds)),
    ("rate", False, _rate),
    ("MiB", False, lambda item: _number(item.peak_mib, ".0f")),
    ("fastest peer", True, lambda item: item.best_peer or ""),
    ("ratio", False, lambda item: _ratio(item.ratio_best_peer)),
    ("vectorbt", True, lambda item: (item.vectorbt or "").removeprefix("vectorbt ")),
    ("ratio", False, lambda item: _ratio(item.ratio_vectorbt)),
    ("its kernels", False, lambda item: _ratio(item.ratio_vectorbt_kernels)),
    ("of the limit", False, lambda item: _ratio(item.ratio_limit)),
)


def _difference(pair: tuple[Row, Peer]) -> str:
    _, peer = pair
    if peer.difference is None:
        return peer.differs
    return "same" if not peer.differs else f"{peer.difference:.1%}: {peer.differs}"


_PEER_COLUMNS: tuple[Column, ...] = (
    ("workload", True, lambda pair: pair[0].workload),
    ("peer", True, lambda pair: pair[1].name),
    ("time", False, lambda pair: seconds(pair[1].seconds)),
    ("CPU", False, lambda pair: seconds(pair[1].cpu_seconds)),
    ("MiB", False, lambda pair: _number(pair[1].peak_mib, ".0f")),
    ("rounds", False, lambda pair: str(pair[1].rounds)),
    ("ratio", False, lambda pair: _ratio(pair[1].ratio)),
    ("ratio CPU", False, lambda pair: _ratio(pair[1].cpu_ratio)),
    ("final equity", True, _difference),
)


def _table(title: str, columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    shown = Table(title=title, title_justify="left")
    for heading, is_text, _ in columns:
        shown.add_column(heading, justify="left" if is_text else "right")
    for item in rows:
        shown.add_row(*(cell(item) for _, _, cell in columns))
    return shown


def _markdown(columns: Sequence[Column], rows: Sequence[Any]) -> list[str]:
    return [
        "| " + " | ".join(heading for heading, _, _ in columns) + " |",
        "|" + "|".join(" --- " if is_text else " ---: " for _, is_text, _ in columns) + "|",
        *("| " + " | ".join(cell(item) for _, _, cell in columns) + " |" for item in rows),
    ]


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
