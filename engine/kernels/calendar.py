"""Where bars stand among the sessions."""

from __future__ import annotations

import numpy as np

from engine.jit import kernel
from engine.kernels.state import Integers

DAY_US = 86_400_000_000


@kernel
def sessions_nb(bar_end: Integers, first_out: Integers, calendar_out: np.ndarray) -> int:
    """Write session and nights of each bar of int64[n_bars] us since 1970, and each session's first bar.

    Return how many sessions there are. `first_out` is int64[n_bars], `calendar_out` CALENDAR[n_bars].
    """
    n = 0
    session = bar_end[0] // DAY_US
    for t in range(bar_end.size):
        before = session
        # A division takes as long as the rest of the loop: few bars begin another day.
        if bar_end[t] >= (session + 1) * DAY_US:
            session = bar_end[t] // DAY_US
        calendar_out[t]["session"] = session
        calendar_out[t]["nights"] = session - before
        if t == 0 or session != before:
            first_out[n] = t
            n += 1
    return n
