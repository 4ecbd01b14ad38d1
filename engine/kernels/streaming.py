"""One asset that trades at opens and nothing else: the bar loop without its bars, by stretches between fills.

What it computes is what `bar_loop_nb` does, operation by operation, and so to the last bit. It knows no gaps, no
corporate actions, no orders, levels of risk, financing, margin, impact, participation or latency, and gives up where
costs bend in a way that only the search of the bar loop resolves, and where money leaves its bounds; the caller then
takes that one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel, step
from engine.kernels.book import NOISE, round_to_lots_nb, without_noise_nb
from engine.kernels.cash import DUST
from engine.kernels.checks import is_countable_nb
from engine.kernels.fees import commission_due_nb, sale_fees_nb
from engine.kernels.state import REJECT, Curves, Floats, Integers, Rules
from engine.kernels.targets import order_quantity_nb

State = Any  # a record of STATE


@kernel
def opens_loop_nb(
    open_: Floats,
    close: Floats,
    bars: Integers,
    rows: Integers,
    values: Floats,
    is_weight: bool,
    rules: Rules,
    states: np.ndarray,
    curves_out: Curves,
) -> tuple[bool, float]:
    """Run targets over all float64[n_bars]; return whether that was possible, and the last mark.

    bars : int64[n_events], decided at; rows : int64[n_events], their places in float64[n_rows] `values`
    states : STATE[1], modified in place, as are those curves that are not empty
    """
    is_usual, mark = opens_nb(open_, close, bars, rows, values, bars.size, is_weight, rules, states[0], curves_out)
    return is_usual and is_countable_nb(curves_out), mark


@step
def opens_nb(
    open_: Floats,
    close: Floats,
    bars: Integers,
    rows: Integers,
    values: Floats,
    n_events: int,
    is_weight: bool,
    rules: Rules,
    state: State,
    curves_out: Curves,
) -> tuple[bool, float]:
    """Run targets as `opens_loop_nb` does."""
    n_bars = close.size
    reset_state_nb(state, rules)
    position, start, last = 0.0, 0, np.nan
    for i in range(n_events):
        t = bars[i]
        if t + 1 >= n_bars:
            break
        units = values[rows[i]]
        if is_weight and units != 0.0:
            equity = state["cash"] + position * close[t]
            units = units * equity / close[t] if equity > 0.0 else 0.0
        hold_nb(close, start, t + 1, state["cash"], position, curves_out)
        start = t + 1
        quantity, is_usual = quantity_nb(units, position, open_[start], rules, state)
        if not is_usual:
            return False, np.nan
        if quantity != 0.0:
            last = open_[start]
            fill_nb(quantity, last, rules, state)
            position = without_noise_nb(position + quantity, quantity)
    hold_nb(close, start, n_bars, state["cash"], position, curves_out)
    return True, close[n_bars - 1] if position != 0.0 else last


@step
def hold_nb(close: Floats, start: int, end: int, cash: float, position: float, curves_out: Curves) -> None:
    """Mark a stretch of bars in which nothing is filled; curves that are empty are not written."""
    # Slices, since an index that might be negative keeps a loop from running on several values at once.
    equity, price = curves_out.equity[start:end], close[start:end]
    if position == 0.0:
        for t in range(equity.size):
            equity[t] = cash
    else:
        for t in range(equity.size):
            equity[t] = cash + position * price[t]
    if curves_out.exposure.size > 0:
        exposure = curves_out.exposure[start:end]
        for t in range(exposure.size):
            exposure[t] = abs(position * price[t])
    if curves_out.cash.size > 0:
        money = curves_out.cash[start:end]
        for t in range(money.size):
            money[t] = cash


@step
def quantity_nb(units: float, position: float, price: float, rules: Rules, state: State) -> tuple[float, bool]:
    """Return the signed units that a target fills at a price as cash allows; and False where that is hard to say."""
    if units < 0.0 and not rules.allow_short:
        units = 0.0
    quantity = order_quantity_nb(round_to_lots_nb(units, rules.lot_size), position, rules.lot_size)
    spread = price * rules.spread_rate
    slippage = price * rules.slippage_rate + rules.slippage_ccy
    if quantity <= 0.0:
        # A sale's price never falls below zero: there the moves would be cut.
        return quantity, quantity == 0.0 or spread + slippage <= price
    value = quantity * (price + (spread + slippage))
    cost = value + commission_due_nb(quantity, value, 0.0, rules)
    equity = 0.0
    if rules.leverage > 1.0:
        equity = state["cash"] + position * price
    spendable = state["cash"] + (rules.leverage - 1.0) * max(equity, 0.0)
    if cost <= spendable * (1.0 + NOISE):
        return quantity, True
    if rules.cash_policy == REJECT or not rules.is_linear:
        return 0.0, False
    if spendable <= 0.0:
        return 0.0, True
    fixed = rules.commission_fixed
    share = max((spendable - fixed) / (cost - fixed), 0.0)
    if share < 1.0:
        quantity = round_to_lots_nb(quantity * share, rules.lot_size) if share >= DUST else 0.0
    return quantity, True


@step
def fill_nb(quantity: float, price: float, rules: Rules, state: State) -> None:
    """Charge a fill at the market's price and count it in; `state` is modified in place."""
    size = abs(quantity)
    side = 1.0 if quantity > 0.0 else -1.0
    spread = price * rules.spread_rate
    slippage = price * rules.slippage_rate + rules.slippage_ccy
    value = size * (price + side * (spread + slippage))
    commission = commission_due_nb(size, value, 0.0, rules)
    fees = sale_fees_nb(size, value, rules) if side < 0.0 else 0.0
    state["cash"] -= quantity * price + (commission + fees + (spread + slippage) * size)
    state["n_fills"] += 1
    state["traded"] += value
    state["commission"] += commission
    state["fees"] += fees
    state["spread"] += spread * size
    state["slippage"] += slippage * size
    state["month_units"] += size


@step
def reset_state_nb(state: State, rules: Rules) -> None:
    """Put what a run counts into its state before the first bar."""
    state["cash"] = rules.cash
    state["n_fills"] = 0
    state["traded"] = 0.0
    state["commission"] = 0.0
    state["fees"] = 0.0
    state["spread"] = 0.0
    state["slippage"] = 0.0
    state["month_units"] = 0.0
