"""The life of an order: accepted, working, filled or ended, and what that means for its group and its children."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import NOISE, reject_nb, round_to_lots_nb
from engine.kernels.state import (
    AFTER_MARKET,
    BEFORE,
    NEXT_BAR,
    SAME_CLOSE,
    TRIGGERED_NOW,
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
    now = price_now_nb(book, market, asset, t)
    order["quantity"] = quantity if reason < 0 else order["quantity"]
    order["rest"] = order["quantity"]
    book.live[book.state.n_live] = number
    book.state.n_live += 1
    if reason >= 0:
        reject_nb(book, asset, number, reason, order["quantity"], t, records_out)
        end_order_nb(book, orders, number, REJECTED, BEFORE, t + 1, now, rules)
        return
    order["status"] = WAITING
    round_order_prices_nb(orders, number, rules.tick_size)
    parent, group = order["parent"], order["oco_group"]
    if group >= 0 and orders[group]["is_group_filled"] == 1:
        end_order_nb(book, orders, number, CANCELLED, BEFORE, t + 1, now, rules)
    elif parent < 0:
        order["status"] = WORKING
        is_now = rules.timing == SAME_CLOSE and order["kind"] == MARKET
        order["active_bar"] = t if is_now else t + 1 + rules.latency
        begin_trailing_nb(orders, number, now)
    elif has_ended_nb(orders, parent):
        follow_parent_nb(orders, number, BEFORE, t + 1, now, rules)


@step
def price_now_nb(book: Book, market: Market, asset: int, t: int) -> float:
    """Return an asset's price (ccy) at the close of bar t: marks of assets not held may be older than the bar."""
    close: float = market.close[t, asset]
    return book.mark[asset] if np.isnan(close) else close


@step
def has_ended_nb(orders: np.ndarray, number: int) -> bool:
    """Return whether an order neither waits nor works any more."""
    return orders[number]["status"] != WAITING and orders[number]["status"] != WORKING


@step
def begin_trailing_nb(orders: np.ndarray, number: int, price: float) -> None:
    """Set what a trailing stop trails at first: what its stop price implies, or the market's price."""
    order = orders[number]
    if order["kind"] != TRAILING_STOP:
        return
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    if np.isnan(order["stop_price"]):
        order["reference"] = price
    elif np.isnan(order["trail"]):
        order["reference"] = order["stop_price"] / (1.0 + side * order["trail_rate"])
    else:
        order["reference"] = order["stop_price"] - side * order["trail"]


@step
def take_fill_nb(
    book: Book,
    orders: np.ndarray,
    number: int,
    quantity: float,
    whole: float,
    price: float,
    began: int,
    first_bar: int,
    rules: Rules,
) -> None:
    """Count a fill of an order in, before it is executed: its rest, its end, its group and its children.

    `whole` is what the fill would have been with enough cash: the part cut off is dropped. `first_bar` is the bar
    that children may work in first, `price` the market's.
    """
    order = orders[number]
    wanted = wanted_nb(book, orders, number, rules)
    order["quantity"] -= order["rest"] - wanted
    rest = wanted - whole
    order["quantity"] += quantity - whole
    order["rest"] = 0.0 if abs(rest) <= NOISE * abs(whole) else rest
    group = order["oco_group"]
    if group >= 0 and orders[group]["is_group_filled"] == 0:
        orders[group]["is_group_filled"] = 1
        for i in range(book.state.n_live):
            other = book.live[i]
            if other != number and orders[other]["oco_group"] == group and not has_ended_nb(orders, other):
                orders[other]["status"] = CANCELLED
    if order["rest"] == 0.0:
        order["status"] = FILLED
    elif order["kind"] == STOP or order["kind"] == TRAILING_STOP:
        # What volume leaves over of a stop is a market order now.
        order["is_triggered"] = 1
    release_children_nb(book, orders, began, first_bar, price, rules)


@step
def wanted_nb(book: Book, orders: np.ndarray, number: int, rules: Rules) -> float:
    """Return the signed units that an order may still fill: whole lots, without short selling what is held.

    What that cuts off is dropped with the next fill.
    """
    order = orders[number]
    wanted = order["rest"]
    if not rules.allow_short and wanted < 0.0:
        wanted = max(wanted, -max(book.position[order["asset"]], 0.0))
    return round_to_lots_nb(wanted, rules.lot_size)


