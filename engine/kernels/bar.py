"""The parts of a bar around its matching, and the walk through the assets inside it."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import step
from engine.kernels.corporate_actions import apply_actions_nb, pay_dividends_nb
from engine.kernels.financing import charge_overnight_nb, note_overnight_nb
from engine.kernels.inside import inside_nb
from engine.kernels.levels import begins_later_nb
from engine.kernels.lifecycle import is_active_nb
from engine.kernels.marking import mark_all_nb, mark_held_nb
from engine.kernels.state import (
    AGENDA,
    AT_OPEN,
    BEFORE,
    HELD,
    INSIDE,
    TRIGGERED_NOW,
    WITHIN,
    Book,
    Finer,
    Market,
    Records,
    Rules,
)
from engine.records import MARKET, MOC, MOO, TRAILING_STOP


@step
def begin_bar_nb(
    book: Book,
    market: Market,
    events: Events,
    orders: np.ndarray | None,
    event: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> int:
    """Open bar t: what financing will be charged on, dividends that are due, corporate actions.

    Return the first event after it.
    """
    if rules.n_tiers > 0 and market.calendar[t]["month"] != book.state.month:
        book.state.month = market.calendar[t]["month"]
        book.state.month_units = 0.0
    if rules.has_financing and market.calendar[t]["nights"] > 0:
        note_overnight_nb(book)
    if book.state.n_unpaid > 0:
        pay_dividends_nb(book, events, t, records_out)
    if event < events.bar.size and events.bar[event] == t:
        event = apply_actions_nb(book, orders, events, event, t, rules, records_out)
    return event


@step
def end_trading_nb(
    book: Book, market: Market, orders: np.ndarray | None, t: int, rules: Rules, records_out: Records
) -> tuple[float, float]:
    """Move what trails, charge the night, mark at the close; return equity and gross exposure."""
    if orders is not None and book.state.n_live > 0:
        trail_orders_nb(book, market, orders, t, rules)
    if rules.trailing > 0.0:
        trail_positions_nb(book, market, t, rules)
    if rules.has_financing and market.calendar[t]["nights"] > 0:
        charge_overnight_nb(book, market.calendar[t]["nights"], t, rules, records_out)
    if market.has_gaps:
        mark_all_nb(book, market.close, t)
    return mark_held_nb(book, market.close, t)


@step
def trade_inside_nb(
    book: Book, market: Market, finer: Finer, orders: np.ndarray | None, t: int, rules: Rules, records_out: Records
) -> None:
    """Fill what the insides of the assets' bars touch.

    Positions without orders of their own first (their exits need no cash), then the others by their oldest order.
    """
    if not rules.has_risk and book.state.n_live == 0:
        return
    for i in range(list_assets_nb(book, orders, t, rules)):
        asset = book.lists[AGENDA, i]
        if np.isnan(market.open[t, asset]):
            continue
        is_whole = not finer.is_used or finer.start[t + 1] == finer.start[t]
        first = 0 if is_whole else finer.start[t]
        end = 1 if is_whole else finer.start[t + 1]
        is_first = True
        for s in range(first, end):
            if is_whole:
                number = t
                open_, close = market.open[t, asset], market.close[t, asset]
                high, low = market.high[t, asset], market.low[t, asset]
            else:
                number = market.close.shape[0] + s
                open_, close = finer.open[s, asset], finer.close[s, asset]
                high, low = finer.high[s, asset], finer.low[s, asset]
                if np.isnan(open_):
                    continue
            inside_nb(book, market, orders, asset, open_, high, low, close, number, is_whole, t, rules, records_out)
            if not is_whole:
                see_whole_bars_nb(book, orders, asset, is_first, t)
                is_first = False


@step
def list_assets_nb(book: Book, orders: np.ndarray | None, t: int, rules: Rules) -> int:
    """Put the assets to look into on the agenda and return how many: positions first, then orders, oldest first."""
    n_listed = 0
    if rules.has_risk and book.state.n_held > 0:
        for asset in range(book.position.size):
            if book.position[asset] == 0.0 or (
                book.holding[asset]["entry_bar"] == t and begins_later_nb(book, asset, rules)
            ):
                continue
            book.holding[asset]["visited_bar"] = t
            book.lists[AGENDA, n_listed] = asset
            n_listed += 1
    if orders is not None:
        n_listed = list_ordered_nb(book, orders, n_listed, t)
    return n_listed


@step
def list_ordered_nb(book: Book, orders: np.ndarray, n_listed: int, t: int) -> int:
    """Add the assets with orders that work inside bars to the agenda, oldest orders first; return its length."""
    for i in range(book.state.n_live):
        number = book.live[i]
        kind, asset = orders[number]["kind"], orders[number]["asset"]
        if kind == MARKET or kind == MOO or kind == MOC or book.holding[asset]["visited_bar"] == t:
            continue
        if is_active_nb(orders, number, t):
            book.holding[asset]["visited_bar"] = t
            book.lists[AGENDA, n_listed] = asset
            n_listed += 1
    return n_listed


@step
def see_whole_bars_nb(book: Book, orders: np.ndarray | None, asset: int, is_first: bool, t: int) -> None:
    """Let what began in a finer bar see the whole of the next ones; but for the first one's open it began inside."""
    holding = book.holding[asset]
    if holding["entry_bar"] == t and holding["entered"] == AT_OPEN and not is_first:
        holding["entered"] = INSIDE if holding["began_bar"] == t and holding["began"] == AT_OPEN else AT_OPEN
    holding["began"] = seen_whole_nb(holding["began"], is_first)
    if orders is not None:
        for i in range(book.state.n_live):
            order = orders[book.live[i]]
            if order["asset"] == asset:
                order["began"] = seen_whole_nb(order["began"], is_first)
                if order["is_triggered"] == TRIGGERED_NOW:
                    order["is_triggered"] = 1


