"""What an order pays."""

from __future__ import annotations

from engine.jit import step
from engine.kernels.state import Rules


@step
def commission_nb(size: float, price: float, rules: Rules) -> float:
    """Return the commission (ccy) of `size` units at a fill price; the maximum beats the minimum."""
    value = size * price
    fee = rules.commission_fixed + rules.commission_rate * value + rules.commission_per_share * size
    return min(max(fee, rules.commission_min), rules.commission_max_rate * value)


@step
def fill_price_nb(reference: float, side: float, rules: Rules) -> float:
    """Return the bar's price moved against the order: half spread and slippage add up; side is +1 or -1."""
    return reference * (1.0 + side * (rules.spread_rate + rules.slippage_rate))
