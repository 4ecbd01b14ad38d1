"""What fills inside a bar: stops, limits and the levels of Risk, one after the other as the intrabar rule says."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.ambiguity import note_ambiguity_nb
from engine.kernels.book import execute_nb
from engine.kernels.cash import affordable_share_nb, queue_nb
from engine.kernels.due import fillable_nb
from engine.kernels.events import NOTHING, RISK_PROFIT, RISK_STOP, is_at_open_nb, next_order_nb, next_risk_nb
from engine.kernels.levels import NEVER, Slice, path_nb, risk_profit_nb, risk_stop_nb
from engine.kernels.lifecycle import take_fill_nb
from engine.kernels.moments import quantity_to_leave_nb, share_of_queued_nb
from engine.kernels.state import (
    AT_OPEN,
    INSIDE,
    MARGIN_POLICY,
    PESSIMISTIC,
    STOPS_FIRST,
    TRIGGERED_NOW,
    Book,
    Market,
    Records,
    Rules,
)
from engine.records import LIMIT, STOP_LIMIT, TAKE_PROFIT


@step
def inside_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    asset: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    number: int,
    is_whole: bool,
    t: int,
    rules: Rules,
    records_out: Records,
) -> None:
    """Fill what an asset's bar (or a finer bar of it) touches; `book` and `orders` are modified in place.

    Each round finds the next event, fills it and looks again, since a fill ends some orders and starts others.
    """
    is_path = rules.intrabar != PESSIMISTIC and rules.intrabar != STOPS_FIRST and is_whole
    first, second = path_nb(open_, high, low, close, book.position[asset], rules.intrabar)
    bar = Slice(open_, high, low, close, first, second, number, is_whole, is_path)
    place, now = 0.0, open_
    for _ in range(2 * book.state.n_live + 4):
        event, at, reference, key = NOTHING, NEVER, np.nan, NEVER
        if rules.has_risk and book.position[asset] != 0.0:
            event, at, reference, key = next_risk_nb(book, asset, bar, place, now, t, rules)
        if orders is not None:
            event, at, reference, key = next_order_nb(
                book, market, orders, asset, bar, place, now, event, at, reference, key, t, rules
            )
        if event == NOTHING:
            break
        if is_path:
            place, now = at, reference
        if orders is not None and event >= 0 and is_only_triggered_nb(orders, event, reference, is_path):
            continue
        began = AT_OPEN if is_at_open_nb(key, bar) else INSIDE
        note_ambiguity_nb(book, orders, asset, event, bar, t, rules)
        order, limit, kind = -1, np.nan, TAKE_PROFIT
        if event == RISK_PROFIT:
            limit = risk_profit_nb(book, asset, rules)
            quantity = quantity_to_leave_nb(book, market, asset, kind, t, rules)
        elif event == RISK_STOP:
            _, kind = risk_stop_nb(book, asset, rules)
            quantity = quantity_to_leave_nb(book, market, asset, kind, t, rules)
        else:
            order = event
            kind, limit, quantity = order_inside_nb(
                book, market, orders, order, number, reference, began, t, rules, records_out
            )
        if quantity != 0.0:
            execute_nb(
                book, market, orders, asset, order, kind, quantity, reference, limit, began, t, rules, records_out
            )


@step
def is_only_triggered_nb(orders: np.ndarray, number: int, reference: float, is_path: bool) -> bool:
    """Trigger a stop limit; return whether it works on as a limit instead of filling at once."""
    order = orders[number]
    if order["kind"] != STOP_LIMIT or order["is_triggered"] != 0:
        return False
    order["is_triggered"] = 1
    if np.isnan(reference):
        order["is_triggered"] = TRIGGERED_NOW
        return True
    return is_path and (reference - order["limit_price"]) * order["rest"] > 0.0


@step
def order_inside_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    number: int,
    slice_number: int,
    reference: float,
    began: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> tuple[int, float, float]:
    """Return kind, limit and the signed units that an order fills inside the bar; a buy within the cash there is."""
    if orders is None:
        return 0, np.nan, 0.0
    order = orders[number]
    asset, kind = order["asset"], order["kind"]
    limit = order["limit_price"] if kind == LIMIT or kind == STOP_LIMIT else np.nan
    order["is_triggered"] = 1
    order["met_slice"] = slice_number
    quantity = fillable_nb(book, market, orders, number, reference, began, t, t, rules, records_out)
    if quantity == 0.0:
        return kind, limit, quantity
    is_grouped = quantity > 0.0
    if rules.cash_policy == MARGIN_POLICY:
        is_grouped = abs(book.position[asset] + quantity) > abs(book.position[asset])
    if is_grouped:
        queue_nb(book, 0, asset, number, kind, quantity, reference, limit, rules)
        share = affordable_share_nb(book, market, orders, market.open, 1, t, rules)
        return kind, limit, share_of_queued_nb(book, orders, 0, share, began, t, t, rules, records_out)
    take_fill_nb(book, orders, number, quantity, quantity, reference, began, t, rules)
    return kind, limit, quantity
