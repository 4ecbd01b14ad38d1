"""Statistics of one series, by recomputation around the mean and never by sums of squares."""

from __future__ import annotations

import numpy as np

from engine.jit import kernel
from engine.kernels.state import Floats


@kernel
def returns_nb(equity: Floats, initial: float, returns_out: Floats) -> None:
    """Write equity[t] / equity[t-1] - 1, the first against the initial cash; NaN once nothing is left."""
    before = initial
    for t in range(equity.size):
        returns_out[t] = equity[t] / before - 1.0 if before > 0.0 else np.nan
        before = equity[t]


@kernel
def moments_nb(values: Floats) -> tuple[float, float, float, float]:
    """Return mean and the second to fourth central moments, each divided by n; NaN of no values."""
    n = values.size
    if n == 0:
        return np.nan, np.nan, np.nan, np.nan
    mean = 0.0
    for i in range(n):
        mean += values[i]
    mean /= n
    second, third, fourth = 0.0, 0.0, 0.0
    for i in range(n):
        distance = values[i] - mean
        square = distance * distance
        second += square
        third += square * distance
        fourth += square * square
    return mean, second / n, third / n, fourth / n


@kernel
def partial_moments_nb(values: Floats, threshold: float) -> tuple[float, float, float]:
    """Return the sums above and below a threshold (both >= 0), and the sum of squares below it."""
    above, below, squares = 0.0, 0.0, 0.0
    for i in range(values.size):
        distance = values[i] - threshold
        if distance < 0.0:
            below -= distance
            squares += distance * distance
        else:
            above += distance
    return above, below, squares


@kernel
def growth_nb(returns: Floats, equity_out: Floats) -> None:
    """Write the wealth that grows from 1 with the returns."""
    wealth = 1.0
    for t in range(returns.size):
        wealth *= 1.0 + returns[t]
        equity_out[t] = wealth


@kernel
def drawdown_nb(equity: Floats, initial: float) -> tuple[float, int]:
    """Return the deepest equity / running peak - 1 and the bars from its peak until that is reached again.

    The initial cash is the first peak, one bar before the first; a drawdown that lasts is counted to the end.
    """
    peak, peak_bar = initial, -1
    deepest, deepest_peak = 0.0, initial
    start, end = -1, -1
    is_under = False
    for t in range(equity.size):
        if is_under and equity[t] >= deepest_peak:
            end = t
            is_under = False
        if equity[t] >= peak:
            peak, peak_bar = equity[t], t
        elif equity[t] / peak - 1.0 < deepest:
            deepest, deepest_peak = equity[t] / peak - 1.0, peak
            start = peak_bar
            is_under = True
    if is_under:
        end = equity.size - 1
    return deepest, end - start


@kernel
def quantile_nb(ordered: Floats, share: float) -> float:
    """Return the quantile of ascending values, interpolated linearly between neighbours; NaN of no values."""
    if ordered.size == 0:
        return np.nan
    position = share * (ordered.size - 1)
    below = int(position)
    value: float = ordered[below]
    if below + 1 < ordered.size:
        value += (position - below) * (ordered[below + 1] - ordered[below])
    return value


@kernel
def tail_mean_nb(ordered: Floats, share: float) -> float:
    """Return the mean of the lowest share of ascending values, the last one counted by its fraction."""
    wanted = share * ordered.size
    whole = int(wanted)
    total = 0.0
    for i in range(min(whole, ordered.size)):
        total += ordered[i]
    if whole < ordered.size:
        total += (wanted - whole) * ordered[whole]
    return total / wanted if wanted > 0.0 else np.nan
