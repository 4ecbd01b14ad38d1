"""The bar loop: the order in which things happen within a bar."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import kernel, step
from engine.kernels.corporate_actions import apply_actions_nb
from engine.kernels.matching import fill_pending_nb, round_to_lots_nb
from engine.kernels.state import (
    DONE,
    HELD,
    NEXT_OPEN,
    PENDING,
    SAME_CLOSE,
    Book,
    Floats,
    Market,
    Plan,
    Records,
    Rules,
)


@kernel
def bar_loop_nb(
    book: Book, market: Market, events: Events, plan: Plan, rules: Rules, records_out: Records
) -> tuple[int, int]:
    """Run all bars and return (DONE, DONE), or the (bar, asset) whose weight has no price to be sized with."""
    event = 0
    decision = 0
    for t in range(market.close.shape[0]):
        if event < events.bar.size and events.bar[event] == t:
            event = apply_actions_nb(book, events, event, t, records_out)
        if rules.timing == NEXT_OPEN and book.counts[PENDING] > 0:
            fill_pending_nb(book, market.open, t, rules, records_out)
        if market.has_gaps:
            mark_all_nb(book, market.close, t)
        equity, exposure = mark_held_nb(book, market.close, t)
        if decision < plan.bar.size and plan.bar[decision] == t:
            unpriced = decide_nb(book, market.close, plan, equity, t, rules)
            if unpriced != DONE:
                return t, unpriced
            decision += 1
        if rules.timing == SAME_CLOSE and book.counts[PENDING] > 0:
            fill_pending_nb(book, market.close, t, rules, records_out)
            equity, exposure = mark_held_nb(book, market.close, t)
        records_out.equity[t] = equity
        records_out.cash[t] = book.cash[0]
        records_out.exposure[t] = exposure
    return DONE, DONE


@step
def mark_all_nb(book: Book, close: Floats, t: int) -> None:
    """Keep the last close of every asset, so that a decision can be sized where an asset misses its bar."""
    for asset in range(close.shape[1]):
        price = close[t, asset]
        book.mark[asset] = book.mark[asset] if np.isnan(price) else price


@step
def mark_held_nb(book: Book, close: Floats, t: int) -> tuple[float, float]:
    """Mark what is held at the close (a missing bar keeps the last mark); return equity and gross exposure."""
    equity = book.cash[0]
    exposure = 0.0
    for i in range(book.counts[HELD]):
        asset = book.held[i]
        price = close[t, asset]
        if np.isnan(price):
            price = book.mark[asset]
        else:
            book.mark[asset] = price
        value = book.position[asset] * price
        equity += value
        exposure += abs(value)
    return equity, exposure


@step
def decide_nb(book: Book, close: Floats, plan: Plan, equity: float, t: int, rules: Rules) -> int:
    """Turn the decisions of bar t into pending targets; return DONE, or the asset that has no price yet.

    Weights are sized with this bar's equity and close. With no equity left, any weight means no position.
    """
    for asset in range(close.shape[1]):
        value = plan.values[t, asset]
        if np.isnan(value) or not book.is_listed[asset]:
            continue
        units = value
        if plan.is_weight and value != 0.0:
            price = book.mark[asset] if np.isnan(close[t, asset]) else close[t, asset]
            if np.isnan(price):
                return asset
            units = value * equity / price if equity > 0.0 else 0.0
        if units < 0.0 and not rules.allow_short:
            units = 0.0
        units = round_to_lots_nb(units, rules.lot_size)
        if np.isnan(book.target[asset]):
            if units == book.position[asset]:
                continue
            book.pending[book.counts[PENDING]] = asset
            book.counts[PENDING] += 1
        book.target[asset] = units
    return DONE
