"""Trades from fills: the open lots of each asset, and which of them an exit closes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, step
from engine.kernels.state import Floats, Integers

FIFO, LIFO, AVERAGE = 0, 1, 2

# What rounding leaves of a lot or a fill, relative to the other side of the match: nothing.
NOISE = 1e-12

# Units still open from one fill (average: from all entries): one cache line, since assets take turns bar by bar.
LOT = np.dtype(
    [
        ("bar", np.int64),
        ("kind", np.int64),
        ("quantity", np.float64),  # signed units left; this and all below split-adjusted as far as the bars have come
        ("price", np.float64),
        ("commission", np.float64),  # ccy a unit, fees included, as is the one below
        ("costs", np.float64),
    ]
)


class Splits(NamedTuple):
    """Splits by bar."""

    bar: Integers
    asset: Integers
    ratio: Floats


class Lots(NamedTuple):
    """Open lots: those of an asset lie in the slots [first, end), oldest first. Every array is modified in place.

    The best price since a lot's entry is that since the newest entry (`high`) together with the stretches between
    entries before. First in, first out asks for it again and again from the oldest lot on, so below `middle` each
    lot holds the extremes up to there, and `back_high` those from there on: an exit costs the same however many
    lots and bars lie between.
    """

    slots: NDArray[np.void]  # LOT[n_fills]
    highs: Floats  # [n_fills] extremes from a lot's entry to that of the next one, or of a later one
    lows: Floats
    start: Integers  # [n_assets] an asset's first slot
    first: Integers  # [n_assets] as are all below
    end: Integers
    middle: Integers
    position: Floats  # units, to the last bit those of the run
    high: Floats
    low: Floats
    back_high: Floats
    back_low: Floats


class Exit(NamedTuple):
    """The side of a trade that closes it; commission (fees included) and costs are ccy a unit."""

    bar: int
    kind: int
    price: float
    commission: float
    costs: float
    is_open: bool


@kernel
def count_nb(fills: np.ndarray, start_out: Integers) -> None:
    """Write the first slot of each asset: room for a lot a fill. `start_out` comes as zeros."""
    for i in range(fills.size):
        start_out[fills[i]["asset"]] += 1
    slot = 0
    for asset in range(start_out.size):
        n_fills = start_out[asset]
        start_out[asset] = slot
        slot += n_fills


@kernel
def trades_nb(
    fills: np.ndarray,
    in_lieu: np.ndarray,
    splits: Splits,
    high: Floats,
    low: Floats,
    mark: Floats,
    n_bars: int,
    method: int,
    lots: Lots,
    trades_out: np.ndarray,
) -> int:
    """Write the trades of all fills, closed ones in the order of their exits, then open ones; return how many.

    A bar runs: its splits, its range, cash in lieu, its fills. At most two trades a fill: each ends a lot or a fill.
    """
    n, fill, split, cut = 0, 0, 0, 0
    for t in range(n_bars):
        while split < splits.bar.size and splits.bar[split] <= t:
            split_lots_nb(lots, splits.asset[split], splits.ratio[split])
            split += 1
        if high.size > 0:
            extend_nb(lots.high, lots.low, high[t], low[t])
        while cut < in_lieu.size and in_lieu[cut]["bar"] <= t:
            quantity = in_lieu[cut]["quantity"]
            paid = Exit(t, -1, -in_lieu[cut]["amount"] / quantity, 0.0, 0.0, False)
            asset = in_lieu[cut]["asset"]
            lots.position[asset] += quantity
            _, n = close_lots_nb(lots, asset, quantity, paid, method, n, trades_out)
            cut += 1
        while fill < fills.size and fills[fill]["bar"] <= t:
            n = match_fill_nb(lots, fills[fill], high, low, method, n, trades_out)
            fill += 1
    for asset in range(lots.first.size):
        n = write_open_nb(lots, asset, Exit(n_bars - 1, -1, mark[asset], 0.0, 0.0, True), n, trades_out)
    return n


@step
def extend_nb(highs: Floats, lows: Floats, high: Floats, low: Floats) -> None:
    """Extend the extremes of all assets by a bar's float64[n_assets] range; NaN extends nothing."""
    for asset in range(highs.size):
        highs[asset] = high[asset] if high[asset] > highs[asset] else highs[asset]
        lows[asset] = low[asset] if low[asset] < lows[asset] else lows[asset]


