"""The steps of a bar, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.engine.reference.actions import corporate_actions, financing, is_margin_call
from tests.engine.reference.book import Book
from tests.engine.reference.intrabar import INSIDE_KINDS, START, gap_entry, leave_at_open, walk_bar
from tests.engine.reference.matching import Entry, liquidate, trade_together
from tests.engine.reference.orders import Target, whole_lots
from tests.engine.reference.trades import trades_of


@dataclass
class Outcome:
    equity: list = field(default_factory=list)
    cash: list = field(default_factory=list)
    exposure: list = field(default_factory=list)
    positions: list = field(default_factory=list)
    fills: list = field(default_factory=list)
    flows: list = field(default_factory=list)
    rejections: list = field(default_factory=list)
    statuses: list = field(default_factory=list)
    trades: list = field(default_factory=list)
    n_ambiguous: int = 0
    bound: float = 0.0


def simulate_slowly(inputs, settings):
    """Return the outcome of a run."""
    traded = inputs
    if settings.timing == "next_close":
        traded = replace(inputs, open=inputs.close, high=inputs.close, low=inputs.close)
    book, outcome = Book(traded, settings), Outcome()
    for bar in range(inputs.n_bars):
        play_bar(book, bar)
        outcome.equity.append(book.equity(book.mark))
        outcome.cash.append(book.cash)
        outcome.exposure.append(book.exposure(book.mark))
        outcome.positions.append(list(book.units))
    outcome.fills, outcome.flows, outcome.rejections = book.fills, book.flows, book.rejections
    outcome.statuses = [order.status for order in book.orders]
    outcome.n_ambiguous, outcome.bound = len(book.ambiguous), book.bound
    outcome.trades = trades_of(inputs, book.fills, book.flows, book.mark)
    return outcome


def play_bar(book, bar):
    before = book.cash, list(book.units), list(book.mark)
    book.start_bar(bar)
    book.stage, book.place = "open", START
    corporate_actions(book)
    take_from_queue(book)
    trade_at_open(book)
    walk_bar(book)
    book.stage = "close"
    trade_at_close(book)
    financing(book, *before)
    for asset, price in enumerate(book.inputs.close[bar]):
        if price is not None:
            book.mark[asset] = price
    is_called = is_margin_call(book)
    has_second_close = book.settings.timing == "same_close"
    expire(book, but="market" if has_second_close else "none")
    decide(book, is_called)
    if has_second_close:
        trade_at_once(book)
    expire(book)


def take_from_queue(book):
    for item in list(book.queue):
        active_bar, asset, target = item
        if active_bar <= book.bar:
            book.queue.remove(item)
            book.pending[asset] = target


def trade_at_open(book):
    opens = book.inputs.open[book.bar]
    for asset in sorted(book.liquidations):
        if opens[asset] is not None:
            liquidate(book, asset, opens[asset])
    for asset, holding in enumerate(book.holding):
        if holding is not None and opens[asset] is not None:
            leave_at_open(book, asset, opens[asset])
    entries = []
    if book.settings.timing != "same_close":
        entries += [Entry(book.pending[a], a, opens[a]) for a in sorted(book.pending) if opens[a] is not None]
    for order in book.orders:
        if order.works_at(book.bar) and opens[order.asset] is not None:
            entry = open_entry(book, order, opens[order.asset])
            if entry is not None:
                order.skips_bar = book.bar
                entries.append(entry)
    trade_together(book, entries, book.prices(book.inputs.open))


def open_entry(book, order, price):
    if order.kind in INSIDE_KINDS:
        return gap_entry(book, order, price)
    if (order.kind == "market" and book.settings.timing != "same_close") or (
        order.kind == "moo" and book.inputs.is_first_of_session(book.bar)
    ):
        return Entry(order, order.asset, price)
    return None


def trade_at_close(book):
    """Market-on-close orders, in a session's last bar."""
    if not book.inputs.is_last_of_session(book.bar):
        return
    closes = book.inputs.close[book.bar]
    entries = [
        Entry(order, order.asset, closes[order.asset])
        for order in book.orders
        if order.kind == "moc" and order.works_at(book.bar) and closes[order.asset] is not None
    ]
    trade_together(book, entries, book.prices(book.inputs.close))


def trade_at_once(book):
    """Targets and market orders decided at this very close, and those that wait since an earlier one."""
    t, closes = book.bar, book.inputs.close[book.bar]
    entries = [Entry(book.pending[a], a, closes[a]) for a in sorted(book.pending) if closes[a] is not None]
    for order in book.orders:
        if order.kind == "market" and order.works_at(t) and closes[order.asset] is not None:
            entries.append(Entry(order, order.asset, closes[order.asset]))
    trade_together(book, entries, book.prices(book.inputs.close))


def expire(book, but="none"):
    """End what the bar's end ends, but for orders of a kind that it may still fill."""
    for order in book.orders:
        if order.kind != but and order.works_at(book.bar) and order.expires_after(book.bar, book.inputs):
            book.end_order(order, "expired", book.mark[order.asset])


def decide(book, is_called):
    t, s, inputs = book.bar, book.settings, book.inputs
    if inputs.targets is not None and not is_called:
        equity = book.equity(book.mark)
        for asset, value in enumerate(inputs.targets[t]):
            if value is not None and asset not in book.delisted:
                target = Target(units_of(book, asset, value, equity), t)
                if s.timing == "same_close":
                    book.pending[asset] = target
                else:
                    book.queue.append((t + 1 + s.latency_bars, asset, target))
    for order in book.orders:
        if order.bar == t:
            accept(book, order, is_called)
    for order in book.orders:
        if order.status == "open" and order.cancel_bar is not None and order.cancel_bar + s.latency_bars == t:
            book.end_order(order, "cancelled", book.mark[order.asset])


def units_of(book, asset, value, equity):
    units = value
    if book.inputs.is_weight and value != 0.0:
        units = value * equity / book.mark[asset] if equity > 0.0 else 0.0
    if not book.settings.allow_short:
        units = max(units, 0.0)
    return whole_lots(units, book.settings.lot_size)


def accept(book, order, is_called):
    """Take an order on, or refuse it; a child waits for its parent."""
    s, mark = book.settings, book.mark[order.asset]
    order.rest = whole_lots(order.quantity, s.lot_size)
    reason = "below_lot" if order.rest == 0.0 else None
    if is_called:
        reason = "margin_call"
    if order.asset in book.delisted:
        reason = "delisted"
    if reason is not None:
        book.reject_order(order, reason, order.quantity, mark)
        return
    order.status = "open"
    if order.group is not None and order.group in book.dead_groups:
        book.end_order(order, "cancelled", mark)
        return
    order.round_prices(s.tick_size)
    if order.parent is None:
        is_now = s.timing == "same_close" and order.kind == "market"
        order.active_bar = book.bar if is_now else book.bar + 1 + s.latency_bars
        order.start_trailing(mark)
    elif book.orders[order.parent].status not in ("unborn", "open"):
        book.release(order, book.orders[order.parent], mark)
