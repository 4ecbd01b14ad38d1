"""Words for what a policy has asked for in vain."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.bars import Bars
from engine.bounds import LEAST, MOST
from engine.kernels import desk as kinds
from engine.kernels.desk import COUNT, FAULT, Desk
from engine.panels import instant, place
from engine.records import FILL_KINDS, TIFS

_RULES = {
    kinds.WRONG_ASSET: "an order needs an asset",
    kinds.WRONG_QUANTITY: f"the quantity of an order must be finite and not 0, {LEAST:g} to {MOST:g} in size",
    kinds.WRONG_KIND: "an order needs a kind",
    kinds.WRONG_LIMIT: f"limit_price must be positive and finite, {LEAST:g} to {MOST:g}",
    kinds.WRONG_STOP: f"stop_price must be positive and finite, {LEAST:g} to {MOST:g}",
    kinds.WRONG_TRAIL: "a trailing stop takes either trail, positive and finite, or trail_rate, above 0 and below 1",
    kinds.WRONG_TIF: "tif must be GTC, DAY, IOC or BARS",
    kinds.WRONG_TIF_BARS: "tif_bars must be at least 1 with BARS, and 0 with every other tif",
    kinds.WRONG_PARENT: "parent must be the number of an order of the same asset that was placed before",
    kinds.WRONG_GROUP: "oco_group must be the number of an order of the same asset that was placed before",
    kinds.SHARED_GROUP: "an order and its parent must not share an oco_group, whose other members a fill cancels",
}


def fault_text(desk: Desk, culprit: int, bars: Bars, bar: int) -> str:
    """Return what a policy did at a bar that ended its run, with the rule, the value and the place.

    `culprit` is the number of the order, or the asset, that the fault of the desk is about.
    """
    fault = int(desk.numbers[FAULT])
    at = instant(bars.bar_end[bar])
    if fault == kinds.UNKNOWN_ASSET:
        return f"named asset {culprit} at {at}: assets are 0 to {bars.n_assets - 1}"
    if fault == kinds.UNKNOWN_ORDER:
        return f"named order {culprit} at {at}: it has placed {desk.numbers[COUNT]} orders, numbered from 0"
    return f"placed what is no order: {_RULES[fault]}; was {_described(desk.orders[culprit], bars, bar)}"


def _described(order: Any, bars: Bars, bar: int) -> str:
    """Return an order in words: its kind, its size, what else it was given, its asset and its bar."""
    asset, number, tif, tif_bars = (int(order[name]) for name in ("asset", "kind", "tif", "tif_bars"))
    kind = FILL_KINDS[number] if 0 <= number < len(FILL_KINDS) else f"kind {number}"
    prices = {name: float(order[name]) for name in ("limit_price", "stop_price", "trail", "trail_rate")}
    given = [f"{kind} of {order['quantity']:g}"]
    given += [f"{name} {price:g}" for name, price in prices.items() if not np.isnan(price)]
    if tif or tif_bars:
        given.append(f"tif {TIFS[tif].upper() if 0 <= tif < len(TIFS) else tif}")
    if tif_bars:
        given.append(f"tif_bars {tif_bars}")
    given += [f"{name} {order[name]}" for name in ("parent", "oco_group") if order[name] != -1]
    at = f"asset {asset} at {instant(bars.bar_end[bar])}"
    if 0 <= asset < bars.n_assets:
        at = place((bar, asset), bars.bar_end, bars.symbols)
    return f"{', '.join(given)} for {at}"
