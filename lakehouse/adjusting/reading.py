"""Daily bars from the lake, adjusted as of a moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.adjusting.bars import How, adjust_bars
from lakehouse.adjusting.conventions import Convention
from lakehouse.asked import check_symbols, symbol_list
from lakehouse.errors import LakeError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.lake import Lake

BARS, ACTIONS = "core/daily_bars", "core/corporate_actions"


def read_bars(
    lake: Lake,
    *,
    how: How,
    as_of: dt.datetime,
    symbols: Iterable[str] | str | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
    convention: Convention = "crsp",
    pins: Mapping[str, int] | None = None,
) -> pa.Table:
    """Return the bars of sessions in [start, end) that were known at `as_of`, adjusted as `adjust_bars` says.

    Bars up to `as_of` are read whatever `end` is, and for the forward index from the first one on: the same
    `as_of` gives a session the same price, whichever range is asked for.

    Parameters
    ----------
    symbols : one as text, or several; None: all
    start, end : None: from the first, to the last known session
    pins : table versions to read, as of `Lake.pins`; tables without one are read at their last version

    Raises
    ------
    BadName : a symbol that core/daily_bars does not have at all; names the nearest. One that has bars, but none of the
        range, has no rows.
    LakeError, BadRows : see `Lake.scan` and `adjust_bars`.
    """
    import pyarrow.compute as pc

    if as_of.tzinfo is None:
        raise LakeError(f"as_of must be timezone-aware, was {as_of.isoformat()}")
    versions = dict(pins or {})
    names = None if symbols is None else symbol_list(symbols)
    # An empty list has no type; nothing has an empty name.
    wanted = [] if names is None else [("symbol", "in", names or [""])]
    known: list[tuple[str, str, Any]] = [*wanted, ("known_at", "<=", as_of.astimezone(dt.UTC))]
    since = [] if start is None or how == "forward" else [("session", ">=", start)]
    bars = lake.scan(BARS, version=versions.get(BARS), where=[*known, *since])
    check_symbols(lake, BARS, names or [], bars, version=versions.get(BARS))
    actions = lake.scan(ACTIONS, version=versions.get(ACTIONS), where=known)
    adjusted = adjust_bars(bars, actions, how=how, as_of=as_of, convention=convention)
    if start is not None:
        adjusted = adjusted.filter(pc.greater_equal(adjusted.column("session"), start))
    return adjusted if end is None else adjusted.filter(pc.less(adjusted.column("session"), end))
