"""All targets of an open at once, where costs are in proportion: passes over the assets instead of fill by fill.

Each fill is computed by the operations of `trade_moment_nb`; sums run over the assets in their order.
"""

from __future__ import annotations

import numpy as np

from engine.jit import kernel, step
from engine.kernels.book import NOISE, round_to_lots_nb, set_position_nb, without_noise_nb, write_fill_nb
from engine.kernels.cash import SURE, queue_nb
from engine.kernels.fees import sale_fees_nb
from engine.kernels.state import MARGIN_POLICY, N_PASSES, Book, Floats, Market, Records, Rules
from engine.records import TARGET

# Rows of Book.work, float64[n_assets] each.
QUANTITY, CHARGE, VALUE, COMMISSION, FEES, SPREAD, SLIPPAGE, AFTER = range(N_PASSES)
# A pass over all assets is worth it from one in so many that trades.
_SPARSE = 8


@step
def is_rebalance_nb(book: Book, market: Market, rules: Rules) -> bool:
    """Return whether all that fills at an open are many targets, at costs in proportion to what they trade."""
    return (
        book.state.n_pending * _SPARSE >= book.position.size > 1
        and rules.is_linear
        and rules.cash_policy != MARGIN_POLICY
        and not (rules.has_risk or market.has_gaps)
        and book.state.n_live + book.state.n_liquidations == 0
    )


@kernel
def rebalance_nb(book: Book, market: Market, t: int, rules: Rules, records_out: Records) -> int:
    """Fill what the pending targets sell at the open of bar t, and what they buy where there surely is cash for it.

    Otherwise queue what they buy; return the length of the queue. `book` is modified in place.
    """
    price = market.open[t]
    plan_fills_nb(book, price, rules)
    n_queued = 0
    if not pay_all_nb(book, price, rules):
        for asset in range(price.size):
            quantity = book.work[QUANTITY, asset]
            if quantity > 0.0:
                n_queued = queue_nb(book, n_queued, asset, -1, TARGET, quantity, price[asset], np.nan, rules)
                for row in range(AFTER):
                    book.work[row, asset] = 0.0
                book.work[AFTER, asset] = book.position[asset]
        pay_nb(book)
    set_positions_nb(book)
    write_fills_nb(book, price, t, rules, records_out)
    book.target[:] = np.nan
    book.state.n_pending = 0
    return n_queued


@step
def plan_fills_nb(book: Book, price: Floats, rules: Rules) -> None:
    """Write what each asset trades and pays into `book.work`.

    Short loops of few arrays, which the compiler runs on several assets at once.
    """
    work, position, target, lot_size = book.work, book.position, book.target, rules.lot_size
    quantity, charge, value, commission = work[QUANTITY], work[CHARGE], work[VALUE], work[COMMISSION]
    fees, spread, slippage, after = work[FEES], work[SPREAD], work[SLIPPAGE], work[AFTER]
    n = price.size
    for asset in range(n):
        wanted, held = target[asset], position[asset]
        change = wanted - held
        # Not so where there is no target: it is NaN.
        is_trade = abs(change) > NOISE * max(abs(held), abs(wanted))
        quantity[asset] = change if is_trade else 0.0
    if lot_size != 0.0:
        for asset in range(n):
            if target[asset] != 0.0:
                quantity[asset] = round_to_lots_nb(quantity[asset], lot_size)
    for asset in range(n):
        move = price[asset] * rules.spread_rate + price[asset] * rules.slippage_rate
        dear, cheap = price[asset] + move, price[asset] - move
        value[asset] = abs(quantity[asset]) * (dear if quantity[asset] > 0.0 else cheap)
    for asset in range(n):
        size = abs(quantity[asset])
        fixed = rules.commission_fixed if size > 0.0 else 0.0
        commission[asset] = fixed + rules.commission_rate * value[asset] + rules.commission_per_share * size
    for asset in range(n):
        spread[asset] = price[asset] * rules.spread_rate * abs(quantity[asset])
    for asset in range(n):
        slippage[asset] = price[asset] * rules.slippage_rate * abs(quantity[asset])
    fees[:] = 0.0
    if rules.sell_fee_rate != 0.0 or rules.sell_fee_per_share != 0.0:
        for asset in range(n):
            if quantity[asset] < 0.0:
                fees[asset] = sale_fees_nb(-quantity[asset], value[asset], rules)
    for asset in range(n):
        move = price[asset] * rules.spread_rate + price[asset] * rules.slippage_rate
        paid = commission[asset] + fees[asset] + move * abs(quantity[asset])
        charge[asset] = quantity[asset] * price[asset] + paid
    for asset in range(n):
        after[asset] = without_noise_nb(position[asset] + quantity[asset], quantity[asset])


