"""Bars from trades: by time, by number of trades, by volume and by value.

Lopez de Prado (2018), Advances in Financial Machine Learning, section 2.3.1. The kernel is `kernels.sample_nb`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("time", "tick", "volume", "dollar")
Kind = Literal["time", "tick", "volume", "dollar"]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_N_READ = 1 << 20
_ROOM = 1 << 16
_EARLIEST = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class SampledBars:
    """Bars made of trades, in order; one array a column, each [n_bars].

    bar_start : datetime64[ns], UTC, the first trade
    bar_end : datetime64[ns], UTC, when the bar was complete and knowable. Never before the bar before; the same where
        trades of one moment close several bars.
    open, high, low, close, volume : float64
    vwap : float64, value traded / volume, within [low, high]; NaN where the volume is zero
    n_trades : int64
    is_whole : bool, False for a bar that a boundary cut short of its size
    """

    bar_start: NDArray[np.datetime64]
    bar_end: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    n_trades: Integers
    is_whole: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.bar_end)

    @classmethod
    def joined(cls, parts: Iterable[SampledBars]) -> SampledBars:
        """Return the bars of at least one part, in order."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def frame(self) -> pd.DataFrame:
        """Return the bars as a pandas frame; times are in UTC."""
        import pandas as pd

        frame = pd.DataFrame(vars(self))
        return frame.assign(**{name: frame[name].dt.tz_localize("UTC") for name in ("bar_start", "bar_end")})


class BarSampler:
    """Makes bars of trades that come in pieces: the same bars, however the trades are cut.

    =========  ==================  ===========================================================================
    kind       size                a bar ends with
    =========  ==================  ===========================================================================
    "time"     a `timedelta`       the clock: trades of [k size, (k + 1) size) since 1970 or the last boundary;
                                   no trades, no bar
    "tick"     a number of trades  the trade that makes the number full
    "volume"   units               the trade that brings the volume to `size` or above
    "dollar"   currency            the trade that brings price x units to `size` or above
    =========  ==================  ===========================================================================

    A trade is never split: the one that crosses the size belongs to the bar it closes, whole, and the next bar begins
    with nothing (the source's rule; a split trade would make bars of prices at which nobody traded those amounts). So a
    volume or dollar bar may exceed its size, by less than its last trade.

    `bar_end` is when the bar was knowable: the time of the trade that closed it, or the clock's. What has not ended
    stays open (`n_open` trades) and is no bar until more trades, or `until`, end it.

    Parameters
    ----------
    boundaries : datetime64, UTC, increasing: no bar crosses these times, such as the edges of sessions
        (`lakehouse.intraday.session_edges`). A trade at a boundary belongs after it, where counting begins anew; the
        bar before ends at the boundary, not whole. (An exchange prints its closing auction a little after the close.)

    Raises
    ------
    engine.InputError : an unknown kind, or a size or boundaries that break a rule.
    """

    def __init__(self, kind: Kind, size: float | dt.timedelta, *, boundaries: ArrayLike = ()) -> None:
        if kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}, was {kind!r}{nearest(str(kind), KINDS)}")
        self._boundaries = _times("boundaries", boundaries)
        if (self._boundaries[1:] <= self._boundaries[:-1]).any():
            raise InputError("boundaries must increase strictly")
        threshold, step = _size(kind, size)
        kernels = _kernels()
        self._rule = kernels.Rule(KINDS.index(kind), threshold, step)
        self._clock = np.zeros(kernels.N_CLOCK, dtype=np.int64)
        # One after the earliest: that stands for a missing time, which no trade may have.
        self._clock[kernels.LAST], self._clock[kernels.LIMIT] = _EARLIEST + 1, _EARLIEST
        self._sums = np.zeros(kernels.N_SUMS)

    @property
    def n_open(self) -> int:
        """Trades in the bar that has not ended."""
        return int(self._clock[_kernels().N_TRADES])

    def add(
        self, times: ArrayLike, prices: ArrayLike, sizes: ArrayLike, *, until: np.datetime64 | None = None
    ) -> SampledBars:
        """Return the bars that end with these trades, or with the clock by `until`.

        Parameters
        ----------
        times : datetime64[n_trades], UTC, not falling, of any unit down to nanoseconds; or int64 nanoseconds since
            1970.
        prices : float64[n_trades], currency per unit, positive and finite.
        sizes : float64[n_trades], units, zero or positive, and finite.
        until : no trade before this time is missing; None: the time of the last trade.

        Raises
        ------
        engine.InputError : a trade breaks a rule; names it. Nothing was added.
        """
        instants, price, size = _times("times", times), np.asarray(prices), np.asarray(sizes)
        if instants.shape != price.shape or instants.shape != size.shape:
            raise InputError(
                f"a trade needs one of each: {instants.shape} times, {price.shape} prices, {size.shape} sizes"
            )
        before = self._clock.copy(), self._sums.copy()
        try:
            return _joined([*self._pieces(instants, price, size, until)])
        except InputError:
            self._clock[:], self._sums[:] = before
            raise

    def _pieces(self, times: Integers, prices: NDArray[Any], sizes: NDArray[Any], until: np.datetime64 | None) -> Any:
        """Yield the columns of the bars made, reading about a million trades at a time into the kernel's types."""
        kernels = _kernels()
        end = _EARLIEST if until is None else int(_times("until", [until])[0])
        # A trade may end two bars: the clock the one before it, and the trade itself the one it is in.
        n_room = min(_ROOM, 2 * len(prices) + 1)
        room = kernels.BarColumns(
            *(np.empty(n_room, dtype=np.int64) for _ in range(2)),
            *(np.empty(n_room) for _ in range(6)),
            np.empty(n_room, dtype=np.int64),
            np.empty(n_room, dtype=np.bool_),
        )
        start = 0
        while True:
            part = slice(start, start + _N_READ)
            price, size = (np.ascontiguousarray(values[part], dtype=np.float64) for values in (prices, sizes))
            is_last = start + len(price) == len(prices)
            data = times[part], price, size, self._boundaries
            clock_end = end if is_last else _EARLIEST
            status, n_read, n_bars = kernels.sample_nb(self._clock, self._sums, *data, clock_end, self._rule, room)
            yield tuple(column[:n_bars].copy() for column in room)
            start += n_read
            if status == kernels.WRONG:
                _refuse(times, prices, sizes, start, int(self._clock[kernels.LAST]))
            if start == len(prices) and status == kernels.FINE:
                return


