"""The account in the middle of a run: cash, positions, what waits, and what was written down."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.engine.reference.costs import commission_and_fees, quote
from tests.engine.reference.orders import Begin, Meter, Order


@dataclass
class Exit:
    """An exit of Risk that participation did not let out at once."""

    kind: str
    meter: Meter = field(default_factory=Meter)


@dataclass
class Holding:
    """What Risk knows of a position."""

    entry: float
    extreme: float
    entry_bar: int
    active_bar: int
    begin: Begin | None = None
    inside_bar: int = -1  # the bar inside of which it was entered
    exit: Exit | None = None


class Book:
    def __init__(self, inputs, settings):
        self.inputs, self.settings = inputs, settings
        n_assets = inputs.n_assets
        self.bar = 0
        self.stage, self.place = "open", (0, 0.0)
        self.is_within = False  # at the open of a finer bar that is not the first of its bar
        self.cash = settings.cash
        self.units = [0.0] * n_assets
        self.mark = [None] * n_assets
        self.holding = [None] * n_assets
        self.delisted = set()
        self.pending = {}  # asset: target
        self.queue = []  # (first bar, asset, target)
        self.liquidations = {}  # asset: target
        self.orders = [Order(number, **vars(row)) for number, row in enumerate(inputs.orders)]
        self.dead_groups = set()
        self.dividends_due = []  # (bar, asset, amount, units, rate)
        self.taken = [0.0] * n_assets  # volume of the bar
        self.recent = {}  # deviation of returns and mean volume before the bar, by asset
        self.traded, self.month = 0.0, None  # units of the month
        self.fills, self.flows, self.rejections = [], [], []
        self.ambiguous, self.bound = set(), 0.0

    def start_bar(self, bar):
        self.bar = bar
        self.taken = [0.0] * len(self.units)
        self.recent = {}
        end = self.inputs.bar_end[bar]
        if self.month != (end.year, end.month):
            self.month, self.traded = (end.year, end.month), 0.0
        for item in [*self.orders, *self.holding]:
            if item is not None:
                item.begin = None

    def prices(self, panel):
        """This bar's opens or closes; the last mark where an asset has no bar."""
        return [mark if price is None else price for price, mark in zip(panel[self.bar], self.mark, strict=True)]

    def equity(self, prices):
        return self.cash + sum(u * p for u, p in zip(self.units, prices, strict=True) if u != 0.0)

    def exposure(self, prices):
        return sum(abs(u * p) for u, p in zip(self.units, prices, strict=True) if u != 0.0)

    def flow(self, asset, kind, amount, quantity, rate):
        self.cash += amount
        self.flows.append(
            {"bar": self.bar, "asset": asset, "kind": kind, "amount": amount, "quantity": quantity, "rate": rate}
        )

    def reject(self, asset, number, reason, quantity):
        self.rejections.append(
            {"bar": self.bar, "asset": asset, "order": number, "reason": reason, "quantity": quantity}
        )

    def execute(self, asset, quantity, reference, kind, *, number=-1, meter=None, limit=None):
        """Fill; all costs are paid but by stops that are free of slippage."""
        paid = quote(self, asset, quantity, reference, kind, limit)
        commission, fees, tiers = commission_and_fees(self.settings, meter, quantity, paid.price, self.traded)
        size = abs(quantity)
        meter.size += size
        meter.value += size * paid.price
        meter.tiers += tiers
        self.traded += size
        self.taken[asset] += size
        parts = {
            "commission": commission,
            "fees": fees,
            "spread": size * paid.spread,
            "slippage": size * paid.slippage,
            "impact": size * paid.impact,
        }
        self.write_fill(asset, quantity, paid.price, reference, kind, number, parts)

    def write_fill(self, asset, quantity, price, reference, kind, number, parts):
        self.cash -= quantity * reference + sum(parts.values())
        self.hold(asset, quantity, price, reference, kind)
        names = {"bar": self.bar, "asset": asset, "kind": kind, "order": number}
        self.fills.append(names | {"quantity": quantity, "price": price, "reference_price": reference} | parts)

    def hold(self, asset, quantity, price, reference, kind):
        """Change a position and what Risk knows of it."""
        before = self.units[asset]
        after = before + quantity
        if abs(after) < 1e-9 * abs(quantity):
            after = 0.0
        self.units[asset] = after
        holding = self.holding[asset]
        if after == 0.0:
            self.holding[asset] = None
        elif before == 0.0 or before * after < 0.0:
            active_bar = self.bar if self.is_followed_at_once(kind) else self.bar + 1
            inside_bar = self.bar if self.stage == "inside" or self.is_within else -1
            self.holding[asset] = Holding(price, price, self.bar, active_bar, self.begin(reference), inside_bar)
        elif abs(after) > abs(before):
            holding.entry = (abs(before) * holding.entry + abs(quantity) * price) / abs(after)
            holding.begin = self.begin(reference)

    def is_followed_at_once(self, kind):
        """Whether children and levels of Risk work in the bar of a fill; a bar's close leaves nothing of it."""
        rule = self.settings.children_from
        is_market = kind in ("target", "market", "moo")
        return self.stage in ("open", "inside") and (rule == "same_bar" or (rule == "market" and is_market))

    def begin(self, price):
        """Where in this bar something starts to work; None at its close, where nothing is left of it."""
        return Begin(self.stage, price, self.place) if self.stage in ("open", "inside") else None

    def end_order(self, order, status, price):
        """End an order; its children learn of it (`price`: the market's at this moment)."""
        order.status = status
        for child in self.orders:
            if child.parent == order.number and child.status == "open" and child.active_bar is None:
                self.release(child, order, price)

    def release(self, child, parent, price):
        """A parent has ended: start its child, or cancel it where nothing was filled."""
        if parent.filled == 0.0:
            self.end_order(child, "cancelled", price)
            return
        child.rest = child.side * min(abs(child.rest), parent.filled)
        can_act = self.is_followed_at_once(parent.kind)
        from_bar = self.bar if can_act else self.bar + 1
        child.active_bar = max(from_bar, child.bar + 1 + self.settings.latency_bars)
        if can_act and child.active_bar == self.bar:
            child.begin = Begin(self.stage, price, self.place)
            child.inside_bar = self.bar if self.stage == "inside" or self.is_within else -1
        child.start_trailing(price)

    def reject_order(self, order, reason, quantity, price):
        self.reject(order.asset, order.number, reason, quantity)
        self.end_order(order, "rejected", price)

    def fill_order(self, order, quantity, reference, kind, limit):
        """Fill a part of an order or all of it, and cancel the rest of its group."""
        self.execute(order.asset, quantity, reference, kind, number=order.number, meter=order.meter, limit=limit)
        order.filled += abs(quantity)
        if order.group is not None and order.group not in self.dead_groups:
            self.dead_groups.add(order.group)
            for other in self.orders:
                if other is not order and other.group == order.group and other.status == "open":
                    self.end_order(other, "cancelled", reference)
