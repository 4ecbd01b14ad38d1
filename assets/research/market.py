"""What a strategy is shown: bars, actions, membership and features of a universe, all at pinned versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import QuantlakeError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from engine import Actions, Bars
    from lakehouse.daily_panels import DailyPanels
    from lakehouse.lake import Lake
    from strategies.spec import Spec
    from strategies.window import Window

INPUTS = ("core/daily_bars", "core/corporate_actions", "core/universe", "features/daily")


class ResearchError(QuantlakeError):
    """A run cannot be made or replayed from what the lake holds."""


@dataclass(frozen=True)
class Market:
    """The market of one spec.

    Attributes
    ----------
    bars, actions : as traded, float64[n_bars, n_assets].
    window : what the strategy sees of them.
    periods_per_year : 252 for an exchange's sessions, 365 where weekends trade.
    simulated : bars from the spec's start to its end; those before serve as warm-up.
    """

    bars: Bars
    actions: Actions
    window: Window
    periods_per_year: float
    simulated: slice


def load_market(lake: Lake, spec: Spec, pins: Mapping[str, int]) -> Market:
    """Return the market of a spec at the pinned table versions.

    Raises
    ------
    ResearchError : the universe is unknown (the nearest is named) or has no bars in the spec's range.
    """
    from engine import Actions
    from strategies.window import Window

    membership = _membership(lake, spec, pins)
    symbols = sorted(set(membership["symbol"]))
    bars, sessions = _panels(lake, spec, pins, symbols)
    if spec.benchmark is not None and spec.benchmark not in bars.symbols:
        raise ResearchError(
            f"the benchmark {spec.benchmark!r} of spec {spec.name!r} is no symbol of its universe {spec.universe!r}"
            f"{nearest(spec.benchmark, bars.symbols)}"
        )
    actions_frame = lake.scan(
        "core/corporate_actions",
        version=pins["core/corporate_actions"],
        columns=["symbol", "ex_date", "kind", "value"],
        where=[("symbol", "in", list(bars.symbols))],
        is_ordered=False,
    ).to_pandas()
    actions = Actions.from_frame(bars, actions_frame)
    members = _members(membership, bars.symbols, sessions)
    features = LakeFeatures(lake, pins["features/daily"], bars)
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
    )


class LakeFeatures(Mapping[str, np.ndarray]):
    """Feature arrays of `features/daily`, float64[n_bars, n_assets], read when a strategy asks for one."""

    def __init__(self, lake: Lake, version: int, bars: Bars) -> None:
        from lakehouse.schemas import table_schema

        keys = {"symbol", "session", "bar_end", "month"}
        self._names = [name for name in table_schema("features/daily").column_names if name not in keys]
        self._read = cache(lambda name: _feature_array(lake, version, bars, name))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _feature_array(lake: Lake, version: int, bars: Bars, name: str) -> np.ndarray:
    frame = lake.scan(
        "features/daily",
        version=version,
        columns=["symbol", "bar_end", name],
        where=[("symbol", "in", list(bars.symbols))],
        is_ordered=False,
    ).to_pandas()
    wide = frame.pivot(index="bar_end", columns="symbol", values=name)
    stamps = wide.index.tz_convert(None).to_numpy().astype("datetime64[us]")
    array = np.full((bars.n_bars, bars.n_assets), np.nan)
    rows = np.searchsorted(bars.bar_end, stamps)
    known = (rows < bars.n_bars) & (bars.bar_end[np.minimum(rows, bars.n_bars - 1)] == stamps)
    columns = [bars.symbols.index(symbol) for symbol in wide.columns]
    array[np.ix_(rows[known], columns)] = wide.to_numpy(dtype=np.float64)[known]
    return array


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


def _panels(lake: Lake, spec: Spec, pins: Mapping[str, int], symbols: list[str]) -> DailyPanels:
    from lakehouse.daily_panels import NoBars, daily_panels

    try:
        return daily_panels(lake, symbols, end=spec.end, version=pins["core/daily_bars"])
    except NoBars:
        raise ResearchError(
            f"universe {spec.universe!r} of spec {spec.name!r} has no bars"
            + (f" before {spec.end}" if spec.end is not None else "")
            + "; materialize core/daily_bars for its months"
        ) from None


def _members(membership: pd.DataFrame, symbols: tuple[str, ...], sessions: np.ndarray) -> np.ndarray:
    members = np.zeros((len(sessions), len(symbols)), dtype=np.bool_)
    for row in membership.itertuples():
        if row.symbol not in symbols:
            continue
        inside = sessions >= np.datetime64(row.start, "D")
        if row.end is not None and row.end == row.end:
            inside &= sessions < np.datetime64(row.end, "D")
        members[inside, symbols.index(row.symbol)] = True
    return members


def _periods_per_year(sessions: np.ndarray) -> float:
    # 1970-01-01 was a Thursday: day number modulo 7 is 2 on Saturdays and 3 on Sundays.
    weekday = sessions.astype(np.int64) % 7
    return 365.0 if bool(np.isin(weekday, (2, 3)).any()) else 252.0
