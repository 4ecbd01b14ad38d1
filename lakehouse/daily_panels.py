"""Bars for the engine from the lake's daily bars, without a frame in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import Bars
from lakehouse.errors import LakeError
from lakehouse.market_assets import MarketAssets, by_security

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.securities import Securities

BARS = "core/daily_bars"
VALUES = ("open", "high", "low", "close", "volume")


class NoBars(LakeError):
    """No symbol has a bar in the range."""


class DailyPanels(NamedTuple):
    """Bars with a column a security, the session datetime64[D] of each of them, and which securities they are."""

    bars: Bars
    sessions: NDArray[np.datetime64]
    assets: MarketAssets

    def only(self, columns: Sequence[int]) -> DailyPanels:
        """Return the panels of some columns, by number in increasing order, and of the sessions in which they trade."""
        there = ~np.isnan(self.bars.close[:, columns]).all(axis=1)
        panels: dict[str, Any] = {name: getattr(self.bars, name)[there][:, columns] for name in VALUES}
        symbols = tuple(self.bars.symbols[column] for column in columns)
        bars = Bars(**panels, bar_end=self.bars.bar_end[there], symbols=symbols)
        return DailyPanels(bars, self.sessions[there], self.assets.only(columns))


def daily_panels(
    lake: Lake,
    symbols: Sequence[str] | None = None,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    version: int | None = None,
    securities: Securities | None = None,
    delistings: Iterable[tuple[str, int]] = (),
) -> DailyPanels:
    """Return the daily bars of sessions in [start, end) as the engine's bars, as traded; assets are sorted by name.

    A bar stands for each session in which any of the symbols has one; the others are missing there (NaN). An asset
    is a security: see `lakehouse.market_assets` for a ticker that had several, and how they are named.

    Parameters
    ----------
    symbols : by default all that have bars in the range.
    start, end : by default all there is.
    version : the table's version, as `Lake.pins` gives it; None: the last.
    securities, delistings : what is known of the symbols, see `lakehouse.market_assets.by_security`.

    Raises
    ------
    NoBars : no symbol has a bar in the range.
    LakeError : a session ends at two times (bars of two exchanges).
    BadRows : a security has two bars on one session, under two symbols.
    engine.InputError : prices that break a rule of bars.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    where: list[tuple[str, str, Any]] = [] if symbols is None else [("symbol", "in", list(symbols))]
    where += [("session", ">=", start)] if start is not None else []
    where += [("session", "<", end)] if end is not None else []
    columns = ["symbol", "session", "bar_end", *VALUES]
    rows = lake.scan(BARS, version=version, columns=columns, where=where, is_ordered=False)
    if rows.num_rows == 0:
        raise NoBars(f"{BARS} has no bars of these symbols between {start or 'its begin'} and {end or 'its end'}")
    names = sorted(pc.unique(rows.column("symbol")).to_pylist())
    ends = pc.unique(rows.column("bar_end")).sort()
    sessions = pc.unique(rows.column("session")).sort()
    if len(sessions) != len(ends):
        raise LakeError(
            f"{len(sessions)} sessions have bars that end at {len(ends)} times: the symbols trade on several exchanges;"
            " read those of one after the other"
        )
    bar = pc.index_in(rows.column("bar_end"), value_set=ends).to_numpy()
    asset = pc.index_in(rows.column("symbol"), value_set=pa.array(names, pa.string())).to_numpy()
    cells = bar.astype(np.int64) * len(names) + asset
    panels: dict[str, Any] = {}
    for name in VALUES:
        panel = np.full(len(ends) * len(names), np.nan)
        panel[cells] = rows.column(name).to_numpy()
        panels[name] = panel.reshape(len(ends), len(names))
    bars = Bars(**panels, bar_end=ends.to_numpy(zero_copy_only=False).astype("datetime64[us]"), symbols=tuple(names))
    days = sessions.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    named, assets = by_security(bars, days.astype(np.int64), securities=securities, delistings=delistings)
    return DailyPanels(named, days, assets)
