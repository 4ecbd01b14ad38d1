"""Falls of equity below its running peak."""

from __future__ import annotations

import numpy as np

from engine.jit import kernel, step
from engine.kernels.state import Floats


@kernel
def drawdowns_nb(equity: Floats, initial: float, drawdowns_out: np.ndarray) -> int:
    """Write each drawdown of finite equity in the order of time; return how many there are.

    The initial cash is the first peak, at bar -1. At most one drawdown begins in two bars: `drawdowns_out` needs
    (n_bars + 1) // 2 records.
    """
    n = 0
    peak, peak_bar = initial, -1
    is_under = False
    for t in range(equity.size):
        if equity[t] >= peak:
            if is_under:
                end_nb(drawdowns_out[n - 1], t, False)
                is_under = False
            peak, peak_bar = equity[t], t
            continue
        drawdown = drawdowns_out[n - 1 if is_under else n]
        if not is_under:
            drawdown["peak_bar"], drawdown["peak"] = peak_bar, peak
            drawdown["start_bar"] = t
            n += 1
        if not is_under or equity[t] < drawdown["trough"]:
            drawdown["trough_bar"], drawdown["trough"] = t, equity[t]
            drawdown["depth"] = equity[t] / peak - 1.0
        is_under = True
    if is_under:
        end_nb(drawdowns_out[n - 1], equity.size - 1, True)
    return n


@step
def end_nb(drawdown_out: np.ndarray, bar: int, is_open: bool) -> None:
    """Write where a drawdown ends."""
    drawdown_out["end_bar"] = bar
    drawdown_out["is_open"] = is_open
