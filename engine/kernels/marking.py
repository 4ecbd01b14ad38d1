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
    cash = book.state.cash
    n_held = book.state.n_held
    for t in range(start, end):
        curves_out.cash[t] = cash
    if n_held == 0:
        for t in range(start, end):
            curves_out.equity[t] = cash
            curves_out.exposure[t] = 0.0
        if market.has_gaps:
            for t in range(start, end):
                mark_all_nb(book, market.close, t)
        return
    if n_held == 1 and not market.has_gaps:
        asset = book.lists[HELD, 0]
        units = book.position[asset]
        for t in range(start, end):
            value = units * market.close[t, asset]
            curves_out.equity[t] = cash + value
            curves_out.exposure[t] = abs(value)
        book.mark[asset] = market.close[end - 1, asset]
        return
    for t in range(start, end):
        if market.has_gaps:
            mark_all_nb(book, market.close, t)
        equity, exposure = mark_held_nb(book, market.close, t)
        curves_out.equity[t] = equity
        curves_out.exposure[t] = exposure
