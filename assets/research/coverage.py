"""Whether a universe was what it was: who told its members, and for how many of them there are bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from engine import Bars
    from lakehouse.market_assets import MarketAssets

ENOUGH = 0.95
"""Below that share of member-days with bars a result is one of the members that happen to have them."""

_NO_END = np.datetime64("9999-12-31", "D")


@dataclass(frozen=True)
class Coverage:
    """The days on which symbols were members of a universe, and those of them that have bars, by year.

    Attributes
    ----------
    universe : its name
    is_point_in_time : whether a source told who was a member when; else the universe was made from the bars, of the
        symbols that are known today, and its members' days are those between their first bar and their last
    days : by year, (member-days, those with a bar)
    """

    universe: str
    is_point_in_time: bool
    days: Mapping[int, tuple[int, int]]

    @property
    def member_days(self) -> int:
        """Days of all members together."""
        return sum(told for told, _ in self.days.values())

    @property
    def with_bars(self) -> int:
        """Those of them that have a bar."""
        return sum(there for _, there in self.days.values())

    @property
    def rate(self) -> float:
        """The share of member-days that have a bar; 0 where there are no member-days."""
        return _rate(self.member_days, self.with_bars)

    @property
    def worst_year(self) -> int | None:
        """The year with the smallest share, the first of several; None where there are no member-days."""
        years = sorted(year for year, (told, _) in self.days.items() if told)
        return min(years, key=lambda year: _rate(*self.days[year]), default=None)

    @property
    def worst_rate(self) -> float:
        """The share of the worst year."""
        return 0.0 if self.worst_year is None else _rate(*self.days[self.worst_year])

    @property
    def is_enough(self) -> bool:
        """Whether at least 95 % of the member-days have bars."""
        return self.rate >= ENOUGH

    @property
    def shown(self) -> str:
        """The share, and that of the worst year, for people."""
        # Floored: what falls short of all days is never shown as all of them.
        whole, worst = (np.floor(rate * 1000.0) / 10.0 for rate in (self.rate, self.worst_rate))
        return f"{whole:.1f} % of member-days, worst year {self.worst_year}: {worst:.1f} %"

    @property
    def survivorship(self) -> str:
        """What the choice of the universe does to a result, in a few words: an MLflow tag."""
        if not self.is_point_in_time:
            return "biased: universe chosen in hindsight"
        if not self.is_enough:
            return f"biased: bars for {self.shown}"
        return f"point in time: bars for {self.shown}"

    @property
    def warnings(self) -> list[str]:
        """What must not be overlooked, a sentence each."""
        found = []
        if not self.is_point_in_time:
            found.append(
                "Survivorship biased: the universe holds the symbols its source still knows today, chosen in hindsight."
            )
        if not self.is_enough:
            found.append(
                f"INCOMPLETE UNIVERSE: {self.universe} has bars for {self.shown}. The result is that of the members "
                "that happen to have bars, mostly those that survived; get bars for the others before you believe it."
            )
        return found


def _rate(member_days: int, with_bars: int) -> float:
    return with_bars / member_days if member_days else 0.0


def is_told(membership: pd.DataFrame) -> bool:
    """Return whether a source told the members of a universe; those made from bars are named by their source.

    Parameters
    ----------
    membership : the universe's rows of core/universe
    """
    from lakehouse.universe import EVERYTHING

    return bool(((membership["universe"] != EVERYTHING) & (membership["universe"] != membership["source"])).any())


def member_mask(membership: pd.DataFrame, sessions: NDArray[np.datetime64], assets: MarketAssets) -> NDArray[np.bool_]:
    """Return bool[n_sessions, n_assets]: whether the asset is what a member's symbol meant on the session."""
    members = np.zeros((len(sessions), len(assets.labels)), dtype=np.bool_)
    for symbol, told in _told(membership, sessions).items():
        for rows, asset in _meanings(symbol, sessions, assets):
            members[rows, asset] |= told[rows]
    return members


def coverage(membership: pd.DataFrame, sessions: NDArray[np.datetime64], bars: Bars, assets: MarketAssets) -> Coverage:
    """Return how many of the universe's member-days on the sessions have bars.

    Parameters
    ----------
    membership : the universe's rows of core/universe
    sessions : datetime64[D, n_sessions] of the bars
    """
    there = ~np.isnan(bars.close)
    told = is_told(membership)
    year = sessions.astype("datetime64[Y]").astype(np.int64) + 1970
    counts: dict[int, tuple[int, int]] = {}
    for symbol, is_member in _told(membership, sessions).items():
        has_bar = np.zeros(len(sessions), dtype=np.bool_)
        lives = np.zeros(len(sessions), dtype=np.bool_)
        for rows, asset in _meanings(symbol, sessions, assets):
            has_bar[rows] = there[rows, asset]
            day = sessions[rows].astype(np.int64)
            lives[rows] = (day >= assets.first_day[asset]) & (day <= assets.last_day[asset])
        counted = is_member if told else is_member & lives
        for number in np.unique(year[counted]).tolist():
            own = counted & (year == number)
            days, with_bars = counts.get(number, (0, 0))
            counts[number] = (days + int(own.sum()), with_bars + int((own & has_bar).sum()))
    return Coverage(str(membership["universe"].iloc[0]), told, dict(sorted(counts.items())))


def _told(membership: pd.DataFrame, sessions: NDArray[np.datetime64]) -> dict[str, NDArray[np.bool_]]:
    """Return bool[n_sessions] by symbol: whether it was a member."""
    told: dict[str, NDArray[np.bool_]] = {}
    for row in membership.itertuples():
        has_end = row.end is not None and row.end == row.end
        end = np.datetime64(row.end, "D") if has_end else _NO_END
        inside = (sessions >= np.datetime64(row.start, "D")) & (sessions < end)
        told[row.symbol] = told.get(row.symbol, False) | inside
    return told


def _meanings(symbol: str, sessions: NDArray[np.datetime64], assets: MarketAssets) -> Sequence[tuple[slice, int]]:
    """Return the assets a symbol meant, each with the rows of its sessions; those without bars are left out."""
    day = sessions.astype(np.int64)
    return [
        (slice(*np.searchsorted(day, (start, end)).tolist()), asset)
        for start, end, asset in assets.of(symbol)
        if asset >= 0
    ]
