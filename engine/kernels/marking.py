"""Marks, equity and exposure at the closes."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.state import (
    HELD,
    Book,
    Curves,
    Floats,
    Market,
)


@step
def mark_all_nb(book: Book, close: Floats, t: int) -> None:
    """Keep the last close of every asset, so that a decision can be sized where an asset misses its bar."""
    for asset in range(close.shape[1]):
        price = close[t, asset]
        book.mark[asset] = book.mark[asset] if np.isnan(price) else price


@step
def mark_held_nb(book: Book, close: Floats, t: int) -> tuple[float, float]:
    """Mark what is held at the close (a missing bar keeps the last mark); return equity and gross exposure."""
    equity = book.state.cash
    exposure = 0.0
    for i in range(book.state.n_held):
        asset = book.lists[HELD, i]
        price = close[t, asset]
        if np.isnan(price):
            price = book.mark[asset]
        else:
            book.mark[asset] = price
        value = book.position[asset] * price
        equity += value
        exposure += abs(value)
    return equity, exposure


@step
def mark_stretch_nb(book: Book, market: Market, start: int, end: int, curves_out: Curves) -> None:
    """Mark bars in which nothing happens; the sums are those of marking them one by one, to the last bit."""
    # Slices, since an index that might be negative keeps a loop from running on several values at once.
    equity, exposure, cash = curves_out.equity[start:end], curves_out.exposure[start:end], book.state.cash
    n_held = book.state.n_held
    curves_out.cash[start:end] = cash
    if n_held == 0:
        equity[:] = cash
        exposure[:] = 0.0
    if market.has_gaps:
        for t in range(start, end):
            mark_all_nb(book, market.close, t)
            if n_held > 0:
                curves_out.equity[t], curves_out.exposure[t] = mark_held_nb(book, market.close, t)
    elif n_held == 1:
        asset = book.lists[HELD, 0]
        units, price = book.position[asset], market.close[start:end, asset]
        for t in range(price.size):
            value = units * price[t]
            equity[t] = cash + value
            exposure[t] = abs(value)
        book.mark[asset] = price[price.size - 1]
    elif n_held > 1:
        mark_whole_stretch_nb(book, market.close[start:end], cash, equity, exposure)


@step
def mark_whole_stretch_nb(book: Book, close: Floats, cash: float, equity_out: Floats, exposure_out: Floats) -> None:
    """Mark bars that no asset misses, four at a time: one sum waits for its last addition, four do not."""
    n_bars, n_held = close.shape[0], book.state.n_held
    for first in range(0, n_bars, 4):
        # The last four may have been marked before, for the same sums.
        t = min(first, max(n_bars - 4, 0))
        second, third, fourth = min(t + 1, n_bars - 1), min(t + 2, n_bars - 1), min(t + 3, n_bars - 1)
        equity_1, equity_2, equity_3, equity_4 = cash, cash, cash, cash
        exposure_1, exposure_2, exposure_3, exposure_4 = 0.0, 0.0, 0.0, 0.0
        for i in range(n_held):
            asset = book.lists[HELD, i]
            units = book.position[asset]
            value_1, value_2 = units * close[t, asset], units * close[second, asset]
            value_3, value_4 = units * close[third, asset], units * close[fourth, asset]
            equity_1 += value_1
            equity_2 += value_2
            equity_3 += value_3
            equity_4 += value_4
            exposure_1 += abs(value_1)
            exposure_2 += abs(value_2)
            exposure_3 += abs(value_3)
            exposure_4 += abs(value_4)
        equity_out[t], equity_out[second], equity_out[third], equity_out[fourth] = (
            equity_1,
            equity_2,
            equity_3,
            equity_4,
        )
        exposure_out[t], exposure_out[second] = exposure_1, exposure_2
        exposure_out[third], exposure_out[fourth] = exposure_3, exposure_4
    for i in range(n_held):
        asset = book.lists[HELD, i]
        book.mark[asset] = close[n_bars - 1, asset]
