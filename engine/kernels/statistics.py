"""Statistics of one series: means by fixed sums, moments around the mean and never by sums of squares.

Sums run in `LANES` interleaved partial sums that are folded in halves. The order is written down, so the bits are
those of every machine; it leaves a processor as many additions at once as it has room for, where one running
sum waits for each addition; and its rounding error grows with n / 64 instead of n. The partial sums live in
scratch that the caller brings: `lanes`, float64[3, LANES], of which nothing is read before it is written.
"""

from __future__ import annotations

import numpy as np

from engine.jit import kernel, step
from engine.kernels.state import Floats

# Also the bars of a block in `drawdown_nb`. Below 64 the compiler unrolls the inner loops before it vectorises them.
LANES = 64


@kernel
def returns_nb(equity: Floats, initial: float, returns_out: Floats) -> None:
    """Write equity[t] / equity[t-1] - 1, the first against the initial cash; NaN where nothing was left before.

    `returns_out` must not overlap `equity`.
    """
    if equity.size == 0:
        return
    returns_out[0] = equity[0] / initial - 1.0 if initial > 0.0 else np.nan
    for t in range(1, equity.size):
        change = equity[t] / equity[t - 1] - 1.0
        returns_out[t] = change if equity[t - 1] > 0.0 else np.nan


@step
def sum_nb(values: Floats, sums: Floats) -> float:
    """Return the sum of values; float64[LANES] `sums` is modified in place."""
    for lane in range(LANES):
        sums[lane] = 0.0
    whole = values.size // LANES
    for row in range(whole):
        for lane in range(LANES):
            sums[lane] += values[row * LANES + lane]
    for lane in range(values.size - whole * LANES):
        sums[lane] += values[whole * LANES + lane]
    return fold_nb(sums)


@step
def fold_nb(sums: Floats) -> float:
    """Return the sum of float64[LANES] partial sums, upper half onto lower half until one is left; in place."""
    width = LANES // 2
    while width >= 1:
        for lane in range(width):
            sums[lane] += sums[lane + width]
        width //= 2
    total: float = sums[0]
    return total


@kernel
def mean_nb(values: Floats, lanes: Floats) -> float:
    """Return the mean; NaN of no values. `lanes` is modified in place, as everywhere below."""
    return sum_nb(values, lanes[0]) / values.size if values.size > 0 else np.nan


@kernel
def mean_and_variance_nb(values: Floats, lanes: Floats) -> tuple[float, float]:
    """Return the mean and the mean square distance from it (ddof 0); NaN of no values."""
    if values.size == 0:
        return np.nan, np.nan
    mean = sum_nb(values, lanes[0]) / values.size
    sums = lanes[0]
    for lane in range(LANES):
        sums[lane] = 0.0
    whole = values.size // LANES
    for row in range(whole):
        for lane in range(LANES):
            distance = values[row * LANES + lane] - mean
            sums[lane] += distance * distance
    for lane in range(values.size - whole * LANES):
        distance = values[whole * LANES + lane] - mean
        sums[lane] += distance * distance
    return mean, fold_nb(sums) / values.size


@kernel
def moments_nb(values: Floats, lanes: Floats) -> tuple[float, float, float, float]:
    """Return mean and the second to fourth central moments, each divided by n; NaN of no values.

    Mean and second moment are those of `mean_and_variance_nb` to the last bit.
    """
    if values.size == 0:
        return np.nan, np.nan, np.nan, np.nan
    mean = sum_nb(values, lanes[0]) / values.size
    seconds, thirds, fourths = lanes[0], lanes[1], lanes[2]
    for lane in range(LANES):
        seconds[lane], thirds[lane], fourths[lane] = 0.0, 0.0, 0.0
    whole = values.size // LANES
    for row in range(whole):
        for lane in range(LANES):
            distance = values[row * LANES + lane] - mean
            square = distance * distance
            seconds[lane] += square
            thirds[lane] += square * distance
            fourths[lane] += square * square
    for lane in range(values.size - whole * LANES):
        distance = values[whole * LANES + lane] - mean
        square = distance * distance
        seconds[lane] += square
        thirds[lane] += square * distance
        fourths[lane] += square * square
    n = values.size
    return mean, fold_nb(seconds) / n, fold_nb(thirds) / n, fold_nb(fourths) / n


