"""Drawdowns: falls of equity below its running peak, derived from equity alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InputError
from engine.kernels.drawdowns import drawdowns_nb
from engine.panels import series_of
from engine.records import DRAWDOWN
from engine.settings import LARGEST, SMALLEST, number


def drawdowns_of(equity: ArrayLike, initial_cash: float) -> NDArray[Any]:
    """Return the drawdowns (`records.DRAWDOWN`) of float64[n_bars] equity (ccy), in the order of time.

    A drawdown begins with the first bar that ends below the running peak and ends with the bar that reaches it
    again; the initial cash is the first peak, at bar -1. One that lasts to the end `is_open`. Where several bars
    end at the peak, the last of them is the peak bar; where several end at the trough, the first.

    Raises
    ------
    InputError
        Equity is not finite or has more than one axis; the initial cash is not positive.
    """
    wealth = series_of("equity", equity)
    if not np.isfinite(wealth).all():
        bar = int(np.argmin(np.isfinite(wealth)))
        raise InputError(f"equity must be finite, was {wealth[bar]} at bar {bar}")
    cash = number("initial_cash", initial_cash, low=SMALLEST, high=LARGEST, rule="positive and finite")
    drawdowns = np.empty((wealth.size + 1) // 2, dtype=DRAWDOWN)
    return drawdowns[: drawdowns_nb(wealth, cash, drawdowns)].copy()


def drawdown_bars(drawdowns: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bars from each drawdown's peak to its end."""
    bars: NDArray[np.int64] = drawdowns["end_bar"] - drawdowns["peak_bar"]
    return bars


def max_drawdown_bars_of(drawdowns: NDArray[Any]) -> int:
    """Return the bars from peak to end of the deepest drawdown, the first of equals; 0 of none."""
    return int(drawdown_bars(drawdowns)[np.argmin(drawdowns["depth"])]) if drawdowns.size else 0


def longest_drawdown_bars(drawdowns: NDArray[Any]) -> int:
    """Return the most bars from peak to end of any drawdown; 0 of none."""
    return int(drawdown_bars(drawdowns).max()) if drawdowns.size else 0


def average_drawdown(drawdowns: NDArray[Any]) -> float:
    """Return the mean depth, at most 0; NaN of none."""
    return float(drawdowns["depth"].mean()) if drawdowns.size else math.nan