@step
def split_lots_nb(lots: Lots, asset: int, ratio: float) -> None:
    """Rescale the open lots of an asset; their value stays."""
    lots.position[asset] *= ratio
    lots.high[asset] /= ratio
    lots.low[asset] /= ratio
    lots.back_high[asset] /= ratio
    lots.back_low[asset] /= ratio
    for slot in range(lots.first[asset], lots.end[asset]):
        lot = lots.slots[slot]
        lot["quantity"] *= ratio
        lot["price"] /= ratio
        lot["commission"] /= ratio
        lot["costs"] /= ratio
        lots.highs[slot] /= ratio
        lots.lows[slot] /= ratio


@step
def match_fill_nb(
    lots: Lots, fill: np.void, high: Floats, low: Floats, method: int, n: int, trades_out: np.ndarray
) -> int:
    """Close lots of the other side with a fill and open a lot with its rest; return the number of trades."""
    asset, quantity, price = fill["asset"], fill["quantity"], fill["price"]
    size = abs(quantity)
    commission = (fill["commission"] + fill["fees"]) / size
    costs = commission + (fill["spread"] + fill["slippage"] + fill["impact"]) / size
    lots.position[asset] += quantity
    paid = Exit(fill["bar"], fill["kind"], price, commission, costs, False)
    left, n = close_lots_nb(lots, asset, quantity, paid, method, n, trades_out)
    if left == 0.0 or lots.position[asset] == 0.0:
        return n
    if method == AVERAGE and lots.first[asset] < lots.end[asset]:
        lot = lots.slots[lots.first[asset]]
        share = left / (lot["quantity"] + left)
        lot["price"] += share * (price - lot["price"])
        lot["commission"] += share * (commission - lot["commission"])
        lot["costs"] += share * (costs - lot["costs"])
        lot["quantity"] += left
        return n
    lot = lots.slots[open_lot_nb(lots, asset)]
    lot["bar"], lot["kind"], lot["quantity"] = fill["bar"], fill["kind"], left
    lot["price"], lot["commission"], lot["costs"] = price, commission, costs
    if high.size > 0:
        lots.high[asset], lots.low[asset] = high[fill["bar"], asset], low[fill["bar"], asset]
    return n


@step
def close_lots_nb(
    lots: Lots, asset: int, quantity: float, paid: Exit, method: int, n: int, trades_out: np.ndarray
) -> tuple[float, int]:
    """Close lots of the other side; return what is left of signed units, and the number of trades."""
    left = quantity
    while left != 0.0 and lots.first[asset] < lots.end[asset]:
        slot = lots.end[asset] - 1 if method == LIFO else lots.first[asset]
        lot = lots.slots[slot]
        if (lot["quantity"] > 0.0) == (left > 0.0):
            break
        units = np.sign(lot["quantity"]) * min(abs(left), abs(lot["quantity"]))
        highest, lowest = lots.high[asset], lots.low[asset]
        if method == FIFO:
            highest, lowest = oldest_range_nb(lots, asset)
        write_trade_nb(lot, asset, units, paid, highest, lowest, trades_out[n])
        n += 1
        left = without_noise_nb(left + units, units)
        lot["quantity"] = without_noise_nb(lot["quantity"] - units, units)
        if lot["quantity"] == 0.0:
            drop_lot_nb(lots, asset, method)
    if lots.position[asset] == 0.0:
        lots.first[asset] = lots.end[asset] = lots.middle[asset] = lots.start[asset]
    return left, n


@step
def open_lot_nb(lots: Lots, asset: int) -> int:
    """Return the slot of a new lot of an asset; the lot before it keeps the extremes up to now."""
    if lots.first[asset] - lots.start[asset] > lots.end[asset] - lots.first[asset]:
        close_gap_nb(lots, asset)
    slot = lots.end[asset]
    if lots.first[asset] == slot:
        lots.middle[asset] = slot
    else:
        lots.highs[slot - 1], lots.lows[slot - 1] = lots.high[asset], lots.low[asset]
        lots.back_high[asset] = max(lots.back_high[asset], lots.high[asset])
        lots.back_low[asset] = min(lots.back_low[asset], lots.low[asset])
    lots.end[asset] = slot + 1
    return int(slot)


