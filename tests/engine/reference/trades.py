"""Round trips, first in first out, derived from the fills."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Lot:
    bar: int
    kind: str
    units: float
    price: float
    commission: float  # fees included; of all units left, as the costs
    costs: float


def trades_of(inputs, fills, flows, marks):
    """Closed trades in the order of their exits, then what is still open, marked at the last marks."""
    n_assets, trades, open_trades = inputs.n_assets, [], []
    for asset in range(n_assets):
        lots = []
        for bar in range(inputs.n_bars):
            ratio = inputs.splits[bar][asset]
            for lot in lots:
                lot.units *= ratio
                lot.price /= ratio
            for flow in flows:
                if (flow["bar"], flow["asset"], flow["kind"]) == (bar, asset, "cash_in_lieu"):
                    price = -flow["amount"] / flow["quantity"]
                    paid = {"quantity": flow["quantity"], "price": price}
                    close_lots(inputs, lots, trades, free_fill(bar, asset) | paid)
            for fill in fills:
                if (fill["bar"], fill["asset"]) == (bar, asset):
                    close_lots(inputs, lots, trades, fill)
        last = free_fill(inputs.n_bars - 1, asset) | {"price": marks[asset]}
        open_trades += [trade(inputs, lot, last, lot.units, 0.0, 0.0) | {"is_open": True} for lot in lots]
    return trades + open_trades


def free_fill(bar, asset):
    names = {"bar": bar, "asset": asset, "kind": None, "price": 0.0}
    return names | dict.fromkeys(("commission", "fees", "spread", "slippage", "impact"), 0.0)


def close_lots(inputs, lots, trades, fill):
    """Let a fill close what is open against it, oldest first; what is left of it opens a lot."""
    quantity = left = fill["quantity"]
    paid = fill["commission"] + fill["fees"]
    costs = paid + fill["spread"] + fill["slippage"] + fill["impact"]
    while lots and left * lots[0].units < 0.0:
        lot = lots[0]
        size = min(abs(left), abs(lot.units))
        if abs(abs(left) - abs(lot.units)) < 1e-9 * size:
            size = abs(lot.units)
        units, share = math.copysign(size, lot.units), size / abs(quantity)
        trades.append(trade(inputs, lot, fill, units, paid * share, costs * share))
        of_lot = size / abs(lot.units)
        lot.commission -= lot.commission * of_lot
        lot.costs -= lot.costs * of_lot
        lot.units -= units
        left += units
        if abs(lot.units) < 1e-9 * size:
            lots.pop(0)
        if abs(left) < 1e-9 * size:
            left = 0.0
    if left != 0.0:
        share = left / quantity
        lots.append(Lot(fill["bar"], fill["kind"], left, fill["price"], paid * share, costs * share))


def trade(inputs, lot, fill, units, commission, costs):
    of_lot = abs(units) / abs(lot.units)
    commission += lot.commission * of_lot
    pnl = units * (fill["price"] - lot.price) - commission
    worst, best = excursions(inputs, fill["asset"], lot, units, fill["bar"])
    return {
        "asset": fill["asset"],
        "is_open": False,
        "entry_kind": lot.kind,
        "exit_kind": fill["kind"],
        "entry_bar": lot.bar,
        "exit_bar": fill["bar"],
        "n_bars": fill["bar"] - lot.bar,
        "quantity": units,
        "entry_price": lot.price,
        "exit_price": fill["price"],
        "pnl": pnl,
        "return_rate": pnl / abs(units * lot.price) if lot.price != 0.0 else math.nan,
        "commission": commission,
        "costs": costs + lot.costs * of_lot,
        "mae": worst,
        "mfe": best,
    }


def excursions(inputs, asset, lot, units, exit_bar):
    """Worst and best open P&L at the lows and highs of the bars from entry to exit, both included."""
    worst = best = 0.0
    for bar in range(lot.bar, exit_bar + 1):
        if inputs.close[bar][asset] is None:
            continue
        ratio = 1.0
        for later in range(bar + 1, exit_bar + 1):
            ratio *= inputs.splits[later][asset]
        for price in (inputs.low[bar][asset] / ratio, inputs.high[bar][asset] / ratio):
            worst = min(worst, units * (price - lot.price))
            best = max(best, units * (price - lot.price))
    return worst, best
