"""From decisions to pending targets."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import round_to_lots_nb
from engine.kernels.state import (
    PENDING,
    Book,
    Floats,
    Plan,
    Rules,
)


@step
def decide_nb(book: Book, close: Floats, plan: Plan, decision: int, equity: float, t: int, rules: Rules) -> int:
    """Turn a row of decisions into targets at the close of bar t; return -1, or the asset that has no price yet.

    Weights are sized with this bar's equity and close. With no equity left, any weight means no position.
    """
    row = plan.row[decision]
    n_delisted = book.state.n_delisted
    for asset in range(close.shape[1]):
        value = plan.values[row, asset]
        if np.isnan(value) or (n_delisted > 0 and not book.holding[asset]["is_listed"]):
            continue
        units = value
        if plan.is_weight and value != 0.0:
            price = book.mark[asset] if np.isnan(close[t, asset]) else close[t, asset]
            if np.isnan(price):
                return asset
            units = value * equity / price if equity > 0.0 else 0.0
        want_nb(book, asset, units, t, rules)
    return -1


@step
def want_nb(book: Book, asset: int, units: float, t: int, rules: Rules) -> None:
    """Make units the target of an asset: pending at once, or after the latency."""
    if units < 0.0 and not rules.allow_short:
        units = 0.0
    units = round_to_lots_nb(units, rules.lot_size)
    if rules.latency == 0:
        set_target_nb(book, asset, units, rules)
        return
    slot = t % rules.latency
    if np.isnan(book.late[slot, asset]):
        book.state.n_late += 1
    book.late[slot, asset] = units


@step
def set_target_nb(book: Book, asset: int, units: float, rules: Rules) -> None:
    """Replace the pending target of an asset; a target that is the position is none."""
    if np.isnan(book.target[asset]):
        if units == book.position[asset]:
            return
        add_pending_nb(book, asset)
    book.target[asset] = units
    if rules.participation < np.inf:
        holding = book.holding[asset]
        holding["size_filled"] = 0.0
        holding["value_filled"] = 0.0
        holding["tiers"] = 0.0


@step
def add_pending_nb(book: Book, asset: int) -> None:
    """List an asset with a pending target; the list ascends."""
    place = book.state.n_pending
    while place > 0 and book.lists[PENDING, place - 1] > asset:
        book.lists[PENDING, place] = book.lists[PENDING, place - 1]
        place -= 1
    book.lists[PENDING, place] = asset
    book.state.n_pending += 1


@step
def release_late_nb(book: Book, t: int, rules: Rules) -> None:
    """Make the targets pending whose latency ends with bar t, before its own decisions take their place."""
    slot = t % rules.latency
    for asset in range(book.late.shape[1]):
        units = book.late[slot, asset]
        if not np.isnan(units):
            book.late[slot, asset] = np.nan
            book.state.n_late -= 1
            set_target_nb(book, asset, units, rules)
