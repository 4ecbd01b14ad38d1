"""What commands print: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

out = Console()
err = Console(stderr=True)
_NUMBER = re.compile(r"[-+]?[\d,.]*(e[-+]\d+)?%?( ± [\d.–]+)?|–", re.IGNORECASE)


def print_json(value: Any) -> None:
    """Print a value as JSON, undefined numbers as null."""
    print(json.dumps(_plain(value), indent=2, default=str))


def rows_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """Return rows as a table, in the order of the first one's columns; numbers stand right."""
    from rich.markup import escape

    table = Table(title=title or None, title_justify="left")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name)) for name in columns] for row in rows]
    for place, name in enumerate(columns):
        is_numeric = all(_NUMBER.fullmatch(line[place]) for line in cells)
        table.add_column(escape(name), justify="right" if is_numeric else "left", overflow="fold")
    for line in cells:
        table.add_row(*map(escape, line))
    return table


def print_rows(console: Console, rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows as a table, or one below the other where the table is wider than the terminal.

    A table squeezed into too few columns cuts numbers and paths in two.
    """
    table = rows_table(rows, title)
    wanted = console.measure(table, options=console.options.update(max_width=100_000)).maximum
    if wanted <= console.width:
        console.print(table)
        return
    if title:
        console.print(title, highlight=False, markup=False)
    indent = max(len(name) for row in rows for name in row)
    for row in rows:
        for name, value in row.items():
            console.print(f"{name:{indent}}  {_text(value)}", highlight=False, markup=False, soft_wrap=True)
        console.print()


def number(value: float | None, pattern: str = "{:.2f}") -> str:
    """Return a number, or a dash where it is undefined."""
    return "–" if value is None or not math.isfinite(value) else pattern.format(value)


@contextmanager
def progress(description: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, nothing in a log; yields a function of (done, total)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(description, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return number(value, "{:.0f}" if 1e6 <= abs(value) < 1e15 else "{:.6g}")
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value
