"""Fills that meet at one moment: sells, then the group of buys under the cash policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.engine.reference.book import Exit
from tests.engine.reference.costs import commission_and_fees, quote
from tests.engine.reference.orders import Begin, Meter, Order, Target, whole_lots


@dataclass(eq=False)
class Entry:
    """An order or target that may fill now, at the market's price."""

    owner: Order | Target
    asset: int
    reference: float
    limit: float | None = None


@dataclass(eq=False)
class Wish:
    """What an entry would fill: all it wants, and what participation leaves of that."""

    entry: Entry
    wanted: float
    quantity: float

    @property
    def is_order(self):
        return isinstance(self.entry.owner, Order)

    @property
    def kind(self):
        return self.entry.owner.kind if self.is_order else "target"


def room(book, asset, reserved=0.0):
    """Units of the bar's volume that may still be taken."""
    s = book.settings
    if s.participation_rate == float("inf"):
        return float("inf")
    most = whole_lots(s.participation_rate * book.inputs.volume[book.bar][asset], s.lot_size)
    left = most - book.taken[asset] - reserved
    return left if left > 1e-9 * most else 0.0


def capped(book, asset, quantity, reserved=0.0):
    """A quantity as far as participation lets it: all of it, or whole lots."""
    left = room(book, asset, reserved)
    if abs(quantity) <= left * (1.0 + 1e-12):
        return quantity
    return whole_lots(left, book.settings.lot_size) * (1 if quantity > 0 else -1) if left > 0.0 else 0.0


def side_of(book, entry):
    if isinstance(entry.owner, Order):
        return entry.owner.side
    difference = entry.owner.units - book.units[entry.asset]
    return 1 if difference > 0.0 else -1


def wish_of(book, entry, reserved=0.0):
    """What an entry would fill now; None where that is nothing, after drawing the consequence."""
    if isinstance(entry.owner, Order):
        return wish_of_order(book, entry, reserved)
    target, held = entry.owner, book.units[entry.asset]
    wanted = target.units - held
    if abs(wanted) <= 1e-12 * max(abs(target.units), abs(held)):
        wanted = 0.0
    elif target.units != 0.0:
        wanted = whole_lots(wanted, book.settings.lot_size)
    if wanted == 0.0:
        book.pending.pop(entry.asset)
        return None
    quantity = capped(book, entry.asset, wanted, reserved)
    return Wish(entry, wanted, quantity) if quantity != 0.0 else None


def wish_of_order(book, entry, reserved):
    order, held = entry.owner, book.units[entry.asset]
    if order.status != "open":
        return None
    wanted = order.rest
    if order.side < 0 and not book.settings.allow_short:
        if held <= 0.0:
            book.reject_order(order, "no_position", order.rest, entry.reference)
            return None
        wanted = max(wanted, -held)
    wanted = whole_lots(wanted, book.settings.lot_size)
    if wanted == 0.0:
        book.reject_order(order, "below_lot", order.rest, entry.reference)
        return None
    quantity = capped(book, entry.asset, wanted, reserved)
    return Wish(entry, wanted, quantity) if quantity != 0.0 else None


def settle(book, wish, share=1.0):
    """Fill a share of a wish; what the share cuts off is dropped, what participation cuts off waits."""
    entry, quantity = wish.entry, wish.quantity
    if share < 1.0:
        quantity = whole_lots(quantity * share, book.settings.lot_size)
    if wish.is_order:
        order, rest = entry.owner, wish.wanted - wish.quantity
        if quantity == 0.0:
            book.reject_order(order, "no_cash", order.rest, entry.reference)
            return
        book.fill_order(order, quantity, entry.reference, order.kind, entry.limit)
        order.rest = rest
        if abs(rest) <= 1e-12 * abs(order.quantity):
            order.rest = 0.0
            book.end_order(order, "filled", entry.reference)
    else:
        target = entry.owner
        if quantity != 0.0:
            book.execute(entry.asset, quantity, entry.reference, "target", meter=target.meter)
        if share < 1.0 or wish.quantity == wish.wanted:
            book.pending.pop(entry.asset)


