"""Margin calls."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import NOISE, begin_exit_nb, round_to_lots_nb
from engine.kernels.lifecycle import cancel_all_nb
from engine.kernels.state import (
    HELD,
    PENDING,
    Book,
    Rules,
)


@step
def call_margin_nb(book: Book, orders: np.ndarray | None, equity: float, exposure: float, rules: Rules) -> None:
    """Cancel all that is pending and have every position come down to what leverage x equity allows.

    Positions shrink by one share, towards zero to whole lots; without equity all of them go.
    """
    if orders is not None:
        cancel_all_nb(book, orders)
    for i in range(book.state.n_pending):
        book.target[book.lists[PENDING, i]] = np.nan
    book.state.n_pending = 0
    if book.state.n_late > 0:
        for i in range(book.late.shape[0]):
            for asset in range(book.late.shape[1]):
                book.late[i, asset] = np.nan
        book.state.n_late = 0
    share = max(0.0, min(1.0, equity * rules.leverage / exposure))
    for i in range(book.state.n_held):
        asset = book.lists[HELD, i]
        wanted = round_to_lots_nb(book.position[asset] * share, rules.lot_size)
        if abs(wanted) < abs(book.position[asset]) * (1.0 - NOISE):
            begin_exit_nb(book, asset)
            if np.isnan(book.holding[asset]["liquidation"]):
                book.state.n_liquidations += 1
            book.holding[asset]["liquidation"] = wanted
