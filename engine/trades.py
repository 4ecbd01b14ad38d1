"""Trades: round trips derived from fills."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.actions import Events
from engine.errors import InputError
from engine.kernels.lots import LOT, Lots, Splits, count_nb, trades_nb
from engine.panels import Floats
from engine.records import CASH_FLOW, CASH_IN_LIEU, FILL_KINDS, TRADE
from engine.settings import choice

METHODS = ("fifo", "lifo", "average")


def trades_of(
    fills: NDArray[Any],
    events: Events,
    mark: Floats,
    n_bars: int,
    *,
    high: Floats | None = None,
    low: Floats | None = None,
    cash_flows: NDArray[Any] | None = None,
    method: str = "fifo",
) -> NDArray[Any]:
    """Return trades (`records.TRADE`), in units as of their exits.

    Closed trades come first, in the order of their exits; then what is still held, marked at the last marks and
    flagged `is_open`. A fill that goes through zero ends trades and begins one.

    Which lot an exit closes: `fifo` the oldest, `lifo` the newest; `average` keeps one lot an asset, whose entry
    price is the size-weighted average of the entries, at each of which it is averaged anew, and whose entry bar and
    kind are those of the first entry since the position was zero: one trade an exit.

    P&L is net of the commissions and fees of both sides, pro rata of their fills. MAE and MFE are quantity x (the
    worst, the best price of all bars from entry to exit - entry price), commissions and fees left out; the bars of
    entry and exit count with their whole range, since the path inside a bar is not known.

    A split rescales open lots. Cash in lieu at a split is an exit at the rescaled mark, free of costs, with the
    exit kind -1 and not `is_open`. So the change of equity is the sum of all P&L and of all cash flows but cash in
    lieu, which the P&L of its trade holds.

    Parameters
    ----------
    fills : records.FILL, in the order of bars
    events : Events
        Corporate actions, of which the splits are used.
    mark : float64[n_assets]
        Ccy, the last marks.
    n_bars : int
    high, low : float64[n_bars, n_assets], optional
        Of the bars, NaN where an asset has none; without them MAE and MFE are NaN.
    cash_flows : records.CASH_FLOW, optional
        In the order of bars; those in lieu of fractions are used.
    method : fifo, lifo or average

    Raises
    ------
    InputError
        There is no such method, or high and low do not have the shape of the bars.
    """
    choice("method", method, METHODS)
    n_assets = mark.size
    none = np.empty((0, n_assets))
    highs, lows = (none if panel is None else panel for panel in (high, low))
    for name, panel in (("high", highs), ("low", lows)):
        if panel.shape != (n_bars, n_assets) and (high is not None or low is not None):
            raise InputError(f"{name} must have the shape of the bars {(n_bars, n_assets)}, had {panel.shape}")
    flows = np.empty(0, dtype=CASH_FLOW) if cash_flows is None else cash_flows
    trades = np.empty(2 * fills.size + n_assets, dtype=TRADE)
    n_trades = trades_nb(
        fills,
        flows[flows["kind"] == CASH_IN_LIEU],
        _splits(events),
        highs,
        lows,
        mark,
        n_bars,
        METHODS.index(method),
        _no_lots(fills, n_assets),
        trades,
    )
    if high is None:
        trades["mae"][:n_trades] = np.nan
        trades["mfe"][:n_trades] = np.nan
    return trades[:n_trades]


def entry_kinds(trades: NDArray[Any]) -> NDArray[Any]:
    """Return the kind of fill that opened each trade, as text."""
    kinds: NDArray[Any] = np.array(FILL_KINDS, dtype=object)[trades["entry_kind"]]
    return kinds


def exit_kinds(trades: NDArray[Any]) -> NDArray[Any]:
    """Return how each trade ended, as text: a fill's kind, `cash_in_lieu`, or `open`."""
    kinds: NDArray[Any] = np.array((*FILL_KINDS, "cash_in_lieu"), dtype=object)[trades["exit_kind"]]
    kinds[trades["is_open"]] = "open"
    return kinds


def _splits(events: Events) -> Splits:
    is_split = events.split != 1.0
    return Splits(events.bar[is_split], events.asset[is_split], events.split[is_split])


def _no_lots(fills: NDArray[Any], n_assets: int) -> Lots:
    start = np.zeros(n_assets, dtype=np.int64)
    count_nb(fills, start)
    return Lots(
        slots=np.empty(fills.size, dtype=LOT),
        highs=np.empty(fills.size),
        lows=np.empty(fills.size),
        start=start,
        first=start.copy(),
        end=start.copy(),
        middle=start.copy(),
        position=np.zeros(n_assets),
        high=np.full(n_assets, -np.inf),
        low=np.full(n_assets, np.inf),
        back_high=np.full(n_assets, -np.inf),
        back_low=np.full(n_assets, np.inf),
    )
