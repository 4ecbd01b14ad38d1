"""sql: questions to the tables, as they are or as they were."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakehouse.lake import Lake

_ROWS_SHOWN = 50


def sql(
    query: Annotated[str, typer.Argument(help="One SQL query over core.daily_bars, research.runs, ...")],
    at: Annotated[
        str | None,
        typer.Option(
            help="Tables as they were at a moment: 2024-05-31 (all of that day, UTC) or 2024-05-31T16:00-04:00."
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Tables at the versions that a recorded run read.")] = None,
    pin: Annotated[
        list[str] | None, typer.Option(help="TABLE=VERSION, such as core/daily_bars=12; repeat for more tables.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Rows to print and to compute; 0: all. By default 50, of JSON all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Query the tables with DuckDB, read only. Of --pin, --run and --at the first that names a table counts."""
    from assets.settings import settings
    from lakehouse.lake import Lake
    from orchestration.cli.console import err, out, print_json, print_rows

    config = settings()
    lake = Lake(config.home)
    pins = {**(pins_of_run(lake, run) if run is not None else {}), **parse_pins(pin or [])}
    moment = None if at is None else parse_moment(at)
    most = (None if as_json else _ROWS_SHOWN) if limit is None else (limit or None)
    # One row more tells whether there are more.
    wanted = None if most is None else most + 1
    rows = lake.sql(query, pins=pins, at=moment, most=wanted, memory_gb=config.sql_memory_gb)
    rows = rows.rename_columns(_distinct(rows.column_names))
    has_more = most is not None and rows.num_rows > most
    shown = rows.slice(0, most)
    for table in lake.unwritten(query, pins=pins, at=moment):
        when = "had no version then" if lake.exists(table) else f"was never written in {config.home}"
        err.print(f"note: {table} {when}: the query sees no row of it", markup=False, highlight=False, soft_wrap=True)
    more = f"the first {shown.num_rows:,} rows, there are more: --limit 0 shows all"
    if as_json:
        print_json(shown.to_pylist())
        if has_more:
            err.print(f"note: {more}", highlight=False)
        return
    if rows.num_rows:
        print_rows(out, shown.to_pylist())
    counted = "1 row" if rows.num_rows == 1 else f"{rows.num_rows:,} rows"
    out.print(more if has_more else counted, highlight=False)


def parse_moment(text: str) -> dt.datetime:
    """Return the moment that a text names; a day alone is its last microsecond in UTC."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--at takes 2024-05-31 or 2024-05-31T16:00-04:00; was {text!r}") from None
    if "T" not in text and " " not in text:
        return dt.datetime.combine(moment.date(), dt.time.max, dt.UTC)
    if moment.tzinfo is None:
        raise typer.BadParameter(f"--at needs a time zone beside a time, such as {text}+00:00 for UTC; was {text!r}")
    return moment


def parse_pins(pairs: list[str]) -> dict[str, int]:
    """Return TABLE=VERSION pairs as a mapping."""
    pins: dict[str, int] = {}
    for pair in pairs:
        name, _, version = pair.partition("=")
        if not version.isdecimal():
            raise typer.BadParameter(f"--pin takes TABLE=VERSION, such as core/daily_bars=12; was {pair!r}")
        if name in pins:
            raise typer.BadParameter(f"--pin names {name!r} twice")
        pins[name] = int(version)
    return pins


def pins_of_run(lake: Lake, run_id: str) -> dict[str, int]:
    """Return the versions of the tables that a recorded run read."""
    import json

    from assets.research.ledger import find_run

    pins: dict[str, int] = json.loads(find_run(lake, run_id)["pins"])
    return pins


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number behind each that was there before, so that no column hides another."""
    found: list[str] = []
    for name in names:
        number = 1
        chosen = name
        while chosen in found:
            number += 1
            chosen = f"{name}_{number}"
        found.append(chosen)
    return found