@step
def seen_whole_nb(began: int, is_first: bool) -> int:
    """Return when something began for the finer bars after the one it began in."""
    is_at_first_open = began == AT_OPEN and is_first
    return BEFORE if began == BEFORE or is_at_first_open else WITHIN


@step
def trail_orders_nb(book: Book, market: Market, orders: np.ndarray, t: int, rules: Rules) -> None:
    """Move what trailing stops trail by bar t, after its test; what began inside the bar knows only its close."""
    for i in range(book.state.n_live):
        number = book.live[i]
        order = orders[number]
        asset = order["asset"]
        if order["kind"] != TRAILING_STOP or np.isnan(market.close[t, asset]) or not is_active_nb(orders, number, t):
            continue
        is_buy = order["quantity"] > 0.0
        reach = market.low[t, asset] if is_buy else market.high[t, asset]
        if order["began"] == INSIDE or order["began"] == WITHIN or rules.trail_on_close:
            reach = market.close[t, asset]
        if np.isnan(order["reference"]):
            order["reference"] = reach
        order["reference"] = min(order["reference"], reach) if is_buy else max(order["reference"], reach)


@step
def trail_positions_nb(book: Book, market: Market, t: int, rules: Rules) -> None:
    """Move the extremes of positions by bar t, after its test; what was entered inside the bar knows its close."""
    for i in range(book.state.n_held):
        asset = book.lists[HELD, i]
        holding = book.holding[asset]
        is_new = holding["entry_bar"] == t
        if np.isnan(market.close[t, asset]) or (is_new and begins_later_nb(book, asset, rules)):
            continue
        is_long = book.position[asset] > 0.0
        reach = market.high[t, asset] if is_long else market.low[t, asset]
        if is_new and holding["entered"] == INSIDE:
            reach = market.close[t, asset]
        holding["extreme"] = max(holding["extreme"], reach) if is_long else min(holding["extreme"], reach)
