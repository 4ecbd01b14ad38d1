"""What a reader of tables is asked for: symbols as text or a list, and those that no row has refused by name.

A misspelt symbol has no rows, and neither has a right one outside its life: without this the first would look like the
second, and a study would go on without the asset.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.errors import nearest
from lakehouse.errors import BadName

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.lake import Lake

_MOST_LISTED = 12


def symbol_list(symbols: Iterable[str] | str) -> list[str]:
    """Return the symbols asked for, in their order; a text is one symbol, not its letters."""
    return [symbols] if isinstance(symbols, str) else list(symbols)


def check_symbols(lake: Lake, table: str, asked: Iterable[str], found: pa.Table, *, version: int | None) -> None:
    """Refuse a symbol that no row of the table has; one that only the rows found lack is no error.

    Where the rows hold every symbol nothing is read. Else the row groups that may hold the others are, and all symbols
    only to name the nearest.

    Parameters
    ----------
    found : rows of the table with the column symbol, or what was made of them.
    version : the version the rows are of; None: the last.

    Raises
    ------
    BadName : names the first unknown symbol and the nearest that the table has.
    """
    lacking = set(asked).difference(found.column("symbol").unique().to_pylist())
    check_known(lake, table, lacking, version=version)


def check_known(lake: Lake, table: str, symbols: Iterable[str], *, version: int | None) -> None:
    """Refuse a symbol that no row of the table has; raises as `check_symbols`."""
    wanted = sorted(set(symbols))
    if not wanted:
        return
    unknown = set(wanted) - _symbols(lake, table, version, [("symbol", "in", wanted)])
    if unknown:
        known = _symbols(lake, table, version, [])
        more = f" ({len(unknown)} of those asked for are unknown)" if len(unknown) > 1 else ""
        raise BadName(f"unknown symbol {min(unknown)!r} in {table}{near(min(unknown), known, 'symbols')}{more}")


def near(name: str, choices: Iterable[str], what: str) -> str:
    """Return the end of an error text: the nearest choice, all of a few, or how many there are."""
    known = sorted(set(choices))
    hint = nearest(name, known)
    if not known:
        return f", which has no {what}"
    if len(known) > _MOST_LISTED and "; did you mean" not in hint:
        return f"; none of the {len(known):,} {what} there is near"
    return hint


def _symbols(lake: Lake, table: str, version: int | None, where: list[tuple[str, str, list[str]]]) -> set[str]:
    rows = lake.scan(table, version=version, columns=["symbol"], where=where, is_ordered=False)
    return set(rows.column("symbol").unique().to_pylist())
