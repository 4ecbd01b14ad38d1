"""import, sql, verify: data in, questions, and whether what is stored is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def import_files(
    files: Annotated[list[Path], typer.Argument(help="CSV (also .gz) or Parquet files of daily bars.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="Column mapping FIELD=COLUMN, such as --map symbol=ticker; repeat for each."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show, store nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in your own daily bars: check every row, keep the file as a snapshot, rebuild the months it covers."""
    from orchestration.importing import import_daily_files

    report = import_daily_files(files, parse_mapping(mapping or []), dry_run=dry_run)
    from orchestration.cli.console import out, print_json, rows_table

    if as_json:
        print_json(report)
        return
    out.print(rows_table(report["symbols"], "dry run, nothing stored" if dry_run else "imported"))
    for note in report["notes"]:
        out.print(note, highlight=False, markup=False)


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """Return FIELD=COLUMN pairs as a mapping from field to column."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or not name or not column:
            raise typer.BadParameter(f"--map takes FIELD=COLUMN, such as symbol=ticker; was {pair!r}")
        if name in mapping:
            raise typer.BadParameter(f"--map names {name!r} twice")
        mapping[name] = column
    return mapping


def sql(
    query: Annotated[str, typer.Argument(help="One SQL query over core.daily_bars, research.runs, ...")],
    limit: Annotated[int, typer.Option(help="Rows to print; 0: all.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Query the tables with DuckDB, read only."""
    from assets.settings import settings
    from lakehouse.lake import Lake
    from orchestration.cli.console import out, print_json, rows_table

    rows = Lake(settings().home).sql(query)
    shown = rows if limit == 0 or as_json else rows.slice(0, limit)
    if as_json:
        print_json(shown.to_pylist())
        return
    if rows.num_rows:
        out.print(rows_table(shown.to_pylist()))
    out.print(f"{rows.num_rows:,} rows" + (f", {limit} shown" if shown.num_rows < rows.num_rows else ""))


def verify(
    shallow: Annotated[bool, typer.Option("--shallow", help="Skip hashing the files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every log, file and snapshot of the lake; exit code 1 where something is damaged."""
    from assets.settings import settings
    from lakehouse.lake import Lake
    from orchestration.cli.console import err, out, print_json, rows_table

    home = settings().home
    if not as_json:
        err.print(f"verifying {home}", highlight=False)
    problems = Lake(home).verify(deep=not shallow)
    if as_json:
        print_json([vars(problem) for problem in problems])
    elif problems:
        out.print(rows_table([vars(problem) for problem in problems]))
    else:
        out.print("[green]sound[/]: every log, file and snapshot is as it was written")
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)
