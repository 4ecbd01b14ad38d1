"""Corporate actions effective at a bar's open."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import step
from engine.kernels.book import set_position_nb, write_fill_nb
from engine.kernels.state import CASH_FLOWS, Book, Records
from engine.records import DELISTING, DIVIDEND


@step
def apply_actions_nb(book: Book, events: Events, first: int, t: int, records_out: Records) -> int:
    """Apply the events of bar t, the first of which is `first`; return the first event after them.

    Order within an asset: dividend on the units held at the previous close, split, delisting.
    """
    i = first
    while i < events.bar.size and events.bar[i] == t:
        asset = events.asset[i]
        if events.dividend[i] != 0.0 and book.position[asset] != 0.0:
            pay_dividend_nb(book, asset, events.dividend[i], t, records_out)
        if events.split[i] != 1.0:
            split_nb(book, asset, events.split[i])
        if not np.isnan(events.delisting[i]):
            delist_nb(book, asset, events.delisting[i], t, records_out)
        i += 1
    return i


@step
def pay_dividend_nb(book: Book, asset: int, rate: float, t: int, records_out: Records) -> None:
    """Pay `rate` ccy for each unit held: a long position receives, a short one pays."""
    amount = book.position[asset] * rate
    book.cash[0] += amount
    flow = records_out.cash_flows[records_out.counts[CASH_FLOWS]]
    flow["bar"] = t
    flow["asset"] = asset
    flow["kind"] = DIVIDEND
    flow["amount"] = amount
    flow["quantity"] = book.position[asset]
    flow["rate"] = rate
    records_out.counts[CASH_FLOWS] += 1


@step
def split_nb(book: Book, asset: int, ratio: float) -> None:
    """Rescale position, pending target and mark; the position's value stays."""
    book.position[asset] *= ratio
    book.target[asset] *= ratio
    book.mark[asset] /= ratio


@step
def delist_nb(book: Book, asset: int, delisting_return: float, t: int, records_out: Records) -> None:
    """Close the position at the last mark x (1 + delisting return), free of costs, and end all trading."""
    book.is_listed[asset] = False
    units = book.position[asset]
    if units == 0.0:
        return
    price = book.mark[asset] * (1.0 + delisting_return)
    book.cash[0] += units * price
    set_position_nb(book, asset, 0.0)
    write_fill_nb(t, asset, DELISTING, -units, price, price, records_out)
