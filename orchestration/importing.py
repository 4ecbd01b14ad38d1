"""Importing files: checked whole, then kept as snapshots, then normalized by the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import QuantlakeError

if TYPE_CHECKING:
    import pandas as pd

    from lakehouse.snapshots import Answer

OPTIONS = ("date_format", "time_zone", "delimiter")


class ImportRefused(QuantlakeError):
    """The files cannot become part of this lake; nothing was stored."""


def import_daily_files(
    files: Sequence[Path], columns: Mapping[str, str], *, dry_run: bool, options: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Check the files, keep them as snapshots and materialize the months they cover.

    Every file is read, checked and normalized before the first is stored: a bad row anywhere leaves the lake as it
    was.

    Returns
    -------
    symbols : one row a symbol: bars, first and last session, actions; notes : what to know and to do next.

    Raises
    ------
    BadRows, SourceError : a file breaks a rule; the first offending rows are carried along.
    """
    from assets.settings import settings
    from lakehouse.calendar import month_keys
    from lakehouse.lake import Lake
    from lakehouse.normalize import normalize
    from lakehouse.sources import get_source

    config = settings()
    now = datetime.now(UTC)
    answers: list[Answer] = []
    parts = []
    for file in files:
        source = get_source("files", {"path": _literal(file), "columns": dict(columns), **(options or {})})
        for answer in source.fetch([], date.min, date.max, as_of=now):
            answers.append(answer)
            parsed = source.parse(answer.content, answer.request)
            parts.append((_manifest(answer), parsed))
    first = min(answer.first_session for answer in answers if answer.first_session)
    last = max(answer.last_session for answer in answers if answer.last_session)
    if first.strftime("%Y-%m") < config.start:
        raise ImportRefused(
            f"the files begin at {first}, before the first partition {config.start}:"
            f" set `start: {first:%Y-%m}` in quantlake.yaml"
        )
    months = month_keys(first, last.replace(day=last.day)) or [first.strftime("%Y-%m")]
    if last.strftime("%Y-%m") not in months:
        months.append(last.strftime("%Y-%m"))
    tables = normalize(parts, exchange=config.exchange, months=months, sources=["files"])
    report = {"symbols": _symbols(tables.bars.to_pandas(), tables.actions.to_pandas()), "notes": []}
    if dry_run:
        return report
    Lake(config.home).snapshots.put(answers)
    report["notes"] = _refresh(config, months)
    return report


def _refresh(config: Any, months: Sequence[str]) -> list[str]:
    if "files" not in config.sources:
        return [
            "kept as snapshots. The sources in force are "
            + ", ".join(config.sources)
            + ": add `files` in quantlake.yaml (sources: [..., files]) and materialize the job `refresh`"
        ]
    from orchestration.instance import open_instance
    from orchestration.materialize import materialize

    selection = [
        *(f"raw/{source}" for source in config.sources if source in ("files", "sample")),
        "core/daily_bars",
        "core/corporate_actions",
        "core/universe",
        "features/daily",
    ]
    with open_instance(config.home) as instance:
        result = materialize(instance, selection, partition_range=(months[0], months[-1]))
    return [
        f"core/daily_bars, core/corporate_actions, core/universe and features/daily hold them now"
        f" (months {months[0]} to {months[-1]}, Dagster run {result.run_id[:8]})",
        "use them: `universe: files` (or `all`) in a spec, then `quantlake backtest SPEC`",
    ]


def _symbols(bars: pd.DataFrame, actions: pd.DataFrame) -> list[dict[str, Any]]:
    counts = actions["symbol"].value_counts()
    return [
        {
            "symbol": symbol,
            "bars": len(rows),
            "first": str(rows["session"].min()),
            "last": str(rows["session"].max()),
            "actions": int(counts.get(symbol, 0)),
        }
        for symbol, rows in bars.groupby("symbol")
    ]


def _manifest(answer: Answer) -> dict[str, Any]:
    return {"snapshot_id": answer.snapshot_id, "source": answer.source, "known_at": answer.known_at}


def _literal(file: Path) -> str:
    import glob

    return glob.escape(str(file))
