"""How a policy places orders, cancels them and asks what became of them.

Each function takes the desk first, and is compiled; a policy calls it at the close of bar t. A function that places
an order returns its number: orders are numbered in the order they were placed, from 0 on. What they do then is what
the same orders of an `Orders` frame do that are decided at bar t. All but `bracket` end with

tif, tif_bars
    Time in force from the first bar it works in: GTC (until it is cancelled), DAY (to the end of the session), IOC
    (one bar), or BARS with the number of bars, at least 1.
parent
    Number of an order placed before, of the same asset: this one waits for its fill, never trades more than that
    filled, and ends where it ends without a fill.
oco_group
    Number of an order placed before, of the same asset: this one joins its group, of which one fill, also of a part,
    cancels the others. An order that has no group yet begins one.

and a policy may give them by name: `limit(desk, 0, 10.0, 99.5, tif=BARS, tif_bars=3)`. NONE, -1, is no order. Units
and prices (ccy) are those of bar t; a later split rescales them. What is no order, or the number of none, ends the
run with an `InputError` that names the policy and the bar.
"""

from __future__ import annotations

import numpy as np

from engine.bounds import LEAST, MOST
from engine.jit import kept_step
from engine.kernels.desk import (
    BAR,
    CANCEL_BAR,
    COUNT,
    FIRST,
    N_LIVE,
    UNKNOWN_ASSET,
    Desk,
    is_known_nb,
    new_order_nb,
    note_fault_nb,
)
from engine.kernels.lifecycle import has_ended_nb
from engine.records import (
    FILLED,
    GTC,
    LIMIT,
    MARKET,
    MOC,
    MOO,
    REJECTED,
    STOP,
    STOP_LIMIT,
    TARGET,
    TRAILING_STOP,
)

NONE = -1
_NAN = np.nan


