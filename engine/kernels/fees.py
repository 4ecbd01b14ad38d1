"""What a fill pays."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.state import Market, Rules
from engine.records import LIMIT, STOP, STOP_LIMIT, STOP_LOSS, TAKE_PROFIT, TRAILING_LOSS, TRAILING_STOP


@step
def adverse_moves_nb(
    market: Market,
    asset: int,
    side: float,
    size: float,
    reference: float,
    limit: float,
    kind: int,
    taken: float,
    t: int,
    rules: Rules,
) -> tuple[float, float, float]:
    """Return by how much (ccy a unit) half the spread, slippage and impact move a fill against its order.

    Cut, impact first and the spread last, where the price would be worse than the limit (NaN: none), leave the
    bar's range (where the rules say so), or fall below zero. `taken`: units of the bar's volume that fills before
    this one have taken.
    """
    if rules.is_plain and np.isnan(limit):
        return reference * rules.spread_rate, reference * rules.slippage_rate, 0.0
    is_stop = kind == STOP or kind == STOP_LIMIT or kind == TRAILING_STOP or kind == STOP_LOSS or kind == TRAILING_LOSS
    is_limit = kind == LIMIT or kind == STOP_LIMIT or kind == TAKE_PROFIT
    if (is_stop and not rules.stop_slippage) or (is_limit and not rules.limit_slippage):
        return 0.0, 0.0, 0.0
    spread = reference * rules.spread_rate
    slippage = reference * rules.slippage_rate + rules.slippage_ccy
    impact = 0.0
    if rules.impact > 0.0 and market.liquidity[t, asset]["sigma"] >= 0.0:
        adv = market.liquidity[t, asset]["adv"]
        impact = rules.impact * market.liquidity[t, asset]["sigma"] * np.sqrt(size / adv if adv > 0.0 else 1.0)
    if rules.volume_share_impact > 0.0:
        volume = market.volume[t, asset]
        share = min((taken + size) / volume, rules.volume_share_limit) if volume > 0.0 else rules.volume_share_limit
        impact += rules.volume_share_impact * share * share
    impact *= reference
    room = reference if side < 0.0 else np.inf
    if not np.isnan(limit):
        room = min(room, max(side * (limit - reference), 0.0))
    if rules.slip_within_bar:
        edge = market.high[t, asset] if side > 0.0 else market.low[t, asset]
        room = min(room, max(side * (edge - reference), 0.0))
    if spread + slippage + impact > room:
        spread = min(spread, room)
        slippage = min(slippage, room - spread)
        impact = max(room - spread - slippage, 0.0)
    return spread, slippage, impact


@step
def commission_due_nb(size: float, value: float, tiers: float, rules: Rules) -> float:
    """Return the commission (ccy) of an order that has filled so much, `tiers` of it by tiers; see `engine.costs`."""
    if size == 0.0:
        return 0.0
    fee = rules.commission_fixed + rules.commission_rate * value + rules.commission_per_share * size + tiers
    if rules.is_proportional:
        return fee
    if rules.min_beats_max:
        return max(min(fee, rules.commission_max_rate * value), rules.commission_min)
    return min(max(fee, rules.commission_min), rules.commission_max_rate * value)


@step
def tier_cost_nb(month_units: float, size: float, rules: Rules) -> float:
    """Return what the next units of a month cost by tiers, each unit at the rate of its own tier."""
    cost = 0.0
    for i in range(rules.n_tiers):
        end = rules.tiers[i + 1, 0] if i + 1 < rules.n_tiers else np.inf
        cost += rules.tiers[i, 1] * max(min(month_units + size, end) - max(month_units, rules.tiers[i, 0]), 0.0)
    return cost


@step
def charge_nb(
    size_before: float, value_before: float, tiers_before: float, size: float, value: float, tiers: float, rules: Rules
) -> float:
    """Return what a fill pays of its order's commission: what is due after it less what was due before."""
    after = commission_due_nb(size_before + size, value_before + value, tiers_before + tiers, rules)
    return max(after - commission_due_nb(size_before, value_before, tiers_before, rules), 0.0)


@step
def sale_fees_nb(size: float, value: float, rules: Rules) -> float:
    """Return the regulatory fees (ccy) of a sale."""
    if rules.sell_fee_rate == 0.0 and rules.sell_fee_per_share == 0.0:
        return 0.0
    return rules.sell_fee_rate * value + min(rules.sell_fee_per_share * size, rules.sell_fee_max)
