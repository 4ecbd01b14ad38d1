"""The moments of a bar at which much fills at one price: its open, its close, and the close of a decision.

At each moment liquidations come first, then exits of Risk, then what sells, then, as one group, what buys. All of
it is executed at one place of the code, since the compiler copies what it inlines.
"""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import available_nb, execute_nb, reject_nb, round_to_lots_nb
from engine.kernels.cash import DUST, affordable_share_nb, is_queued_nb, queue_nb
from engine.kernels.due import fillable_nb, is_due_nb, is_group_queued_nb
from engine.kernels.levels import risk_profit_nb, risk_stop_nb
from engine.kernels.lifecycle import end_order_nb, take_fill_nb
from engine.kernels.state import (
    AT_OPEN,
    BEFORE,
    HELD,
    MARGIN_POLICY,
    NEXT_OPEN,
    OPENING,
    PENDING,
    SAME_BAR_CLOSE,
    SCALE,
    STOPS_FIRST,
    Book,
    Floats,
    Market,
    Records,
    Rules,
)
from engine.kernels.targets import drop_target_nb, order_quantity_nb
from engine.records import (
    LIMIT,
    LIQUIDATION,
    MARGIN,
    NO_CASH,
    REJECTED,
    STOP_LIMIT,
    TAKE_PROFIT,
    TARGET,
    TIME_STOP,
)

_LIQUIDATING, _LEAVING, _TARGETS, _ORDERS, _QUEUE = range(5)


@step
def trade_moment_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    price: Floats,
    moment: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> None:
    """Fill all that a moment fills at prices of bar t; `book` and `orders` are modified in place."""
    n_queued = 0
    share = 1.0
    # What fills at a close lets its children begin with the next bar.
    began = AT_OPEN if moment == OPENING else BEFORE
    first_bar = t if moment == OPENING else t + 1
    for phase in range(5):
        n = phase_length_nb(book, moment, phase, n_queued, rules)
        n_kept = 0
        if phase == _QUEUE and n > 0:
            share = affordable_share_nb(book, market, orders, price, n_queued, t, rules)
        for i in range(n):
            order, limit, kind, quantity = -1, np.nan, TARGET, 0.0
            if phase == _QUEUE:
                asset, order, kind = book.group[i]["asset"], book.group[i]["order"], book.group[i]["kind"]
                limit = book.group[i]["limit"]
                quantity = share_of_queued_nb(book, orders, i, share, began, first_bar, t, rules, records_out)
            elif phase == _ORDERS:
                order = book.live[i]
                asset, kind, limit, quantity = order_to_fill_nb(
                    book, market, orders, order, price, moment, n_queued, began, first_bar, t, rules, records_out
                )
            elif phase == _TARGETS:
                asset = book.lists[PENDING, i]
                quantity, is_kept = target_to_fill_nb(book, market, asset, price, t, rules)
                if is_kept:
                    book.lists[PENDING, n_kept] = asset
                    n_kept += 1
            else:
                # Backwards: what is sold out leaves the list of held assets.
                asset = book.lists[HELD, n - 1 - i]
                if phase == _LEAVING:
                    kind, limit, quantity = exit_at_open_nb(book, market, asset, t, rules)
                else:
                    kind, quantity = LIQUIDATION, liquidation_to_fill_nb(book, market, asset, t, rules)
            if quantity == 0.0:
                continue
            reference = price[t, asset]
            if phase == _TARGETS or phase == _ORDERS:
                if is_queued_nb(book.position[asset], quantity, rules):
                    n_queued = queue_nb(book, n_queued, asset, order, kind, quantity, reference, limit)
                    continue
                if orders is not None and order >= 0:
                    take_fill_nb(book, orders, order, quantity, quantity, reference, began, first_bar)
            execute_nb(
                book, market, orders, asset, order, kind, quantity, reference, limit, began, t, rules, records_out
            )
        if phase == _TARGETS and n > 0:
            book.state.n_pending = n_kept


@step
def phase_length_nb(book: Book, moment: int, phase: int, n_queued: int, rules: Rules) -> int:
    """Return over how many things a phase of a moment goes."""
    if phase == _QUEUE:
        return n_queued
    if phase == _ORDERS:
        return book.state.n_live
    if phase == _TARGETS:
        is_time = moment == (OPENING if rules.timing == NEXT_OPEN else SAME_BAR_CLOSE)
        return book.state.n_pending if is_time else 0
    if moment != OPENING:
        return 0
    if phase == _LEAVING:
        return book.state.n_held if rules.has_risk else 0
    return book.state.n_held if book.state.n_liquidations > 0 else 0