@step
def pay_all_nb(book: Book, price: Floats, rules: Rules) -> bool:
    """Pay all fills and count them in, where cash is there for the buys beyond any rounding; return whether it was."""
    before = book.state.cash
    cash, traded = before, 0.0
    for asset in range(price.size):
        cash -= book.work[CHARGE, asset]
        traded += book.work[VALUE, asset]
    spare = cash - SURE * (abs(before) + traded)
    if spare < 0.0 and rules.leverage > 1.0:
        equity = cash
        for asset in range(price.size):
            equity += book.work[AFTER, asset] * price[asset]
        spare += (rules.leverage - 1.0) * (1.0 - SURE) * max(equity, 0.0)
    if spare < 0.0:
        return False
    pay_nb(book)
    return True


@step
def pay_nb(book: Book) -> None:
    """Pay what is planned, and count it in; what does not trade adds nothing."""
    work, state = book.work, book.state
    cash, traded, commission, fees = state.cash, state.traded, state.commission, state.fees
    spread, slippage = state.spread, state.slippage
    for asset in range(work.shape[1]):
        cash -= work[CHARGE, asset]
        traded += work[VALUE, asset]
        commission += work[COMMISSION, asset]
        fees += work[FEES, asset]
        spread += work[SPREAD, asset]
        slippage += work[SLIPPAGE, asset]
    state.cash, state.traded, state.commission, state.fees = cash, traded, commission, fees
    state.spread, state.slippage = spread, slippage


@step
def set_positions_nb(book: Book) -> None:
    """Set the positions after all fills; the close of the bar marks them, since no asset misses it."""
    quantity, after, position = book.work[QUANTITY], book.work[AFTER], book.position
    n_crossing = 0
    for asset in range(position.size):
        was_held, is_held = position[asset] != 0.0, after[asset] != 0.0
        n_crossing += was_held != is_held
    if n_crossing > 0:
        # What opens or ends a position is also a matter of the list of those that are held.
        for asset in range(position.size):
            if quantity[asset] != 0.0:
                set_position_nb(book, asset, after[asset])
    else:
        for asset in range(position.size):
            position[asset] = after[asset]


@step
def write_fills_nb(book: Book, price: Floats, t: int, rules: Rules, records_out: Records) -> None:
    """Write the fills, sales first; without room for records they are counted alone."""
    work = book.work
    if records_out.fills.size == 0:
        n_fills = 0
        for asset in range(price.size):
            n_fills += work[QUANTITY, asset] != 0.0
        book.state.n_fills += n_fills
        return
    for side in range(-1, 2, 2):
        for asset in range(price.size):
            quantity, reference = work[QUANTITY, asset], price[asset]
            if side * quantity > 0.0:
                filled_at = reference + side * (reference * rules.spread_rate + reference * rules.slippage_rate)
                costs = (work[COMMISSION, asset], work[FEES, asset], work[SPREAD, asset], work[SLIPPAGE, asset], 0.0)
                write_fill_nb(book, asset, -1, TARGET, quantity, filled_at, reference, costs, t, records_out)
