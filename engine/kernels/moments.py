"""The moments of a bar at which much fills at one price: its open, its close, and the close of a decision.

At each moment liquidations come first, then exits of Risk, then what sells, then, as one group, what buys. All
of it is executed at one place of the code, since the compiler copies what it inlines.
"""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import NOISE, begin_exit_nb, capped_nb, execute_nb, reject_nb, round_to_lots_nb
from engine.kernels.cash import DUST, affordable_share_nb, queue_nb
from engine.kernels.due import fillable_nb, is_due_nb, is_group_queued_nb
from engine.kernels.levels import risk_profit_nb, risk_stop_nb
from engine.kernels.lifecycle import end_order_nb, take_fill_nb
from engine.kernels.rebalancing import is_rebalance_nb, rebalance_nb
from engine.kernels.state import (
    AT_OPEN,
    BEFORE,
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

# What is gone through at a moment, in order. First all that sells, then (where margin decides) what buys without
# raising a position, then the group of the others.
(
    _LIQUIDATING,
    _LEAVING,
    _TARGETS_SELLING,
    _ORDERS_SELLING,
    _TARGETS_COVERING,
    _ORDERS_COVERING,
    _TARGETS_QUEUEING,
    _ORDERS_QUEUEING,
    _GROUP,
) = range(9)


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
    if moment == OPENING and rules.timing == NEXT_OPEN and is_rebalance_nb(book, market, rules):
        n_queued = rebalance_nb(book, market, t, rules, records_out)
    share = 1.0
    # What fills at a close lets its children begin with the next bar.
    began = AT_OPEN if moment == OPENING else BEFORE
    first_bar = t if moment == OPENING else t + 1
    for phase in range(_GROUP + 1):
        n = phase_length_nb(book, moment, phase, n_queued, rules)
        if n == 0:
            continue
        is_target = phase == _TARGETS_SELLING or phase == _TARGETS_COVERING or phase == _TARGETS_QUEUEING
        is_order = phase == _ORDERS_SELLING or phase == _ORDERS_COVERING or phase == _ORDERS_QUEUEING
        n_kept = 0
        if phase == _GROUP:
            share = affordable_share_nb(book, market, orders, price, n_queued, t, rules)
        for i in range(n):
            order, limit, kind, quantity, is_queued = -1, np.nan, TARGET, 0.0, False
            if is_target:
                asset = book.lists[PENDING, i]
                quantity, is_queued, is_kept = target_to_fill_nb(book, market, asset, price, phase, t, rules)
                if is_kept:
                    book.lists[PENDING, n_kept] = asset
                    n_kept += 1
            elif phase == _GROUP:
                asset, order, kind = book.group[i]["asset"], book.group[i]["order"], book.group[i]["kind"]
                limit = book.group[i]["limit"]
                quantity = share_of_queued_nb(book, orders, i, share, began, first_bar, t, rules, records_out)
            elif is_order:
                order = book.live[i]
                asset, kind, limit, quantity, is_queued = order_to_fill_nb(
                    book, market, orders, order, price, moment, phase, n_queued, began, first_bar, t, rules, records_out
                )
            else:
                asset = i
                if book.position[asset] == 0.0 or np.isnan(price[t, asset]):
                    continue
                if phase == _LEAVING:
                    kind, limit, quantity = exit_at_open_nb(book, market, asset, t, rules)
                else:
                    kind, quantity = LIQUIDATION, liquidation_to_fill_nb(book, market, asset, t, rules)
            if quantity == 0.0:
                continue
            reference = price[t, asset]
            if is_queued:
                n_queued = queue_nb(book, n_queued, asset, order, kind, quantity, reference, limit, rules)
                continue
            if orders is not None and is_order:
                take_fill_nb(book, orders, order, quantity, quantity, reference, began, first_bar, rules)
            execute_nb(
                book, market, orders, asset, order, kind, quantity, reference, limit, began, t, rules, records_out
            )
        if is_target:
            book.state.n_pending = n_kept


@step
def phase_length_nb(book: Book, moment: int, phase: int, n_queued: int, rules: Rules) -> int:
    """Return over how many things a phase of a moment goes."""
    is_margin = rules.cash_policy == MARGIN_POLICY
    if phase == _GROUP:
        return n_queued
    if phase == _ORDERS_SELLING or phase == _ORDERS_QUEUEING or phase == _ORDERS_COVERING:
        return book.state.n_live if is_margin or phase != _ORDERS_COVERING else 0
    if phase == _TARGETS_SELLING or phase == _TARGETS_QUEUEING or phase == _TARGETS_COVERING:
        if moment != (OPENING if rules.timing == NEXT_OPEN else SAME_BAR_CLOSE):
            return 0
        if (phase == _TARGETS_COVERING and not is_margin) or (phase == _TARGETS_QUEUEING and is_at_once_nb(rules)):
            return 0
        return book.state.n_pending
    if moment != OPENING:
        return 0
    if phase == _LEAVING:
        return book.position.size if rules.has_risk and book.state.n_held > 0 else 0
    return book.position.size if book.state.n_liquidations > 0 else 0


@step
def is_at_once_nb(rules: Rules) -> bool:
    """Return whether targets are gone through once: what they buy depends on nothing that sells before."""
    return rules.participation == np.inf and rules.cash_policy != MARGIN_POLICY


@step
def is_of_phase_nb(book: Book, asset: int, quantity: float, phase: int, rules: Rules) -> tuple[bool, bool]:
    """Return whether a quantity is for this phase, and whether it is queued with the group of its moment."""
    position = book.position[asset]
    is_raising = abs(position + quantity) > abs(position)
    is_grouped = is_raising if rules.cash_policy == MARGIN_POLICY else quantity > 0.0
    if phase == _TARGETS_QUEUEING or phase == _ORDERS_QUEUEING:
        return True, is_grouped
    if phase == _TARGETS_COVERING or phase == _ORDERS_COVERING:
        return quantity > 0.0 and not is_grouped, False
    if phase == _TARGETS_SELLING and is_at_once_nb(rules):
        return True, is_grouped
    return quantity < 0.0 and not is_grouped, False


@step
def target_to_fill_nb(
    book: Book, market: Market, asset: int, price: Floats, phase: int, t: int, rules: Rules
) -> tuple[float, bool, bool]:
    """Return the signed units that a pending target trades now, whether with the group, and whether it stays pending.

    It stays while its asset misses bars and while volume limits it.
    """
    if np.isnan(price[t, asset]):
        return 0.0, False, True
    wanted = order_quantity_nb(book.target[asset], book.position[asset], rules.lot_size)
    quantity = capped_nb(book, market, asset, wanted, t, rules)
    is_now, is_queued = is_of_phase_nb(book, asset, quantity, phase, rules)
    if quantity != 0.0 and not is_now:
        return 0.0, False, True
    if quantity != wanted:
        return quantity, is_queued, True
    book.target[asset] = np.nan
    return quantity, is_queued, False


@step
def order_to_fill_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    number: int,
    price: Floats,
    moment: int,
    phase: int,
    n_queued: int,
    began: int,
    first_bar: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> tuple[int, int, float, float, bool]:
    """Return asset, kind, limit (NaN: none), signed units (0: none) of an order that a moment fills, and if grouped."""
    if orders is None:
        return 0, 0, np.nan, 0.0, False
    order = orders[number]
    asset, kind = order["asset"], order["kind"]
    now = price[t, asset]
    limit = order["limit_price"] if kind == LIMIT or kind == STOP_LIMIT else np.nan
    is_sale = order["rest"] < 0.0
    is_other = phase == _ORDERS_SELLING if not is_sale else phase == _ORDERS_COVERING
    if is_other or np.isnan(now) or not is_due_nb(orders, number, market, now, moment, t, rules):
        return asset, kind, limit, 0.0, False
    if is_sale and phase == _ORDERS_QUEUEING and rules.cash_policy != MARGIN_POLICY:
        return asset, kind, limit, 0.0, False
    if phase == _ORDERS_QUEUEING and order["oco_group"] >= 0 and is_group_queued_nb(book, orders, number, n_queued):
        # Should the other one be refused, this one meets the rest of the bar from here.
        order["met_bar"] = -1
        order["began"] = began
        order["begin_price"] = now
        order["is_triggered"] = 1 if kind == STOP_LIMIT else 0
        return asset, kind, limit, 0.0, False
    quantity = fillable_nb(book, market, orders, number, now, began, first_bar, t, rules, records_out)
    # What has met the open does not meet the rest of the bar.
    order["met_bar"] = t
    is_now, is_queued = is_of_phase_nb(book, asset, quantity, phase, rules)
    if quantity == 0.0 or not is_now:
        return asset, kind, limit, 0.0, False
    return asset, kind, limit, quantity, is_queued


@step
def liquidation_to_fill_nb(book: Book, market: Market, asset: int, t: int, rules: Rules) -> float:
    """Return the signed units by which a margin call brings a position down now; volume may limit them."""
    holding = book.holding[asset]
    wanted, held = holding["liquidation"], book.position[asset]
    if np.isnan(wanted):
        return 0.0
    quantity = wanted - held
    if held * wanted < 0.0 or abs(wanted) >= abs(held) * (1.0 - NOISE):
        quantity = 0.0
    elif wanted != 0.0:
        quantity = round_to_lots_nb(quantity, rules.lot_size)
    capped = capped_nb(book, market, asset, quantity, t, rules)
    if capped == quantity:
        holding["liquidation"] = np.nan
        book.state.n_liquidations -= 1
    return capped


@step
def exit_at_open_nb(book: Book, market: Market, asset: int, t: int, rules: Rules) -> tuple[int, float, float]:
    """Return kind, limit and signed units of a position to leave at the open of bar t; 0 units: none.

    It leaves where its time is over, where the open has passed a level, or where volume kept it from leaving.
    """
    o = market.open[t, asset]
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
    holding = book.holding[asset]
    if holding["exit_kind"] < 0:
        begin_exit_nb(book, asset)
        holding["exit_kind"] = kind
    return capped_nb(book, market, asset, -book.position[asset], t, rules)


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
    book.holding[asset]["queued"] = 0.0
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
            end_order_nb(book, orders, order, REJECTED, began, first_bar, queued["reference"], rules)
        else:
            take_fill_nb(book, orders, order, quantity, whole, queued["reference"], began, first_bar, rules)
    return quantity
