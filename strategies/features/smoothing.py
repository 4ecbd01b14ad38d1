"""Exponential averages that no longer depend on where history began.

A recursive average never forgets its start altogether, so a value computed from a slice of history differs from
that of all history. Here it is shown only after as many values that all before them weigh less than
`FORGOTTEN`. From then on both agree to `RELATIVE_TOLERANCE`: the share of the start in the average, with room
for averages that are divided by each other.

An average passes over the bars its asset did not trade, so that many values may lie any number of bars back. Of the
bars it looks back on `SPARE_BARS` may be missing; with more of them it shows nothing, in a slice as in all history.
"""

from __future__ import annotations

import math

from strategies.panel import Panel
from strategies.window import Window

FORGOTTEN = 1e-8
RELATIVE_TOLERANCE = 1e-7
SPARE_BARS = 20


def settling_bars(span: int) -> int:
    """Return after how many further values an average of this span has forgotten its first one."""
    kept = 1.0 - 2.0 / (span + 1.0)
    return math.ceil(math.log(FORGOTTEN) / math.log(kept)) if kept > 0.0 else 0


def wilder_span(n: int) -> int:
    """Return the span of Wilder's average over n bars, which moves by 1 / n of the distance with each value."""
    return 2 * n - 1


def warmup_of(span: int, n_before: int = 0) -> int:
    """Return how many bars a settled average of values made of `n_before` bars before their own looks back on."""
    return settling_bars(span) + n_before + SPARE_BARS


def settled_ema(window: Window, values: Panel, span: int, n_before: int = 0) -> Panel:
    """Return the exponential average of a span, NaN where the first value may not be forgotten.

    Missing values are passed over: they show NaN, move nothing and count for nothing. Shown is a bar of whose
    `warmup_of` bars before, itself included, the asset traded in all but `SPARE_BARS` or fewer.

    Parameters
    ----------
    values : one for each bar the asset traded
    n_before : how many of an asset's bars before its own a value is made of: 1 for a change
    """
    n_bars = warmup_of(span, n_before) + 1
    return values.ema(span).where(window.close.is_valid().sum(n_bars) >= n_bars - SPARE_BARS)
