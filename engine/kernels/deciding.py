"""From decisions to pending targets."""

from __future__ import annotations

import numpy as np

from engine.jit import kernel, step
from engine.kernels.book import round_to_lots_nb
from engine.kernels.state import (
    PENDING,
    Book,
    Floats,
    Market,
    Plan,
    Rules,
)


@step
def decide_nb(book: Book, market: Market, plan: Plan, decision: int, equity: float, t: int, rules: Rules) -> int:
    """Turn a row of decisions into targets at the close of bar t; return -1, or the asset that has no price yet.

    Weights are sized with this bar's equity and close. With no equity left, any weight means no position.
    """
    row, close = plan.row[decision], market.close
    n_delisted = book.state.n_delisted
    if n_delisted + book.state.n_pending + rules.latency == 0 and not market.has_gaps and close.shape[1] > 1:
        decide_whole_nb(book, close[t], plan.values[row], plan.is_weight, equity, rules)
        return -1
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


@kernel
def decide_whole_nb(book: Book, close: Floats, values: Floats, is_weight: bool, equity: float, rules: Rules) -> None:
    """Turn a row of decisions into targets where none is pending and no asset misses the bar: as `want_nb` does."""
    target, position = book.target, book.position
    if is_weight:
        for asset in range(close.size):
            # NaN stays NaN: no target.
            units = values[asset] * equity / close[asset]
            target[asset] = units if equity > 0.0 else values[asset] * 0.0
    else:
        for asset in range(close.size):
            target[asset] = values[asset]
    if not rules.allow_short:
        for asset in range(close.size):
            target[asset] = 0.0 if target[asset] < 0.0 else target[asset]
    if rules.lot_size != 0.0:
        for asset in range(close.size):
            target[asset] = round_to_lots_nb(target[asset], rules.lot_size)
    may_leave = rules.has_risk or rules.maintenance_margin > 0.0
    n = 0
    for asset in range(close.size):
        book.lists[PENDING, n] = asset
        is_target = (target[asset] == target[asset]) & (may_leave | (target[asset] != position[asset]))
        target[asset] = target[asset] if is_target else np.nan
        n += is_target
    book.state.n_pending = n
    if rules.participation < np.inf:
        for i in range(n):
            holding = book.holding[book.lists[PENDING, i]]
            holding["size_filled"] = 0.0
            holding["value_filled"] = 0.0
            holding["tiers"] = 0.0


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
    """Replace the pending target of an asset; a target that is the position is none, unless an exit may come first."""
    if np.isnan(book.target[asset]):
        if units == book.position[asset] and not (rules.has_risk or rules.maintenance_margin > 0.0):
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
