"""The life of an order: accepted, working, filled or ended, and what that means for its group and its children."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import reject_nb, round_to_lots_nb
from engine.kernels.state import (
    AFTER_MARKET,
    BEFORE,
    NEXT_BAR,
    Book,
    Market,
    Records,
    Rules,
)
from engine.kernels.ticks import round_order_prices_nb
from engine.records import (
    BARS,
    BELOW_LOT,
    CANCELLED,
    DAY,
    DELISTED,
    EXPIRED,
    FILLED,
    IOC,
    MARGIN_CALL,
    MARKET,
    MOO,
    REJECTED,
    STOP,
    TRAILING_STOP,
    WAITING,
    WORKING,
)


@step
def accept_nb(
    book: Book,
    market: Market,
    orders: np.ndarray,
    number: int,
    is_called: bool,
    t: int,
    rules: Rules,
    records_out: Records,
) -> None:
    """Take or refuse an order at the close of the bar it was decided on."""
    order = orders[number]
    asset = order["asset"]
    quantity = round_to_lots_nb(order["quantity"], rules.lot_size)
    reason = -1
    if not book.holding[asset]["is_listed"]:
        reason = DELISTED
    elif is_called:
        reason = MARGIN_CALL
    elif quantity == 0.0:
        reason = BELOW_LOT
    if reason >= 0:
        reject_nb(book, asset, number, reason, order["quantity"], t, records_out)
        order["status"] = REJECTED
        order["rest"] = 0.0
        if book.state.n_children > 0:
            tell_children_nb(book, orders, number, BEFORE, t)
        return
    order["quantity"] = quantity
    order["rest"] = quantity
    round_order_prices_nb(orders, number, rules.tick_size)
    if order["kind"] == TRAILING_STOP and np.isnan(order["reference"]):
        # Marks of assets that are not held may be older than the bar.
        close = market.close[t, asset]
        order["reference"] = first_reference_nb(orders, number, book.mark[asset] if np.isnan(close) else close)
    book.live[book.state.n_live] = number
    book.state.n_live += 1
    parent = order["parent"]
    order["status"] = WORKING if parent < 0 else WAITING
    if parent >= 0 and orders[parent]["status"] != WAITING and orders[parent]["status"] != WORKING:
        follow_parent_nb(orders, number, orders[parent], BEFORE, t + 1 + rules.latency)


@step
def first_reference_nb(orders: np.ndarray, number: int, mark: float) -> float:
    """Return what a trailing stop trails at first: what its stop price implies, or the mark."""
    order = orders[number]
    if np.isnan(order["stop_price"]):
        return mark
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    if np.isnan(order["trail"]):
        return order["stop_price"] / (1.0 + side * order["trail_rate"])
    return order["stop_price"] - side * order["trail"]


@step
def take_fill_nb(
    book: Book, orders: np.ndarray, number: int, quantity: float, whole: float, reference: float, began: int, t: int
) -> None:
    """Count a fill of an order in, before it is executed: its rest, its end, its group and its children.

    `whole` is what the fill would have been with enough cash: the part cut off is dropped.
    """
    order = orders[number]
    rest = order["rest"] - whole
    order["quantity"] += quantity - whole
    order["rest"] = 0.0 if abs(rest) <= 1e-12 * abs(whole) else rest
    if began != BEFORE:
        book.holding[order["asset"]]["inside_price"] = reference
    if order["oco_group"] >= 0:
        cancel_group_nb(book, orders, number, began, t)
    if order["rest"] == 0.0:
        end_order_nb(book, orders, number, FILLED, began, t)
    elif order["kind"] == STOP or order["kind"] == TRAILING_STOP:
        # What volume leaves over of a stop is a market order now.
        order["is_triggered"] = 1


@step
def cancel_group_nb(book: Book, orders: np.ndarray, number: int, began: int, t: int) -> None:
    """Cancel the other orders of a one-cancels-the-other group."""
    group = orders[number]["oco_group"]
    for i in range(book.state.n_live):
        other = book.live[i]
        is_alive = orders[other]["status"] == WAITING or orders[other]["status"] == WORKING
        if other != number and orders[other]["oco_group"] == group and is_alive:
            end_order_nb(book, orders, other, CANCELLED, began, t)


@step
def end_order_nb(book: Book, orders: np.ndarray, number: int, status: int, began: int, t: int) -> None:
    """End an order and let its children follow; it leaves the list of live orders at the bar's end."""
    orders[number]["status"] = status
    if book.state.n_children > 0:
        tell_children_nb(book, orders, number, began, t)


