"""A panel: one value per bar and asset, to be combined, compared and looked back upon, but never looked into.

Every operation is causal: its value at bar t depends on values at bars up to t, and is the same to the bit
whatever follows. There is no other access: no index, no loop, no raw array.

NaN means "no value". Over time, `mean(n)` and its sisters give NaN where any of the last n values is missing,
and recover as soon as n values in a row are there; `expanding_*` and `ema` pass over missing values.
Comparisons with a missing value are False, so `~(a > b)` is True there: add `& a.is_valid()` where that
matters.

Across assets, `rank`, `top`, `zscore`, `demean`, `equal_weight` and `normalize` look at the members of the
universe at that bar only; whoever is no member gets NaN, False or weight 0.0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies import crosssection, rolling
from strategies.elementwise import Elementwise, Values
from strategies.errors import StrategyError

# What a panel remembers takes at most this many bytes.
_MEMORY = 256_000_000


class Panel(Elementwise):
    """Values per bar and asset, float64 or bool, open to causal operations only.

    Arithmetic (+ - * / ** abs), comparisons, & | ~ on bool panels, `where`, `fill`, `clip`, `sign` and `log`
    act element by element; the methods here look back along time, or across the assets of one bar.
    """

    __slots__ = ()

    def _remembering(self) -> Panel:
        """Return the panel, which from now on keeps what its averages and the like came to.

        For panels that many parameter sets look at, such as a window's index: a search computes each average once.
        The oldest are forgotten where all of them would take more than `_MEMORY` bytes.
        """
        self._memory = {}
        return self

    def _remembered(self, operation: str, n: int, make: Callable[[], Values]) -> Panel:
        """Return a panel made before by the same operation, or make it."""
        if self._memory is None:
            return self._like(make())
        key = (operation, n)
        remembered: Panel | None = self._memory.get(key)
        if remembered is None:
            made = self._like(make())
            # Several threads may look at one window: each step here leaves the memory whole.
            for oldest in tuple(self._memory):
                if (len(self._memory) + 1) * made._values.nbytes > _MEMORY:
                    self._memory.pop(oldest, None)
            self._memory[key] = made
            return made
        return remembered

    # Looking back

    def lag(self, n: int) -> Panel:
        """Return the values of n bars ago; NaN (False for a bool panel) in the first n bars."""
        n = _count(n, "lag", 0)
        lagged = np.full_like(self._values, False if self._is_bool else np.nan)
        lagged[n:] = self._values[: len(self._values) - n] if n < len(self._values) else self._values[:0]
        return self._like(lagged)

    def difference(self, n: int = 1) -> Panel:
        """Return the value less the value n bars ago."""
        return self - self.lag(_count(n, "difference"))

    def change(self, n: int = 1) -> Panel:
        """Return by what fraction the value grew over n bars: `x / x.lag(n) - 1`."""
        return self / self.lag(_count(n, "change")) - 1.0

    def has_changed(self) -> Panel:
        """Return True where the value differs from the bar before, "no value" being a value too."""
        now, before = self._floats, self.lag(1)._floats
        return self._like(~((now == before) | (np.isnan(now) & np.isnan(before))))

    def sum(self, n: int) -> Panel:
        """Return the sum of the last n values; for a bool panel how often it was True."""
        n = _count(n, "sum")
        return self._remembered("sum", n, lambda: rolling.rolling_sum(self._floats, n))

    def mean(self, n: int) -> Panel:
        """Return the mean of the last n values."""
        n = _count(n, "mean")
        return self._remembered("mean", n, lambda: rolling.rolling_mean(self._floats, n))

    def std(self, n: int, *, ddof: int = 1) -> Panel:
        """Return the standard deviation of the last n values, with `n - ddof` in the denominator."""
        n = _count(n, "std", ddof + 1)
        return self._remembered(f"std with ddof {ddof}", n, lambda: rolling.rolling_std(self._floats, n, ddof))

    def min(self, n: int) -> Panel:
        """Return the smallest of the last n values."""
        n = _count(n, "min")
        return self._remembered("min", n, lambda: rolling.rolling_min(self._floats, n))

    def max(self, n: int) -> Panel:
        """Return the largest of the last n values."""
        n = _count(n, "max")
        return self._remembered("max", n, lambda: rolling.rolling_max(self._floats, n))

    def ema(self, n: int) -> Panel:
        """Return the exponential average of span n: each value moves it by 2 / (n + 1) of the distance.

        It starts at the first value and shows from the n-th on. At a missing value it shows NaN and stays
        where it was.
        """
        from strategies.kernels import ema_nb

        n = _count(n, "ema")

        def make() -> Values:
            result = np.empty(self._values.shape)
            ema_nb(self._floats, n, np.zeros((2, *result.shape[1:])), result)
            return result

        return self._remembered("ema", n, make)

    def rolling(self, n: int, function: Callable[[NDArray[np.float64]], Any]) -> Panel:
        """Return `function(last)` at each bar, where `last` is float64[n, n_assets]: the n rows that end at
        this bar.

        The function sees a copy, NaN included, and returns one number for each asset. It is called once a bar
        from the n-th on; the bars before show NaN. Prefer the other operations: they are a hundred times
        faster.
        """
        return self._like(rolling.rolling_apply(self._floats, _count(n, "rolling"), function))

    def expanding_sum(self) -> Panel:
        """Return the sum of all values so far."""
        return self._like(rolling.since_start(self._floats, np.add, 0.0)[0])

    def expanding_mean(self) -> Panel:
        """Return the mean of all values so far."""
        total, count = rolling.since_start(self._floats, np.add, 0.0)
        return self._like(total / np.maximum(count, 1.0))

    def expanding_std(self, *, ddof: int = 1) -> Panel:
        """Return the standard deviation of all values so far; NaN until more than `ddof` were seen."""
        from strategies.kernels import expanding_std_nb

        result = np.empty(self._values.shape)
        expanding_std_nb(self._floats, _count(ddof, "ddof", 0), result)
        return self._like(result)

    def expanding_min(self) -> Panel:
        """Return the smallest value so far."""
        return self._like(rolling.since_start(self._floats, np.minimum, np.inf)[0])

    def expanding_max(self) -> Panel:
        """Return the largest value so far."""
        return self._like(rolling.since_start(self._floats, np.maximum, -np.inf)[0])

    def carry(self, limit: int | None = None) -> Panel:
        """Return the panel with missing values replaced by the last one before, at most `limit` bars old."""
        bars = np.arange(len(self._values))[:, None]
        last = np.maximum.accumulate(np.where(np.isnan(self._floats), -1, bars), axis=0)
        is_known = last >= 0
        if limit is not None:
            is_known &= bars - last <= _count(limit, "carry limit")
        carried = np.take_along_axis(self._floats, np.maximum(last, 0), axis=0)
        return self._like(np.where(is_known, carried, np.nan))

    def until(self, end: Panel) -> Panel:
        """Return True from each bar where this bool panel is True until, not including, the next where `end`
        is.

        Where both are True at the same bar, `end` wins.
        """
        start, stop = self._bools("until"), self._other_bools(end, "until")
        bars = np.arange(1, len(start) + 1)[:, None]
        last_start = np.maximum.accumulate(np.where(start, bars, 0), axis=0)
        last_stop = np.maximum.accumulate(np.where(stop, bars, 0), axis=0)
        return self._like(last_start > last_stop)

    # Across the assets of a bar

    def rank(self) -> Panel:
        """Return each member's rank at its bar: 1.0 the lowest; ties share the mean of their ranks."""
        return self._like(crosssection.rank(self._floats, self._axes.members))

    def top(self, k: int) -> Panel:
        """Return True for the k members with the highest values (all with a value, where fewer have one).

        Of equal values the asset that stands first in the universe is taken.
        """
        return self._like(crosssection.top(self._floats, self._axes.members, _count(k, "top")))

    def bottom(self, k: int) -> Panel:
        """Return True for the k members with the lowest values; ties as in `top`."""
        return (-self).top(k)

    def demean(self) -> Panel:
        """Return the values less the members' mean."""
        return self._like(crosssection.demean(self._floats, self._axes.members))

    def zscore(self) -> Panel:
        """Return the values less the members' mean, over their standard deviation (ddof 1); 0.0 if all
        equal."""
        return self._like(crosssection.zscore(self._floats, self._axes.members))

    def equal_weight(self, gross: float = 1.0) -> Panel:
        """Return `gross / k` for each of the k members where this bool panel is True, 0.0 elsewhere."""
        return self._like(crosssection.equal_weight(self._bools("equal_weight"), self._axes.members, gross))

    def normalize(self, gross: float = 1.0) -> Panel:
        """Return weights in proportion to the values, absolute weights adding up to `gross` at each bar.

        Missing values and assets that are no members get 0.0; a bar of zeros stays zero.
        """
        return self._like(crosssection.normalize(self._floats, self._axes.members, gross))


def values_of(panel: Panel) -> Values:
    """Return the panel's values, read-only: for evaluation and features, never for a decision."""
    return panel._values


def _count(n: object, operation: str, lowest: int = 1) -> int:
    """Return n as a number of bars or assets; it must be a whole number of at least `lowest`."""
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise StrategyError(f"{operation} needs a whole number, was {n!r}")
    count = operator.index(n)
    if count < lowest:
        reason = ": a negative lag reads the future" if operation == "lag" else ""
        raise StrategyError(f"{operation} needs a number of at least {lowest}, was {count}{reason}")
    return count