@kept_step
def market(
    desk: Desk,
    asset: int,
    quantity: float,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units at the next open; return the order's number."""
    return new_order_nb(desk, asset, quantity, MARKET, _NAN, _NAN, _NAN, _NAN, tif, tif_bars, parent, oco_group)


@kept_step
def moo(
    desk: Desk,
    asset: int,
    quantity: float,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units at the open of the next session; return the order's number."""
    return new_order_nb(desk, asset, quantity, MOO, _NAN, _NAN, _NAN, _NAN, tif, tif_bars, parent, oco_group)


@kept_step
def moc(
    desk: Desk,
    asset: int,
    quantity: float,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units at the next close that ends a session, that of bar t not; return the order's number."""
    return new_order_nb(desk, asset, quantity, MOC, _NAN, _NAN, _NAN, _NAN, tif, tif_bars, parent, oco_group)


@kept_step
def limit(
    desk: Desk,
    asset: int,
    quantity: float,
    limit_price: float,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units at a price (ccy) or better; return the order's number."""
    return new_order_nb(desk, asset, quantity, LIMIT, limit_price, _NAN, _NAN, _NAN, tif, tif_bars, parent, oco_group)


@kept_step
def stop(
    desk: Desk,
    asset: int,
    quantity: float,
    stop_price: float,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units once the market has moved to a price (ccy) against them; return the order's number."""
    return new_order_nb(desk, asset, quantity, STOP, _NAN, stop_price, _NAN, _NAN, tif, tif_bars, parent, oco_group)


@kept_step
def stop_limit(
    desk: Desk,
    asset: int,
    quantity: float,
    stop_price: float,
    limit_price: float,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units at a limit once the market has reached a stop price (ccy); return the order's number."""
    return new_order_nb(
        desk, asset, quantity, STOP_LIMIT, limit_price, stop_price, _NAN, _NAN, tif, tif_bars, parent, oco_group
    )


@kept_step
def trailing_stop(
    desk: Desk,
    asset: int,
    quantity: float,
    trail_rate: float | None = None,
    trail: float | None = None,
    stop_price: float | None = None,
    tif: int = GTC,
    tif_bars: int = 0,
    parent: int = NONE,
    oco_group: int = NONE,
) -> int:
    """Order signed units at a stop that follows the best price; return the order's number.

    It follows at `trail` (ccy) or at `trail_rate`, a fraction of the best price above 0 and below 1: one of the two.
    `stop_price` (ccy) is where it stands first; without one it begins from the close of bar t.
    """
    rate = _NAN if trail_rate is None else trail_rate
    distance = _NAN if trail is None else trail
    level = _NAN if stop_price is None else stop_price
    return new_order_nb(
        desk, asset, quantity, TRAILING_STOP, _NAN, level, distance, rate, tif, tif_bars, parent, oco_group
    )


@kept_step
def bracket(desk: Desk, asset: int, quantity: float, stop_price: float, limit_price: float) -> int:
    """Order signed units at the next open, and with their fill a stop and a target of which one cancels the other.

    Return the number of the entry; the stop has the next one, the target the one after that.
    """
    entry = market(desk, asset, quantity)
    loss = stop(desk, asset, -quantity, stop_price, GTC, 0, entry)
    limit(desk, asset, -quantity, limit_price, GTC, 0, entry, loss)
    return entry


@kept_step
def target(desk: Desk, asset: int, units: float) -> None:
    """Want signed units of an asset from the next open on, as `TargetUnits` does."""
    if asset < 0 or asset >= desk.target.size or not (units == 0.0 or LEAST <= abs(units) <= MOST):
        # What is no target is an order that is none, which ends the run with its words.
        new_order_nb(desk, asset, units, TARGET, _NAN, _NAN, _NAN, _NAN, GTC, 0, NONE, NONE)
    else:
        desk.target[asset] = units


@kept_step
def cancel(desk: Desk, number: int) -> None:
    """End an order before bar t + 1, or later by the latency; one that has ended by then stays as it is.

    Its children work for what it has filled, and end where that is nothing. The rest of its group works on.
    """
    if is_known_nb(desk, number) and desk.cancelled[number] < 0:
        desk.cancelled[number] = desk.numbers[BAR]
        desk.numbers[CANCEL_BAR] = desk.numbers[BAR]


@kept_step
def cancel_all(desk: Desk) -> None:
    """Cancel all orders placed so far, also at this bar, as `cancel` does; targets are no orders."""
    for i in range(desk.numbers[N_LIVE]):
        cancel(desk, desk.live[i])
    for number in range(desk.numbers[FIRST], desk.numbers[COUNT]):
        cancel(desk, number)


@kept_step
def cancel_asset(desk: Desk, asset: int) -> None:
    """Cancel all orders of an asset placed so far, also at this bar, as `cancel` does; a target is no order."""
    if asset < 0 or asset >= desk.target.size:
        note_fault_nb(desk, UNKNOWN_ASSET, asset)
    for i in range(desk.numbers[N_LIVE]):
        if desk.orders[desk.live[i]]["asset"] == asset:
            cancel(desk, desk.live[i])
    for number in range(desk.numbers[FIRST], desk.numbers[COUNT]):
        if desk.orders[number]["asset"] == asset:
            cancel(desk, number)


@kept_step
def is_open(desk: Desk, number: int) -> bool:
    """Return whether an order may still fill: it waits for its parent, or for its price.

    An order whose time in force ended with bar t is not open any more, one that was placed at bar t is.
    """
    return is_known_nb(desk, number) and not has_ended_nb(desk.orders, number)


@kept_step
def is_filled(desk: Desk, number: int) -> bool:
    """Return whether an order has filled in whole."""
    return is_known_nb(desk, number) and desk.orders[number]["status"] == FILLED


@kept_step
def is_rejected(desk: Desk, number: int) -> bool:
    """Return whether an order was refused; an order of bar t is not yet."""
    return is_known_nb(desk, number) and desk.orders[number]["status"] == REJECTED


@kept_step
def units_filled(desk: Desk, number: int) -> float:
    """Return the signed units that an order has filled, in units of bar t."""
    if not is_known_nb(desk, number):
        return 0.0
    units: float = desk.orders[number]["quantity"] - desk.orders[number]["rest"]
    return units
