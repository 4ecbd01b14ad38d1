"""Changes of the book and the records they leave."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.fees import commission_nb, fill_price_nb
from engine.kernels.state import FILLS, HELD, Book, Records, Rules
from engine.records import ORDER


@step
def set_position_nb(book: Book, asset: int, units: float) -> None:
    """Set a position and keep the list of held assets; `book` is modified in place."""
    was_held = book.position[asset] != 0.0
    book.position[asset] = units
    n_held = book.counts[HELD]
    if units != 0.0 and not was_held:
        book.held[n_held] = asset
        book.held_at[asset] = n_held
        book.counts[HELD] = n_held + 1
    elif units == 0.0 and was_held:
        last = book.held[n_held - 1]
        book.held[book.held_at[asset]] = last
        book.held_at[last] = book.held_at[asset]
        book.counts[HELD] = n_held - 1


@step
def execute_nb(
    book: Book, asset: int, quantity: float, reference: float, t: int, rules: Rules, records_out: Records
) -> None:
    """Fill a signed quantity at bar t against the bar's price and charge its costs; `book` is modified in place."""
    size = abs(quantity)
    price = fill_price_nb(reference, np.sign(quantity), rules)
    commission = commission_nb(size, price, rules)
    spread = size * reference * rules.spread_rate
    slippage = size * reference * rules.slippage_rate
    book.cash[0] -= quantity * reference + (commission + spread + slippage)
    book.mark[asset] = reference
    set_position_nb(book, asset, book.position[asset] + quantity)
    write_fill_nb(t, asset, ORDER, quantity, price, reference, records_out)
    fill = records_out.fills[records_out.counts[FILLS] - 1]
    fill["commission"] = commission
    fill["spread"] = spread
    fill["slippage"] = slippage


@step
def write_fill_nb(
    t: int, asset: int, kind: int, quantity: float, price: float, reference: float, records_out: Records
) -> None:
    """Append a fill without costs."""
    fill = records_out.fills[records_out.counts[FILLS]]
    fill["bar"] = t
    fill["asset"] = asset
    fill["kind"] = kind
    fill["quantity"] = quantity
    fill["price"] = price
    fill["reference_price"] = reference
    fill["commission"] = 0.0
    fill["spread"] = 0.0
    fill["slippage"] = 0.0
    records_out.counts[FILLS] += 1
