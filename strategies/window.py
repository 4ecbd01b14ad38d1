"""What a decision may see: prices, total returns, features, membership and the calendar, as panels.

A window has no end a decision could know of: it offers panels, and panels offer causal operations only.
`window.cut(t)` is the same window as it was after t bars; the look-ahead check compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.actions import Actions
from engine.bars import Bars
from engine.errors import nearest
from strategies.closed import Closed
from strategies.elementwise import Axes, Values
from strategies.errors import StrategyError
from strategies.panel import Panel, values_of
from strategies.total_return import forward_index, growth

_MONDAY = np.datetime64("1970-01-05")


class Window(Closed):
    """Bars, actions, features and membership as causal panels of [n_bars, n_assets].

    Parameters ---------- bars : engine.Bars actions : engine.Actions on the same axes; none by default
    features : name -> float64[n_bars, n_assets], each value knowable at its bar's end members : bool[n_bars,
    n_assets], True while the asset belongs to the universe at that bar; always by default. An asset counts as
    a member only from its first bar and until its delisting.

    Raises
    ------
    StrategyError : an array has another shape than the bars
    """

    __slots__ = ("_actions", "_asked", "_axes", "_bars", "_features", "_made", "_universe")

    def __init__(
        self,
        bars: Bars,
        actions: Actions | None = None,
        *,
        features: Mapping[str, NDArray[np.float64]] | None = None,
        members: NDArray[np.bool_] | None = None,
    ) -> None:
        self._bars = bars
        self._actions = Actions.none(bars) if actions is None else actions
        # Not read here: a mapping may fetch an array only when a strategy asks for it.
        self._features = features or {}
        self._asked: set[str] = set()
        self._made: dict[str, Panel] = {}
        shape = bars.close.shape
        self._universe = np.ones(shape, np.bool_) if members is None else np.asarray(members, np.bool_)
        for name, values in {"members": self._universe, "actions": self._actions.split}.items():
            _check_shape(name, values.shape, shape)
        has_begun = np.logical_or.accumulate(~np.isnan(bars.close), axis=0)
        has_ended = np.logical_or.accumulate(~np.isnan(self._actions.delisting), axis=0)
        self._axes = Axes(bars.bar_end, bars.symbols, self._universe & has_begun & ~has_ended)

    def __repr__(self) -> str:
        return f"Window({self._bars.n_bars} bars x {self._bars.n_assets} assets)"

    def cut(self, t: int) -> Window:
        """Return this window as it was after its first t bars: nothing later is in it, of any input."""
        if not 0 < t <= self._bars.n_bars:
            raise StrategyError(f"a window of {self._bars.n_bars} bars can be cut after 1 to all of them, not {t}")
        return Window(
            self._bars[:t],
            self._actions[:t],
            features=_CutFeatures(self._features, t),
            members=self._universe[:t],
        )

    @property
    def open(self) -> Panel:
        """First price of the bar, as traded."""
        return self._panel(self._bars.open)

    @property
    def high(self) -> Panel:
        """Highest price of the bar, as traded."""
        return self._panel(self._bars.high)

    @property
    def low(self) -> Panel:
        """Lowest price of the bar, as traded."""
        return self._panel(self._bars.low)

    @property
    def close(self) -> Panel:
        """Last price of the bar, as traded: a split shows as a jump. For returns and averages use `index`."""
        return self._panel(self._bars.close)

    @property
    def volume(self) -> Panel:
        """Shares traded in the bar, as traded."""
        return self._panel(self._bars.volume)

    @property
    def total_return(self) -> Panel:
        """Total return since the asset's previous bar as a fraction; NaN on bars without a price and the
        first one."""
        return self._once("total_return", lambda: self._growth() - 1.0)

    @property
    def index(self) -> Panel:
        """Forward total-return index: starts at the asset's first price and grows with its total return.

        Carried over missing bars, NaN before the first. No later action changes it, unlike back-adjusted
        prices.
        """
        return self._once("index", lambda: forward_index(self._bars.close, self._growth()))

    @property
    def members(self) -> Panel:
        """True while the asset is in the universe, has had a bar, and is not delisted."""
        return self._panel(self._axes.members)

    @property
    def month_start(self) -> Panel:
        """True at the first bar of each month (UTC), and at the first bar of all.

        There is no month end: that a bar is the last of its month shows only at the next.
        """
        return self._starts(self._bars.bar_end.astype("datetime64[M]"))

    @property
    def year_start(self) -> Panel:
        """True at the first bar of each year (UTC), and at the first bar of all."""
        return self._starts(self._bars.bar_end.astype("datetime64[Y]"))

    @property
    def week_start(self) -> Panel:
        """True at the first bar of each week from Monday on (UTC), and at the first bar of all."""
        return self._starts((self._bars.bar_end.astype("datetime64[D]") - _MONDAY) // np.timedelta64(7, "D"))

    def feature(self, name: str) -> Panel:
        """Return a feature by name: one given to the window, else one of `strategies.features`, computed
        once.

        Raises
        ------
        StrategyError : there is no such feature; the nearest name is given
        """
        if name in self._features:
            values = np.asarray(self._features[name], np.float64)
            _check_shape(name, values.shape, self._bars.close.shape)
            self._asked.add(name)
            return self._panel(values)
        from strategies.features import FEATURES

        if name not in FEATURES:
            known = nearest(name, [*self._features, *FEATURES])
            raise StrategyError(f"there is no feature {name!r}{known}")
        return self._once(f"feature {name}", lambda: values_of(FEATURES[name].function(self)))

    def _asked_features(self) -> dict[str, NDArray[np.float64]]:
        """The given features that were asked for so far, in the order of their names."""
        return {name: np.asarray(self._features[name], np.float64) for name in sorted(self._asked)}

    def _panel(self, values: Values) -> Panel:
        return Panel(values, self._axes)

    def _growth(self) -> NDArray[np.float64]:
        actions = self._actions
        return growth(self._bars.close, actions.split, actions.dividend, actions.delisting)

    def _once(self, name: str, make: Callable[[], Values]) -> Panel:
        if name not in self._made:
            self._made[name] = self._panel(make())._remembering()
        return self._made[name]

    def _starts(self, period: NDArray[np.generic]) -> Panel:
        is_start = np.ones(len(period), np.bool_)
        is_start[1:] = period[1:] != period[:-1]
        return self._panel(np.repeat(is_start[:, None], self._bars.n_assets, axis=1))


class _CutFeatures(Mapping[str, NDArray[np.float64]]):
    """The first n bars of each feature of a mapping, cut when asked for."""

    def __init__(self, features: Mapping[str, NDArray[np.float64]], n: int) -> None:
        self._features = features
        self._n = n

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self._features[name][: self._n]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)


def _check_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise StrategyError(f"{name} must have the shape {expected} of the bars, was {shape}")
