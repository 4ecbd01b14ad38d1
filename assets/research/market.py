"""What a strategy is shown: bars, actions, membership and features of a universe, all at pinned versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assets.research.coverage import Coverage, coverage, member_mask
from engine.errors import QuantlakeError, nearest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from engine import Actions, Bars
    from lakehouse.daily_panels import DailyPanels
    from lakehouse.lake import Lake
    from lakehouse.market_assets import MarketAssets
    from lakehouse.securities import Securities
    from strategies.spec import Spec
    from strategies.window import Window

INPUTS = ("core/daily_bars", "core/corporate_actions", "core/universe", "core/listings", "features/daily")
LISTINGS = "core/listings"
NEVER_WRITTEN = -1


class ResearchError(QuantlakeError):
    """A run cannot be made or replayed from what the lake holds."""


@dataclass(frozen=True)
class Market:
    """The market of one spec.

    Attributes
    ----------
    bars, actions : as traded, float64[n_bars, n_assets]; a column is a security, see `lakehouse.market_assets`.
    window : what the strategy sees of them.
    periods_per_year : 252 for an exchange's sessions, 365 where weekends trade.
    simulated : bars from the spec's start to its end; those before serve as warm-up.
    coverage : who told the universe's members, and how many of their simulated days have bars.
    assumed_ends : securities whose bars stopped without a known delisting; what is held is closed at the last mark.
    """

    bars: Bars
    actions: Actions
    window: Window
    periods_per_year: float
    simulated: slice
    coverage: Coverage
    assumed_ends: tuple[str, ...] = ()


def load_market(lake: Lake, spec: Spec, pins: Mapping[str, int]) -> Market:
    """Return the market of a spec at the pinned table versions.

    Pins of a run recorded before symbols were resolved have no core/listings: then none are read.

    Raises
    ------
    ResearchError : the universe is unknown (the nearest is named) or has no bars in the spec's range.
    BadRows : a security has two bars on one session, under two symbols.
    """
    from engine import Actions
    from strategies.window import Window

    membership = _membership(lake, spec, pins)
    securities = _securities(lake, pins)
    symbols = sorted(set(membership["symbol"]))
    symbols = symbols if securities is None else securities.related(symbols)
    told_actions = lake.scan(
        "core/corporate_actions",
        version=pins["core/corporate_actions"],
        columns=["symbol", "ex_date", "kind", "value"],
        where=[("symbol", "in", symbols)],
        is_ordered=False,
    )
    panels = _panels(lake, spec, pins, symbols, told_actions, securities)
    (bars, sessions, assets), members = _of_universe(panels, membership, spec)
    if spec.benchmark is not None and spec.benchmark not in bars.symbols:
        raise ResearchError(
            f"the benchmark {spec.benchmark!r} of spec {spec.name!r} is no symbol of its universe {spec.universe!r}"
            f"{nearest(spec.benchmark, bars.symbols)}"
        )
    actions, assumed = with_assumed_ends(
        Actions.from_frame(bars, assets.named_actions(told_actions)), sessions, assets.last_day
    )
    features = LakeFeatures(lake, pins["features/daily"], bars, assets)
    first = 0 if spec.start is None else int(np.searchsorted(sessions, np.datetime64(spec.start, "D")))
    if first >= bars.n_bars - 1:
        raise ResearchError(
            f"spec {spec.name!r} starts at {spec.start}, but its universe {spec.universe!r} has bars"
            f" from {sessions[0]} to {sessions[-1]} only"
        )
    return Market(
        bars=bars,
        actions=actions,
        window=Window(bars, actions, features=features, members=members),
        periods_per_year=_periods_per_year(sessions),
        simulated=slice(first, bars.n_bars),
        coverage=coverage(membership, sessions[first:], bars[first:], assets),
        assumed_ends=tuple(bars.symbols[asset] for asset in assumed),
    )


def with_assumed_ends(
    actions: Actions, sessions: NDArray[np.datetime64], last_day: NDArray[np.int64]
) -> tuple[Actions, list[int]]:
    """Return the actions with an end of each security that fell silent, and the numbers of those assets.

    Where no delisting is known, a security is taken to have ended once it has been silent for more than
    `lakehouse.listing.MAX_GAP_DAYS`: at the first session after that, which is when anybody could know, what is held
    is closed at the last mark (a delisting return of 0). What comes later does not change that.

    Parameters
    ----------
    sessions : datetime64[D, n_bars]
    last_day : int64[n_assets], of the last bar, since 1970
    """
    from engine import Actions
    from lakehouse.listing import MAX_GAP_DAYS

    at = np.searchsorted(sessions.astype(np.int64), last_day + MAX_GAP_DAYS, side="right")
    is_silent = (at < len(sessions)) & np.isnan(actions.delisting).all(axis=0)
    ended: list[int] = np.flatnonzero(is_silent).tolist()
    if not ended:
        return actions, ended
    delisting = actions.delisting.copy()
    delisting[at[ended], ended] = 0.0
    return Actions(actions.split, actions.dividend, delisting, actions.pay_bar), ended


class LakeFeatures(Mapping[str, np.ndarray]):
    """Feature arrays of `features/daily`, float64[n_bars, n_assets], read when a strategy asks for one."""

    def __init__(self, lake: Lake, version: int, bars: Bars, assets: MarketAssets) -> None:
        from lakehouse.schemas import table_schema

        keys = {"symbol", "session", "bar_end", "month"}
        self._names = [name for name in table_schema("features/daily").column_names if name not in keys]
        self._read = cache(lambda name: _feature_array(lake, version, bars, assets, name))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _feature_array(lake: Lake, version: int, bars: Bars, assets: MarketAssets, name: str) -> np.ndarray:
    from lakehouse.columns import days, microseconds

    rows = lake.scan(
        "features/daily",
        version=version,
        columns=["symbol", "session", "bar_end", name],
        where=[("symbol", "in", sorted(assets.stretches))],
        is_ordered=False,
    )
    column = assets.on(rows.column("symbol"), days(rows.column("session")))
    stamps = microseconds(rows.column("bar_end"))
    ends = bars.bar_end.astype("datetime64[us]").astype(np.int64)
    row = np.searchsorted(ends, stamps)
    known = (column >= 0) & (row < bars.n_bars)
    known &= ends[np.minimum(row, bars.n_bars - 1)] == stamps
    array = np.full((bars.n_bars, bars.n_assets), np.nan)
    array[row[known], column[known]] = rows.column(name).to_numpy()[known]
    return array


def _securities(lake: Lake, pins: Mapping[str, int]) -> Securities | None:
    """Return what core/listings tells of symbols; None where nothing is told."""
    import datetime as dt

    from lakehouse.securities import Securities

    if pins.get(LISTINGS, NEVER_WRITTEN) == NEVER_WRITTEN:
        return None
    # Which security a bar is of is no news of the market: a listing found later tells the same of old bars.
    return Securities(lake.scan(LISTINGS, version=pins[LISTINGS]), as_of=dt.datetime.max.replace(tzinfo=dt.UTC))


def _membership(lake: Lake, spec: Spec, pins: Mapping[str, int]) -> pd.DataFrame:
    universe = lake.scan("core/universe", version=pins["core/universe"]).to_pandas()
    rows = universe[universe["universe"] == spec.universe]
    if rows.empty:
        known = nearest(spec.universe, universe["universe"].unique())
        raise ResearchError(
            f"spec {spec.name!r} asks for universe {spec.universe!r}, which core/universe does not hold{known}"
            + ("" if known else "; fill the lake first (`quantlake demo`, or materialize core/universe)")
        )
    return rows


def _panels(
    lake: Lake,
    spec: Spec,
    pins: Mapping[str, int],
    symbols: list[str],
    actions: pa.Table,
    securities: Securities | None,
) -> DailyPanels:
    from lakehouse.daily_panels import NoBars, daily_panels
    from lakehouse.market_assets import delistings_in

    try:
        return daily_panels(
            lake,
            symbols,
            end=spec.end,
            version=pins["core/daily_bars"],
            securities=securities,
            delistings=delistings_in(actions),
        )
    except NoBars:
        raise ResearchError(
            f"universe {spec.universe!r} of spec {spec.name!r} has no bars"
            + (f" before {spec.end}" if spec.end is not None else "")
            + "; materialize core/daily_bars for its months"
        ) from None


def _of_universe(panels: DailyPanels, membership: pd.DataFrame, spec: Spec) -> tuple[DailyPanels, NDArray[np.bool_]]:
    """Return the panels without other holders of its members' tickers, and when each asset is a member.

    A symbol that is one security stays in any case: it may be the benchmark, or a member of other days.
    """
    members = member_mask(membership, panels.sessions, panels.assets)
    told = set(membership["symbol"])
    kept = [
        asset
        for asset, label in enumerate(panels.bars.symbols)
        if members[:, asset].any() or (label in told and panels.assets.is_whole(label)) or label == spec.benchmark
    ]
    if not kept:
        raise ResearchError(
            f"universe {spec.universe!r} of spec {spec.name!r} has bars of other holders of its symbols only: on the"
            " days of its members there are none; fetch bars of those days"
        )
    if len(kept) == panels.bars.n_assets:
        return panels, members
    part = panels.only(kept)
    return part, member_mask(membership, part.sessions, part.assets)


def _periods_per_year(sessions: np.ndarray) -> float:
    # 1970-01-01 was a Thursday: day number modulo 7 is 2 on Saturdays and 3 on Sundays.
    weekday = sessions.astype(np.int64) % 7
    return 365.0 if bool(np.isin(weekday, (2, 3)).any()) else 252.0
