"""One pass over a panel of decisions."""

from __future__ import annotations

import numpy as np

from engine.bounds import LEAST, MOST
from engine.jit import kernel


@kernel
def scan_nb(values: np.ndarray, n_decisions_out: np.ndarray) -> int:
    """Write how many decisions each bar of float64[n_bars, n_assets] holds; return the first bar with a wrong one.

    Wrong is what is neither 0 nor between LEAST and MOST in size; -1: there is none. The inner loop has no branch, so
    that it runs on several values at once.
    """
    first_wrong = -1
    for t in range(values.shape[0]):
        n_decisions = 0
        n_wrong = 0
        for asset in range(values.shape[1]):
            value = values[t, asset]
            n_decisions += value == value
            size = abs(value)
            n_wrong += (size > MOST) | ((size < LEAST) & (size != 0.0))
        n_decisions_out[t] = n_decisions
        if n_wrong > 0 and first_wrong < 0:
            first_wrong = t
    return first_wrong
