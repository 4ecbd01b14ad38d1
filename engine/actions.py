"""Corporate actions on the axes of the bars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.bars import Bars
from engine.bounds import LEAST, MOST
from engine.columns import check_columns, check_frame
from engine.errors import InputError, nearest
from engine.panels import Floats, array_of, numbers, panel, read_only
from engine.settings import check_kind, choice, is_number, is_slice, shown

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("split", "dividend", "delisting")
_LAST = np.iinfo(np.int64).max


class Events(NamedTuple):
    """Actions one after another, by bar and then asset: what the kernels walk along."""

    bar: NDArray[np.int64]
    asset: NDArray[np.int64]
    split: Floats
    dividend: Floats
    delisting: Floats
    pay_bar: NDArray[np.int64]  # bar a dividend is paid at; n_bars: after the end
    pay_order: NDArray[np.int64]  # numbers of the events by pay_bar, earlier events first


@dataclass(frozen=True, eq=False)
class Actions:
    """Splits, dividends and delistings, each effective at the open of its bar, before any order.

    On one bar the dividend comes first (it is cash per PRE-split unit held at the previous close), then the
    split, then the delisting. An action counts also on a bar that the asset itself misses.

    Parameters
    ----------
    split : float64[n_bars, n_assets]
        New units for one old; 1: none. Positions and pending targets are multiplied, the mark is divided.
        From 1e-50 to 1e50, as are dividends where they are not 0.
    dividend : float64[n_bars, n_assets]
        Cash (ccy) for each unit held at the previous close: a long position receives, a short one pays. 0: none.
    delisting : float64[n_bars, n_assets]
        Delisting return: the position is closed at the last mark x (1 + return), free of costs, and the asset
        trades no more. NaN: none. One an asset.
    pay_bar : int64[n_bars, n_assets], optional
        Bar at which the dividend of a cell is paid under `Account(dividends_on="pay_date")`: the cell's own bar
        or a later one; n_bars or more: after the end. Only looked at where there is a dividend. None: its own.
    """

    split: Floats
    dividend: Floats
    delisting: Floats
    pay_bar: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shape = panel("split", self.split).shape
        self.__dict__.update({name: panel(name, getattr(self, name), shape) for name in KINDS})
        for kind in KINDS:
            _check_panel(kind, getattr(self, kind))
        if self.pay_bar is not None:
            self.__dict__["pay_bar"] = _checked_pay_bars(self.pay_bar, self.dividend)

    @cached_property
    def events(self) -> Events:
        """The actions as a list; bars and assets without any do not stand in it."""
        has_action = (self.split != 1.0) | (self.dividend != 0.0) | ~np.isnan(self.delisting)
        bar, asset = (index.astype(np.int64) for index in np.nonzero(has_action))
        split, dividend, delisting = (getattr(self, name)[bar, asset] for name in KINDS)
        pay_bar = bar
        if self.pay_bar is not None:
            pay_bar = np.where(dividend > 0.0, np.minimum(self.pay_bar[bar, asset], self.split.shape[0]), bar)
        pay_order = np.argsort(pay_bar, kind="stable").astype(np.int64)
        arrays = (bar, asset, split, dividend, delisting, pay_bar, pay_order)
        return Events(*(read_only(array) for array in arrays))

    def __getitem__(self, time: slice) -> Actions:
        """Return the actions of a slice of time, as `bars[time]` does; what is paid after it, is not paid in it."""
        if not is_slice(time) or time.step not in (None, 1):
            raise InputError(f"actions take a slice of time without a step such as actions[:100], was {shown(time)}")
        first = time.indices(self.split.shape[0])[0]
        pay_bar = None if self.pay_bar is None else self.pay_bar[time] - first
        return Actions(self.split[time], self.dividend[time], self.delisting[time], pay_bar)

    @classmethod
    def none(cls, bars: Bars) -> Actions:
        """Return no actions on the axes of the bars."""
        check_kind("bars", bars, Bars)
        shape = (bars.n_bars, bars.n_assets)
        return cls(np.ones(shape), np.zeros(shape), np.full(shape, np.nan))

    @classmethod
    def from_frame(cls, bars: Bars, frame: pd.DataFrame) -> Actions:
        """Return actions from a frame with the columns symbol, ex_date, kind and value.

        An action is effective at the first bar whose `bar_end` date (UTC) is its ex-date or later. Actions
        dated before the first bar or after the last are left out. Splits that meet on one bar are multiplied,
        dividends added. Of dividends, the optional column pay_date says when they are paid: at the first bar of
        that date or later; where it is missing, at the ex-date. Of dividends that meet on one bar of their
        asset the latest pay date counts for all.

        Raises
        ------
        InputError
            It is no frame; a column is missing or stands twice; a kind or symbol is unknown; an ex-date is missing;
            a date has a timezone, which could move it to another day; a dividend is paid before its ex-date; an
            asset is delisted twice; or a value breaks a rule of `Actions`.
        """
        check_kind("bars", bars, Bars)
        check_frame("actions", frame)
        check_columns("actions", frame, ("symbol", "ex_date", "kind", "value"))
        if "pay_date" in frame.columns:
            check_columns("actions", frame, ("pay_date",))
        shape = (bars.n_bars, bars.n_assets)
        actions = {"split": np.ones(shape), "dividend": np.zeros(shape), "delisting": np.full(shape, np.nan)}
        ex_dates = _dates(frame, "ex_date")
        if np.isnat(ex_dates).any():
            raise InputError("ex_date must not be missing in any row")
        pay_dates = _dates(frame, "pay_date") if "pay_date" in frame.columns else np.full_like(ex_dates, "NaT")
        days = bars.bar_end.astype("datetime64[D]")
        rows = np.searchsorted(days, ex_dates, side="left")
        pay_rows = np.searchsorted(days, np.where(np.isnat(pay_dates), ex_dates, pay_dates), side="left")
        pay_bar = None if np.isnat(pay_dates).all() else np.zeros(shape, dtype=np.int64)
        assets = {symbol: asset for asset, symbol in enumerate(bars.symbols)}
        columns = (frame[name].tolist() for name in ("symbol", "kind", "value"))
        dates = (rows, pay_rows, ex_dates, pay_dates)
        for row, pay_row, ex_date, pay_date, symbol, kind, value in zip(*dates, *columns, strict=True):
            if not isinstance(symbol, str) or symbol not in assets:
                known = nearest(symbol, bars.symbols) if isinstance(symbol, str) else ""
                raise InputError(f"no bars for the symbol {shown(symbol)}{known}")
            at = f"{symbol} at {ex_date}"
            _check_value(kind, value, at)
            if kind == "dividend" and pay_date < ex_date:
                raise InputError(f"pay_date must not be before ex_date, was {pay_date} for {at}")
            if row < bars.n_bars and ex_date >= days[0]:
                cell = (int(row), assets[symbol])
                _add(actions[kind], kind, cell, float(value), at)
                if pay_bar is not None and kind == "dividend":
                    pay_bar[cell] = max(pay_bar[cell], pay_row)
        return cls(**actions, pay_bar=pay_bar)


def _dates(frame: pd.DataFrame, name: str) -> NDArray[np.datetime64]:
    """Return a column of dates as datetime64[D]; missing ones are NaT."""
    import pandas as pd

    column = frame[name]
    if column.dtype.kind in "biuf" and column.notna().any():
        raise InputError(f"{name} must be dates, was {column.dtype}")
    try:
        times = pd.to_datetime(column)
    except (OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{name} must be dates ({error})") from None
    if times.dtype.kind != "M" or isinstance(times.dtype, pd.DatetimeTZDtype):
        raise InputError(f"{name} must be dates without a timezone, was {times.dtype}")
    return times.to_numpy().astype("datetime64[D]")  # type: ignore[no-any-return]


def _checked_pay_bars(pay_bar: Any, dividend: Floats) -> NDArray[np.int64]:
    bars = array_of("pay_bar", pay_bar)
    if bars.dtype.kind not in "iu":
        raise InputError(f"pay_bar must be whole numbers of bars, was {bars.dtype}")
    if bars.shape != dividend.shape:
        raise InputError(f"pay_bar must have the shape of the bars {dividend.shape}, had {bars.shape}")
    own = np.arange(dividend.shape[0])[:, np.newaxis]
    is_early = (dividend > 0.0) & (bars < own)
    if is_early.any():
        bar, asset = (int(index) for index in np.unravel_index(int(np.argmax(is_early)), bars.shape))
        raise InputError(f"pay_bar must not be before its own bar {bar}, was {bars[bar, asset]} for asset {asset}")
    if bars.dtype.kind == "u":
        # What a number with a sign cannot hold is after the end too.
        bars = np.minimum(bars, np.uint64(_LAST))
    return read_only(bars.astype(np.int64, copy=False))


def _add(values: Floats, kind: str, cell: tuple[int, int], value: float, at: str) -> None:
    if kind == "split":
        values[cell] *= value
    elif kind == "dividend":
        values[cell] += value
    else:
        if not np.isnan(values[:, cell[1]]).all():
            raise InputError(f"an asset is delisted once; a second delisting stands for {at}")
        values[cell] = value


def _check_value(kind: Any, value: Any, at: str) -> None:
    choice("kind", kind, KINDS)
    if not is_number(value):
        raise InputError(f"{kind} must be a number, was {shown(value)} for {at}")
    for is_wrong, rule in _wrong(kind, numbers(kind, value)):
        if is_wrong:
            raise InputError(f"{kind} must {rule}, was {shown(value)} for {at}")


def _wrong(kind: str, values: Floats) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Yield which values of an action break a rule, and the rule; NaN breaks the first."""
    if kind == "split":
        yield ~((values > 0.0) & (values < np.inf)), "be positive and finite"
    elif kind == "dividend":
        yield ~((values >= 0.0) & (values < np.inf)), "be zero or positive, and finite"
    else:
        yield ~((values >= -1.0) & (values < np.inf)), "be a return of at least -1"
    size = np.abs(values)
    yield (size > MOST) | ((size < LEAST) & (size > 0.0)), f"be 0 or between {LEAST:g} and {MOST:g} in size"


