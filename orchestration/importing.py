"""Importing files: checked whole, then kept as snapshots, then normalized by the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import QuantlakeError
from orchestration.file_headers import column_mapping

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from assets.settings import Settings
    from lakehouse.lake import Lake
    from lakehouse.snapshots import Answer
    from lakehouse.sources import Parsed

SOURCE, DATASET, BARS = "files", "daily_bars", "core/daily_bars"


class ImportRefused(QuantlakeError):
    """The files cannot become part of this lake; nothing was stored."""


def import_daily_files(
    files: Sequence[Path],
    columns: Mapping[str, str],
    *,
    dry_run: bool,
    options: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Check the files, keep them as snapshots and materialize the months they change.

    Every file is read, checked and normalized before the first is stored: a bad row anywhere leaves the lake as it
    was. A file that was imported before changes nothing.

    Parameters
    ----------
    files : CSV or Parquet files, or folders: all CSV and Parquet files in them, in the order of their names.
    columns : our field -> the files' column; what is not named is a column of the field's own name.
    options : date_format, time_zone, delimiter and convention of `lakehouse.sources.files`.

    Returns
    -------
    symbols : one row a symbol: bars, first and last session, actions; notes : what to know and to do next.

    Raises
    ------
    BadRows, SourceError : a file breaks a rule; the first offending rows are carried along.
    ImportRefused : the files do not fit what is there.
    """
    from assets.settings import settings
    from lakehouse.calendar import month_key, month_keys
    from lakehouse.lake import Lake
    from lakehouse.normalize import normalize

    config = settings()
    read = _read(_expanded(files), columns, options or {})
    _check_files_agree(read)
    first = min(answer.first_session for _, answer, _ in read if answer.first_session)
    last = max(answer.last_session for _, answer, _ in read if answer.last_session)
    if month_key(first) < config.start:
        raise ImportRefused(
            f"the files begin at {first}, before the first partition {config.start}:"
            f" set `start: {month_key(first)}` in quantlake.yaml"
        )
    _check_calendar(read, config.exchange)
    months = month_keys(first, last + timedelta(days=1))
    parts = [(_manifest(answer), parsed) for _, answer, parsed in read]
    tables = normalize(parts, exchange=config.exchange, months=months, sources=[SOURCE])
    lake = Lake(config.home)
    new = [answer for _, answer, _ in read if _is_new(lake, answer)]
    symbols = _symbols(tables.bars.to_pandas(), tables.actions.to_pandas())
    if dry_run:
        return {"symbols": symbols, "notes": []}
    lake.snapshots.put(new)
    notes = [] if new else ["every file was imported before: nothing new to keep"]
    return {"symbols": symbols, "notes": notes + _refresh(config, lake, months, [row["symbol"] for row in symbols])}


def _expanded(paths: Sequence[Path]) -> list[Path]:
    """Return the files, with those of a folder in its place."""
    from lakehouse.sources.local_files import missing_file, tables_in

    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise missing_file(path)
        files.extend(tables_in(path) if path.is_dir() else [path])
    return files


def _read(
    files: Sequence[Path], columns: Mapping[str, str], options: Mapping[str, str | None]
) -> list[tuple[Path, Answer, Parsed]]:
    """Return each file's answer and rows; a file with the same bytes and the same reading as one before once."""
    from lakehouse.sources import get_source

    now = datetime.now(UTC)
    read: dict[tuple[str, str], tuple[Path, Answer, Parsed]] = {}
    for file in files:
        if file.is_file() and not file.stat().st_size:
            raise ImportRefused(f"{file.name} is empty")
        mapping = column_mapping(file, columns, options.get("delimiter") or ",")
        source = get_source(SOURCE, {"path": _literal(file), "columns": mapping, **options})
        for answer in source.fetch([], date.min, date.max, as_of=now):
            key = (answer.snapshot_id, str(_reading(answer.request)))
            read.setdefault(key, (file, answer, source.parse(answer.content, answer.request)))
    return list(read.values())


def _check_files_agree(read: Sequence[tuple[Path, Answer, Parsed]]) -> None:
    """Refuse a symbol's session that two files of one import give differently: neither is the later one."""
    import pandas as pd

    from lakehouse.errors import BadRows

    rows = pd.concat([parsed.bars.assign(file=file.name) for file, _, parsed in read], ignore_index=True)
    different = rows.drop_duplicates([name for name in rows.columns if name != "file"])
    twice = different[different.duplicated(["symbol", "session"], keep=False)]
    if len(twice):
        sample = twice.sort_values(["symbol", "session"], kind="stable").head(10)
        sample = sample.assign(session=sample["session"].dt.strftime("%Y-%m-%d"))
        first = sample.iloc[0]
        raise BadRows(
            f"the files disagree: {len(twice):,} rows, first {first['symbol']} at {first['session']}."
            " Import them one after the other, the one that counts last",
            rule="files_agree",
            rows=[{str(name): value for name, value in row.items()} for row in sample.to_dict("records")],
        )


