"""What cash or margin allows of the buys of a moment."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.book import NOISE, equity_at_nb, taken_nb
from engine.kernels.fees import adverse_moves_nb, charge_nb, commission_due_nb, sale_fees_nb, tier_cost_nb
from engine.kernels.state import (
    MARGIN_POLICY,
    REJECT,
    Book,
    Floats,
    Market,
    Rules,
)

# Cash for less than this share of the buys is what rounding left of an account that is spent: it buys nothing.
DUST = 1e-9
# Nearer than this (relative) to all that may be spent, costs are added up one by one.
SURE = 1e-6
# Where the search for an affordable share stops.
SHARE_NOISE = 1e-15


@step
def queue_nb(
    book: Book,
    n_queued: int,
    asset: int,
    order: int,
    kind: int,
    quantity: float,
    reference: float,
    limit: float,
    rules: Rules,
) -> int:
    """Queue a fill, with the volume it will take, and return the new length of the queue."""
    queued = book.group[n_queued]
    queued["asset"] = asset
    queued["order"] = order
    queued["kind"] = kind
    queued["quantity"] = quantity
    queued["reference"] = reference
    queued["limit"] = limit
    if rules.participation < np.inf:
        book.holding[asset]["queued"] += abs(quantity)
    return n_queued + 1


@step
def affordable_share_nb(
    book: Book, market: Market, orders: np.ndarray | None, price: Floats, n_queued: int, t: int, rules: Rules
) -> float:
    """Return the largest share in [0, 1] of all that is queued that cash (or margin) allows, costs included.

    Costs grow with the share. Where a minimum, a maximum or impact bends them the share is searched:
    interpolation is exact once both ends lie on one straight piece, and every second step halves the interval
    to get there.
    """
    equity, exposure = 0.0, 0.0
    if rules.leverage > 1.0 or rules.cash_policy == MARGIN_POLICY:
        equity, exposure = equity_at_nb(book, price, t)
    spendable = book.state.cash + (rules.leverage - 1.0) * max(equity, 0.0)
    if rules.is_linear and rules.cash_policy != MARGIN_POLICY and is_surely_paid_nb(book, n_queued, spendable, rules):
        return 1.0
    low, low_cost = 0.0, 0.0
    high, high_cost = 1.0, 0.0
    share = 1.0
    for attempt in range(200):
        cost, fixed, more_exposure, paid = cost_of_queue_nb(book, market, orders, price, n_queued, share, t, rules)
        if attempt == 0:
            if rules.cash_policy == MARGIN_POLICY:
                is_within = exposure + more_exposure <= rules.leverage * (equity - paid) * (1.0 + NOISE)
                return 1.0 if is_within else 0.0
            if cost <= spendable * (1.0 + NOISE):
                return 1.0
            if rules.cash_policy == REJECT or spendable <= 0.0:
                return 0.0
            if rules.is_linear:
                return max((spendable - fixed) / (cost - fixed), 0.0)
            high_cost = cost
        elif abs(cost - spendable) <= SHARE_NOISE * spendable:
            return share
        elif cost < spendable:
            low, low_cost = share, cost
        else:
            high, high_cost = share, cost
        if high - low <= SHARE_NOISE:
            break
        share = 0.5 * (low + high)
        if attempt % 2 == 0:
            share = low + (high - low) * (spendable - low_cost) / (high_cost - low_cost)
    return low


@step
def is_surely_paid_nb(book: Book, n_queued: int, spendable: float, rules: Rules) -> bool:
    """Return whether cash is there for all queued buys beyond any rounding, where costs are proportional."""
    value, units = 0.0, 0.0
    for i in range(n_queued):
        units += book.group[i]["quantity"]
        value += book.group[i]["quantity"] * book.group[i]["reference"]
    value *= 1.0 + rules.spread_rate + rules.slippage_rate
    cost = value * (1.0 + rules.commission_rate) + units * rules.commission_per_share
    return cost + n_queued * rules.commission_fixed <= spendable * (1.0 - SURE)


@step
def cost_of_queue_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    price: Floats,
    n_queued: int,
    share: float,
    t: int,
    rules: Rules,
) -> tuple[float, float, float, float]:
    """Return what a share of all that is queued takes (ccy).

    Its cash; the fixed commissions in that; by how much gross exposure grows; and by how much equity falls. What
    stands before in the queue counts for impact, tiers and, asset by asset, for exposure.
    """
    cost, fixed, exposure, paid = 0.0, 0.0, 0.0, 0.0
    month_units = book.state.month_units
    is_margin = rules.cash_policy == MARGIN_POLICY
    is_ahead = is_margin or rules.volume_share_impact > 0.0
    if is_ahead:
        for i in range(n_queued):
            asset = book.group[i]["asset"]
            book.holding[asset]["ahead"] = taken_nb(book, asset, t)
            book.holding[asset]["projected"] = book.position[asset]
    for i in range(n_queued):
        queued = book.group[i]
        asset, reference = queued["asset"], queued["reference"]
        quantity = queued["quantity"] * share
        size = abs(quantity)
        side = 1.0 if quantity > 0.0 else -1.0
        taken = 0.0
        if is_ahead:
            taken = book.holding[asset]["ahead"]
            book.holding[asset]["ahead"] = taken + size
        spread, slippage, impact = adverse_moves_nb(
            market, asset, side, size, reference, queued["limit"], queued["kind"], taken, t, rules
        )
        value = size * (reference + side * (spread + slippage + impact))
        commission = commission_of_queued_nb(book, orders, asset, queued["order"], size, value, month_units, rules)
        month_units += size
        cost += value + commission
        fixed += rules.commission_fixed
        if is_margin:
            fees = sale_fees_nb(size, value, rules) if side < 0.0 else 0.0
            now = book.mark[asset] if np.isnan(price[t, asset]) else price[t, asset]
            before = book.holding[asset]["projected"]
            book.holding[asset]["projected"] = before + quantity
            exposure += (abs(before + quantity) - abs(before)) * now
            paid += (spread + slippage + impact) * size + commission + fees + quantity * (reference - now)
    return cost, fixed, exposure, paid


@step
def commission_of_queued_nb(
    book: Book,
    orders: np.ndarray | None,
    asset: int,
    order: int,
    size: float,
    value: float,
    month_units: float,
    rules: Rules,
) -> float:
    """Return what a fill would pay of its order's commission, without counting it in."""
    tiers = tier_cost_nb(month_units, size, rules) if rules.n_tiers > 0 else 0.0
    if orders is not None and order >= 0:
        paid = orders[order]
        return charge_nb(paid["size_filled"], paid["value_filled"], paid["tiers"], size, value, tiers, rules)
    if rules.participation == np.inf:
        return commission_due_nb(size, value, tiers, rules)
    target = book.holding[asset]
    return charge_nb(target["size_filled"], target["value_filled"], target["tiers"], size, value, tiers, rules)
