"""What a policy sees, where it puts its orders, and what becomes of them at the end of its bar."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.bounds import LEAST, MOST
from engine.jit import kept_step, step
from engine.kernels.deciding import want_nb
from engine.kernels.lifecycle import end_order_nb, has_ended_nb, price_now_nb
from engine.kernels.state import BEFORE, Book, Floats, Integers, Market, Rules
from engine.records import (
    BARS,
    CANCELLED,
    GTC,
    LIMIT,
    MARKET,
    ORDER,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    WAITING,
)

# Places of Desk.numbers: orders so far, the first one of this bar, how many orders of earlier bars have not ended,
# this bar, the last bar at which something was cancelled (-1: none yet), whether there was room for all orders, what
# was asked for in vain, and of which order (or asset).
COUNT, FIRST, N_LIVE, BAR, CANCEL_BAR, IS_FULL, FAULT, CULPRIT = range(8)
# What may be asked for in vain; whoever reads a fault has words for it.
(
    FINE,
    WRONG_ASSET,
    WRONG_QUANTITY,
    WRONG_KIND,
    WRONG_LIMIT,
    WRONG_STOP,
    WRONG_TRAIL,
    WRONG_TIF,
    WRONG_TIF_BARS,
    WRONG_PARENT,
    WRONG_GROUP,
    SHARED_GROUP,
    UNKNOWN_ORDER,
    UNKNOWN_ASSET,
) = range(14)
# What a field of 32 bits holds.
_MOST = 2**31 - 1


class BarsSeen(NamedTuple):
    """Bars up to now, float64[t + 1, n_assets]: the last row is the bar that has just ended."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class AccountSeen(NamedTuple):
    """The account at the bar's close: ccy, and float64[n_assets] signed units and marks (ccy)."""

    cash: float
    equity: float
    position: Floats
    mark: Floats


class Seen(NamedTuple):
    """Room for what a policy sees of the account and for what it remembers."""

    position: Floats  # [n_assets]
    mark: Floats  # [n_assets]
    memory: Floats  # [n_memory]


class Desk(NamedTuple):
    """Where a policy puts its orders: use the functions of `engine.policy`."""

    orders: NDArray[Any]  # ORDER, room for all of the run
    cancelled: Integers  # [n_orders] the bar at which an order was told to end, -1: none
    live: Integers  # [n_orders] the book's list of orders that have not ended
    target: Floats  # [n_assets] units wanted, NaN: leave alone
    numbers: Integers  # by the places named above


def new_desk(n_orders: int, n_assets: int, live: Integers) -> Desk:
    """Return an empty desk with room for so many orders; `live` is the list of the book of the run."""
    numbers = np.zeros(CULPRIT + 1, dtype=np.int64)
    numbers[CANCEL_BAR] = -1
    orders, cancelled = np.empty(n_orders, dtype=ORDER), np.empty(n_orders, dtype=np.int64)
    return Desk(orders, cancelled, live, np.empty(n_assets), numbers)


@step
def ask_nb(
    policy: Any,
    book: Book,
    market: Market,
    desk: Desk,
    seen: Seen,
    parameters: Floats,
    equity: float,
    t: int,
    is_called: bool,
    rules: Rules,
) -> None:
    """Let the policy decide at the close of bar t on copies and on views that end there.

    Nothing of what it decided is taken where a part of it was in vain: the run ends there, or starts anew.
    """
    position, mark = seen.position, seen.mark
    for asset in range(position.size):
        position[asset] = book.position[asset]
        mark[asset] = price_now_nb(book, market, asset, t)
        desk.target[asset] = np.nan
    end = t + 1
    bars = BarsSeen(market.open[:end], market.high[:end], market.low[:end], market.close[:end], market.volume[:end])
    first = desk.numbers[COUNT]
    desk.numbers[FIRST] = first
    desk.numbers[N_LIVE] = book.state.n_live
    desk.numbers[BAR] = t
    account = AccountSeen(book.state.cash, equity, position, mark)
    policy(t, bars, account, desk, seen.memory, parameters)
    if desk.numbers[COUNT] < first or desk.numbers[COUNT] > desk.orders.size:
        desk.numbers[COUNT] = first
        note_fault_nb(desk, UNKNOWN_ORDER, first)
    for number in range(first, desk.numbers[COUNT]):
        fault = fault_of_nb(desk.orders, number, position.size)
        if fault == FINE:
            join_group_nb(desk.orders, number)
        else:
            note_fault_nb(desk, fault, number)
    if desk.numbers[FAULT] != FINE or desk.numbers[IS_FULL] == 1:
        return
    book.state.n_orders = desk.numbers[COUNT]
    for number in range(first, desk.numbers[COUNT]):
        book.state.n_children += 1 if desk.orders[number]["parent"] >= 0 else 0
    for asset in range(position.size):
        if not np.isnan(desk.target[asset]) and not is_called and book.holding[asset]["is_listed"]:
            want_nb(book, asset, desk.target[asset], t, rules)


@step
def note_fault_nb(desk: Desk, fault: int, culprit: int) -> None:
    """Note what was asked for in vain, and of which order or asset; the first of all counts."""
    if desk.numbers[FAULT] == FINE:
        desk.numbers[FAULT] = fault
        desk.numbers[CULPRIT] = culprit


