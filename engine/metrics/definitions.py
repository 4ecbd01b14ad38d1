"""The definitions: each figure from the moments, sums or quantiles that it needs, written once.

Rates are fractions, returns are per bar. What is undefined is `Undefined`, a NaN with its reason, never infinite.
"""

from __future__ import annotations

import math

from engine.kernels.statistics import quantile_nb, tail_mean_nb
from engine.metrics.undefined import (
    BROKEN_RETURN,
    NO_RETURNS,
    NO_VARIANCE,
    ONE_RETURN,
    Undefined,
    ratio,
    sample_spread,
    spread,
)
from engine.panels import Floats

# Its fourth power is a float.
_MOST_DEVIATION = 1e75


def finite(figure: float, n: int) -> float:
    """Return a figure of n returns that is only undefined where a return is."""
    if n == 0:
        return Undefined(NO_RETURNS)
    return float(figure) if math.isfinite(figure) else Undefined(BROKEN_RETURN)


def growth_rate(last: float, first: float, years: float) -> float:
    """Return the constant annual rate from the first wealth to the last; -1 once everything is lost."""
    if not years > 0.0:
        return Undefined(NO_RETURNS)
    growth = last / first if first > 0.0 else math.nan
    if not math.isfinite(growth):
        return Undefined(BROKEN_RETURN)
    exponent = math.log(growth) / years if growth > 0.0 else -math.inf
    return math.exp(exponent) - 1.0 if exponent < 700.0 else Undefined("annual growth beyond what a float holds")


def annual_volatility(second: float, n: int, periods_per_year: float) -> float:
    """Return the annual standard deviation (ddof 1) from the second central moment of n returns."""
    if n < 2:
        return Undefined(ONE_RETURN)
    variance = second * n / (n - 1) * periods_per_year
    return math.sqrt(variance) if math.isfinite(variance) else Undefined(BROKEN_RETURN)


def annual_sharpe(mean: float, second: float, n: int, periods_per_year: float, risk_free_rate: float = 0.0) -> float:
    """Return the arithmetic mean excess return / its deviation (ddof 1) x sqrt(periods)."""
    excess = ratio(mean - risk_free_rate, sample_spread(mean, second, n), NO_VARIANCE)
    return excess if isinstance(excess, Undefined) else excess * math.sqrt(periods_per_year)


def annual_sortino(above: float, below: float, squares: float, n: int, periods_per_year: float) -> float:
    """Return the mean excess over a target / root mean square of the shortfalls over all n bars x sqrt(periods)."""
    if n == 0:
        return Undefined(NO_RETURNS)
    excess = ratio((above - below) / n, math.sqrt(squares / n), "no return below the target")
    return excess if isinstance(excess, Undefined) else excess * math.sqrt(periods_per_year)


def annual_downside_deviation(squares: float, n: int, periods_per_year: float) -> float:
    """Return the root mean square of the shortfalls over all n bars x sqrt(periods)."""
    if n == 0:
        return Undefined(NO_RETURNS)
    variance = squares / n * periods_per_year
    return math.sqrt(variance) if math.isfinite(variance) else Undefined(BROKEN_RETURN)


def omega_ratio(above: float, below: float, n: int) -> float:
    """Return the sum of returns above a threshold / the sum below it."""
    return ratio(above, below, "no return below the threshold") if n else Undefined(NO_RETURNS)


def calmar_ratio(growth: float, depth: float) -> float:
    """Return the annual growth rate / the size of the maximum drawdown."""
    return ratio(growth, depth if isinstance(depth, Undefined) else -depth, "no drawdown")


def standardised(moment: float, mean: float, second: float, power: int, n: int) -> float:
    """Return a central moment of n returns / its power of the deviation, all divided by n (biased)."""
    if n == 0:
        return Undefined(NO_RETURNS)
    deviation = spread(mean, second)
    if deviation > _MOST_DEVIATION:
        return Undefined("a deviation whose powers no float holds")
    return ratio(moment, deviation**power, NO_VARIANCE)


def quantile(ordered: Floats, share: float) -> float:
    """Return the quantile of ascending returns, linear between observations."""
    reason = _unordered(ordered)
    return float(quantile_nb(ordered, share)) if reason is None else reason


def tail_mean(ordered: Floats, share: float) -> float:
    """Return the mean of the lowest share of ascending returns, its last observation counted by its fraction."""
    reason = _unordered(ordered)
    return float(tail_mean_nb(ordered, share)) if reason is None else reason


def tail_size_ratio(ordered: Floats) -> float:
    """Return the size of the 95th percentile of ascending returns / that of the 5th."""
    upper, lower = quantile(ordered, 0.95), quantile(ordered, 0.05)
    if isinstance(upper, Undefined):
        return upper
    return ratio(abs(upper), abs(lower), "the 5th percentile of the returns is zero")


def extreme(ordered: Floats, place: int) -> float:
    """Return the first (0) or last (-1) of ascending returns."""
    reason = _unordered(ordered)
    return float(ordered[place]) if reason is None else reason


def _unordered(ordered: Floats) -> Undefined | None:
    """Return why ascending returns have no quantiles, None where they have; sorting puts a NaN last."""
    if ordered.size == 0:
        return Undefined(NO_RETURNS)
    return None if math.isfinite(ordered[-1]) and math.isfinite(ordered[0]) else Undefined(BROKEN_RETURN)