def _check_panel(kind: str, values: Floats) -> None:
    """Refuse values that break a rule of their kind, each on its own or with those before it of its asset."""
    is_given = ~np.isnan(values) if kind == "delisting" else values != (1.0 if kind == "split" else 0.0)
    where = np.nonzero(is_given)
    given = values[where]
    for is_wrong, rule in _wrong(kind, given):
        _refuse(is_wrong, given, where, f"{kind} must {rule}")
    if kind == "delisting":
        is_again = np.ones(given.size, dtype=np.bool_)
        is_again[np.unique(where[1], return_index=True)[1]] = False
        _refuse(is_again, given, where, "an asset must not be delisted twice")
    if kind == "split" and given.size:
        bars, assets = np.unique(where[0]), np.unique(where[1])
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            units = np.cumprod(values[np.ix_(bars, assets)], axis=0)
        most, least = np.maximum.accumulate(units, axis=0), np.minimum.accumulate(units, axis=0)
        # Units that shrink or grow without end would leave what a float holds.
        is_beyond = np.maximum(most, 1.0) > MOST * np.minimum(least, 1.0)
        rule = f"splits of one asset must not multiply its units by more than {MOST:g} in all"
        rows, columns = np.nonzero(is_beyond)
        at = bars[rows], assets[columns]
        _refuse(is_beyond[rows, columns], values[at], at, rule)


def _refuse(is_wrong: NDArray[np.bool_], values: Floats, where: tuple[Any, ...], rule: str) -> None:
    if is_wrong.any():
        first = int(np.argmax(is_wrong))
        bar, asset = (int(index[first]) for index in where)
        raise InputError(f"{rule}, was {values[first]} at bar {bar}, asset {asset}")
