"""Bars: open, high, low, close and volume of several assets on one time axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, nearest
from engine.panels import Floats, instant, panel, place, read_only
from engine.times import Times, microseconds, utc_times

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close")
COLUMNS = ("symbol", "bar_end", *PRICES, "volume")
_PANELS = (*PRICES, "volume")


@dataclass(frozen=True, eq=False)
class Bars:
    """Prices as traded: never adjusted, since splits and dividends are events (see `Actions`).

    A bar is knowable at its `bar_end`. NaN in all of open, high, low and close: the asset has no bar, which
    trades nothing and keeps the last mark. Volume may be NaN where it is not known.

    Parameters
    ----------
    open, high, low, close, volume : float64[n_bars, n_assets]
        Prices are positive and high >= open, low, close >= low; volume >= 0. Arrays are not copied if they are
        C-contiguous float64: do not change them afterwards.
    bar_end : datetime64[n_bars]
        UTC, strictly increasing; held as datetime64[us].
    symbols : tuple of str
        One unique name an asset.

    Raises
    ------
    InputError
        With the rule, the value, the symbol and the date.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    bar_end: NDArray[np.datetime64]
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = panel("close", self.close).shape
        panels = {name: panel(name, getattr(self, name), shape) for name in _PANELS}
        bar_end = read_only(_checked_times(self.bar_end, shape[0]))
        symbols = _checked_symbols(self.symbols, shape[1])
        self.__dict__.update(panels, bar_end=bar_end, symbols=symbols)
        checks = _checks()
        answer = checks.check_bars_nb(*(values.reshape(-1) for values in panels.values()))
        if answer == checks.WRONG:
            _refuse_values(self)
        self.__dict__["has_gaps"] = answer == checks.HAS_GAPS

    @property
    def n_bars(self) -> int:
        """Number of bars on the time axis."""
        return int(self.close.shape[0])

    @property
    def n_assets(self) -> int:
        """Number of assets."""
        return int(self.close.shape[1])

    @cached_property
    def has_gaps(self) -> bool:
        """Whether any asset misses any bar; known from the checks, and computed for a slice of bars with gaps."""
        return bool(np.isnan(self.close).any())

    def __getitem__(self, time: slice) -> Bars:
        """Return the bars of a slice of time (a view); the step must be positive."""
        if not isinstance(time, slice) or (time.step is not None and time.step < 1):
            raise InputError(f"bars take a forward slice of time such as bars[:100], was {time!r}")
        part = object.__new__(Bars)
        part.__dict__.update({name: read_only(getattr(self, name)[time]) for name in (*_PANELS, "bar_end")})
        part.__dict__["symbols"] = self.symbols
        if not self.has_gaps:
            part.__dict__["has_gaps"] = False
        return part

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Bars:
        """Return bars from a long frame with the columns symbol, bar_end, open, high, low, close and volume.

        `bar_end` must be timezone-aware. Rows may stand in any order; a (symbol, bar_end) without a row is a
        missing bar. Assets are sorted by symbol. Other columns are left alone.

        Raises
        ------
        InputError
            A column is missing, a time is naive or missing, a (symbol, bar_end) stands twice, or any rule of
            `Bars` is broken.
        """
        import pandas as pd

        for column in COLUMNS:
            if column not in frame.columns:
                known = nearest(column, [str(name) for name in frame.columns])
                raise InputError(f"bars need the column {column!r}{known}")
        instants = utc_times("bar_end", frame["bar_end"])
        if np.isnat(instants).any() or frame["symbol"].isna().any():
            raise InputError("symbol and bar_end must not be missing in any row")
        bar_end, rows = np.unique(instants, return_inverse=True)
        codes, names = pd.factorize(frame["symbol"], sort=True)
        cells = rows * len(names) + codes
        _check_unique(cells, bar_end, tuple(map(str, names)))
        panels: dict[str, Any] = {}
        for column in _PANELS:
            values = np.full(len(bar_end) * len(names), np.nan)
            values[cells] = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            panels[column] = values.reshape(len(bar_end), len(names))
        return cls(**panels, bar_end=bar_end, symbols=tuple(map(str, names)))


def _check_unique(cells: NDArray[np.intp], bar_end: NDArray[np.datetime64], symbols: tuple[str, ...]) -> None:
    counts = np.bincount(cells, minlength=1)
    if counts.max() > 1:
        where = divmod(int(np.argmax(counts)), len(symbols))
        raise InputError(f"a bar must stand once, stood {counts.max()} times for {place(where, bar_end, symbols)}")


@cache
def _checks() -> ModuleType:
    """Return the compiled checks, imported when the first bars are made: Numba takes half a second to start."""
    from engine.kernels import checks

    return checks


def _checked_times(bar_end: Any, n_bars: int) -> Times:
    times = np.asarray(bar_end)
    if times.dtype.kind != "M":
        raise InputError(f"bar_end must be datetime64 in UTC, was {times.dtype}")
    times = microseconds("bar_end", times)
    if times.shape != (n_bars,):
        raise InputError(f"bar_end must have one time a bar ({n_bars}), had shape {times.shape}")
    checks = _checks()
    if checks.check_times_nb(read_only(times.view(np.int64))) == checks.WRONG or np.isnat(times[:1]).any():
        _refuse_times(times)
    return times


def _refuse_times(times: Times) -> None:
    if np.isnat(times).any():
        raise InputError(f"bar_end must not be missing, was NaT at bar {int(np.argmax(np.isnat(times)))}")
    wrong = int(np.argmax(times[1:] <= times[:-1]))
    before, after = times[wrong], times[wrong + 1]
    raise InputError(f"bar_end must increase strictly, was {instant(after)} after {instant(before)}")


def _checked_symbols(symbols: Any, n_assets: int) -> tuple[str, ...]:
    names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    if len(names) != n_assets:
        raise InputError(f"symbols must have one name an asset ({n_assets}), had {len(names)}")
    if set(map(type, names)) == {str} and "" not in names and len(set(names)) == n_assets:
        return names
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"a symbol must be a text that is not empty, was {name!r}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"symbols must be unique, {twice!r} stands twice")
    return tuple(str(name) for name in names)


def _refuse_values(bars: Bars) -> None:
    """Raise the error of the first rule that is broken, at its first place."""
    missing = np.isnan(bars.close)
    for name in PRICES:
        price = getattr(bars, name)
        _refuse(np.isnan(price) != missing, bars, name, "be there if close is there, or all four be NaN")
        _refuse(price <= 0.0, bars, name, "be positive")
        _refuse(np.isinf(price), bars, name, "be finite")
    for name in ("open", "low", "close"):
        _refuse(getattr(bars, name) > bars.high, bars, name, "not be above high")
    for name in ("open", "close"):
        _refuse(getattr(bars, name) < bars.low, bars, name, "not be below low")
    _refuse(np.isinf(bars.volume), bars, "volume", "be finite")
    _refuse(bars.volume < 0.0, bars, "volume", "not be negative")
    raise AssertionError("the compiled checks refuse bars in which NumPy finds nothing wrong")


def _refuse(is_wrong: NDArray[np.bool_], bars: Bars, name: str, rule: str) -> None:
    if is_wrong.any():
        where = np.unravel_index(int(np.argmax(is_wrong)), is_wrong.shape)
        value = float(getattr(bars, name)[where])
        at = place((int(where[0]), int(where[1])), bars.bar_end, bars.symbols)
        raise InputError(f"{name} must {rule}, was {value} for {at}")
