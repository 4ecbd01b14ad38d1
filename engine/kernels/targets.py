"""Pending targets."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import NOISE, round_to_lots_nb
from engine.kernels.state import (
    PENDING,
    Book,
)


@step
def order_quantity_nb(target: float, position: float, lot_size: float) -> float:
    """Return the signed quantity from a position to its target; a target of zero also trades an odd rest."""
    quantity = target - position
    if abs(quantity) <= NOISE * max(abs(target), abs(position)):
        return 0.0
    return quantity if target == 0.0 else round_to_lots_nb(quantity, lot_size)


@step
def drop_target_nb(book: Book, asset: int) -> None:
    """End a pending target that volume has limited: what cash cannot pay is not carried."""
    if np.isnan(book.target[asset]):
        return
    book.target[asset] = np.nan
    for i in range(book.state.n_pending):
        if book.lists[PENDING, i] == asset:
            remove_pending_nb(book, i)
            break


@step
def remove_pending_nb(book: Book, place: int) -> None:
    """Take an asset off the list of pending targets, which stays in order."""
    book.state.n_pending -= 1
    for i in range(place, book.state.n_pending):
        book.lists[PENDING, i] = book.lists[PENDING, i + 1]
