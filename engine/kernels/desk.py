"""What a policy sees and where it puts its orders."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import step
from engine.kernels.deciding import want_nb
from engine.kernels.state import Book, Floats, Integers, Market, Rules
from engine.records import BARS, GTC, LIMIT, MARKET, MOC, MOO, STOP, STOP_LIMIT, TRAILING_STOP, WAITING

# Rows of Desk.numbers.
COUNT, BAR, IS_FULL, WRONG = range(4)


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
    target: Floats  # [n_assets] units wanted, NaN: leave alone
    numbers: Integers  # [4] orders so far, this bar, whether there was room for all, an order that is not one


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
    """Let the policy decide at the close of bar t on copies and on views that end there."""
    position, mark = seen.position, seen.mark
    for asset in range(position.size):
        position[asset] = book.position[asset]
        mark[asset] = book.mark[asset] if np.isnan(market.close[t, asset]) else market.close[t, asset]
        desk.target[asset] = np.nan
    desk.numbers[BAR] = t
    end = t + 1
    bars = BarsSeen(market.open[:end], market.high[:end], market.low[:end], market.close[:end], market.volume[:end])
    first = desk.numbers[COUNT]
    account = AccountSeen(book.state.cash, equity, position, mark)
    policy(t, bars, account, desk, seen.memory, parameters)
    if desk.numbers[COUNT] < first or desk.numbers[COUNT] > desk.orders.size:
        desk.numbers[COUNT] = first
        new_order_nb(desk, -1, np.nan, MARKET)
    for number in range(first, desk.numbers[COUNT]):
        if not is_order_nb(desk.orders, number, position.size):
            desk.numbers[WRONG] = number
        begin_order_nb(desk.orders, number, t)
    book.state.n_orders = desk.numbers[COUNT]
    for number in range(first, desk.numbers[COUNT]):
        book.state.n_children += 1 if desk.orders[number]["parent"] >= 0 else 0
    for asset in range(position.size):
        if not np.isnan(desk.target[asset]) and not is_called and book.holding[asset]["is_listed"]:
            want_nb(book, asset, desk.target[asset], t, rules)


@step
def is_order_nb(orders: np.ndarray, number: int, n_assets: int) -> bool:
    """Return whether an order has an asset, a quantity and the prices of its kind."""
    order = orders[number]
    kind = order["kind"]
    if order["asset"] < 0 or order["asset"] >= n_assets or not abs(order["quantity"]) < np.inf:
        return False
    if order["tif"] < GTC or order["tif"] > BARS or (order["tif"] == BARS and order["tif_bars"] < 1):
        return False
    if order["oco_group"] < -1 or order["oco_group"] >= orders.size:
        return False
    if order["quantity"] == 0.0 or order["parent"] >= number or order["parent"] < -1:
        return False
    if kind == MARKET or kind == MOO or kind == MOC:
        return True
    if kind == LIMIT:
        return is_price_nb(order["limit_price"])
    if kind == STOP:
        return is_price_nb(order["stop_price"])
    if kind == STOP_LIMIT:
        return is_price_nb(order["stop_price"]) and is_price_nb(order["limit_price"])
    is_rate = order["trail_rate"] > 0.0 and order["trail_rate"] < 1.0
    return kind == TRAILING_STOP and (is_rate or is_price_nb(order["trail"]))


@step
def is_price_nb(price: float) -> bool:
    """Return whether a price is positive and finite."""
    return price > 0.0 and price < np.inf


@step
def new_order_nb(desk: Desk, asset: int, quantity: float, kind: int) -> int:
    """Write an order without prices, good till cancelled, and return its number; -1: no room (the run starts anew)."""
    number = desk.numbers[COUNT]
    if number < 0 or number >= desk.orders.size:
        desk.numbers[IS_FULL] = 1
        return -1
    desk.numbers[COUNT] = number + 1
    order = desk.orders[number]
    order["asset"] = asset
    order["kind"] = kind
    order["quantity"] = quantity
    order["limit_price"] = np.nan
    order["stop_price"] = np.nan
    order["trail"] = np.nan
    order["trail_rate"] = np.nan
    order["tif"] = GTC
    order["tif_bars"] = 0
    order["oco_group"] = -1
    order["parent"] = -1
    return number


@step
def begin_order_nb(orders: np.ndarray, number: int, t: int) -> None:
    """Set what an order has done so far: nothing; it is decided at bar t."""
    order = orders[number]
    order["bar"] = t
    order["status"] = WAITING
    order["is_triggered"] = 0
    order["active_bar"] = -1
    order["met_bar"] = -1
    order["met_slice"] = -1
    order["rest"] = order["quantity"]
    order["reference"] = np.nan
    order["size_filled"] = 0.0
    order["value_filled"] = 0.0
    order["commission"] = 0.0
    order["tiers"] = 0.0
    order["is_group_filled"] = 0
    order["began"] = 0
    order["begin_price"] = np.nan
