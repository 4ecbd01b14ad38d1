"""Minutes and trades: stored minutes by symbol and range, bars from trades, coarser bars, and the engine's panels."""

from __future__ import annotations

from lakehouse.intraday.closed import latest_closed, with_latest_closed
from lakehouse.intraday.coarser import coarser
from lakehouse.intraday.grid import Grid, bar_grid
from lakehouse.intraday.hours import EXTENDED, REGULAR, Hours, session_edges
from lakehouse.intraday.panels import minute_panels, minute_panels_by_month
from lakehouse.intraday.reading import coarser_bars, minute_bars, timeframes
from lakehouse.intraday.sampling import BarSampler, SampledBars, sample_bars
from lakehouse.intraday.trades import bars_of_trades

__all__ = [
    "EXTENDED",
    "REGULAR",
    "BarSampler",
    "Grid",
    "Hours",
    "SampledBars",
    "bar_grid",
    "bars_of_trades",
    "coarser",
    "coarser_bars",
    "latest_closed",
    "minute_bars",
    "minute_panels",
    "minute_panels_by_month",
    "sample_bars",
    "session_edges",
    "timeframes",
    "with_latest_closed",
]
