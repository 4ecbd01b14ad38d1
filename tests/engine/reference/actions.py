"""What happens to an account without its orders: corporate actions, financing, margin calls."""

from __future__ import annotations

from tests.engine.reference.orders import Target, whole_lots


def corporate_actions(book):
    t, inputs = book.bar, book.inputs
    for due in [due for due in book.dividends_due if due[0] <= t]:
        book.dividends_due.remove(due)
        book.flow(due[1], "dividend", *due[2:])
    for asset in range(len(book.units)):
        if asset in book.delisted:
            continue
        if inputs.dividends[t][asset] and book.units[asset]:
            dividend(book, asset, inputs.dividends[t][asset], inputs.pay_bars[t][asset])
        if inputs.splits[t][asset] != 1.0:
            split(book, asset, inputs.splits[t][asset])
        if inputs.delistings[t][asset] is not None:
            delist(book, asset, inputs.delistings[t][asset])


def dividend(book, asset, rate, pay_bar):
    units = book.units[asset]
    if book.settings.dividends_on == "pay_date" and pay_bar > book.bar:
        book.dividends_due.append((pay_bar, asset, units * rate, units, rate))
    else:
        book.flow(asset, "dividend", units * rate, units, rate)


def split(book, asset, ratio):
    book.units[asset] *= ratio
    if book.mark[asset] is not None:
        book.mark[asset] /= ratio
    targets = [target for _, of, target in book.queue if of == asset]
    targets += [waiting[asset] for waiting in (book.pending, book.liquidations) if asset in waiting]
    for target in targets:
        target.units *= ratio
        target.meter.size *= ratio
    for order in book.orders:
        if order.asset == asset and order.status != "unborn":
            order.split(ratio, book.settings.tick_size)
    holding = book.holding[asset]
    if holding is not None:
        holding.entry /= ratio
        holding.extreme /= ratio
        if holding.exit is not None:
            holding.exit.meter.size *= ratio
    if book.settings.cash_in_lieu and book.settings.lot_size > 0.0:
        pay_fraction(book, asset)


def pay_fraction(book, asset):
    """Sell what a split left of a lot (buy it back if short) at the rescaled mark."""
    fraction = book.units[asset] - whole_lots(book.units[asset], book.settings.lot_size)
    if abs(fraction) <= 1e-9 * book.settings.lot_size:
        return
    mark = book.mark[asset]
    book.flow(asset, "cash_in_lieu", fraction * mark, -fraction, -mark)
    book.units[asset] -= fraction
    if abs(book.units[asset]) < 1e-9 * book.settings.lot_size:
        book.units[asset], book.holding[asset] = 0.0, None


def delist(book, asset, value):
    book.delisted.add(asset)
    book.pending.pop(asset, None)
    book.liquidations.pop(asset, None)
    book.queue = [item for item in book.queue if item[1] != asset]
    cancel_all(book, [order for order in book.orders if order.asset == asset])
    if book.units[asset] != 0.0:
        price = book.mark[asset] * (1.0 + value)
        free = dict.fromkeys(("commission", "fees", "spread", "slippage", "impact"), 0.0)
        book.write_fill(asset, -book.units[asset], price, price, "delisting", -1, free)


def cancel_all(book, orders):
    """Cancel at once: no child of one of them starts because of it."""
    waiting = [order for order in orders if order.status == "open"]
    for order in waiting:
        order.status = "cancelled"
    for order in waiting:
        book.end_order(order, "cancelled", book.mark[order.asset])


def financing(book, cash, units, marks):
    """Interest and borrow fees on what was held at the previous bar's end."""
    s, nights = book.settings, book.inputs.nights(book.bar)
    if nights == 0:
        return
    years = nights / s.day_count
    for asset, held in enumerate(units):
        if held < 0.0 and s.borrow_rate > 0.0:
            rate = marks[asset] * s.borrow_rate * years
            book.flow(asset, "borrow", held * rate, held, rate)
    kind, rate = ("cash_interest", s.cash_rate) if cash > 0.0 else ("debit_interest", s.debit_rate)
    if cash * rate != 0.0:
        book.flow(-1, kind, cash * rate * years, cash, rate * years)


def is_margin_call(book):
    """Whether equity no longer covers the exposure; then all that waits is cancelled and positions are cut."""
    s = book.settings
    equity, exposure = book.equity(book.mark), book.exposure(book.mark)
    if s.maintenance_margin == 0.0 or exposure == 0.0 or equity >= s.maintenance_margin * exposure:
        return False
    book.pending.clear()
    book.queue.clear()
    cancel_all(book, book.orders)
    share = max(0.0, min(1.0, equity * s.leverage / exposure))
    book.liquidations = {
        asset: Target(whole_lots(units * share, s.lot_size), book.bar)
        for asset, units in enumerate(book.units)
        if units != 0.0
    }
    return True
