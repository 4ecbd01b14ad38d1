"""upkeep, doctor, clean: keep the lake tidy, is this machine fit, and how to leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lakehouse.upkeep import TableUpkeep

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def upkeep(
    keep_days: Annotated[
        int, typer.Option(min=1, help="Days for which versions stay readable that no recorded run read.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tidy the tables: drop old versions that no recorded run read, sweep leftovers, make one file of many.

    Snapshots and pinned versions stay. Exit code 1 where a table was left out; the text says why.
    """
    from datetime import UTC, datetime, timedelta

    from assets.settings import settings
    from lakehouse.lake import Lake
    from orchestration.cli.console import err, out, print_json, print_rows

    lake = Lake(settings().home, lock_timeout=5.0)
    found = list(lake.upkeep(now=datetime.now(UTC), keep=timedelta(days=keep_days), dry_run=dry_run))
    if as_json:
        print_json([vars(entry) for entry in found])
    else:
        print_rows(out, [_upkeep_row(entry) for entry in found], "dry run, nothing changed" if dry_run else "upkeep")
        freed = sum(entry.freed_bytes for entry in found)
        out.print(f"{'would free' if dry_run else 'freed'} {freed / 2**20:,.1f} MiB", highlight=False)
    left_out = [entry for entry in found if entry.left_out is not None]
    for entry in left_out:
        err.print(f"left out: {entry.left_out}", highlight=False, markup=False, soft_wrap=True)
    if left_out:
        raise typer.Exit(1)


def _upkeep_row(entry: TableUpkeep) -> dict[str, Any]:
    return {
        "table": entry.table,
        "MiB": f"{entry.bytes / 2**20:,.1f}",
        "files": entry.files,
        "merged": entry.small_files if entry.merged else 0,
        "versions": entry.versions,
        "let go": len(entry.let_go),
        "freed": f"{entry.freed_bytes / 2**20:,.1f}",
    }


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Check this machine, the packages, the settings and the home; exit code 1 where something must be mended."""
    from orchestration.cli.console import out, print_json, rows_table
    from orchestration.health import examine

    findings = examine()
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        out.print(rows_table([vars(finding) for finding in findings]))
    if any(finding.state == "mend" for finding in findings):
        raise typer.Exit(1)


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and how large it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the home: snapshots, tables, runs and reports. Nothing of quantlake's lies elsewhere."""
    import shutil

    from assets.settings import settings
    from orchestration.cli.console import out, rows_table
    from orchestration.health import folder_sizes, require_home

    home = settings().home
    if not home.exists():
        out.print(f"{home} does not exist: there is nothing to remove", highlight=False)
        return
    require_home(home)
    sizes = folder_sizes(home)
    out.print(rows_table([{"folder": name, "MiB": f"{size / 2**20:,.1f}"} for name, size in sizes.items()], str(home)))
    if dry_run:
        return
    if not yes and not typer.confirm(f"Remove {home} and all in it?"):
        out.print("kept")
        return
    shutil.rmtree(home)
    out.print(f"removed {home}", highlight=False)
