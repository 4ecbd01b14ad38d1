"""Trades from fills: lots are closed first in, first out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.actions import Events
from engine.jit import kernel, step

# What rounding leaves of a lot or a fill, relative to the other side of the match: nothing.
NOISE = 1e-12


class Lots(NamedTuple):
    """Open lots, one chain an asset: lot i was opened by fill i. Every array is modified in place."""

    position: NDArray[np.float64]  # [n_assets] units, to the last bit those of the run
    first: NDArray[np.int64]  # [n_assets] oldest open lot, -1: none
    last: NDArray[np.int64]  # [n_assets]
    next: NDArray[np.int64]  # [n_fills] the lot opened after this one, -1: none
    quantity: NDArray[np.float64]  # [n_fills] signed units left
    price: NDArray[np.float64]  # [n_fills] entry price, split-adjusted as far as the bars have come
    commission: NDArray[np.float64]  # [n_fills] ccy a unit, as is the one below
    costs: NDArray[np.float64]


@kernel
def trades_nb(
    fills: np.ndarray, events: Events, mark: np.ndarray, last_bar: int, lots: Lots, trades_out: np.ndarray
) -> int:
    """Write the trades of all fills, closed ones in the order of their exits, then open ones; return how many.

    Splits of a bar come before its fills. At most two trades a fill: each ends a lot or a fill.
    """
    n_trades = 0
    event = 0
    for i in range(fills.size):
        while event < events.bar.size and events.bar[event] <= fills[i]["bar"]:
            split_lots_nb(lots, events.asset[event], events.split[event])
            event += 1
        n_trades = match_fill_nb(lots, fills, i, n_trades, trades_out)
    while event < events.bar.size:
        split_lots_nb(lots, events.asset[event], events.split[event])
        event += 1
    for asset in range(lots.first.size):
        lot = lots.first[asset]
        while lot >= 0:
            trade = trades_out[n_trades]
            trade["asset"] = asset
            trade["is_open"] = True
            trade["entry_bar"] = fills[lot]["bar"]
            trade["exit_bar"] = last_bar
            write_trade_nb(lots, lot, lots.quantity[lot], mark[asset], 0.0, 0.0, trade)
            n_trades += 1
            lot = lots.next[lot]
    return n_trades


@step
def split_lots_nb(lots: Lots, asset: int, ratio: float) -> None:
    """Rescale the open lots of an asset; their value stays."""
    if ratio == 1.0:
        return
    lots.position[asset] *= ratio
    lot = lots.first[asset]
    while lot >= 0:
        lots.quantity[lot] *= ratio
        lots.price[lot] /= ratio
        lots.commission[lot] /= ratio
        lots.costs[lot] /= ratio
        lot = lots.next[lot]


@step
def match_fill_nb(lots: Lots, fills: np.ndarray, i: int, n_trades: int, trades_out: np.ndarray) -> int:
    """Close lots of the other side with fill i and open a lot with its rest; return the number of trades."""
    asset = fills[i]["asset"]
    quantity = fills[i]["quantity"]
    commission = fills[i]["commission"] / abs(quantity)
    costs = commission + (fills[i]["spread"] + fills[i]["slippage"]) / abs(quantity)
    lots.position[asset] += quantity
    left = quantity
    while left != 0.0 and lots.first[asset] >= 0 and lots.quantity[lots.first[asset]] * left < 0.0:
        lot = lots.first[asset]
        units = np.sign(lots.quantity[lot]) * min(abs(left), abs(lots.quantity[lot]))
        trade = trades_out[n_trades]
        trade["asset"] = asset
        trade["is_open"] = False
        trade["entry_bar"] = fills[lot]["bar"]
        trade["exit_bar"] = fills[i]["bar"]
        write_trade_nb(lots, lot, units, fills[i]["price"], commission, costs, trade)
        n_trades += 1
        left = without_noise_nb(left + units, units)
        lots.quantity[lot] = without_noise_nb(lots.quantity[lot] - units, units)
        if lots.quantity[lot] == 0.0:
            lots.first[asset] = lots.next[lot]
    if lots.position[asset] == 0.0:
        lots.first[asset] = -1
    elif left != 0.0:
        open_lot_nb(lots, asset, i, left, fills[i]["price"], commission, costs)
    return n_trades


@step
def without_noise_nb(rest: float, units: float) -> float:
    """Return what a match of some units leaves over, or 0 where that is rounding."""
    return 0.0 if abs(rest) <= NOISE * abs(units) else rest


@step
def open_lot_nb(lots: Lots, asset: int, lot: int, units: float, price: float, commission: float, costs: float) -> None:
    """Append a lot to its asset's chain; `lots` is modified in place."""
    lots.quantity[lot] = units
    lots.price[lot] = price
    lots.commission[lot] = commission
    lots.costs[lot] = costs
    lots.next[lot] = -1
    if lots.first[asset] < 0:
        lots.first[asset] = lot
    else:
        lots.next[lots.last[asset]] = lot
    lots.last[asset] = lot


@step
def write_trade_nb(
    lots: Lots, lot: int, units: float, exit_price: float, commission: float, costs: float, trade_out: np.ndarray
) -> None:
    """Write what a match of signed units earned; commission and costs are ccy a unit of the exit's side."""
    size = abs(units)
    paid = size * (lots.commission[lot] + commission)
    trade_out["quantity"] = units
    trade_out["entry_price"] = lots.price[lot]
    trade_out["exit_price"] = exit_price
    trade_out["pnl"] = units * (exit_price - lots.price[lot]) - paid
    trade_out["commission"] = paid
    trade_out["costs"] = size * (lots.costs[lot] + costs)
