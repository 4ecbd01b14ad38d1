"""The bars of each symbol, as far as a security master needs them: when there were some."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.columns import Ints, days, microseconds, numbered
from lakehouse.listing.facts import one_spelling

if TYPE_CHECKING:
    import pyarrow as pa

NEAR_DAYS = 7
"""How far vendors are off with the day of a new symbol; longer than any closure of an exchange since 1933."""

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Trace:
    """The bars of one symbol, however it is spelt, by session; never empty.

    day : int64[n_bars], days since 1970
    known_at : int64[n_bars], microseconds since 1970
    spelling, source : str[n_bars]
    """

    day: Ints
    known_at: Ints
    spelling: NDArray[np.object_]
    source: NDArray[np.object_]

    def before(self, day: dt.date) -> int:
        """Return the number of bars before the day."""
        return int(np.searchsorted(self.day, (day - _EPOCH).days))

    def date(self, bar: int) -> dt.date:
        """Return a bar's session."""
        return _EPOCH + dt.timedelta(days=int(self.day[bar]))

    def known(self, bar: int) -> dt.datetime:
        """Return when a bar was known."""
        return _time(self.known_at[bar])

    def gap(self, bar: int) -> int | None:
        """Return the days since the bar before, None at the first."""
        return int(self.day[bar] - self.day[bar - 1]) if bar else None

    def gaps(self, longer_than: int) -> list[int]:
        """Return the bars after each silence longer than that many days."""
        return silences(self.day, longer_than)

    def beginning_near(self, day: dt.date) -> dt.date:
        """Return the session near the day with which the bars begin, or begin again; else the day itself."""
        near = dt.timedelta(days=NEAR_DAYS)
        for bar in range(self.before(day - near), self.before(day + near + dt.timedelta(days=1))):
            gap = self.gap(bar)
            if gap is None or gap > NEAR_DAYS:
                return self.date(bar)
        return day


def silences(day: Ints, longer_than: int) -> list[int]:
    """Return the places of the days that come after a silence longer than that many days; the days are sorted."""
    after: list[int] = (np.flatnonzero(np.diff(day) > longer_than) + 1).tolist()
    return after


def traces_of(bars: pa.Table) -> dict[str, Trace]:
    """Return the bars by symbol in its one spelling, sorted by symbol.

    Parameters
    ----------
    bars : symbol, session, known_at and source of core/daily_bars
    """
    spellings, spelling = numbered(bars.column("symbol"))
    sources, source = numbered(bars.column("source"))
    spelt, told = (np.array(values.to_pylist(), dtype=object) for values in (spellings, sources))
    plain = [one_spelling(symbol) for symbol in spelt]
    place = {symbol: number for number, symbol in enumerate(sorted(set(plain)))}
    number = np.array([place[symbol] for symbol in plain], dtype=np.int64)[spelling]
    day, known_at = days(bars.column("session")), microseconds(bars.column("known_at"))
    order = np.lexsort((spelling, day, number))
    edges = np.searchsorted(number[order], np.arange(len(place) + 1))
    parts = {symbol: order[edges[at] : edges[at + 1]] for symbol, at in place.items()}
    return {
        symbol: Trace(day[part], known_at[part], spelt[spelling[part]], told[source[part]])
        for symbol, part in parts.items()
    }


@dataclass(frozen=True)
class Clock:
    """The sessions of which a source has any bar, and when the first bar of each was known.

    day, known_at : int64[n_sessions], days and microseconds since 1970
    """

    day: Ints
    known_at: Ints

    def passed(self, last: dt.date, n_days: int) -> dt.datetime | None:
        """Return when more than that many days had passed since the day, None while they have not."""
        at = int(np.searchsorted(self.day, (last - _EPOCH).days + n_days, side="right"))
        return None if at == len(self.day) else _time(self.known_at[at])


def clocks_of(traces: Mapping[str, Trace]) -> dict[str, Clock]:
    """Return the clock of each source."""
    clocks = {}
    for source in sorted({source for trace in traces.values() for source in set(trace.source.tolist())}):
        own = [(trace.day[trace.source == source], trace.known_at[trace.source == source]) for trace in traces.values()]
        day, known_at = (np.concatenate(parts) for parts in zip(*own, strict=True))
        order = np.lexsort((known_at, day))
        unique, first = np.unique(day[order], return_index=True)
        clocks[str(source)] = Clock(unique, known_at[order][first])
    return clocks


def _time(micros: np.int64) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=int(micros))
