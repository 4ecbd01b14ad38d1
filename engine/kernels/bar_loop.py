"""The bar loop: busy bars one by one, quiet ones in stretches."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.actions import Events
from engine.jit import kernel, step
from engine.kernels.bar import begin_bar_nb, end_trading_nb, trade_inside_nb
from engine.kernels.checks import is_countable_nb
from engine.kernels.deciding import decide_nb, release_late_nb
from engine.kernels.desk import CULPRIT, FAULT, FINE, IS_FULL, Desk, Seen, ask_nb, cancel_due_nb
from engine.kernels.lifecycle import accept_nb, expire_nb
from engine.kernels.margin import call_margin_nb
from engine.kernels.marking import mark_held_nb, mark_stretch_nb
from engine.kernels.moments import trade_moment_nb
from engine.kernels.reset import expect_orders_nb, reset_nb
from engine.kernels.state import (
    BAR_END,
    DONE,
    IN_BAR,
    NEXT_OPEN,
    OPENING,
    SAME_BAR_CLOSE,
    SAME_CLOSE,
    TOO_MANY_ORDERS,
    UNCOUNTABLE,
    UNPRICED,
    WRONG_ORDER,
    Book,
    Curves,
    Finer,
    Floats,
    Market,
    Plan,
    Records,
    Rules,
)
from engine.kernels.waiting import first_met_bar_nb


@kernel
def bar_loop_nb(
    book: Book,
    market: Market,
    finer: Finer,
    events: Events,
    plan: Plan,
    orders: np.ndarray | None,
    rules: Rules,
    records_out: Records,
    curves_out: Curves,
) -> tuple[int, int, int]:
    """Run targets (or orders) over all bars; see `run_bars_nb`."""
    return run_bars_nb(
        book, market, finer, events, plan, orders, None, None, None, None, rules, records_out, curves_out
    )


def policy_loop_nb(
    book: Book,
    market: Market,
    finer: Finer,
    events: Events,
    plan: Plan,
    policy: Any,
    desk: Desk,
    seen: Seen,
    parameters: Floats,
    rules: Rules,
    records_out: Records,
    curves_out: Curves,
) -> tuple[int, int, int]:
    """Run a policy, a compiled function called by its address, over all bars; see `run_bars_nb`."""
    return run_bars_nb(
        book, market, finer, events, plan, desk.orders, policy, desk, seen, parameters, rules, records_out, curves_out
    )


@step
def run_bars_nb(
    book: Book,
    market: Market,
    finer: Finer,
    events: Events,
    plan: Plan,
    orders: np.ndarray | None,
    policy: Any,
    desk: Desk | None,
    seen: Seen | None,
    parameters: Floats | None,
    rules: Rules,
    records_out: Records,
    curves_out: Curves,
) -> tuple[int, int, int]:
    """Run all bars and return (DONE, 0, 0).

    Or (UNPRICED, bar, asset) of a weight that has no price to be sized with; (WRONG_ORDER, bar, number) of what a
    policy has asked for in vain, as `Desk` says; (TOO_MANY_ORDERS, bar, 0) where a policy needs more room;
    (UNCOUNTABLE, 0, 0) where all bars ran and money left its bounds.
    """
    n_bars = market.close.shape[0]
    reset_nb(book, rules)
    if policy is None and orders is not None:
        expect_orders_nb(book, orders)
    event, decision, t = 0, 0, 0
    while t < n_bars:
        if policy is None and is_quiet_nb(book, rules):
            end = next_busy_bar_nb(book, events, plan, orders, event, decision, n_bars)
            if rules.has_risk and book.state.n_held > 0:
                end = t if finer.is_used else first_met_bar_nb(book, market, t, end, rules)
            if end > t:
                mark_stretch_nb(book, market, t, end, curves_out)
                t = end
                if t == n_bars:
                    break
        event = begin_bar_nb(book, market, events, orders, event, t, rules, records_out)
        equity, exposure = 0.0, 0.0
        for moment in range(SAME_BAR_CLOSE + 1):
            if moment == BAR_END:
                equity, exposure = end_trading_nb(book, market, orders, t, rules, records_out)
                decision, unpriced = end_bar_nb(
                    book,
                    market,
                    plan,
                    orders,
                    policy,
                    desk,
                    seen,
                    parameters,
                    decision,
                    equity,
                    exposure,
                    t,
                    rules,
                    records_out,
                )
                if unpriced >= 0:
                    return UNPRICED, t, unpriced
                if desk is not None:
                    if desk.numbers[IS_FULL] == 1:
                        return TOO_MANY_ORDERS, t, 0
                    if desk.numbers[FAULT] != FINE:
                        return WRONG_ORDER, t, desk.numbers[CULPRIT]
            elif moment == IN_BAR:
                trade_inside_nb(book, market, finer, orders, t, rules, records_out)
            elif is_moment_nb(book, orders, moment, rules):
                price = market.open if moment == OPENING else market.close
                trade_moment_nb(book, market, orders, price, moment, t, rules, records_out)
        if rules.timing == SAME_CLOSE:
            equity, exposure = mark_held_nb(book, market.close, t)
        if orders is not None and book.state.n_live > 0:
            expire_nb(book, market, orders, True, t, rules)
        curves_out.equity[t] = equity
        curves_out.cash[t] = book.state.cash
        curves_out.exposure[t] = exposure
        t += 1
    return DONE if is_countable_nb(curves_out) else UNCOUNTABLE, 0, 0


@step
def end_bar_nb(
    book: Book,
    market: Market,
    plan: Plan,
    orders: np.ndarray | None,
    policy: Any,
    desk: Desk | None,
    seen: Seen | None,
    parameters: Floats | None,
    decision: int,
    equity: float,
    exposure: float,
    t: int,
    rules: Rules,
    records_out: Records,
) -> tuple[int, int]:
    """Check margin, end what the bar ends and take its decisions.

    Return the number of the next decision, and -1 or the asset whose weight has no price.
    """
    is_called = rules.maintenance_margin > 0.0 and exposure > 0.0 and equity < rules.maintenance_margin * exposure
    if is_called:
        call_margin_nb(book, orders, equity, exposure, rules)
    if book.state.n_late > 0:
        release_late_nb(book, t, rules)
    unpriced = -1
    if decision < plan.bar.size and plan.bar[decision] == t:
        if not is_called:
            unpriced = decide_nb(book, market, plan, decision, equity, t, rules)
        decision += 1
    if policy is not None and desk is not None and seen is not None and parameters is not None:
        expire_nb(book, market, desk.orders, False, t, rules)
        ask_nb(policy, book, market, desk, seen, parameters, equity, t, is_called, rules)
    if orders is not None:
        take_orders_nb(book, market, orders, is_called, t, rules, records_out)
    if policy is not None and desk is not None:
        cancel_due_nb(book, market, desk, t, rules)
    return decision, unpriced


@step
def is_moment_nb(book: Book, orders: np.ndarray | None, moment: int, rules: Rules) -> bool:
    """Return whether anything may fill at a moment."""
    if orders is not None and book.state.n_live > 0:
        return moment != SAME_BAR_CLOSE or rules.timing == SAME_CLOSE
    if moment == OPENING:
        is_forced = book.state.n_liquidations > 0 or (rules.has_risk and book.state.n_held > 0)
        return is_forced or (rules.timing == NEXT_OPEN and book.state.n_pending > 0)
    return moment == SAME_BAR_CLOSE and rules.timing == SAME_CLOSE and book.state.n_pending > 0


@step
def is_quiet_nb(book: Book, rules: Rules) -> bool:
    """Return whether nothing can happen before the next event or decision, but for what levels of Risk do."""
    if book.state.n_pending + book.state.n_live + book.state.n_late + book.state.n_liquidations > 0:
        return False
    if rules.has_financing or book.state.n_unpaid > 0:
        return False
    return book.state.n_held == 0 or rules.maintenance_margin == 0.0


@step
def next_busy_bar_nb(
    book: Book, events: Events, plan: Plan, orders: np.ndarray | None, event: int, decision: int, n_bars: int
) -> int:
    """Return the bar of the next corporate action, target or order, or the number of bars."""
    bar = n_bars
    if event < events.bar.size:
        bar = min(bar, events.bar[event])
    if decision < plan.bar.size:
        bar = min(bar, plan.bar[decision])
    if orders is not None and book.state.next_order < book.state.n_orders:
        bar = min(bar, orders[book.state.next_order]["bar"])
    return bar


@step
def take_orders_nb(
    book: Book, market: Market, orders: np.ndarray, is_called: bool, t: int, rules: Rules, records_out: Records
) -> None:
    """Take the orders decided at the bar's close."""
    number = book.state.next_order
    while number < book.state.n_orders and orders[number]["bar"] == t:
        accept_nb(book, market, orders, number, is_called, t, rules, records_out)
        number += 1
    book.state.next_order = number