@step
def tell_children_nb(book: Book, orders: np.ndarray, parent: int, began: int, t: int) -> None:
    """Start (or cancel) the waiting children of an order that has ended at bar t."""
    for i in range(book.state.n_live):
        number = book.live[i]
        if orders[number]["parent"] == parent and orders[number]["status"] == WAITING:
            follow_parent_nb(orders, number, orders[parent], began, t)


@step
def follow_parent_nb(orders: np.ndarray, number: int, parent: np.ndarray, began: int, first_bar: int) -> None:
    """Start a child of at most its parent's filled units, or cancel it where the parent has filled none."""
    order = orders[number]
    filled = abs(parent["quantity"] - parent["rest"])
    if filled == 0.0:
        order["status"] = CANCELLED
        order["rest"] = 0.0
        return
    size = min(abs(order["quantity"]), filled)
    order["quantity"] = size if order["quantity"] > 0.0 else -size
    order["rest"] = order["quantity"]
    order["status"] = WORKING
    order["active_bar"] = first_bar
    order["began"] = began


@step
def is_active_nb(orders: np.ndarray, number: int, t: int, rules: Rules) -> bool:
    """Return whether an order may fill in bar t."""
    order = orders[number]
    if order["status"] != WORKING:
        return False
    if order["parent"] >= 0:
        return t >= order["active_bar"] and (order["began"] == BEFORE or not waits_a_bar_nb(orders, number, rules))
    return t >= order["bar"] + 1 + rules.latency


@step
def is_session_end_nb(market: Market, t: int) -> bool:
    """Return whether bar t is the last of its session; the last bar of all is."""
    return t + 1 == market.close.shape[0] or market.calendar[t + 1]["session"] != market.calendar[t]["session"]


@step
def waits_a_bar_nb(orders: np.ndarray, number: int, rules: Rules) -> bool:
    """Return whether a child that was started in its parent's bar works from the next one on."""
    kind = orders[orders[number]["parent"]]["kind"]
    is_market = kind == MARKET or kind == MOO
    return rules.children_from == NEXT_BAR or (rules.children_from == AFTER_MARKET and not is_market)


@step
def expire_nb(book: Book, market: Market, orders: np.ndarray, t: int, rules: Rules) -> None:
    """End what the bar's end ends, and take what has ended off the list of live orders."""
    n_live = book.state.n_live
    for i in range(n_live):
        number = book.live[i]
        order = orders[number]
        if order["began"] != BEFORE and waits_a_bar_nb(orders, number, rules):
            order["active_bar"] = t + 1
        is_active = is_active_nb(orders, number, t, rules)
        order["began"] = BEFORE
        if order["is_triggered"] == 2:
            order["is_triggered"] = 1
        if not is_active:
            continue
        if order["parent"] < 0:
            order["active_bar"] = order["bar"] + 1 + rules.latency
        is_over = order["tif"] == IOC
        is_over |= order["tif"] == BARS and t - order["active_bar"] + 1 >= order["tif_bars"]
        is_over |= order["tif"] == DAY and is_session_end_nb(market, t)
        if is_over:
            end_order_nb(book, orders, number, EXPIRED, BEFORE, t + 1)
    n_kept = 0
    for i in range(n_live):
        number = book.live[i]
        if orders[number]["status"] == WAITING or orders[number]["status"] == WORKING:
            book.live[n_kept] = number
            n_kept += 1
    book.state.n_live = n_kept


@step
def cancel_all_nb(book: Book, orders: np.ndarray) -> None:
    """Cancel every order that has not ended."""
    for i in range(book.state.n_live):
        orders[book.live[i]]["status"] = CANCELLED
    book.state.n_live = 0
