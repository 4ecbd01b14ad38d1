"""Bars: open, high, low, close and volume of several assets on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.bounds import LEAST, MOST
from engine.columns import check_columns, check_frame, numbers_of
from engine.errors import InputError
from engine.panels import Floats, array_of, instant, panel, place, read_only
from engine.settings import is_slice, several, shown
from engine.times import Times, microseconds, utc_times

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close")
COLUMNS = ("symbol", "bar_end", *PRICES, "volume")
_PANELS = (*PRICES, "volume")
# As many names are counted in an error, of an iterator that may have no end.
_MOST_NAMES = 100_000


@dataclass(frozen=True, eq=False)
class Bars:
    """Prices as traded: never adjusted, since splits and dividends are events (see `Actions`).

    A bar is knowable at its `bar_end`. NaN in all of open, high, low and close: the asset has no bar, which
    trades nothing and keeps the last mark. Volume may be NaN where it is not known.

    Parameters
    ----------
    open, high, low, close, volume : float64[n_bars, n_assets]
        Prices are positive, of a size with which a run can count (1e-50 to 1e50), and high >= open, low,
        close >= low; volume is 0 or of such a size. Arrays are not copied if they are C-contiguous float64: do not
        change them afterwards.
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
        if not is_slice(time):
            raise InputError(f"bars take a forward slice of time such as bars[:100], was {shown(time)}")
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
            It is no frame, a column is missing or stands twice, a column of numbers holds anything else, a time is
            naive or missing, a symbol is neither text nor a whole number, a (symbol, bar_end) stands twice, or any
            rule of `Bars` is broken.
        """
        check_frame("bars", frame)
        check_columns("bars", frame, COLUMNS)
        instants = utc_times("bar_end", frame["bar_end"])
        if np.isnat(instants).any() or frame["symbol"].isna().any():
            raise InputError("symbol and bar_end must not be missing in any row")
        bar_end, rows = np.unique(instants, return_inverse=True)
        codes, symbols = _symbols_of(frame["symbol"])
        cells = rows * len(symbols) + codes
        _check_unique(cells, bar_end, symbols)
        panels: dict[str, Any] = {}
        for column in _PANELS:
            values = np.full(len(bar_end) * len(symbols), np.nan)
            values[cells] = numbers_of(column, frame[column])
            panels[column] = values.reshape(len(bar_end), len(symbols))
        return cls(**panels, bar_end=bar_end, symbols=symbols)


def _symbols_of(column: pd.Series[Any]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return the number of each row's symbol among the sorted ones, and those; whole numbers become text."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(column if column.dtype != "category" else column.cat.categories, skipna=False)
    if kind not in ("string", "integer", "empty"):
        raise InputError(f"symbol must be text in each row, was {kind}")
    codes, names = pd.factorize(column, sort=True)
    return codes, tuple(map(str, names))


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
    times = array_of("bar_end", bar_end)
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
    names = _names(symbols, n_assets)
    if len(names) != n_assets:
        raise InputError(f"symbols must have one name an asset ({n_assets}), had {len(names)}")
    if set(map(type, names)) == {str} and "" not in names and len(set(names)) == n_assets:
        return names
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"a symbol must be a text that is not empty, was {shown(name)}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"symbols must be unique, {shown(twice)} stands twice")
    return tuple(str(name) for name in names)


def _names(symbols: Any, n_assets: int) -> tuple[Any, ...]:
    if isinstance(symbols, str):
        return (symbols,)
    text = f"symbols must be a sequence of names, one an asset ({n_assets}), was {shown(symbols)}"
    if isinstance(symbols, (Set, Mapping)):
        # A set has no order that assets could follow.
        raise InputError(text)
    return tuple(several(text, symbols, most=max(n_assets, _MOST_NAMES)))


def _refuse_values(bars: Bars) -> None:
    """Raise the error of the first rule that is broken, at its first place."""
    missing = np.isnan(bars.close)
    for name in PRICES:
        price = getattr(bars, name)
        _refuse(np.isnan(price) != missing, bars, name, "be there if close is there, or all four be NaN")
        _refuse(price <= 0.0, bars, name, "be positive")
        _refuse(np.isinf(price), bars, name, "be finite")
        _refuse((price < LEAST) | (price > MOST), bars, name, f"be between {LEAST:g} and {MOST:g}")
    for name in ("open", "low", "close"):
        _refuse(getattr(bars, name) > bars.high, bars, name, "not be above high")
    for name in ("open", "close"):
        _refuse(getattr(bars, name) < bars.low, bars, name, "not be below low")
    _refuse(np.isinf(bars.volume), bars, "volume", "be finite")
    _refuse(bars.volume < 0.0, bars, "volume", "not be negative")
    is_size = (bars.volume >= LEAST) & (bars.volume <= MOST)
    is_wrong = ~is_size & (bars.volume != 0.0) & ~np.isnan(bars.volume)
    _refuse(is_wrong, bars, "volume", f"be 0 or between {LEAST:g} and {MOST:g}")
    raise AssertionError("the compiled checks refuse bars in which NumPy finds nothing wrong")


def _refuse(is_wrong: NDArray[np.bool_], bars: Bars, name: str, rule: str) -> None:
    if is_wrong.any():
        where = np.unravel_index(int(np.argmax(is_wrong)), is_wrong.shape)
        value = float(getattr(bars, name)[where])
        at = place((int(where[0]), int(where[1])), bars.bar_end, bars.symbols)
        raise InputError(f"{name} must {rule}, was {value} for {at}")
