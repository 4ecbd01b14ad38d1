"""Corporate actions on the axes of the bars."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.bars import Bars
from engine.errors import InputError, nearest
from engine.panels import Floats, panel, read_only

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("split", "dividend", "delisting")


class Events(NamedTuple):
    """Actions one after another, by bar and then asset: what the kernels walk along."""

    bar: NDArray[np.int64]
    asset: NDArray[np.int64]
    split: Floats
    dividend: Floats
    delisting: Floats


@dataclass(frozen=True, eq=False)
class Actions:
    """Splits, dividends and delistings, each effective at the open of its bar, before any order.

    On one bar the dividend comes first (it is cash per PRE-split unit held at the previous close), then the
    split, then the delisting. An action counts also on a bar that the asset itself misses.

    Parameters
    ----------
    split : float64[n_bars, n_assets]
        New units for one old; 1: none. Positions and pending targets are multiplied, the mark is divided.
    dividend : float64[n_bars, n_assets]
        Cash (ccy) for each unit held at the previous close: a long position receives, a short one pays. 0: none.
    delisting : float64[n_bars, n_assets]
        Delisting return: the position is closed at the last mark x (1 + return), free of costs, and the asset
        trades no more. NaN: none.
    """

    split: Floats
    dividend: Floats
    delisting: Floats

    def __post_init__(self) -> None:
        shape = panel("split", self.split).shape
        for name in KINDS:
            object.__setattr__(self, name, panel(name, getattr(self, name), shape))
        _refuse(~((self.split > 0.0) & np.isfinite(self.split)), self.split, "split must be positive and finite")
        is_dividend = (self.dividend >= 0.0) & np.isfinite(self.dividend)
        _refuse(~is_dividend, self.dividend, "dividend must be zero or positive, and finite")
        is_return = np.isnan(self.delisting) | ((self.delisting >= -1.0) & np.isfinite(self.delisting))
        _refuse(~is_return, self.delisting, "delisting must be a return of at least -1, or NaN")

    @cached_property
    def events(self) -> Events:
        """The actions as a list; bars and assets without any do not stand in it."""
        has_action = (self.split != 1.0) | (self.dividend != 0.0) | ~np.isnan(self.delisting)
        bar, asset = (index.astype(np.int64) for index in np.nonzero(has_action))
        values = (getattr(self, name)[bar, asset] for name in KINDS)
        return Events(*(read_only(array) for array in (bar, asset, *values)))

    def __getitem__(self, time: slice) -> Actions:
        """Return the actions of a slice of time, as `bars[time]` does."""
        if not isinstance(time, slice) or (time.step is not None and time.step != 1):
            raise InputError(f"actions take a slice of time without a step such as actions[:100], was {time!r}")
        return Actions(self.split[time], self.dividend[time], self.delisting[time])

    @classmethod
    def none(cls, bars: Bars) -> Actions:
        """Return no actions on the axes of the bars."""
        shape = (bars.n_bars, bars.n_assets)
        return cls(np.ones(shape), np.zeros(shape), np.full(shape, np.nan))

    @classmethod
    def from_frame(cls, bars: Bars, frame: pd.DataFrame) -> Actions:
        """Return actions from a frame with the columns symbol, ex_date, kind and value.

        An action is effective at the first bar whose `bar_end` date (UTC) is its ex-date or later. Actions
        dated before the first bar or after the last are left out. Splits that meet on one bar are multiplied,
        dividends added.

        Raises
        ------
        InputError
            A column is missing; a kind or symbol is unknown; a date is missing; an asset is delisted twice; or a
            value breaks a rule of `Actions`.
        """
        import pandas as pd

        for column in ("symbol", "ex_date", "kind", "value"):
            if column not in frame.columns:
                known = nearest(column, [str(name) for name in frame.columns])
                raise InputError(f"actions need the column {column!r}{known}")
        actions = {
            "split": np.ones((bars.n_bars, bars.n_assets)),
            "dividend": np.zeros((bars.n_bars, bars.n_assets)),
            "delisting": np.full((bars.n_bars, bars.n_assets), np.nan),
        }
        ex_dates = pd.to_datetime(frame["ex_date"]).to_numpy().astype("datetime64[D]")
        if np.isnat(ex_dates).any():
            raise InputError("ex_date must not be missing in any row")
        days = bars.bar_end.astype("datetime64[D]")
        rows = np.searchsorted(days, ex_dates, side="left")
        assets = {symbol: asset for asset, symbol in enumerate(bars.symbols)}
        columns = (frame[name].tolist() for name in ("symbol", "kind", "value"))
        for row, ex_date, symbol, kind, value in zip(rows, ex_dates, *columns, strict=True):
            if kind not in KINDS:
                raise InputError(f"kind must be one of {', '.join(KINDS)}, was {kind!r}{nearest(str(kind), KINDS)}")
            if symbol not in assets:
                raise InputError(f"no bars for the symbol {symbol!r}{nearest(str(symbol), bars.symbols)}")
            _check_value(kind, value, f"{symbol} at {ex_date}")
            if row < bars.n_bars and ex_date >= days[0]:
                _add(actions[kind], kind, (int(row), assets[symbol]), float(value), f"{symbol} at {ex_date}")
        return cls(**actions)


def _add(values: Floats, kind: str, cell: tuple[int, int], value: float, at: str) -> None:
    if kind == "split":
        values[cell] *= value
    elif kind == "dividend":
        values[cell] += value
    else:
        if not np.isnan(values[:, cell[1]]).all():
            raise InputError(f"an asset is delisted once; a second delisting stands for {at}")
        values[cell] = value


def _check_value(kind: str, value: float, at: str) -> None:
    if kind == "split":
        is_right, rule = 0.0 < value < np.inf, "be positive and finite"
    elif kind == "dividend":
        is_right, rule = 0.0 <= value < np.inf, "be zero or positive, and finite"
    else:
        is_right, rule = -1.0 <= value < np.inf, "be a return of at least -1"
    if not is_right:
        raise InputError(f"{kind} must {rule}, was {value} for {at}")


def _refuse(is_wrong: NDArray[np.bool_], values: Floats, rule: str) -> None:
    if is_wrong.any():
        bar, asset = (int(index) for index in np.unravel_index(int(np.argmax(is_wrong)), is_wrong.shape))
        raise InputError(f"{rule}, was {values[bar, asset]} at bar {bar}, asset {asset}")
