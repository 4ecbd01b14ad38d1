"""Exponential averages that no longer depend on where history began.

A recursive average never forgets its start altogether, so a value computed from a slice of history differs from
that of all history. Here it is shown only after as many values that all before them weigh less than
`FORGOTTEN`. From then on both agree to `RELATIVE_TOLERANCE`: the share of the start in the average, with room
for averages that are divided by each other.
"""

from __future__ import annotations

import math

from strategies.panel import Panel

FORGOTTEN = 1e-8
RELATIVE_TOLERANCE = 1e-7


def settling_bars(span: int) -> int:
    """Return after how many further values an average of this span has forgotten its first one."""
    kept = 1.0 - 2.0 / (span + 1.0)
    return math.ceil(math.log(FORGOTTEN) / math.log(kept)) if kept > 0.0 else 0


def wilder_span(n: int) -> int:
    """Return the span of Wilder's average over n bars, which moves by 1 / n of the distance with each value."""
    return 2 * n - 1


def settled_ema(values: Panel, span: int) -> Panel:
    """Return the exponential average of a span, NaN until the first value is forgotten.

    Missing values are passed over: they show NaN, move nothing and count for nothing.
    """
    n_before = values.is_valid().expanding_sum()
    return values.ema(span).where(n_before > settling_bars(span))
