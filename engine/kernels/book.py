"""Changes of the book and the records they leave."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.fees import adverse_moves_nb, charge_nb, commission_due_nb, sale_fees_nb, tier_cost_nb
from engine.kernels.state import (
    HELD,
    HELD_AT,
    Book,
    Floats,
    Market,
    Records,
    Rules,
)
from engine.records import TARGET

# What rounding leaves of a position, relative to the fill that closed it: nothing.
NOISE = 1e-12
# A lot that is whole but for rounding counts as whole.
LOT_NOISE = 1e-9


@step
def round_to_lots_nb(units: float, lot_size: float) -> float:
    """Return units rounded towards zero to whole lots; a lot size of 0 leaves them alone."""
    if lot_size == 0.0:
        return units
    lots: float = np.floor(abs(units) / lot_size + LOT_NOISE)
    return lots * lot_size if units >= 0.0 else -lots * lot_size


@step
def available_nb(book: Book, market: Market, asset: int, t: int, rules: Rules) -> float:
    """Return the units of an asset that bar t may still fill."""
    if rules.participation == np.inf:
        return np.inf
    taken = taken_nb(book, asset, t) + book.holding[asset]["queued"]
    most = round_to_lots_nb(rules.participation * market.volume[t, asset], rules.lot_size)
    left = most - taken
    return left if left > LOT_NOISE * most else 0.0


@step
def capped_nb(book: Book, market: Market, asset: int, quantity: float, t: int, rules: Rules) -> float:
    """Return a signed quantity as far as volume allows it now, in whole lots where it does not."""
    if rules.participation == np.inf:
        return quantity
    available = available_nb(book, market, asset, t, rules)
    if abs(quantity) <= available * (1.0 + NOISE):
        return quantity
    size = round_to_lots_nb(available, rules.lot_size)
    return size if quantity > 0.0 else -size


@step
def taken_nb(book: Book, asset: int, t: int) -> float:
    """Return the units of an asset that bar t has filled; not kept where neither volume nor impact asks for it."""
    return book.holding[asset]["used"] if book.holding[asset]["used_bar"] == t else 0.0


@step
def set_position_nb(book: Book, asset: int, units: float) -> None:
    """Set a position and keep the list of held assets; `book` is modified in place."""
    was_held = book.position[asset] != 0.0
    book.position[asset] = units
    n_held = book.state.n_held
    if units != 0.0 and not was_held:
        book.lists[HELD, n_held] = asset
        book.lists[HELD_AT, asset] = n_held
        book.state.n_held = n_held + 1
    elif units == 0.0 and was_held:
        last = book.lists[HELD, n_held - 1]
        book.lists[HELD, book.lists[HELD_AT, asset]] = last
        book.lists[HELD_AT, last] = book.lists[HELD_AT, asset]
        book.state.n_held = n_held - 1
        holding = book.holding[asset]
        holding["exit_kind"] = -1
        if not np.isnan(holding["liquidation"]):
            holding["liquidation"] = np.nan
            book.state.n_liquidations -= 1


@step
def without_noise_nb(units: float, quantity: float) -> float:
    """Return a position, or 0 where it is what rounding left of a fill that closed it."""
    return 0.0 if abs(units) <= NOISE * abs(quantity) else units


@step
def execute_nb(
    book: Book,
    market: Market,
    orders: np.ndarray | None,
    asset: int,
    order: int,
    kind: int,
    quantity: float,
    reference: float,
    limit: float,
    began: int,
    t: int,
    rules: Rules,
    records_out: Records,
) -> None:
    """Fill a signed quantity at bar t against the market's price and charge its costs; `book` is modified in place.

    Commissions are due on all fills of an order together (`orders[order]`, or the pending target): a fill pays
    what is due after it less what was paid before.
    """
    size = abs(quantity)
    side = 1.0 if quantity > 0.0 else -1.0
    taken = taken_nb(book, asset, t)
    spread, slippage, impact = adverse_moves_nb(market, asset, side, size, reference, limit, kind, taken, t, rules)
    price = reference + side * (spread + slippage + impact)
    value = size * price
    commission = commission_nb(book, orders, asset, order, kind, size, value, rules)
    fees = sale_fees_nb(size, value, rules) if side < 0.0 else 0.0
    moves = (spread + slippage + impact) * size
    book.state.cash -= quantity * reference + (commission + fees + moves)
    book.state.traded += value
    book.state.commission += commission
    book.state.fees += fees
    book.state.spread += spread * size
    book.state.slippage += slippage * size
    book.state.impact += impact * size
    if rules.n_tiers > 0:
        book.state.month_units += size
    book.mark[asset] = reference
    if rules.participation < np.inf or rules.volume_share_impact > 0.0:
        holding = book.holding[asset]
        holding["used"] = size if holding["used_bar"] != t else holding["used"] + size
        holding["used_bar"] = t
    before = book.position[asset]
    after = without_noise_nb(before + quantity, quantity)
    if rules.has_risk:
        note_entry_nb(book, asset, before, after, quantity, price, reference, kind, began, t)
    set_position_nb(book, asset, after)
    costs = (commission, fees, spread * size, slippage * size, impact * size)
    write_fill_nb(book, asset, order, kind, quantity, price, reference, costs, t, records_out)


@step
def commission_nb(
    book: Book,
    orders: np.ndarray | None,
    asset: int,
    order: int,
    kind: int,
    size: float,
    value: float,
    rules: Rules,
) -> float:
    """Return what a fill pays of the commission of its order, target or exit, and count it in; modified in place."""
    tiers = tier_cost_nb(book.state.month_units, size, rules) if rules.n_tiers > 0 else 0.0
    if orders is not None and order >= 0:
        paid = orders[order]
        charge = charge_nb(paid["size_filled"], paid["value_filled"], paid["tiers"], size, value, tiers, rules)
        paid["size_filled"] += size
        paid["value_filled"] += value
        paid["tiers"] += tiers
        paid["commission"] += charge
        return charge
    if rules.participation == np.inf:
        return commission_due_nb(size, value, tiers, rules)
    holding = book.holding[asset]
    if kind == TARGET:
        charge = charge_nb(holding["size_filled"], holding["value_filled"], holding["tiers"], size, value, tiers, rules)
        holding["size_filled"] += size
        holding["value_filled"] += value
        holding["tiers"] += tiers
        return charge
    charge = charge_nb(holding["exit_size"], holding["exit_value"], holding["exit_tiers"], size, value, tiers, rules)
    holding["exit_size"] += size
    holding["exit_value"] += value
    holding["exit_tiers"] += tiers
    return charge


@step
def begin_exit_nb(book: Book, asset: int) -> None:
    """Let the commission of an exit begin: all its fills are one order."""
    holding = book.holding[asset]
    holding["exit_size"] = 0.0
    holding["exit_value"] = 0.0
    holding["exit_tiers"] = 0.0


@step
def note_entry_nb(
    book: Book,
    asset: int,
    before: float,
    after: float,
    quantity: float,
    price: float,
    reference: float,
    kind: int,
    began: int,
    t: int,
) -> None:
    """Keep the average entry price of a position and since when it is held; reductions leave both alone."""
    holding = book.holding[asset]
    if before == 0.0 or before * after < 0.0:
        holding["entry_price"] = price
        holding["extreme"] = price
        holding["entry_bar"] = t
        holding["entry_kind"] = kind
        holding["entered"] = began
        holding["exit_kind"] = -1
    elif abs(after) > abs(before):
        total = abs(before) + abs(quantity)
        holding["entry_price"] = (holding["entry_price"] * abs(before) + price * abs(quantity)) / total
    else:
        return
    holding["began"] = began
    holding["began_bar"] = t
    holding["begin_price"] = reference


@step
def fill_free_nb(
    book: Book, asset: int, kind: int, quantity: float, price: float, t: int, records_out: Records
) -> None:
    """Fill a signed quantity at a price without costs, as at a delisting."""
    book.state.cash -= quantity * price
    set_position_nb(book, asset, without_noise_nb(book.position[asset] + quantity, quantity))
    write_fill_nb(book, asset, -1, kind, quantity, price, price, (0.0, 0.0, 0.0, 0.0, 0.0), t, records_out)


@step
def write_fill_nb(
    book: Book,
    asset: int,
    order: int,
    kind: int,
    quantity: float,
    price: float,
    reference: float,
    costs: tuple[float, float, float, float, float],
    t: int,
    records_out: Records,
) -> None:
    """Write a fill; `costs` (ccy) are commission, fees, spread, slippage and impact."""
    place = book.state.n_fills
    book.state.n_fills = place + 1
    if place < records_out.fills.size:
        fill = records_out.fills[place]
        fill["bar"] = t
        fill["asset"] = asset
        fill["kind"] = kind
        fill["order"] = order
        fill["quantity"] = quantity
        fill["price"] = price
        fill["reference_price"] = reference
        fill["commission"], fill["fees"], fill["spread"], fill["slippage"], fill["impact"] = costs


@step
def move_cash_nb(
    book: Book, asset: int, kind: int, amount: float, quantity: float, rate: float, t: int, records_out: Records
) -> None:
    """Move cash and write the cash flow."""
    book.state.cash += amount
    place = book.state.n_cash_flows
    book.state.n_cash_flows = place + 1
    if place < records_out.cash_flows.size:
        flow = records_out.cash_flows[place]
        flow["bar"] = t
        flow["asset"] = asset
        flow["kind"] = kind
        flow["amount"] = amount
        flow["quantity"] = quantity
        flow["rate"] = rate


@step
def reject_nb(book: Book, asset: int, order: int, reason: int, quantity: float, t: int, records_out: Records) -> None:
    """Write a rejection of a signed quantity."""
    place = book.state.n_rejections
    book.state.n_rejections = place + 1
    if place < records_out.rejections.size:
        rejection = records_out.rejections[place]
        rejection["bar"] = t
        rejection["asset"] = asset
        rejection["reason"] = reason
        rejection["order"] = order
        rejection["quantity"] = quantity


@step
def equity_at_nb(book: Book, price: Floats, t: int) -> tuple[float, float]:
    """Return equity and gross exposure at the prices of bar t, the last mark where there is none."""
    equity: float = book.state.cash
    exposure = 0.0
    for i in range(book.state.n_held):
        asset = book.lists[HELD, i]
        now = price[t, asset]
        value = book.position[asset] * (book.mark[asset] if np.isnan(now) else now)
        equity += value
        exposure += abs(value)
    return equity, exposure