@step
def target_to_fill_nb(
    book: Book, market: Market, asset: int, price: Floats, t: int, rules: Rules
) -> tuple[float, bool]:
    """Return the signed units that a pending target trades now, and whether it stays pending.

    It stays while its asset misses bars and while volume limits it.
    """
    if np.isnan(price[t, asset]):
        return 0.0, True
    quantity = order_quantity_nb(book.target[asset], book.position[asset], rules.lot_size)
    if rules.participation < np.inf:
        available = available_nb(book, market, asset, t, rules)
        if abs(quantity) > available:
            return available if quantity > 0.0 else -available, True
    book.target[asset] = np.nan
    return quantity, False


@step
def order_to_fill_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    number: int,
    price: Floats,
    moment: int,
    n_queued: int,
    began: int,
    first_bar: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> tuple[int, int, float, float]:
    """Return asset, kind, limit (NaN: none) and the signed units of an order that a moment fills; 0: none."""
    if orders is None:
        return 0, 0, np.nan, 0.0
    order = orders[number]
    asset, kind = order["asset"], order["kind"]
    now = price[t, asset]
    limit = order["limit_price"] if kind == LIMIT or kind == STOP_LIMIT else np.nan
    if np.isnan(now) or not is_due_nb(orders, number, market, now, moment, t, rules):
        return asset, kind, limit, 0.0
    if order["oco_group"] >= 0 and is_group_queued_nb(book, orders, number, n_queued):
        return asset, kind, limit, 0.0
    quantity = fillable_nb(book, market, orders, number, began, first_bar, t, rules, records_out)
    return asset, kind, limit, quantity


@step
def liquidation_to_fill_nb(book: Book, market: Market, asset: int, t: int, rules: Rules) -> float:
    """Return the signed units by which a margin call brings a position down now; volume may limit them."""
    wanted = book.holding[asset]["liquidation"]
    if np.isnan(wanted) or np.isnan(market.open[t, asset]):
        return 0.0
    quantity = wanted - book.position[asset]
    available = available_nb(book, market, asset, t, rules)
    if abs(quantity) > available:
        return available if quantity > 0.0 else -available
    book.holding[asset]["liquidation"] = np.nan
    book.state.n_liquidations -= 1
    return quantity


@step
def exit_at_open_nb(book: Book, market: Market, asset: int, t: int, rules: Rules) -> tuple[int, float, float]:
    """Return kind, limit and signed units of a position to leave at the open of bar t; 0 units: none.

    It leaves where its time is over, where the open has passed a level, or where volume kept it from leaving.
    """
    o = market.open[t, asset]
    if np.isnan(o):
        return 0, np.nan, 0.0
    holding = book.holding[asset]
    is_long = book.position[asset] > 0.0
    kind = holding["exit_kind"]
    limit = np.nan
    if kind < 0 and rules.time_stop > 0 and t - holding["entry_bar"] >= rules.time_stop:
        kind = TIME_STOP
    if kind < 0:
        stop, stop_kind = risk_stop_nb(book, asset, rules)
        profit = risk_profit_nb(book, asset, rules)
        if (o <= stop) if is_long else (o >= stop):
            kind = stop_kind
        elif rules.intrabar != STOPS_FIRST and ((o >= profit) if is_long else (o <= profit)):
            kind, limit = TAKE_PROFIT, profit
    if kind < 0:
        return 0, np.nan, 0.0
    return kind, limit, quantity_to_leave_nb(book, market, asset, kind, t, rules)


@step
def quantity_to_leave_nb(book: Book, market: Market, asset: int, kind: int, t: int, rules: Rules) -> float:
    """Return the signed units that leave a whole position, as far as volume allows; the rest is noted to follow."""
    position = book.position[asset]
    available = available_nb(book, market, asset, t, rules)
    if abs(position) <= available:
        return -position
    book.holding[asset]["exit_kind"] = kind
    return -available if position > 0.0 else available


@step
def share_of_queued_nb(
    book: Book,
    orders: np.ndarray | None,
    i: int,
    share: float,
    began: int,
    first_bar: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> float:
    """Return the signed units that cash or margin leaves of a queued fill, and count its order's fill in.

    What is refused is written down; what is cut off is dropped.
    """
    queued = book.group[i]
    asset, order, whole = queued["asset"], queued["order"], queued["quantity"]
    quantity = whole
    if share < 1.0:
        quantity = round_to_lots_nb(whole * share, rules.lot_size) if share >= DUST else 0.0
        if order < 0 and quantity != whole:
            drop_target_nb(book, asset)
    reason = MARGIN if rules.cash_policy == MARGIN_POLICY else NO_CASH
    if order < 0:
        if quantity == 0.0 and rules.cash_policy != SCALE:
            reject_nb(book, asset, -1, reason, whole, t, records_out)
        return quantity
    if orders is not None:
        if quantity == 0.0:
            reject_nb(book, asset, order, reason, orders[order]["rest"], t, records_out)
            end_order_nb(book, orders, order, REJECTED, began, first_bar)
        else:
            take_fill_nb(book, orders, order, quantity, whole, queued["reference"], began, first_bar)
    return quantity
