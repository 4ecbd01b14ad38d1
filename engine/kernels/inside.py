"""What fills inside a bar: stops, limits and the levels of Risk, one after the other as the intrabar rule says."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import available_nb, execute_nb
from engine.kernels.cash import affordable_share_nb, is_queued_nb, queue_nb
from engine.kernels.due import fillable_nb
from engine.kernels.levels import (
    NEVER,
    begins_later_nb,
    is_limit_nb,
    is_stop_nb,
    path_nb,
    place_nb,
    risk_profit_nb,
    risk_stop_nb,
    stop_level_nb,
)
from engine.kernels.lifecycle import is_active_nb, take_fill_nb
from engine.kernels.moments import quantity_to_leave_nb, share_of_queued_nb
from engine.kernels.state import (
    BEFORE,
    INSIDE,
    PESSIMISTIC,
    STOPS_FIRST,
    Book,
    Market,
    Records,
    Rules,
)
from engine.records import LIMIT, STOP_LIMIT, TAKE_PROFIT

# What the search for the next event of a bar finds beside the number of an order.
NOTHING, RISK_STOP, RISK_PROFIT = -3, -2, -1


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
    place, now = 0.0, open_
    for _ in range(2 * book.state.n_live + 4):
        event, at, reference, key = NOTHING, NEVER, np.nan, NEVER
        if rules.has_risk and book.position[asset] != 0.0:
            event, at, reference, key = next_risk_nb(
                book, asset, open_, high, low, close, is_path, place, now, first, second, t, rules
            )
        if orders is not None:
            event, at, reference, key = next_order_nb(
                book,
                market,
                orders,
                asset,
                open_,
                high,
                low,
                close,
                is_whole,
                is_path,
                place,
                now,
                first,
                second,
                event,
                at,
                reference,
                key,
                t,
                rules,
            )
        if event == NOTHING:
            break
        if is_path:
            place, now = at, reference
        if orders is not None and event >= 0 and is_only_triggered_nb(orders, event, reference, is_path):
            continue
        note_ambiguity_nb(book, orders, asset, event, high, low, t, rules)
        order, limit, kind = -1, np.nan, TAKE_PROFIT
        if event == RISK_PROFIT:
            limit = risk_profit_nb(book, asset, rules)
            quantity = quantity_to_leave_nb(book, market, asset, kind, t, rules)
        elif event == RISK_STOP:
            _, kind = risk_stop_nb(book, asset, rules)
            quantity = quantity_to_leave_nb(book, market, asset, kind, t, rules)
        else:
            order = event
            kind, limit, quantity = order_inside_nb(book, market, orders, order, reference, t, rules, records_out)
        if quantity != 0.0:
            execute_nb(
                book, market, orders, asset, order, kind, quantity, reference, limit, INSIDE, t, rules, records_out
            )


@step
def is_only_triggered_nb(orders: np.ndarray, number: int, reference: float, is_path: bool) -> bool:
    """Trigger a stop limit; return whether it works on as a limit instead of filling at once."""
    order = orders[number]
    if order["kind"] != STOP_LIMIT or order["is_triggered"] != 0:
        return False
    order["is_triggered"] = 1
    if np.isnan(reference):
        # Its limit is not met in this bar any more; from the next one on it is a limit.
        order["is_triggered"] = 2
        return True
    return is_path and (reference - order["limit_price"]) * order["rest"] > 0.0


@step
def order_inside_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    number: int,
    reference: float,
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
    quantity = fillable_nb(book, market, orders, number, INSIDE, t, t, rules, records_out)
    if quantity != 0.0 and is_queued_nb(book.position[asset], quantity, rules):
        queue_nb(book, 0, asset, number, kind, quantity, reference, limit)
        share = affordable_share_nb(book, market, orders, market.open, 1, t, rules)
        return kind, limit, share_of_queued_nb(book, orders, 0, share, INSIDE, t, t, rules, records_out)
    if quantity != 0.0:
        take_fill_nb(book, orders, number, quantity, quantity, reference, INSIDE, t)
    return kind, limit, quantity


@step
def next_order_nb(
    book: Book,
    market: Market,
    orders: np.ndarray,
    asset: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    is_whole: bool,
    is_path: bool,
    place: float,
    now: float,
    first: float,
    second: float,
    event: int,
    at: float,
    reference: float,
    key: float,
    t: int,
    rules: Rules,
) -> tuple[int, float, float, float]:
    """Return the next event, its place, price and rank: the one known already, or an order that comes before it."""
    for i in range(book.state.n_live):
        number = book.live[i]
        if orders[number]["asset"] != asset or not is_active_nb(orders, number, t, rules):
            continue
        found, found_reference, found_key = order_event_nb(
            book, orders, number, open_, high, low, close, is_whole, is_path, place, now, first, second, rules
        )
        if found < NEVER and found_key < key and available_nb(book, market, asset, t, rules) > 0.0:
            event, at, reference, key = number, found, found_reference, found_key
    return event, at, reference, key


@step
def next_risk_nb(
    book: Book,
    asset: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    is_path: bool,
    place: float,
    now: float,
    first: float,
    second: float,
    t: int,
    rules: Rules,
) -> tuple[int, float, float, float]:
    """Return which level of Risk is met next, its place, price and rank; NOTHING where none is."""
    holding = book.holding[asset]
    is_new = holding["entry_bar"] == t
    event, at, reference, key = NOTHING, NEVER, np.nan, NEVER
    if (is_new and begins_later_nb(book, asset, rules)) or holding["exit_kind"] >= 0:
        return event, at, reference, key
    is_long = book.position[asset] > 0.0
    is_inside = is_new and holding["began"] == INSIDE
    level, _ = risk_stop_nb(book, asset, rules)
    if not np.isnan(level):
        if is_path:
            at = place_nb(level, not is_long, place, now, first, second, close)
            key = at
            reference = now if at == place and ((now <= level) if is_long else (now >= level)) else level
        elif (low <= level) if is_long else (high >= level):
            at, key = 0.0, -1e18
            reference = passed_nb(level, is_long, holding["inside_price"] if is_inside else open_)
        if at < NEVER:
            event = RISK_STOP
    level = risk_profit_nb(book, asset, rules)
    if not np.isnan(level):
        if is_path:
            found = place_nb(level, is_long, place, now, first, second, close)
            if found < key:
                event, at, key = RISK_PROFIT, found, found
                reference = now if found == place and ((now >= level) if is_long else (now <= level)) else level
        else:
            far = close if is_inside else (high if is_long else low)
            if event == NOTHING and ((far >= level) if is_long else (far <= level)):
                event, at, key = RISK_PROFIT, 0.0, 1e18
                is_passed = rules.intrabar == STOPS_FIRST and ((open_ >= level) if is_long else (open_ <= level))
                reference = open_ if is_passed and not is_inside else level
    return event, at, reference, key


@step
def passed_nb(level: float, is_fall: bool, price: float) -> float:
    """Return the price of a stop: its level, or what the market already is beyond it."""
    is_beyond = price <= level if is_fall else price >= level
    return price if is_beyond else level


@step
def order_event_nb(
    book: Book,
    orders: np.ndarray,
    number: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    is_whole: bool,
    is_path: bool,
    place: float,
    now: float,
    first: float,
    second: float,
    rules: Rules,
) -> tuple[float, float, float]:
    """Return where an order is met next (NEVER: not in this bar), at which price, and its rank among others.

    The price is NaN for a stop limit that is triggered without its limit being met after it.
    """
    order = orders[number]
    is_buy = order["quantity"] > 0.0
    is_inside = order["began"] == INSIDE
    rank = float(number)
    if is_stop_nb(orders, number):
        level = stop_level_nb(orders, number)
        if is_path:
            at = place_nb(level, is_buy, place, now, first, second, close)
            if at == NEVER:
                return NEVER, np.nan, NEVER
            is_beyond = at == place and ((now >= level) if is_buy else (now <= level))
            return at, now if is_beyond else level, at
        if not ((high >= level) if is_buy else (low <= level)):
            return NEVER, np.nan, NEVER
        begin = book.holding[order["asset"]]["inside_price"] if is_inside else open_
        reference = passed_nb(level, not is_buy, begin)
        if order["kind"] == STOP_LIMIT:
            reference = stop_limit_price_nb(reference, order["limit_price"], is_buy, close)
        return 0.0, reference, rank - 1e15
    if not is_limit_nb(orders, number):
        return NEVER, np.nan, NEVER
    level = order["limit_price"]
    if is_path:
        at = place_nb(level, not is_buy, place, now, first, second, close)
        if at == NEVER:
            return NEVER, np.nan, NEVER
        is_better = at == place and ((now <= level) if is_buy else (now >= level))
        return at, now if is_better else level, at + 1e-12
    far = close if is_inside else (low if is_buy else high)
    is_met = (far <= level) if is_buy else (far >= level)
    if not rules.limit_touch:
        is_met = (far < level) if is_buy else (far > level)
    if not is_met:
        return NEVER, np.nan, NEVER
    begin = book.holding[order["asset"]]["inside_price"] if is_inside else open_
    is_better = (begin <= level) if is_buy else (begin >= level)
    is_early = order["began"] != BEFORE or not is_whole or rules.intrabar == STOPS_FIRST
    return 0.0, begin if is_better and is_early else level, rank


@step
def stop_limit_price_nb(trigger: float, limit: float, is_buy: bool, close: float) -> float:
    """Return where a stop limit fills in the bar that triggers it: at once, by the close at its limit, or NaN."""
    if (limit >= trigger) if is_buy else (limit <= trigger):
        return trigger
    return limit if ((close <= limit) if is_buy else (close >= limit)) else np.nan


@step
def note_ambiguity_nb(
    book: Book, orders: np.ndarray | None, asset: int, event: int, high: float, low: float, t: int, rules: Rules
) -> None:
    """Count a bar in which the stop and the target of one position were both touched, and what that could move."""
    stop, profit, units = np.nan, np.nan, 0.0
    if event < 0:
        stop, _ = risk_stop_nb(book, asset, rules)
        profit = risk_profit_nb(book, asset, rules)
        units = book.position[asset]
    elif orders is not None:
        stop, profit, units = group_levels_nb(book, orders, event, t, rules)
    is_long = units > 0.0
    if np.isnan(stop) or np.isnan(profit) or book.holding[asset]["ambiguous_bar"] == t:
        return
    if (low <= stop and high >= profit) if is_long else (high >= stop and low <= profit):
        book.holding[asset]["ambiguous_bar"] = t
        book.state.n_ambiguous += 1
        book.state.ambiguous_ccy += abs(units) * abs(profit - stop)


@step
def group_levels_nb(book: Book, orders: np.ndarray, number: int, t: int, rules: Rules) -> tuple[float, float, float]:
    """Return stop, target and the position they leave of a one-cancels-the-other group; NaN: it has none."""
    stop, profit = np.nan, np.nan
    group = orders[number]["oco_group"]
    for i in range(book.state.n_live if group >= 0 else 0):
        other = book.live[i]
        if orders[other]["oco_group"] == group and is_active_nb(orders, other, t, rules):
            if is_stop_nb(orders, other):
                stop = stop_level_nb(orders, other)
            elif is_limit_nb(orders, other):
                profit = orders[other]["limit_price"]
    return stop, profit, -orders[number]["rest"]
