"""Trades: round trips derived from fills."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.actions import Events
from engine.kernels.lots import Lots, trades_nb
from engine.panels import Floats
from engine.records import TRADE


def trades_of(fills: NDArray[Any], events: Events, mark: Floats, n_bars: int) -> NDArray[Any]:
    """Return trades (`records.TRADE`), first in first out, adjusted for splits between entry and exit.

    Closed trades come first, in the order of their exits; then what is still held, marked at the last marks
    float64[n_assets] and flagged `is_open`. Dividends are cash flows and in no trade: the change of equity is
    the sum of all P&L and all cash flows.
    """
    n_fills, n_assets = fills.size, mark.size
    lots = Lots(
        position=np.zeros(n_assets),
        first=np.full(n_assets, -1, dtype=np.int64),
        last=np.full(n_assets, -1, dtype=np.int64),
        next=np.empty(n_fills, dtype=np.int64),
        quantity=np.empty(n_fills),
        price=np.empty(n_fills),
        commission=np.empty(n_fills),
        costs=np.empty(n_fills),
    )
    trades = np.empty(2 * n_fills, dtype=TRADE)
    n_trades = trades_nb(fills, events, mark, n_bars - 1, lots, trades)
    return trades[:n_trades]
