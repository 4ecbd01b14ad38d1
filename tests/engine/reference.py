"""The engine's semantics once more, slow and obvious: plain Python, no arrays of state, nothing of the engine.

Prices and decisions are lists of rows (bars) of columns (assets); None is "no bar" and "leave alone".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Settings:
    cash: float = 100_000.0
    leverage: float = 1.0
    allow_short: bool = True
    commission_bps: float = 0.0
    commission_fixed: float = 0.0
    commission_per_share: float = 0.0
    commission_min: float = 0.0
    commission_max_rate: float = math.inf
    spread_bps: float = 0.0
    slippage_bps: float = 0.0
    timing: str = "next_open"
    lot_size: float = 0.0
    cash_policy: str = "scale"


@dataclass
class Outcome:
    equity: list[float] = field(default_factory=list)
    cash: list[float] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    fills: list[dict] = field(default_factory=list)
    flows: list[dict] = field(default_factory=list)
    trades: list[dict] = field(default_factory=list)


class Lot:
    def __init__(self, bar, units, price, commission, costs):
        self.bar, self.units, self.price = bar, units, price
        self.commission, self.costs = commission, costs  # of all units left

    def split(self, ratio):
        self.units *= ratio
        self.price /= ratio


class Portfolio:
    def __init__(self, settings, n_assets):
        self.settings = settings
        self.cash = settings.cash
        self.units = [0.0] * n_assets
        self.mark = [None] * n_assets
        self.pending = {}
        self.delisted = set()
        self.lots = [[] for _ in range(n_assets)]
        self.outcome = Outcome()

    def equity(self, prices=None):
        total = self.cash
        for asset, units in enumerate(self.units):
            if units != 0.0:
                price = None if prices is None else prices[asset]
                total += units * (self.mark[asset] if price is None else price)
        return total

    def commission(self, size, price):
        s = self.settings
        value = size * price
        fee = s.commission_fixed + s.commission_bps / 1e4 * value + s.commission_per_share * size
        fee = max(fee, s.commission_min)
        if not math.isinf(s.commission_max_rate):
            fee = min(fee, s.commission_max_rate * value)
        return fee

    def paid_price(self, price, side):
        return price + side * price * (self.settings.spread_bps / 2 + self.settings.slippage_bps) / 1e4

    def fill(self, bar, asset, quantity, price):
        s = self.settings
        paid = self.paid_price(price, 1 if quantity > 0 else -1)
        commission = self.commission(abs(quantity), paid)
        spread = abs(quantity) * price * s.spread_bps / 2 / 1e4
        slippage = abs(quantity) * price * s.slippage_bps / 1e4
        self.cash -= quantity * paid + commission
        self.record(bar, asset, "order", quantity, paid, price, commission, spread, slippage)

    def record(self, bar, asset, kind, quantity, paid, price, commission, spread, slippage):
        self.units[asset] += quantity
        if abs(self.units[asset]) < 1e-9 * abs(quantity):
            self.units[asset] = 0.0
        self.outcome.fills.append(
            {
                "bar": bar,
                "asset": asset,
                "kind": kind,
                "quantity": quantity,
                "price": paid,
                "reference_price": price,
                "commission": commission,
                "spread": spread,
                "slippage": slippage,
            }
        )
        self.match(bar, asset, quantity, paid, commission, commission + spread + slippage)

    def match(self, bar, asset, quantity, paid, commission, costs):
        lots, left = self.lots[asset], quantity
        while lots and left * lots[0].units < 0:
            lot = lots[0]
            size = min(abs(left), abs(lot.units))
            if abs(abs(left) - abs(lot.units)) < 1e-9 * size:
                size = abs(lot.units)
            of_lot, of_fill = size / abs(lot.units), size / abs(quantity)
            units = math.copysign(size, lot.units)
            fees = lot.commission * of_lot + commission * of_fill
            self.outcome.trades.append(
                {
                    "asset": asset,
                    "is_open": False,
                    "entry_bar": lot.bar,
                    "exit_bar": bar,
                    "quantity": units,
                    "entry_price": lot.price,
                    "exit_price": paid,
                    "commission": fees,
                    "costs": lot.costs * of_lot + costs * of_fill,
                    "pnl": units * (paid - lot.price) - fees,
                }
            )
            left += units
            lot.commission -= lot.commission * of_lot
            lot.costs -= lot.costs * of_lot
            lot.units -= units
            if abs(lot.units) < 1e-9 * size:
                lots.pop(0)
            if abs(left) < 1e-9 * size:
                left = 0.0
        if left != 0.0:
            share = left / quantity
            lots.append(Lot(bar, left, paid, commission * share, costs * share))

    def actions(self, bar, splits, dividends, delistings):
        for asset in range(len(self.units)):
            if dividends[asset] and self.units[asset]:
                amount = dividends[asset] * self.units[asset]
                self.cash += amount
                self.outcome.flows.append(
                    {
                        "bar": bar,
                        "asset": asset,
                        "kind": "dividend",
                        "amount": amount,
                        "quantity": self.units[asset],
                        "rate": dividends[asset],
                    }
                )
            ratio = splits[asset]
            if ratio != 1:
                self.units[asset] *= ratio
                if self.mark[asset] is not None:
                    self.mark[asset] /= ratio
                if asset in self.pending:
                    self.pending[asset] *= ratio
                for lot in self.lots[asset]:
                    lot.split(ratio)
            if delistings[asset] is not None:
                self.delisted.add(asset)
                self.pending.pop(asset, None)
                if self.units[asset]:
                    price = self.mark[asset] * (1 + delistings[asset])
                    self.cash += self.units[asset] * price
                    self.record(bar, asset, "delisting", -self.units[asset], price, price, 0.0, 0.0, 0.0)

    def down_to_lots(self, units):
        lot = self.settings.lot_size
        return units if lot == 0 else math.copysign(math.floor(abs(units) / lot + 1e-9) * lot, units)

    def trade(self, bar, prices):
        buys = []
        for asset in list(self.pending):
            if prices[asset] is None:
                continue
            target = self.pending.pop(asset)
            quantity = target - self.units[asset]
            if abs(quantity) <= 1e-12 * max(abs(target), abs(self.units[asset])):
                continue
            if target != 0:
                quantity = self.down_to_lots(quantity)
            if quantity < 0:
                self.fill(bar, asset, quantity, prices[asset])
            elif quantity > 0:
                buys.append((asset, quantity))
        share = self.affordable(buys, prices)
        for asset, quantity in buys:
            if share < 1:
                quantity = self.down_to_lots(quantity * share)
            if quantity > 0:
                self.fill(bar, asset, quantity, prices[asset])

    def affordable(self, buys, prices):
        limit = self.cash
        if self.settings.leverage != 1:
            limit += (self.settings.leverage - 1) * max(self.equity(prices), 0.0)

        def cost(share):
            total = 0.0
            for asset, quantity in buys:
                paid = self.paid_price(prices[asset], 1)
                total += quantity * share * paid + self.commission(quantity * share, paid)
            return total

        if cost(1.0) <= limit * (1 + 1e-12):
            return 1.0
        if self.settings.cash_policy == "reject":
            return 0.0
        low, high = 0.0, 1.0
        for _ in range(200):
            middle = (low + high) / 2
            if cost(middle) <= limit:
                low = middle
            else:
                high = middle
        return low if low >= 1e-9 else 0.0

    def decide(self, row, equity, is_weight):
        for asset, value in enumerate(row):
            if value is None or asset in self.delisted:
                continue
            units = value
            if is_weight and value != 0:
                units = value * equity / self.mark[asset] if equity > 0 else 0.0
            if not self.settings.allow_short:
                units = max(units, 0.0)
            self.pending[asset] = self.down_to_lots(units)


def simulate_slowly(opens, closes, decisions, settings, *, is_weight, splits, dividends, delistings):
    """Return the outcome of a run; rows are bars, columns assets."""
    book = Portfolio(settings, len(closes[0]))
    for bar, (open_row, close_row) in enumerate(zip(opens, closes, strict=True)):
        book.actions(bar, splits[bar], dividends[bar], delistings[bar])
        if settings.timing == "next_open":
            book.trade(bar, open_row)
        for asset, price in enumerate(close_row):
            if price is not None:
                book.mark[asset] = price
        book.decide(decisions[bar], book.equity(), is_weight)
        if settings.timing == "same_close":
            book.trade(bar, close_row)
        book.outcome.equity.append(book.equity())
        book.outcome.cash.append(book.cash)
        book.outcome.positions.append(list(book.units))
    for asset, lots in enumerate(book.lots):
        for lot in lots:
            book.outcome.trades.append(
                {
                    "asset": asset,
                    "is_open": True,
                    "entry_bar": lot.bar,
                    "exit_bar": len(closes) - 1,
                    "quantity": lot.units,
                    "entry_price": lot.price,
                    "exit_price": book.mark[asset],
                    "commission": lot.commission,
                    "costs": lot.costs,
                    "pnl": lot.units * (book.mark[asset] - lot.price) - lot.commission,
                }
            )
    return book.outcome
