"""Prices of orders, rounded to ticks."""

from __future__ import annotations

import numpy as np

from engine.jit import step

# A price that is whole ticks but for rounding counts as whole.
TICK_NOISE = 1e-9


@step
def round_order_prices_nb(orders: np.ndarray, number: int, tick_size: float) -> None:
    """Round limits to be no worse for the trader and stops away from the market; modifies `orders` in place."""
    if tick_size == 0.0:
        return
    order = orders[number]
    is_buy = order["quantity"] > 0.0
    order["limit_price"] = to_tick_nb(order["limit_price"], tick_size, not is_buy)
    order["stop_price"] = to_tick_nb(order["stop_price"], tick_size, is_buy)


@step
def to_tick_nb(price: float, tick_size: float, is_up: bool) -> float:
    """Return a price rounded up or down to whole ticks; NaN stays."""
    ticks = price / tick_size
    if abs(ticks - np.rint(ticks)) <= TICK_NOISE:
        return price
    whole: float = np.ceil(ticks - TICK_NOISE) if is_up else np.floor(ticks + TICK_NOISE)
    return whole * tick_size
