"""One pass over a panel of decisions."""

from __future__ import annotations

import numpy as np

from engine.bounds import MOST
from engine.jit import kernel


@kernel
def scan_nb(values: np.ndarray, n_decisions_out: np.ndarray) -> int:
    """Write how many decisions each bar of float64[n_bars, n_assets] holds; return the first bar with one above MOST.

    -1: there is none. The inner loop has no branch, so that it runs on several values at once.
    """
    first_wrong = -1
    for t in range(values.shape[0]):
        n_decisions = 0
        n_wrong = 0
        for asset in range(values.shape[1]):
            value = values[t, asset]
            n_decisions += value == value
            n_wrong += abs(value) > MOST
        n_decisions_out[t] = n_decisions
        if n_wrong > 0 and first_wrong < 0:
            first_wrong = t
    return first_wrong
