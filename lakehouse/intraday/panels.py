"""Bars for the engine from the lake's minutes, with little more memory than the panels take."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import Bars
from lakehouse.asked import check_known, symbol_list
from lakehouse.calendar import month_keys, month_range
from lakehouse.errors import LakeError
from lakehouse.intraday.grid import bar_grid
from lakehouse.intraday.hours import Hours, Integers, microseconds
from lakehouse.intraday.reading import MINUTES, fixed_version, read_minutes
from lakehouse.intraday.rows import VALUES, Floats, instant, times

if TYPE_CHECKING:
    from lakehouse.lake import Lake

MAX_BYTES = 4 << 30
_SYMBOLS_READ = 50


def minute_panels(
    lake: Lake,
    symbols: Sequence[str] | str,
    start: dt.datetime,
    end: dt.datetime,
    *,
    hours: Hours | None = None,
    version: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Bars:
    """Return the minute bars in [start, end) as the engine's bars: one row for each minute in which any symbol traded.

    A symbol without a bar in a minute is missing there (NaN). The panels take 40 bytes for each symbol and minute, 2 GB
    for a year of 500 symbols; memory holds them, one of the five a second time, and the rows of one month. For more
    than fits, `minute_panels_by_month`.

    Parameters
    ----------
    symbols : in the order of the bars' assets, each once and each with a bar in the range; one may be a text.
    hours : keep only minutes of these hours; None: all there are.
    version : the table's version, as `Lake.pins` gives it; None: the last.
    max_bytes : refuse panels that would take more.

    Raises
    ------
    BadName : a symbol that core/minute_bars does not have at all; names the nearest.
    LakeError : a symbol twice or without a bar, panels too large, or a time without a zone.
    engine.InputError : prices that break a rule of bars.
    """
    symbols = symbol_list(symbols)
    parts: list[_Part] = []
    traded = np.zeros(len(symbols), dtype=np.bool_)
    size = 0
    for part in _parts(lake, symbols, start, end, hours, version):
        size += sum(panel.nbytes for panel in part.panels.values())
        if size > max_bytes:
            raise LakeError(
                f"the panels of {len(symbols)} symbols take more than {max_bytes / 2**20:,.0f} MiB from "
                f"{instant(part.bar_end[0])} on: take a shorter range or fewer symbols, one month after the other, or "
                "raise max_bytes"
            )
        traded |= part.traded
        parts.append(part)
    absent = [symbol for symbol, is_there in zip(symbols, traded, strict=True) if not is_there]
    if absent or not parts:
        raise LakeError(f"no minute bars of {', '.join(absent[:5]) or 'any symbol'} in [{start}, {end})")
    panels = {name: np.concatenate([part.panels.pop(name) for part in parts]) for name in VALUES}
    bar_end = np.concatenate([part.bar_end for part in parts])
    return Bars(**panels, bar_end=bar_end.view("datetime64[us]"), symbols=tuple(symbols))


def minute_panels_by_month(
    lake: Lake,
    symbols: Sequence[str] | str,
    start: dt.datetime,
    end: dt.datetime,
    *,
    hours: Hours | None = None,
    version: int | None = None,
) -> Iterator[Bars]:
    """Yield what `minute_panels` returns in parts of one month (UTC) each, months without any bar left out.

    Every part has all symbols, in the order given; one that does not trade in a month is missing throughout. Memory
    holds one month: 170 MB of panels for 500 symbols, and as much again for their rows. Raises as `minute_panels`, a
    symbol that the table does not have with the first month.
    """
    symbols = symbol_list(symbols)
    for part in _parts(lake, symbols, start, end, hours, version):
        yield Bars(**part.panels, bar_end=part.bar_end.view("datetime64[us]"), symbols=tuple(symbols))


class _Part(NamedTuple):
    """A month: times in microseconds, panels of [n_bars, n_assets] by name, which assets have any bar."""

    bar_end: Integers
    panels: dict[str, Floats]
    traded: NDArray[np.bool_]


class _Rows(NamedTuple):
    """Bars of some symbols in a month: time in microseconds, number of the asset, and values by name."""

    end: Integers
    asset: NDArray[np.int32]
    values: dict[str, Floats]


def _parts(
    lake: Lake,
    symbols: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    hours: Hours | None,
    version: int | None,
) -> Iterator[_Part]:
    """Yield the months that have any bar."""
    if len(set(symbols)) != len(symbols) or not symbols:
        twice = [symbol for symbol in symbols if symbols.count(symbol) > 1]
        raise LakeError(f"symbols are unique and at least one, were {', '.join(twice[:2]) or 'none'}")
    version = fixed_version(lake, MINUTES, version)
    is_checked = False
    for low, high in _months(start, end):
        held = [
            _read(lake, symbols, slice(first, first + _SYMBOLS_READ), (low, high), hours, version)
            for first in range(0, len(symbols), _SYMBOLS_READ)
        ]
        bar_end = np.unique(np.concatenate([np.unique(rows.end) for rows in held]))
        if not bar_end.size:
            continue
        part = _part(bar_end, held, len(symbols))
        if not is_checked:
            absent = [symbol for symbol, is_there in zip(symbols, part.traded, strict=True) if not is_there]
            check_known(lake, MINUTES, absent, version=version)
            is_checked = True
        yield part
    if not is_checked:
        check_known(lake, MINUTES, symbols, version=version)


def _read(
    lake: Lake,
    symbols: Sequence[str],
    some: slice,
    within: tuple[dt.datetime, dt.datetime],
    hours: Hours | None,
    version: int,
) -> _Rows:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_minutes(lake, symbols[some], *within, columns=("symbol", "bar_end", *VALUES), version=version)
    asset = pc.index_in(table.column("symbol"), value_set=pa.array(symbols, pa.string())).to_numpy()
    rows = _Rows(times(table, "bar_end"), asset, {name: table.column(name).to_numpy() for name in VALUES})
    if hours is None:
        return rows
    day = dt.timedelta(days=1)
    sessions = bar_grid("session", hours, within[0] - day, within[1] + day)
    begin = np.append(sessions.start, np.iinfo(np.int64).max)
    inside = rows.end > begin[np.searchsorted(sessions.end, rows.end)]
    return _Rows(rows.end[inside], asset[inside], {name: values[inside] for name, values in rows.values.items()})


def _part(bar_end: Integers, held: list[_Rows], n_assets: int) -> _Part:
    """Put the rows into their places; each is dropped when it is placed."""
    panels = {name: np.full((bar_end.size, n_assets), np.nan) for name in VALUES}
    traded = np.zeros(n_assets, dtype=np.bool_)
    while held:
        rows = held.pop()
        bar = np.searchsorted(bar_end, rows.end)
        for name, panel in panels.items():
            panel[bar, rows.asset] = rows.values[name]
        traded[rows.asset] = True
    return _Part(bar_end, panels, traded)


def _months(start: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Yield [start, end) cut at the begins of months, UTC."""
    low, high = instant(microseconds(start)), instant(microseconds(end))
    begins = [month_range(key)[0] for key in month_keys(low.date(), high.date() + dt.timedelta(days=1))]
    cuts = [dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC) for day in begins]
    yield from itertools.pairwise([low, *(cut for cut in cuts if low < cut < high), *([high] if low < high else [])])