@step
def fault_of_nb(orders: np.ndarray, number: int, n_assets: int) -> int:
    """Return what is wrong with an order, or FINE: asset, size, the prices of its kind, time in force and ties fit."""
    order = orders[number]
    kind = order["kind"]
    if order["asset"] < 0 or order["asset"] >= n_assets:
        return WRONG_ASSET
    if not LEAST <= abs(order["quantity"]) <= MOST:
        return WRONG_QUANTITY
    if kind < MARKET or kind > TRAILING_STOP:
        return WRONG_KIND
    if (kind == LIMIT or kind == STOP_LIMIT) and not is_price_nb(order["limit_price"]):
        return WRONG_LIMIT
    has_stop = kind == STOP or kind == STOP_LIMIT or (kind == TRAILING_STOP and not np.isnan(order["stop_price"]))
    if has_stop and not is_price_nb(order["stop_price"]):
        return WRONG_STOP
    if kind == TRAILING_STOP:
        is_rate = np.isnan(order["trail"]) and order["trail_rate"] > 0.0 and order["trail_rate"] < 1.0
        if not is_rate and not (np.isnan(order["trail_rate"]) and is_price_nb(order["trail"])):
            return WRONG_TRAIL
    if order["tif"] < GTC or order["tif"] > BARS:
        return WRONG_TIF
    if order["tif_bars"] < 0 or (order["tif_bars"] > 0) != (order["tif"] == BARS):
        return WRONG_TIF_BARS
    return fault_of_ties_nb(orders, number)


@step
def is_price_nb(price: float) -> bool:
    """Return whether a price is positive, and one that a bar might have."""
    return price >= LEAST and price <= MOST


@step
def fault_of_ties_nb(orders: np.ndarray, number: int) -> int:
    """Return what is wrong with the parent and the group of an order, or FINE.

    Both are named by an earlier order of the asset, and filling a parent must not cancel its child.
    """
    order = orders[number]
    parent, fellow = order["parent"], order["oco_group"]
    if parent < -1 or parent >= number or (parent >= 0 and orders[parent]["asset"] != order["asset"]):
        return WRONG_PARENT
    if fellow < -1 or fellow >= number or (fellow >= 0 and orders[fellow]["asset"] != order["asset"]):
        return WRONG_GROUP
    if parent >= 0 and fellow >= 0:
        group = group_of_nb(orders, fellow)
        if group == parent or group == orders[parent]["oco_group"]:
            return SHARED_GROUP
    return FINE


@step
def group_of_nb(orders: np.ndarray, number: int) -> int:
    """Return the group of an order: its first member, which is the order itself where it was alone so far."""
    group = orders[number]["oco_group"]
    return group if group >= 0 else number


@step
def join_group_nb(orders: np.ndarray, number: int) -> None:
    """Put an order into the group of the order that it names; one that was alone becomes the first of its group."""
    fellow = orders[number]["oco_group"]
    if fellow < 0:
        return
    if orders[fellow]["oco_group"] < 0:
        orders[fellow]["oco_group"] = fellow
        orders[fellow]["is_group_filled"] = 1 if orders[fellow]["size_filled"] > 0.0 else 0
    orders[number]["oco_group"] = orders[fellow]["oco_group"]


@step
def cancel_due_nb(book: Book, market: Market, desk: Desk, t: int, rules: Rules) -> None:
    """End the orders that were cancelled a latency ago: with none, those that the policy has cancelled just now."""
    if desk.numbers[CANCEL_BAR] < 0 or desk.numbers[CANCEL_BAR] + rules.latency < t:
        return
    for i in range(book.state.n_live):
        number = book.live[i]
        at = desk.cancelled[number]
        if at >= 0 and at + rules.latency <= t and not has_ended_nb(desk.orders, number):
            now = price_now_nb(book, market, desk.orders[number]["asset"], t)
            end_order_nb(book, desk.orders, number, CANCELLED, BEFORE, t + 1, now, rules)


@kept_step
def field_nb(value: float) -> int:
    """Return a value as it fits a field of whole numbers; -2, which is wrong in each of them, where it does not."""
    if not -_MOST <= value <= _MOST:
        return -2
    whole = int(value)
    return whole if whole == value else -2


@kept_step
def new_order_nb(
    desk: Desk,
    asset: int,
    quantity: float,
    kind: int,
    limit_price: float,
    stop_price: float,
    trail: float,
    trail_rate: float,
    tif: int,
    tif_bars: int,
    parent: int,
    oco_group: int,
) -> int:
    """Write an order that has done nothing yet and return its number; without room for it the run starts anew."""
    number = desk.numbers[COUNT]
    if number < 0 or number >= desk.orders.size:
        desk.numbers[IS_FULL] = 1
        # An error and not a number that says so: a policy that orders in a loop of its own might never end.
        raise OverflowError("no room for another order")
    desk.numbers[COUNT] = number + 1
    desk.cancelled[number] = -1
    order = desk.orders[number]
    order["bar"] = desk.numbers[BAR]
    order["asset"] = field_nb(asset)
    order["kind"] = kind
    order["quantity"] = quantity
    order["limit_price"] = limit_price
    order["stop_price"] = stop_price
    order["trail"] = trail
    order["trail_rate"] = trail_rate
    order["tif"] = field_nb(tif)
    order["tif_bars"] = field_nb(tif_bars)
    order["oco_group"] = field_nb(oco_group)
    order["parent"] = field_nb(parent)
    order["status"] = WAITING
    order["is_triggered"] = 0
    order["active_bar"] = -1
    order["met_bar"] = -1
    order["met_slice"] = -1
    order["rest"] = quantity
    order["reference"] = np.nan
    order["size_filled"] = 0.0
    order["value_filled"] = 0.0
    order["commission"] = 0.0
    order["tiers"] = 0.0
    order["is_group_filled"] = 0
    order["began"] = BEFORE
    order["begin_price"] = 0.0
    return number


@kept_step
def is_known_nb(desk: Desk, number: int) -> bool:
    """Return whether an order of that number was placed; where it was not, the run ends with the bar."""
    if number >= 0 and number < desk.numbers[COUNT]:
        return True
    note_fault_nb(desk, UNKNOWN_ORDER, number)
    return False
