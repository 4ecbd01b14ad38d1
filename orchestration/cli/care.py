"""doctor, clean: is this machine fit, and how to leave it."""

from __future__ import annotations

from typing import Annotated

import typer


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