def _check_calendar(read: Sequence[tuple[Path, Answer, Parsed]], exchange: str) -> None:
    from lakehouse.calendar import sessions
    from lakehouse.errors import BadRows

    for file, _, parsed in read:
        days = parsed.bars["session"].dt.date
        off = parsed.bars[~days.isin(sessions(exchange, days.min(), days.max() + timedelta(days=1)))]
        if len(off):
            sample = off.head(10).assign(session=off["session"].dt.strftime("%A %Y-%m-%d"))
            raise BadRows(
                f"{len(off):,} rows of {file.name} are on days {exchange} does not trade: take them out,"
                " or set the right `exchange` in quantlake.yaml (24/7 for what always trades)",
                rule="sessions_on_calendar",
                rows=[{str(name): value for name, value in row.items()} for row in sample.to_dict("records")],
            )


def _is_new(lake: Lake, answer: Answer) -> bool:
    """Return whether the lake does not hold these bytes as they are read here; of several readings the last counts."""
    import json

    same_bytes = [row for row in lake.snapshots.find(SOURCE, DATASET) if row["snapshot_id"] == answer.snapshot_id]
    return not same_bytes or _reading(json.loads(same_bytes[-1]["request"])) != _reading(answer.request)


def _reading(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a request that decides what its bytes mean."""
    return {name: value for name, value in sorted(request.items()) if name not in ("file", "as_of")}


def _refresh(config: Settings, lake: Lake, months: Sequence[str], symbols: Sequence[str]) -> list[str]:
    if SOURCE not in config.sources:
        return [
            "kept as snapshots. The sources in force are "
            + ", ".join(config.sources)
            + ": add `files` in quantlake.yaml (sources: [..., files]) and materialize the job `refresh`"
        ]
    from orchestration.instance import open_instance
    from orchestration.materialize import materialize

    selection = [
        *(f"raw/{source}" for source in config.sources if source in (SOURCE, "sample")),
        BARS,
        "core/corporate_actions",
        "core/universe",
        "features/daily",
    ]
    first, last = _changed_months(lake, months, symbols)
    with open_instance(config.home) as instance:
        result = materialize(instance, selection, partition_range=(first, last))
    notes = [
        f"core/daily_bars, core/corporate_actions, core/universe and features/daily hold them now"
        f" (months {first} to {last}, Dagster run {result.run_id[:8]})",
        "use them: `universe: files` (or `all`) in a spec, then `quantlake backtest SPEC.yaml`",
        *_warnings(result),
    ]
    where = [("symbol", "in", list(symbols)), ("source", "!=", SOURCE)]
    others = sorted(set(lake.scan(BARS, columns=["symbol"], where=where).column("symbol").to_pylist()))
    if others:
        notes.append(
            f"{', '.join(others)}: a source after `files` has bars of the symbol and supplies it whole"
            f" (sources: {', '.join(config.sources)})"
        )
    return notes


def _warnings(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return what checks that do not stop a run found, each with its first rows."""
    texts = []
    for item in result.get_asset_check_evaluations():
        if not item.passed:
            rows = item.metadata["sample"].records if "sample" in item.metadata else []  # type: ignore[union-attr]
            first = "; ".join(" ".join(str(value) for value in row.data.values() if value) for row in rows[:3])
            texts.append(f"worth a look, {item.check_name}: {item.description}{f' ({first}, ...)' if first else ''}")
    return texts


def _changed_months(lake: Lake, months: Sequence[str], symbols: Sequence[str]) -> tuple[str, str]:
    """Return the first and last month whose tables the import changes.

    Another source gives its months of a symbol up, and features look back into the imported months.
    """
    from assets.features import WARM_UP_MONTHS, months_before

    others = [("symbol", "in", list(symbols)), ("source", "!=", SOURCE)]
    given_up = lake.scan(BARS, columns=["month"], where=others).column("month").to_pylist()
    first, last = min([months[0], *given_up]), max([months[-1], *given_up])
    stored = lake.scan(BARS, columns=["month"], where=[("month", ">", last)]).column("month").to_pylist()
    return first, min(max([last, *stored]), months_before(last, -WARM_UP_MONTHS))


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
