"""Which orders a moment fills, and how much of them."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import capped_nb, reject_nb
from engine.kernels.levels import is_beyond_nb, is_limit_nb, is_stop_nb, stop_level_nb
from engine.kernels.lifecycle import end_order_nb, is_active_nb, is_session_end_nb, wanted_nb
from engine.kernels.state import (
    BEFORE,
    CLOSING,
    NEXT_OPEN,
    SAME_BAR_CLOSE,
    STOPS_FIRST,
    Book,
    Market,
    Records,
    Rules,
)
from engine.records import BELOW_LOT, MARKET, MOC, MOO, NO_POSITION, REJECTED


@step
def is_due_nb(orders: np.ndarray, number: int, market: Market, now: float, moment: int, t: int, rules: Rules) -> bool:
    """Return whether an order fills at a moment's price; a stop limit that the open passes becomes a limit."""
    order = orders[number]
    kind = order["kind"]
    if moment == SAME_BAR_CLOSE:
        return kind == MARKET and is_active_nb(orders, number, t)
    if not is_active_nb(orders, number, t):
        return False
    if moment == CLOSING:
        return kind == MOC and is_session_end_nb(market, t)
    if order["began"] != BEFORE:
        return False
    if kind == MARKET:
        return rules.timing == NEXT_OPEN
    if kind == MOO:
        return t == 0 or market.calendar[t - 1]["session"] != market.calendar[t]["session"]
    if kind == MOC:
        return False
    is_buy = order["quantity"] > 0.0
    if is_stop_nb(orders, number):
        if np.isnan(order["reference"]):
            # Decided before the asset's first price: it trails from here on.
            order["reference"] = now
        level = stop_level_nb(orders, number)
        if not is_beyond_nb(now, level, 1.0 if is_buy else -1.0):
            return False
        order["is_triggered"] = 1
    if is_limit_nb(orders, number):
        if rules.intrabar == STOPS_FIRST:
            return False
        level = order["limit_price"]
        if rules.limit_touch:
            return (now <= level) if is_buy else (now >= level)
        return (now < level) if is_buy else (now > level)
    return True


@step
def is_group_queued_nb(book: Book, orders: np.ndarray, number: int, n_queued: int) -> bool:
    """Return whether another order of the same one-cancels-the-other group is about to fill."""
    for i in range(n_queued):
        other = book.group[i]["order"]
        if other >= 0 and orders[other]["oco_group"] == orders[number]["oco_group"]:
            return True
    return False


@step
def fillable_nb(
    book: Book,
    market: Market,
    orders: np.ndarray,
    number: int,
    now: float,
    began: int,
    first_bar: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> float:
    """Return the signed units of an order that may fill now; 0: none, and the order waits or was refused."""
    order = orders[number]
    asset = order["asset"]
    wanted = wanted_nb(book, orders, number, rules)
    if wanted == 0.0:
        is_flat = not rules.allow_short and order["rest"] < 0.0 and book.position[asset] <= 0.0
        reason = NO_POSITION if is_flat else BELOW_LOT
        reject_nb(book, asset, number, reason, order["rest"], t, records_out)
        end_order_nb(book, orders, number, REJECTED, began, first_bar, now, rules)
        return 0.0
    return capped_nb(book, market, asset, wanted, t, rules)