@step
def close_gap_nb(lots: Lots, asset: int) -> None:
    """Move the open lots of an asset down to its first slot: few slots are used again and again, and stay in cache."""
    gap = lots.first[asset] - lots.start[asset]
    for slot in range(lots.first[asset], lots.end[asset]):
        lots.slots[slot - gap] = lots.slots[slot]
        lots.highs[slot - gap], lots.lows[slot - gap] = lots.highs[slot], lots.lows[slot]
    lots.first[asset] -= gap
    lots.end[asset] -= gap
    lots.middle[asset] -= gap


@step
def drop_lot_nb(lots: Lots, asset: int, method: int) -> None:
    """Take the newest lot (last in, first out) or the oldest one from an asset's lots."""
    if method == LIFO:
        lots.end[asset] -= 1
        if lots.first[asset] < lots.end[asset]:
            newest = lots.end[asset] - 1
            lots.high[asset] = max(lots.high[asset], lots.highs[newest])
            lots.low[asset] = min(lots.low[asset], lots.lows[newest])
    else:
        lots.first[asset] += 1


@step
def oldest_range_nb(lots: Lots, asset: int) -> tuple[float, float]:
    """Return the highest and the lowest price since the oldest lot's entry."""
    first, newest = lots.first[asset], lots.end[asset] - 1
    if first >= lots.middle[asset]:
        for slot in range(newest - 2, first - 1, -1):
            lots.highs[slot] = max(lots.highs[slot], lots.highs[slot + 1])
            lots.lows[slot] = min(lots.lows[slot], lots.lows[slot + 1])
        lots.middle[asset] = newest
        lots.back_high[asset], lots.back_low[asset] = -np.inf, np.inf
    highest = max(lots.high[asset], lots.back_high[asset])
    lowest = min(lots.low[asset], lots.back_low[asset])
    if first < newest:
        highest, lowest = max(highest, lots.highs[first]), min(lowest, lots.lows[first])
    return highest, lowest


@step
def without_noise_nb(rest: float, units: float) -> float:
    """Return what a match of some units leaves over, or 0 where that is rounding."""
    return 0.0 if abs(rest) <= NOISE * abs(units) else rest


@step
def write_open_nb(lots: Lots, asset: int, held: Exit, n: int, trades_out: np.ndarray) -> int:
    """Write the lots still open, oldest first, at the mark; return the number of trades."""
    highest, lowest = lots.high[asset], lots.low[asset]
    for slot in range(lots.end[asset] - 1, lots.first[asset] - 1, -1):
        if slot < lots.end[asset] - 1:
            highest, lowest = max(highest, lots.highs[slot]), min(lowest, lots.lows[slot])
        lots.highs[slot], lots.lows[slot] = highest, lowest
    for slot in range(lots.first[asset], lots.end[asset]):
        lot = lots.slots[slot]
        write_trade_nb(lot, asset, lot["quantity"], held, lots.highs[slot], lots.lows[slot], trades_out[n])
        n += 1
    return n


@step
def write_trade_nb(
    lot: np.void, asset: int, units: float, paid: Exit, highest: float, lowest: float, trade_out: np.void
) -> None:
    """Write what a match of signed units earned, and the worst and best it could have at the extremes."""
    entry, size = lot["price"], abs(units)
    commission = size * (lot["commission"] + paid.commission)
    pnl = units * (paid.price - entry) - commission
    up, down = units * (max(highest, entry) - entry), units * (min(lowest, entry) - entry)
    value = abs(units * entry)
    trade_out["asset"] = asset
    trade_out["is_open"] = paid.is_open
    trade_out["entry_kind"] = lot["kind"]
    trade_out["exit_kind"] = paid.kind
    trade_out["entry_bar"] = lot["bar"]
    trade_out["exit_bar"] = paid.bar
    trade_out["n_bars"] = paid.bar - lot["bar"]
    trade_out["quantity"] = units
    trade_out["entry_price"] = entry
    trade_out["exit_price"] = paid.price
    trade_out["pnl"] = pnl
    trade_out["return_rate"] = pnl / value if value > 0.0 else np.nan
    trade_out["commission"] = commission
    trade_out["costs"] = size * (lot["costs"] + paid.costs)
    trade_out["mae"] = min(up, down)
    trade_out["mfe"] = max(up, down)
