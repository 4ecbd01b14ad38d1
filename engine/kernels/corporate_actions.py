"""Corporate actions effective at a bar's open."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import step
from engine.kernels.book import LOT_NOISE, fill_free_nb, move_cash_nb, round_to_lots_nb, set_position_nb
from engine.kernels.lifecycle import has_ended_nb
from engine.kernels.state import (
    PENDING,
    Book,
    Records,
    Rules,
)
from engine.kernels.targets import remove_pending_nb
from engine.kernels.ticks import round_order_prices_nb
from engine.records import CANCELLED, CASH_IN_LIEU, DELISTING, DIVIDEND


@step
def apply_actions_nb(
    book: Book, orders: np.ndarray | None, events: Events, first: int, t: int, rules: Rules, records_out: Records
) -> int:
    """Apply the events of bar t, the first of which is `first`; return the first event after them.

    Order within an asset: dividend on the units held at the previous close, split, delisting.
    """
    i = first
    while i < events.bar.size and events.bar[i] == t:
        asset = events.asset[i]
        if events.dividend[i] != 0.0 and book.position[asset] != 0.0:
            amount = book.position[asset] * events.dividend[i]
            if rules.pays_on_ex_date or events.pay_bar[i] <= t:
                move_cash_nb(book, asset, DIVIDEND, amount, book.position[asset], events.dividend[i], t, records_out)
            else:
                book.due[i] = amount
                book.state.n_unpaid += 1
        if events.split[i] != 1.0:
            split_nb(book, orders, asset, events.split[i], t, rules, records_out)
        if not np.isnan(events.delisting[i]):
            delist_nb(book, orders, asset, events.delisting[i], t, records_out)
        i += 1
    return i


@step
def pay_dividends_nb(book: Book, events: Events, t: int, records_out: Records) -> None:
    """Pay what earlier ex-dates fixed and bar t or a bar before it is due for."""
    i = book.state.next_payment
    while i < events.pay_order.size and events.pay_bar[events.pay_order[i]] <= t:
        event = events.pay_order[i]
        amount = book.due[event]
        if amount != 0.0:
            rate = events.dividend[event]
            move_cash_nb(book, events.asset[event], DIVIDEND, amount, amount / rate, rate, t, records_out)
            book.due[event] = 0.0
            book.state.n_unpaid -= 1
        i += 1
    book.state.next_payment = i


@step
def split_nb(
    book: Book, orders: np.ndarray | None, asset: int, ratio: float, t: int, rules: Rules, records_out: Records
) -> None:
    """Rescale position, targets, orders, marks and levels; the position's value stays."""
    book.position[asset] *= ratio
    book.target[asset] *= ratio
    book.mark[asset] /= ratio
    holding = book.holding[asset]
    holding["entry_price"] /= ratio
    holding["extreme"] /= ratio
    holding["liquidation"] *= ratio
    holding["size_filled"] *= ratio
    for i in range(book.late.shape[0]):
        book.late[i, asset] *= ratio
    if orders is not None:
        split_orders_nb(book, orders, asset, ratio, rules.tick_size)
    units = book.position[asset]
    if rules.cash_in_lieu and rules.lot_size > 0.0 and units != 0.0:
        fraction = units - round_to_lots_nb(units, rules.lot_size)
        if abs(fraction) > LOT_NOISE * rules.lot_size:
            price = book.mark[asset]
            move_cash_nb(book, asset, CASH_IN_LIEU, fraction * price, -fraction, -price, t, records_out)
            set_position_nb(book, asset, units - fraction)


@step
def split_orders_nb(book: Book, orders: np.ndarray, asset: int, ratio: float, tick_size: float) -> None:
    """Rescale all orders of an asset so far, ended ones too; modifies `orders` in place."""
    for number in range(book.state.next_order):
        order = orders[number]
        if order["asset"] == asset:
            order["quantity"] *= ratio
            order["rest"] *= ratio
            order["size_filled"] *= ratio
            order["limit_price"] /= ratio
            order["stop_price"] /= ratio
            order["trail"] /= ratio
            order["reference"] /= ratio
            round_order_prices_nb(orders, number, tick_size)


@step
def delist_nb(
    book: Book, orders: np.ndarray | None, asset: int, delisting_return: float, t: int, records_out: Records
) -> None:
    """Close the position at the last mark x (1 + delisting return), free of costs, and end all trading."""
    book.holding[asset]["is_listed"] = False
    book.state.n_delisted += 1
    for i in range(book.late.shape[0]):
        if not np.isnan(book.late[i, asset]):
            book.late[i, asset] = np.nan
            book.state.n_late -= 1
    if orders is not None:
        for i in range(book.state.n_live):
            number = book.live[i]
            if orders[number]["asset"] == asset and not has_ended_nb(orders, number):
                orders[number]["status"] = CANCELLED
    for i in range(book.state.n_pending):
        if book.lists[PENDING, i] == asset:
            remove_pending_nb(book, i)
            book.target[asset] = np.nan
            break
    units = book.position[asset]
    if units != 0.0:
        fill_free_nb(book, asset, DELISTING, -units, book.mark[asset] * (1.0 + delisting_return), t, records_out)
