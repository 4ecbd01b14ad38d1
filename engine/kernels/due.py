"""Which orders a moment fills, and how much of them."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import capped_nb, reject_nb, round_to_lots_nb
from engine.kernels.levels import is_limit_nb, is_stop_nb, stop_level_nb
from engine.kernels.lifecycle import end_order_nb, is_active_nb, is_session_end_nb
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
from engine.records import BELOW_LOT, MARKET, MOC, MOO, NO_POSITION, REJECTED, STOP_LIMIT


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
        is_passed = (now >= level) if is_buy else (now <= level)
        if not is_passed or kind != STOP_LIMIT:
            return is_passed
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
    """Return the signed units of an order that may fill now; 0: none, and the order waits or was refused.

    Without short selling a sale is cut to what is held; less than a lot is nothing. What is cut off is dropped.
    """
    order = orders[number]
    asset = order["asset"]
    wanted, reason = order["rest"], -1
    if not rules.allow_short and wanted < 0.0:
        held = max(book.position[asset], 0.0)
        reason = NO_POSITION if held == 0.0 else -1
        wanted = max(wanted, -held)
    wanted = round_to_lots_nb(wanted, rules.lot_size)
    if wanted == 0.0:
        reason = BELOW_LOT if reason < 0 else reason
        reject_nb(book, asset, number, reason, order["rest"], t, records_out)
        end_order_nb(book, orders, number, REJECTED, began, first_bar, now, rules)
        return 0.0
    quantity = capped_nb(book, market, asset, wanted, t, rules)
    if quantity != 0.0:
        order["quantity"] -= order["rest"] - wanted
        order["rest"] = wanted
    return quantity