def trade_together(book, entries, prices):
    """Sells in their sequence, then the group; `prices` are those of the moment, for the cash policy."""
    is_margin = book.settings.cash_policy == "margin"
    later = [entry for entry in entries if side_of(book, entry) > 0]
    group = []
    for entry in entries:
        if entry in later:
            continue
        wish = wish_of(book, entry)
        if wish is None:
            continue
        if is_margin and raises(book, wish):
            group.append(entry)
        else:
            settle(book, wish)
    if is_margin:
        for entry in list(later):
            wish = wish_of(book, entry)
            if wish is None:
                later.remove(entry)
            elif not raises(book, wish):
                later.remove(entry)
                settle(book, wish)
    wishes = group_wishes(book, [entry for entry in entries if entry in group or entry in later])
    if not wishes:
        return
    reason, share = None, 1.0
    if is_margin:
        reason = None if is_within_margin(book, wishes, prices) else "margin"
    else:
        share = affordable(book, wishes, prices)
        if share < 1.0 and book.settings.cash_policy == "reject":
            reason = "no_cash"
    for wish in wishes:
        if reason is None:
            settle(book, wish, share)
        elif wish.is_order:
            book.reject_order(wish.entry.owner, reason, wish.entry.owner.rest, wish.entry.reference)
        else:
            book.reject(wish.entry.asset, -1, reason, wish.quantity)
            book.pending.pop(wish.entry.asset)


def raises(book, wish):
    held = book.units[wish.entry.asset]
    return abs(held + wish.quantity) > abs(held)


def group_wishes(book, entries):
    """The wishes of a group: volume is given out in sequence, and one member of an OCO group takes part."""
    wishes, reserved, groups = [], {}, set()
    for entry in entries:
        group = entry.owner.group if isinstance(entry.owner, Order) else None
        if group is not None and group in groups:
            # Should the other one be refused, this one meets the rest of the bar, from this price on.
            entry.owner.skips_bar, entry.owner.begin = -1, Begin("open", entry.reference)
            entry.owner.is_triggered = entry.owner.kind == "stop_limit"
            continue
        wish = wish_of(book, entry, reserved.get(entry.asset, 0.0))
        if wish is not None:
            groups.add(group)
            reserved[entry.asset] = reserved.get(entry.asset, 0.0) + abs(wish.quantity)
            wishes.append(wish)
    return wishes


def group_cost(book, wishes, share=1.0):
    """Cash that the wishes take, and how much of it are costs."""
    cash, costs, traded, taken = 0.0, 0.0, book.traded, Counter()
    for wish in wishes:
        quantity, reference = wish.quantity * share, wish.entry.reference
        if quantity == 0.0:
            continue
        asset = wish.entry.asset
        paid = quote(book, asset, quantity, reference, wish.kind, wish.entry.limit, taken[asset])
        taken[asset] += abs(quantity)
        meter = wish.entry.owner.meter
        commission, fees, _ = commission_and_fees(book.settings, meter, quantity, paid.price, traded)
        traded += abs(quantity)
        cash += quantity * paid.price + commission + fees
        costs += commission + fees + abs(quantity) * (paid.spread + paid.slippage + paid.impact)
    return cash, costs


def affordable(book, wishes, prices):
    """The largest share of all wishes that can be paid."""
    limit = book.cash
    if book.settings.leverage != 1.0:
        limit += (book.settings.leverage - 1.0) * max(book.equity(prices), 0.0)
    if group_cost(book, wishes)[0] <= limit * (1.0 + 1e-12):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if group_cost(book, wishes, middle)[0] <= limit:
            low = middle
        else:
            high = middle
    return low if low >= 1e-9 else 0.0


def is_within_margin(book, wishes, prices):
    units = list(book.units)
    for wish in wishes:
        units[wish.entry.asset] += wish.quantity
    exposure = sum(abs(u * p) for u, p in zip(units, prices, strict=True) if u != 0.0)
    # A fill away from the moment's price gains or loses the difference at once.
    moved = sum(wish.quantity * (wish.entry.reference - prices[wish.entry.asset]) for wish in wishes)
    equity = book.equity(prices) - group_cost(book, wishes)[1] - moved
    return exposure <= book.settings.leverage * equity * (1.0 + 1e-12)


def leave(book, asset, kind, reference, limit=None):
    """An exit of Risk: the whole position, as far as participation lets it."""
    holding = book.holding[asset]
    holding.exit = holding.exit or Exit(kind, Meter())
    quantity = capped(book, asset, -book.units[asset])
    if quantity != 0.0:
        book.execute(asset, quantity, reference, holding.exit.kind, meter=holding.exit.meter, limit=limit)


def liquidate(book, asset, reference):
    """Cut a position towards what a margin call left of it."""
    target, held = book.liquidations[asset], book.units[asset]
    wanted = target.units - held
    if held == 0.0 or held * target.units < 0.0 or abs(target.units) >= abs(held) * (1.0 - 1e-12):
        del book.liquidations[asset]
        return
    if target.units != 0.0:
        wanted = whole_lots(wanted, book.settings.lot_size)
    quantity = capped(book, asset, wanted)
    if quantity != 0.0:
        book.execute(asset, quantity, reference, "liquidation", meter=target.meter)
    if quantity == wanted:
        del book.liquidations[asset]
