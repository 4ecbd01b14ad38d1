"""Orders: instructions with a kind, prices, a time in force, and ties to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.bars import Bars
from engine.bounds import LEAST, MOST, MOST_BARS
from engine.columns import check_columns, check_frame, numbers_of, texts
from engine.errors import InputError, nearest
from engine.order_links import Integers, Place, groups_of, numbered, parents_of, refuse
from engine.panels import Floats, instant
from engine.records import BARS, FILL_KINDS, ORDER, ORDER_KINDS, TIFS, TRAILING_STOP
from engine.settings import check_kind, shown
from engine.times import bars_ending_at, utc_times

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("bar_end", "symbol", "quantity", "kind")
PRICES = ("limit_price", "stop_price", "trail", "trail_rate")
COLUMNS = (*REQUIRED, *PRICES, "tif", "oco_group", "parent")

_NEEDED = {"limit_price": ("limit", "stop_limit"), "stop_price": ("stop", "stop_limit"), "trail": (), "trail_rate": ()}
_TRAILING = {"stop_price", "trail", "trail_rate"}  # what a trailing stop may have


@dataclass(frozen=True, eq=False)
class Orders:
    """Orders decided at bars' ends, each active from the next bar on (see `Execution` for timing and latency).

    Sizes and prices are units and ccy as of the decision bar: a later split rescales them. What is triggered in
    one bar, and in which order, is `Execution.intrabar`'s to say. A bar the asset misses fills nothing, but counts.

    Parameters
    ----------
    frame : pandas frame
        One row an order, in any order; orders are numbered by bar_end, and by row within one bar. Columns:

        bar_end, symbol
            Where it is decided: the timezone-aware end of a bar, and a symbol of the bars.
        quantity
            Signed units: bought > 0.
        kind
            market: at the open. moo, moc: at the open of a session's first bar, at the close of its last one.
            limit: at limit_price or better. stop: at the market once stop_price is reached. stop_limit: a limit
            order once stop_price is reached. trailing_stop: a stop that keeps a distance from the best price
            since it was decided.
        limit_price, stop_price
            Ccy, for the kinds that are named after them. A trailing stop may be given where it stands first.
        trail, trail_rate
            Distance of a trailing stop: ccy, or a fraction of the best price in (0, 1); one of them.
        tif
            Time in force from the first active bar: gtc (the default), day (until the session ends), ioc (one
            bar), bars:n (n bars, at least 1). A child's starts when it is activated.
        oco_group
            Text or number, one symbol: where one member fills, also in part, the others are cancelled.
        parent
            Label in the frame's index of the order of the same symbol, decided at the same bar or before, whose
            fill this one waits for; it never trades more than that filled, and ends unfilled if that does.

        Optional columns may be absent, and None, NaN or NaT in a row. Others are refused.

    Raises
    ------
    InputError
        A column is missing or unknown; the nearest right one is named.
    """

    frame: pd.DataFrame

    def __post_init__(self) -> None:
        check_frame("orders", self.frame)
        check_columns("orders", self.frame, REQUIRED)
        for name in texts(self.frame.columns.tolist()):
            if name not in COLUMNS:
                raise InputError(f"orders have no column {name!r}{nearest(name, COLUMNS)}")
        check_columns("orders", self.frame, self.frame.columns)

    def table(self, bars: Bars) -> NDArray[np.void]:
        """Return the orders as new `ORDER` records, by number, none of them active yet.

        Raises
        ------
        InputError
            With the rule, the value and the place of the first row that breaks it: a time at which no bar ends; an
            unknown symbol, kind or tif; a quantity that is 0 or not finite; a price that is missing, not positive,
            or of another kind; or what `oco_group` and `parent` do not allow.
        """
        check_kind("bars", bars, Bars)
        if len(self.frame) == 0:
            return np.zeros(0, dtype=ORDER)
        return _table(self.frame, bars)


def _table(frame: pd.DataFrame, bars: Bars) -> NDArray[np.void]:
    times = utc_times("bar_end", frame["bar_end"])

    def at(row: int) -> str:
        symbol = frame["symbol"].iloc[row]
        return f"row {row} ({symbol if isinstance(symbol, str) else shown(symbol)} at {instant(times[row])})"

    bar, found = bars_ending_at(bars.bar_end, times)
    refuse(~found, lambda row: f"bar_end must be the end of a bar, none ends at {at(row)}")
    columns: dict[str, Any] = {"bar": bar}
    columns["asset"] = _codes(frame, "symbol", {name: asset for asset, name in enumerate(bars.symbols)}, at)
    columns["kind"] = _codes(frame, "kind", {name: FILL_KINDS.index(name) for name in ORDER_KINDS}, at)
    columns["quantity"] = columns["rest"] = quantity = numbers_of("quantity", frame["quantity"])
    is_size = np.isfinite(quantity) & (quantity != 0.0)
    refuse(~is_size, lambda row: f"quantity must be finite and not 0, was {quantity[row]} at {at(row)}")
    _check_size("quantity", quantity, at)
    for name in PRICES:
        columns[name] = _price(frame, name, columns["kind"], at)
    _check_trails(columns["kind"], columns["trail"], columns["trail_rate"], at)
    if "tif" in frame.columns:
        columns["tif"], columns["tif_bars"] = _times_in_force(frame, at)
    order = np.argsort(bar, kind="stable")
    columns |= _ties(frame, columns["bar"], columns["asset"], order, at)
    table = np.zeros(len(frame), dtype=ORDER)
    for name, values in columns.items():
        table[name] = values[order]
    table["active_bar"] = -1
    table["met_bar"] = table["met_slice"] = -1
    table["reference"] = np.nan
    return table


def _codes(frame: pd.DataFrame, name: str, known: dict[str, int], at: Place) -> Integers:
    """Return a column of names as numbers."""
    codes, values = numbered(frame[name], name, "a text")
    numbers: Integers = np.array([*(known.get(value, -1) for value in values), -1], dtype=np.int64)[codes]

    def text(row: int) -> str:
        value = frame[name].iloc[row]
        rule = "no bars for the symbol" if name == "symbol" else f"{name} must be one of {', '.join(known)}, was"
        return f"{rule} {shown(value)} at {at(row)}{nearest(value if isinstance(value, str) else '', known)}"

    refuse(numbers < 0, text)
    return numbers


def _check_size(name: str, values: Floats, at: Place) -> None:
    rule, sizes = f"{name} must be between {LEAST:g} and {MOST:g} in size", np.abs(values)
    refuse((sizes > MOST) | (sizes < LEAST), lambda row: f"{rule}, was {values[row]} at {at(row)}")


def _price(frame: pd.DataFrame, name: str, kinds: Integers, at: Place) -> Floats:
    """Return a column of prices or distances after checking them against the kinds of the orders."""
    needing = [FILL_KINDS.index(kind) for kind in _NEEDED[name]]
    allowing = [*needing, TRAILING_STOP] if name in _TRAILING else needing
    prices = numbers_of(name, frame[name]) if name in frame.columns else np.full(len(frame), np.nan)
    is_given = ~np.isnan(prices)
    is_allowed, is_needed = _among(kinds, allowing), _among(kinds, needing)
    refuse(
        is_given & ~is_allowed,
        lambda row: f"a {FILL_KINDS[kinds[row]]} order has no {name}, was {prices[row]} at {at(row)}",
    )
    refuse(is_needed & ~is_given, lambda row: f"a {FILL_KINDS[kinds[row]]} order needs a {name}, had none at {at(row)}")
    if name == "trail_rate":
        is_right, rule = (prices > 0.0) & (prices < 1.0), "above 0 and below 1"
    else:
        is_right, rule = (prices > 0.0) & np.isfinite(prices), "positive and finite"
    refuse(is_given & ~is_right, lambda row: f"{name} must be {rule}, was {prices[row]} at {at(row)}")
    _check_size(name, prices, at)
    return prices


def _among(kinds: Integers, chosen: list[int]) -> NDArray[np.bool_]:
    is_chosen = np.zeros(len(FILL_KINDS), dtype=np.bool_)
    is_chosen[chosen] = True
    return is_chosen[kinds]


def _check_trails(kinds: Integers, trail: Floats, trail_rate: Floats, at: Place) -> None:
    has_trail, has_rate = ~np.isnan(trail), ~np.isnan(trail_rate)
    is_bare = (kinds == TRAILING_STOP) & ~has_trail & ~has_rate
    refuse(is_bare, lambda row: f"a trailing_stop order needs trail or trail_rate, had neither at {at(row)}")
    refuse(
        has_trail & has_rate,
        lambda row: (
            f"a trailing_stop order takes either trail or trail_rate, had {trail[row]} and {trail_rate[row]} "
            f"at {at(row)}"
        ),
    )


def _times_in_force(frame: pd.DataFrame, at: Place) -> tuple[Integers, Integers]:
    """Return the numbers of the times in force, and of their bars (0 where it is not bars:n)."""
    codes, values = numbered(frame["tif"], "tif", "a text")
    parsed = np.array([_time_in_force(value) for value in values] + [(0, 0)], dtype=np.int64)[codes]

    def text(row: int) -> str:
        value = frame["tif"].iloc[row]
        rule = f"tif must be gtc, day, ioc, or bars:n with n from 1 to {MOST_BARS}"
        known = nearest(value, (*TIFS[:BARS], "bars:n")) if isinstance(value, str) else ""
        return f"{rule}, was {shown(value)} at {at(row)}{known}"

    refuse(parsed[:, 0] < 0, text)
    return parsed[:, 0], parsed[:, 1]


def _time_in_force(value: Any) -> tuple[int, int]:
    """Return number and bars of one time in force; (-1, 0): it is none."""
    if value in TIFS[:BARS]:
        return TIFS.index(value), 0
    name, _, bars = value.partition(":") if isinstance(value, str) else ("", "", "")
    is_count = name == "bars" and bars.isascii() and bars.isdigit() and len(bars) <= len(str(MOST_BARS))
    return (BARS, int(bars)) if is_count and 1 <= int(bars) <= MOST_BARS else (-1, 0)


def _ties(
    frame: pd.DataFrame, bars: Integers, assets: Integers, order: NDArray[np.intp], at: Place
) -> dict[str, Integers]:
    """Return groups, by the number of their first order, and parents, by number, in the order of the frame."""
    import pandas as pd

    groups = parents = np.full(len(frame), -1, dtype=np.int64)
    if "oco_group" in frame.columns:
        groups = groups_of(frame["oco_group"], assets, at)
        members = order[groups[order] >= 0]
        number_of = np.empty(len(frame), dtype=np.int64)
        number_of[order] = np.arange(len(frame))
        codes = pd.factorize(groups[members])[0]
        first = members[np.unique(codes, return_index=True)[1]]
        groups[members] = number_of[first[codes]]
    if "parent" in frame.columns:
        number = np.empty(len(frame) + 1, dtype=np.int64)
        number[order], number[-1] = np.arange(len(frame)), -1
        parents = number[parents_of(frame, bars, assets, groups, at)]
    return {"oco_group": groups, "parent": parents}
