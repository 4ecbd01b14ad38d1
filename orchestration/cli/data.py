"""import, verify: data in, and whether what is stored is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="CSV (also .gz) or Parquet files of daily bars, or folders of such files.")
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="FIELD=COLUMN, such as --map symbol=ticker; repeat for each field whose column has another name."
            " Fields: symbol, session, open, high, low, close, volume, and where they are there dividend, split,"
            " or, of a file that has neither, adj_close (see --convention)."
            " =TEXT is literal: --map symbol==AAPL, or symbol=={stem} for the file's name.",
        ),
    ] = None,
    date_format: Annotated[str, typer.Option(help="How dates are written, in strptime's letters.")] = "%Y-%m-%d",
    time_zone: Annotated[
        str | None, typer.Option(help="Of the exchange, where sessions are timestamps with a time zone.")
    ] = None,
    delimiter: Annotated[str, typer.Option(help="Between the fields of CSV files.")] = ",",
    convention: Annotated[
        str,
        typer.Option(
            help="How adj_close, from which splits and dividends are inferred, was adjusted: as by alphavantage, crsp,"
            " wiki, yahoo or zipline."
        ),
    ] = "wiki",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show, store nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in your own daily bars: check every row, keep the file as a snapshot, rebuild the months it covers."""
    from orchestration.importing import import_daily_files

    options = {
        "date_format": date_format,
        "time_zone": time_zone,
        "delimiter": delimiter,
        "convention": convention,
    }
    report = import_daily_files(files, parse_mapping(mapping or []), dry_run=dry_run, options=options)
    from orchestration.cli.console import out, print_json, print_rows

    if as_json:
        print_json(report)
        return
    print_rows(out, report["symbols"], "dry run, nothing stored" if dry_run else "imported")
    for note in report["notes"]:
        out.print(note, highlight=False, markup=False, soft_wrap=True)


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


def verify(
    shallow: Annotated[bool, typer.Option("--shallow", help="Skip hashing the files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every log, file and snapshot of the lake, and the records of Dagster and MLflow.

    Exit code 1 where something is damaged; nothing is changed.
    """
    from assets.settings import settings
    from assets.stores import check_stores
    from lakehouse.lake import Lake
    from orchestration.cli.console import err, out, print_json, print_rows

    home = settings().home
    if not as_json:
        err.print(f"verifying {home}", highlight=False)
    problems = Lake(home).verify(deep=not shallow) + check_stores(home, deep=not shallow)
    problems.sort(key=lambda problem: problem.severity != "error")
    if as_json:
        print_json([vars(problem) for problem in problems])
    elif problems:
        print_rows(out, [vars(problem) for problem in problems])
    else:
        out.print(
            "[green]sound[/]: every log, file and snapshot is as it was written,"
            " and SQLite finds the records of Dagster and MLflow in order"
        )
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)