def sample_bars(
    times: ArrayLike,
    prices: ArrayLike,
    sizes: ArrayLike,
    *,
    kind: Kind,
    size: float | dt.timedelta,
    boundaries: ArrayLike = (),
    until: np.datetime64 | None = None,
) -> SampledBars:
    """Return the bars of trades that are all there; see `BarSampler` for the rules. What has not ended is left out."""
    return BarSampler(kind, size, boundaries=boundaries).add(times, prices, sizes, until=until)


@cache
def _kernels() -> ModuleType:
    """Return the compiled kernels, imported when first used: Numba takes half a second to start."""
    from lakehouse.intraday import kernels

    return kernels


def _size(kind: str, size: float | dt.timedelta) -> tuple[float, int]:
    """Return the size as a number, and in nanoseconds (1 where it is no time)."""
    if kind == "time":
        if not isinstance(size, dt.timedelta) or size <= dt.timedelta(0):
            raise InputError(f"the size of time bars is a positive timedelta, was {size!r}")
        return 0.0, size // dt.timedelta(microseconds=1) * 1000
    if isinstance(size, (bool, dt.timedelta)) or not 0.0 < size < np.inf or (kind == "tick" and size != int(size)):
        rule = "a whole number of trades" if kind == "tick" else "positive and finite"
        raise InputError(f"the size of {kind} bars is {rule}, was {size!r}")
    return float(size), 1


def _times(name: str, values: ArrayLike) -> Integers:
    """Return times as int64 nanoseconds, not copied if they are; a missing one is the earliest int64."""
    times = np.asarray(values)
    if times.size == 0 and times.dtype.kind not in "Mi":
        times = times.astype("datetime64[ns]")
    if times.ndim != 1 or (times.dtype.kind != "M" and times.dtype != np.int64):
        raise InputError(
            f"{name} must be datetime64 in UTC or int64 nanoseconds, one axis, was {times.dtype} {times.shape}"
        )
    if times.dtype.kind == "M":
        exact = times.astype("datetime64[ns]")
        if (exact.astype(times.dtype) != times)[~np.isnat(times)].any():
            raise InputError(f"{name} must be whole nanoseconds that fit 64 bits, was {times.dtype}")
        times = exact.view(np.int64)
    return np.ascontiguousarray(times)


def _refuse(times: Integers, prices: NDArray[Any], sizes: NDArray[Any], trade: int, last: int) -> None:
    """Raise the error of the first rule that a trade breaks."""
    time = np.datetime64(int(times[trade]), "ns")
    where = f"trade {trade} at {time}"
    if np.isnat(time):
        raise InputError(f"times must not be missing, was NaT for trade {trade}")
    if times[trade] < last:
        raise InputError(f"times must not fall, was {time} after {np.datetime64(last, 'ns')} for trade {trade}")
    if not 0.0 < prices[trade] < np.inf:
        raise InputError(f"prices must be positive and finite, was {prices[trade]} for {where}")
    raise InputError(f"sizes must be zero or positive, and finite, was {sizes[trade]} for {where}")


def _joined(pieces: list[tuple[NDArray[Any], ...]]) -> SampledBars:
    start, end, open_, high, low, close, volume, value, n_trades, is_whole = (
        np.concatenate(parts) for parts in zip(*pieces, strict=True)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        # Rounding may bring the mean of equal prices out of their range, by its last digit.
        vwap = np.where(volume > 0.0, np.clip(value / volume, low, high), np.nan)
    return SampledBars(
        start.view("datetime64[ns]"),
        end.view("datetime64[ns]"),
        open_,
        high,
        low,
        close,
        volume,
        vwap,
        n_trades,
        is_whole,
    )
