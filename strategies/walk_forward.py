"""Walk-forward windows: choose on the past, measure on the year after, move on a year.

- A test part is one calendar year (UTC). The first one is the first year with `train_years` whole years of
  bars before it; a year counts as whole if its bars begin in its first ten days. The last one may be cut off
  by the end of the bars. Together the test parts cover time from the first one on, each bar exactly once. -
  The training part is the `train_years` calendar years before it, or, `anchored`, everything before it. The
  last `purge_bars` training bars are left out, so that what was measured over several bars does not reach
  into the test. (skfolio drops the first test bars instead, which leaves holes between the test parts.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from strategies.errors import WalkForwardError

_NEW_YEAR_DAYS = 10  # holidays and weekends never hold off a year's first session longer


@dataclass(frozen=True)
class WalkForwardSettings:
    """How long to train, and how many trials to spend on each window.

    Parameters
    ----------
    train_years : calendar years before each test year, at least 1
    anchored : train on everything before the test year instead, once there are `train_years`
    purge_bars : training bars left out before the test year
    n_trials : trials of the search in each window, at least 1
    """

    train_years: int = 3
    anchored: bool = False
    purge_bars: int = 0
    n_trials: int = 30

    def __post_init__(self) -> None:
        for name, lowest in {"train_years": 1, "purge_bars": 0, "n_trials": 1}.items():
            value = getattr(self, name)
            if type(value) is not int or value < lowest:
                raise WalkForwardError(f"{name} must be a whole number of at least {lowest}, was {value!r}")
        if type(self.anchored) is not bool:
            raise WalkForwardError(f"anchored must be true or false, was {self.anchored!r}")


@dataclass(frozen=True)
class WalkForwardWindow:
    """One window: its key (the test year, "2009") and the bars of its two parts, half-open."""

    key: str
    train: slice
    test: slice


def plan(
    bar_end: NDArray[np.datetime64], settings: WalkForwardSettings, keys: Sequence[str] | None = None
) -> tuple[WalkForwardWindow, ...]:
    """Return the windows over these bars, in order of time; only those of `keys` where given.

    Parameters
    ----------
    bar_end : datetime64[n_bars], UTC, strictly increasing
    settings : WalkForwardSettings
    keys : test years such as ["2009", "2010"]

    Raises ------ WalkForwardError : there are fewer whole years than training and one test need, purging
    leaves nothing to train on, or a key is no test year (the nearest is named)
    """
    years = _years(bar_end)
    if not len(years):
        raise WalkForwardError(_too_short(settings, bar_end, 0))
    start_of_year = bar_end[0].astype("datetime64[Y]").astype("datetime64[D]")
    begins_whole = (bar_end[0].astype("datetime64[D]") - start_of_year) < np.timedelta64(_NEW_YEAR_DAYS, "D")
    first_test = int(years[0]) + (0 if begins_whole else 1) + settings.train_years
    test_years = [int(year) for year in np.unique(years) if year >= first_test]
    if not test_years:
        n_years = int(years[-1]) + 1 - int(years[0]) - (0 if begins_whole else 1)
        raise WalkForwardError(_too_short(settings, bar_end, n_years))
    windows = {str(year): _window(years, year, settings) for year in test_years}
    for key in keys or ():
        if key not in windows:
            known = f"among {min(windows)} to {max(windows)}{nearest(str(key), windows)}"
            raise WalkForwardError(f"there is no walk-forward window {key!r} {known}")
    return tuple(window for key, window in windows.items() if keys is None or key in keys)


def _window(years: NDArray[np.int64], year: int, settings: WalkForwardSettings) -> WalkForwardWindow:
    first = 0 if settings.anchored else int(np.searchsorted(years, year - settings.train_years))
    test = slice(int(np.searchsorted(years, year)), int(np.searchsorted(years, year + 1)))
    n_train = test.start - first
    if n_train <= settings.purge_bars:
        raise WalkForwardError(
            f"window {year} has {n_train} training bars, and purge_bars leaves out {settings.purge_bars}"
        )
    return WalkForwardWindow(str(year), slice(first, test.start - settings.purge_bars), test)


def _years(bar_end: NDArray[Any]) -> NDArray[np.int64]:
    if bar_end.dtype.kind != "M" or np.isnat(bar_end).any() or (bar_end[1:] <= bar_end[:-1]).any():
        raise WalkForwardError("bar_end must be datetime64, strictly increasing and without NaT")
    return bar_end.astype("datetime64[Y]").astype(np.int64) + 1970


def _too_short(settings: WalkForwardSettings, bar_end: NDArray[Any], n_years: int) -> str:
    days = [str(end.astype("datetime64[D]")) for end in (*bar_end[:1], *bar_end[-1:])]
    return (
        f"a walk-forward with train_years {settings.train_years} needs {settings.train_years + 1} whole years "
        f"of bars ({settings.train_years} to train on, 1 to test), there are {n_years} "
        f"({len(bar_end)} bars{', ' if days else ''}{' to '.join(days)})"
    )
