"""rebuild, restatements: a table made anew from its snapshots, and what changed in stored history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lakehouse.rebuilding import Rebuilt

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def rebuild(
    table: Annotated[str, typer.Argument(help="Such as core/daily_bars or features/daily.")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Partitions, as month=2004-03 or month=2004-03..2005-12; may be repeated. Where it is left out, those"
            " that are stored and all that the snapshots fill from `start` on: one that is missing is found."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 where something differs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a table's partitions anew from the snapshots and replace what differs or is damaged.

    Damaged files are kept aside, never deleted. Tables made of others (core/universe, features/daily) are made of
    those as they are stored: rebuild the others first.
    """
    from assets.settings import settings
    from orchestration.cli.console import print_json, progress
    from orchestration.rebuild import rebuild_table

    with progress(f"rebuild {table}", "answers read") as update:
        done = rebuild_table(settings(), table, where or [], check=check, on_read=update)
    if as_json:
        print_json(_as_json(done))
    else:
        _show(done, check=check)
    if check and not done.is_sound:
        raise typer.Exit(1)


def restatements(
    tag: Annotated[
        bool, typer.Option("--tag", help="Tag the affected runs in MLflow again, where that failed at the time.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List where vendors changed stored history, and the recorded runs that used the old rows."""
    from assets.restated import affected, mark
    from assets.settings import settings
    from lakehouse.core_schemas import RESTATEMENTS
    from lakehouse.lake import Lake
    from orchestration.cli.console import out, print_json, print_rows
    from orchestration.resources import resources_for

    config = settings()
    lake = Lake(config.home)
    rows = lake.scan(RESTATEMENTS)
    runs = affected(lake, rows)
    if tag:
        mark(lake, resources_for(config)["tracking"], [run.run_id for run in runs])
    newest = sorted(rows.to_pylist(), key=lambda row: (row["detected_at"], row["table"], row["symbol"]), reverse=True)
    if as_json:
        print_json({"restatements": newest, "runs": [vars(run) for run in runs]})
        return
    if not newest:
        out.print("no stored row was ever changed")
        return
    print_rows(out, [_restatement_row(row) for row in newest], "restated")
    if not runs:
        out.print("no recorded run used the old rows")
        return
    listed = [{"run": run.run_id[:12], "spec": run.spec, "kind": run.kind, "changed": run.text} for run in runs]
    print_rows(out, listed, "runs that used the old rows")
    out.print("each still replays on them: quantlake reproduce RUN", highlight=False)


def _restatement_row(row: dict[str, Any]) -> dict[str, Any]:
    from orchestration.cli.console import number

    change = row["greatest_change"]
    return {
        "table": row["table"],
        "versions": f"{row['from_version']} to {row['to_version']}",
        "symbol": row["symbol"],
        "changed": row["rows_changed"],
        "removed": row["rows_removed"],
        "added": row["rows_added"],
        "first": row["first_session"],
        "last": row["last_session"],
        "greatest change": f"{number(change, '{:.2%}')} {row['greatest_column'] or ''}".strip(),
        "detected": f"{row['detected_at']:%Y-%m-%d %H:%M}",
    }


def _as_json(done: Rebuilt) -> dict[str, Any]:
    return {
        "table": done.table,
        "damage": done.damage,
        "is_sound": done.is_sound,
        "partitions": [vars(outcome) for outcome in done.outcomes],
        "kept_aside": None if done.aside is None else str(done.aside),
        "version": done.version,
        "runs_lost": [vars(run) for run in done.lost],
        "runs_unread": done.unread_runs,
        "restatements": [row for told in done.told for row in told.restatements.to_pylist()],
    }


def _show(done: Rebuilt, *, check: bool) -> None:
    from collections import Counter

    from orchestration.cli.console import out, print_rows

    def say(text: str) -> None:
        out.print(text, highlight=False, markup=False, soft_wrap=True)

    if done.damage is not None:
        say(f"{done.table} is damaged: {done.damage}")
    changed = [outcome for outcome in done.outcomes if outcome.state != "same"]
    if changed:
        rows = [
            {
                "partition": outcome.partition or "(whole)",
                "state": outcome.state,
                "rows stored": "?" if outcome.rows_stored is None else outcome.rows_stored,
                "rows made": outcome.rows_made,
                "sha256 of the rows made": (outcome.sha256 or "")[:16],
                "replaced": "yes" if outcome.was_replaced else "no",
            }
            for outcome in changed
        ]
        print_rows(out, rows, done.table)
    counts = Counter(outcome.state for outcome in done.outcomes)
    if done.outcomes:
        say(f"{done.table}: " + ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())))
    elif done.damage is None:
        say(f"{done.table}: nothing is stored, and the snapshots hold nothing that fills it")
    if check and not done.is_sound:
        say(f"nothing was changed; mend it: quantlake rebuild {done.table}")
    if done.aside is not None:
        say(f"the damaged files are kept in {done.aside}")
    restated = sum(told.restatements.num_rows for told in done.told)
    if restated:
        say(f"stored history of {restated} symbols changed: quantlake restatements")
    if done.unread_runs is not None:
        say(f"which runs can still be replayed cannot be said: {done.unread_runs}")
    for run in done.lost:
        say(f"run {run.run_id} ({run.spec}, {run.kind}) cannot be replayed any more: {run.why}")
