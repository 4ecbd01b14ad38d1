"""Bars made of the lake's trades, read a day at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lakehouse.asked import check_known
from lakehouse.calendar import month_key
from lakehouse.intraday.hours import microseconds
from lakehouse.intraday.reading import fixed_version
from lakehouse.intraday.rows import instant, times
from lakehouse.intraday.sampling import BarSampler, Kind, SampledBars

if TYPE_CHECKING:
    from lakehouse.lake import Lake

TRADES = "core/trades"
NOT_CORRECTED = (("correction", "=", 0),)


def bars_of_trades(
    lake: Lake,
    symbol: str,
    start: dt.datetime,
    end: dt.datetime,
    *,
    kind: Kind,
    size: float | dt.timedelta,
    boundaries: ArrayLike = (),
    where: Iterable[tuple[str, str, Any]] = NOT_CORRECTED,
    version: int | None = None,
) -> SampledBars:
    """Return the bars of a symbol's trades in [start, end), by the rules of `BarSampler`; the clock goes on to `end`.

    Trades come in the order of time, sequence and name. Conditions are not judged: odd lots and late reports count as
    any trade. Memory holds the trades of one UTC day.

    Parameters
    ----------
    where : conditions as in `Lake.scan`; by default trades that were corrected or cancelled are left out.
    version : the version of core/trades, as `Lake.pins` gives it; None: the last.

    Raises
    ------
    engine.InputError : as `BarSampler`.
    BadName : a symbol that core/trades does not have at all; names the nearest.
    LakeError : a time without a zone. Others as `Lake.scan`.
    """
    sampler = BarSampler(kind, size, boundaries=boundaries)
    low, high = instant(microseconds(start)), instant(microseconds(end))
    fixed = fixed_version(lake, TRADES, version)
    parts = [sampler.add((), (), ())]
    conditions = list(where)
    n_trades = 0
    while low < high:
        next_day = dt.datetime.combine(low.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
        day = [
            ("month", "=", month_key(low.date())),
            ("symbol", "=", symbol),
            ("time", ">=", low),
            ("time", "<", min(next_day, high)),
        ]
        rows = lake.scan(TRADES, version=fixed, columns=["time", "price", "size"], where=day + conditions)
        price, units = (rows.column(name).to_numpy() for name in ("price", "size"))
        parts.append(sampler.add(times(rows, "time").view("datetime64[us]"), price, units))
        n_trades += rows.num_rows
        low = next_day
    if not n_trades:
        check_known(lake, TRADES, [symbol], version=fixed)
    parts.append(sampler.add((), (), (), until=np.datetime64(microseconds(high), "us")))
    return SampledBars.joined(parts)