@kernel
def partial_moments_nb(values: Floats, threshold: float, lanes: Floats) -> tuple[float, float, float]:
    """Return the sums above and below a threshold (both >= 0), and the sum of squares below it."""
    above, below, squares = lanes[0], lanes[1], lanes[2]
    for lane in range(LANES):
        above[lane], below[lane], squares[lane] = 0.0, 0.0, 0.0
    whole = values.size // LANES
    for row in range(whole):
        for lane in range(LANES):
            distance = values[row * LANES + lane] - threshold
            shortfall = -distance if distance < 0.0 else 0.0
            above[lane] += 0.0 if distance < 0.0 else distance
            below[lane] += shortfall
            squares[lane] += shortfall * shortfall
    for lane in range(values.size - whole * LANES):
        distance = values[whole * LANES + lane] - threshold
        shortfall = -distance if distance < 0.0 else 0.0
        above[lane] += 0.0 if distance < 0.0 else distance
        below[lane] += shortfall
        squares[lane] += shortfall * shortfall
    return fold_nb(above), fold_nb(below), fold_nb(squares)


@kernel
def covariance_nb(values: Floats, others: Floats, mean: float, other: float, lanes: Floats) -> float:
    """Return the mean product of the distances of two series from their means (ddof 0); NaN of no values."""
    if values.size == 0:
        return np.nan
    sums = lanes[0]
    for lane in range(LANES):
        sums[lane] = 0.0
    whole = values.size // LANES
    for row in range(whole):
        for lane in range(LANES):
            sums[lane] += (values[row * LANES + lane] - mean) * (others[row * LANES + lane] - other)
    for lane in range(values.size - whole * LANES):
        sums[lane] += (values[whole * LANES + lane] - mean) * (others[whole * LANES + lane] - other)
    return fold_nb(sums) / values.size


@kernel
def growth_nb(returns: Floats, equity_out: Floats) -> None:
    """Write the wealth that grows from 1 with the returns."""
    wealth = 1.0
    for t in range(returns.size):
        wealth *= 1.0 + returns[t]
        equity_out[t] = wealth


@kernel
def drawdown_nb(equity: Floats, initial: float) -> float:
    """Return the deepest equity / running peak - 1, at most 0, the initial cash being the first peak.

    NaN where any equity is not finite or the initial cash is not positive. To the last bit what a scan bar by
    bar finds: rounding keeps order, so one division of the lowest equity speaks for all bars under one peak, and
    a block of bars whose lowest equity under its highest is no deeper than what was found need not be scanned.
    """
    if not 0.0 < initial < np.inf:
        return np.nan
    # As integers, floats without a sign keep their order, and integers have a vector minimum that NaN cannot spoil.
    bits = equity.view(np.int64)
    peak, deepest = initial, 0.0
    blocks = equity.size // LANES
    for block in range(blocks):
        first = block * LANES
        most, least = bits[first], bits[first]
        for bar in range(LANES):
            most = max(most, bits[first + bar])
            least = min(least, bits[first + bar])
        highest, lowest = np.int64(most).view(np.float64), np.int64(least).view(np.float64)
        if least >= 0:
            if highest <= peak:
                deepest = min(deepest, lowest / peak - 1.0)
                continue
            if lowest / highest - 1.0 >= deepest:
                peak = highest
                continue
        peak, deepest = scan_nb(equity, first, first + LANES, peak, deepest)
    peak, deepest = scan_nb(equity, blocks * LANES, equity.size, peak, deepest)
    return deepest if peak < np.inf and deepest > -np.inf else np.nan


@step
def scan_nb(equity: Floats, first: int, end: int, peak: float, deepest: float) -> tuple[float, float]:
    """Return the running peak and the deepest drawdown after the bars [first, end); infinite after a NaN."""
    trough = peak
    for t in range(first, end):
        value = equity[t]
        if value >= peak:
            deepest = min(deepest, trough / peak - 1.0)
            peak, trough = value, value
        elif value < trough:
            trough = value
        elif value != value:
            return np.inf, deepest
    return peak, min(deepest, trough / peak - 1.0)


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
