"""Pending targets meet a bar: sells before buys, buys within the cash there is."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import execute_nb
from engine.kernels.fees import commission_nb, fill_price_nb
from engine.kernels.state import HELD, PENDING, REJECT, Book, Floats, Records, Rules

# Rounding may leave a target this far (relative) from the position it was computed from: that is no order.
NOISE = 1e-12
# A lot that is whole but for rounding counts as whole.
LOT_NOISE = 1e-9
# Cash for less than this share of the buys is what rounding left of an account that is spent: it buys nothing.
DUST = 1e-9
# Where the search for an affordable share stops.
SHARE_NOISE = 1e-15


@step
def round_to_lots_nb(units: float, lot_size: float) -> float:
    """Return units rounded towards zero to whole lots; a lot size of 0 leaves them alone."""
    if lot_size == 0.0:
        return units
    lots: float = np.floor(abs(units) / lot_size + LOT_NOISE)
    return lots * lot_size if units >= 0.0 else -lots * lot_size


@step
def order_quantity_nb(target: float, position: float, lot_size: float) -> float:
    """Return the signed quantity from a position to its target; a target of zero also trades an odd rest."""
    quantity = target - position
    if abs(quantity) <= NOISE * max(abs(target), abs(position)):
        return 0.0
    return quantity if target == 0.0 else round_to_lots_nb(quantity, lot_size)


@step
def fill_pending_nb(book: Book, price: Floats, t: int, rules: Rules, records_out: Records) -> None:
    """Fill pending targets at float64[n_bars, n_assets] prices of bar t; `book` is modified in place.

    Sells trade as they are met, buys are collected and traded after them. A target stays pending while its
    asset misses bars, and is dropped once the asset is delisted.
    """
    n_kept = 0
    n_buys = 0
    for i in range(book.counts[PENDING]):
        asset = book.pending[i]
        if book.is_listed[asset] and np.isnan(price[t, asset]):
            book.pending[n_kept] = asset
            n_kept += 1
            continue
        quantity = 0.0
        if book.is_listed[asset]:
            quantity = order_quantity_nb(book.target[asset], book.position[asset], rules.lot_size)
        book.target[asset] = np.nan
        if quantity < 0.0:
            execute_nb(book, asset, quantity, price[t, asset], t, rules, records_out)
        elif quantity > 0.0:
            book.buying[n_buys] = asset
            book.buy[n_buys] = quantity
            n_buys += 1
    book.counts[PENDING] = n_kept
    if n_buys > 0:
        buy_nb(book, price, n_buys, t, rules, records_out)


@step
def buy_nb(book: Book, price: Floats, n_buys: int, t: int, rules: Rules, records_out: Records) -> None:
    """Trade the collected buys, all scaled down by one share (or rejected) where cash is short."""
    share = affordable_share_nb(book, price, n_buys, t, rules)
    if share < DUST:
        return
    for i in range(n_buys):
        asset = book.buying[i]
        quantity = book.buy[i]
        if share < 1.0:
            quantity = round_to_lots_nb(quantity * share, rules.lot_size)
        if quantity > 0.0:
            execute_nb(book, asset, quantity, price[t, asset], t, rules, records_out)


@step
def affordable_share_nb(book: Book, price: Floats, n_buys: int, t: int, rules: Rules) -> float:
    """Return the largest share in [0, 1] of all buys that what may be spent can pay for, costs included."""
    spendable = spendable_cash_nb(book, price, t, rules)
    value, commission = cost_of_buys_nb(book, price, n_buys, 1.0, t, rules)
    if value + commission <= spendable * (1.0 + NOISE):
        return 1.0
    if rules.cash_policy == REJECT or spendable <= 0.0:
        return 0.0
    if rules.commission_min == 0.0 and np.isinf(rules.commission_max_rate):
        fixed = n_buys * rules.commission_fixed
        return max((spendable - fixed) / (value + commission - fixed), 0.0)
    return search_share_nb(book, price, n_buys, spendable, value + commission, t, rules)


@step
def search_share_nb(
    book: Book, price: Floats, n_buys: int, spendable: float, full_cost: float, t: int, rules: Rules
) -> float:
    """Return the share of all buys that costs what may be spent, where a minimum or maximum bends the costs.

    Costs grow with the share along straight pieces: interpolation is exact once both ends lie on one piece,
    and every second step halves the interval to get there.
    """
    low, low_cost = 0.0, 0.0
    high, high_cost = 1.0, full_cost
    for attempt in range(200):
        share = 0.5 * (low + high)
        if attempt % 2 == 0:
            share = low + (high - low) * (spendable - low_cost) / (high_cost - low_cost)
        value, commission = cost_of_buys_nb(book, price, n_buys, share, t, rules)
        cost = share * value + commission
        if abs(cost - spendable) <= SHARE_NOISE * spendable:
            return share
        if cost < spendable:
            low, low_cost = share, cost
        else:
            high, high_cost = share, cost
        if high - low <= SHARE_NOISE:
            break
    return low


@step
def cost_of_buys_nb(book: Book, price: Floats, n_buys: int, share: float, t: int, rules: Rules) -> tuple[float, float]:
    """Return the full value (ccy) of all collected buys, and the commissions of a share of each."""
    value = 0.0
    commission = 0.0
    for i in range(n_buys):
        paid = fill_price_nb(price[t, book.buying[i]], 1.0, rules)
        value += book.buy[i] * paid
        commission += commission_nb(book.buy[i] * share, paid, rules)
    return value, commission


@step
def spendable_cash_nb(book: Book, price: Floats, t: int, rules: Rules) -> float:
    """Return cash plus (leverage - 1) x equity at the bar's price (the last mark where there is none)."""
    cash: float = book.cash[0]
    if rules.leverage == 1.0:
        return cash
    equity = cash
    for i in range(book.counts[HELD]):
        asset = book.held[i]
        now = price[t, asset]
        equity += book.position[asset] * (book.mark[asset] if np.isnan(now) else now)
    return cash + (rules.leverage - 1.0) * max(equity, 0.0)