@step
def end_order_nb(
    book: Book, orders: np.ndarray, number: int, status: int, began: int, first_bar: int, price: float, rules: Rules
) -> None:
    """End an order and let its children follow; it leaves the list of live orders at the bar's end."""
    orders[number]["status"] = status
    release_children_nb(book, orders, began, first_bar, price, rules)


@step
def release_children_nb(book: Book, orders: np.ndarray, began: int, first_bar: int, price: float, rules: Rules) -> None:
    """Start, or cancel, the waiting children of all orders that have ended, and the children of those cancelled."""
    if book.state.n_children == 0:
        return
    is_changed = True
    while is_changed:
        is_changed = False
        for i in range(book.state.n_live):
            number = book.live[i]
            parent = orders[number]["parent"]
            if parent >= 0 and orders[number]["status"] == WAITING and has_ended_nb(orders, parent):
                follow_parent_nb(orders, number, began, first_bar, price, rules)
                is_changed = True


@step
def follow_parent_nb(orders: np.ndarray, number: int, began: int, first_bar: int, price: float, rules: Rules) -> None:
    """Start a child of at most its parent's filled units, or cancel it where the parent has filled none.

    No child works before its own decision and latency allow.
    """
    order = orders[number]
    parent = orders[order["parent"]]
    filled = abs(parent["quantity"] - parent["rest"])
    if filled == 0.0:
        order["status"] = CANCELLED
        return
    size = min(abs(order["quantity"]), filled)
    order["quantity"] = size if order["quantity"] > 0.0 else -size
    order["rest"] = order["quantity"]
    order["status"] = WORKING
    is_market = parent["kind"] == MARKET or parent["kind"] == MOO
    is_later = rules.children_from == NEXT_BAR or (rules.children_from == AFTER_MARKET and not is_market)
    bar = first_bar + 1 if is_later and began != BEFORE else first_bar
    order["active_bar"] = max(bar, order["bar"] + 1 + rules.latency)
    order["began"] = began if order["active_bar"] == first_bar else BEFORE
    order["begin_price"] = price
    begin_trailing_nb(orders, number, price)


@step
def is_active_nb(orders: np.ndarray, number: int, t: int) -> bool:
    """Return whether an order may fill in bar t."""
    return orders[number]["status"] == WORKING and t >= orders[number]["active_bar"]


@step
def is_session_end_nb(market: Market, t: int) -> bool:
    """Return whether bar t is the last of its session; the last bar of all is."""
    return t + 1 == market.close.shape[0] or market.calendar[t + 1]["session"] != market.calendar[t]["session"]


@step
def expire_nb(book: Book, market: Market, orders: np.ndarray, is_last: bool, t: int, rules: Rules) -> None:
    """End what the bar's end ends, and take what has ended off the list of live orders.

    A pass that is not the last one of the bar leaves alone what the close of its decisions may still fill.
    """
    for i in range(book.state.n_live):
        number = book.live[i]
        order = orders[number]
        order["began"] = BEFORE
        if order["is_triggered"] == TRIGGERED_NOW:
            order["is_triggered"] = 1
        is_left = not is_last and rules.timing == SAME_CLOSE and order["kind"] == MARKET
        if is_left or not is_active_nb(orders, number, t):
            continue
        is_over = order["tif"] == IOC
        is_over |= order["tif"] == BARS and t - order["active_bar"] + 1 >= order["tif_bars"]
        is_over |= order["tif"] == DAY and is_session_end_nb(market, t)
        if is_over:
            now = price_now_nb(book, market, order["asset"], t)
            end_order_nb(book, orders, number, EXPIRED, BEFORE, t + 1, now, rules)
    n_kept = 0
    for i in range(book.state.n_live):
        number = book.live[i]
        if not has_ended_nb(orders, number):
            book.live[n_kept] = number
            n_kept += 1
    book.state.n_live = n_kept


@step
def cancel_all_nb(book: Book, orders: np.ndarray) -> None:
    """Cancel every order that has not ended."""
    for i in range(book.state.n_live):
        if not has_ended_nb(orders, book.live[i]):
            orders[book.live[i]]["status"] = CANCELLED
    book.state.n_live = 0
