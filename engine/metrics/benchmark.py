"""Figures against the float64[n_bars] returns of a benchmark, bar by bar."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from engine.kernels.statistics import covariance_nb, mean_and_variance_nb
from engine.metrics import definitions as define
from engine.metrics.series import lanes_of, rate
from engine.metrics.undefined import BROKEN_RETURN, NO_VARIANCE, ONE_RETURN, Undefined, ratio, spread
from engine.panels import series_of
from engine.settings import periods

_FLAT = "no variance in the benchmark's returns"


def benchmark_metrics(
    returns: ArrayLike, benchmark: ArrayLike, *, risk_free_rate: float = 0.0, periods_per_year: float = 252.0
) -> dict[str, float]:
    """Return alpha, beta, information_ratio, tracking_error and correlation; `risk_free_rate` is per bar.

    beta: covariance / variance of the benchmark. alpha: (mean excess return - beta x mean excess return of the
    benchmark) x periods, arithmetic as the Sharpe ratio is (Jensen 1968). information_ratio and tracking_error: the
    Sharpe ratio and the volatility of return - benchmark. correlation: Pearson's.
    """
    free, a_year = rate("risk_free_rate", risk_free_rate), periods(periods_per_year)
    own = series_of("returns", returns)
    other = series_of("benchmark", benchmark, own.size)
    lanes = lanes_of()
    active = own - other
    mean, second = mean_and_variance_nb(own, lanes)
    mean_other, second_other = mean_and_variance_nb(other, lanes)
    joint = covariance_nb(own, other, mean, mean_other, lanes)
    mean_active, second_active = mean_and_variance_nb(active, lanes)
    n = own.size
    deviation, deviation_other = spread(mean, second), spread(mean_other, second_other)
    slope = ratio(joint, second_other if deviation_other != 0.0 else 0.0, _FLAT) if n > 1 else Undefined(ONE_RETURN)
    return {
        "alpha": _alpha(mean - free, slope, mean_other - free, a_year),
        "beta": slope,
        "information_ratio": _information(mean_active, second_active, n, a_year),
        "tracking_error": define.annual_volatility(second_active, n, a_year),
        "correlation": _correlation(joint, deviation, deviation_other, n),
    }


def alpha(
    returns: ArrayLike, benchmark: ArrayLike, *, risk_free_rate: float = 0.0, periods_per_year: float = 252.0
) -> float:
    """Return Jensen's alpha a year, arithmetic: see `benchmark_metrics`."""
    figures = benchmark_metrics(returns, benchmark, risk_free_rate=risk_free_rate, periods_per_year=periods_per_year)
    return figures["alpha"]


def beta(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Return the covariance of the returns with the benchmark's / the variance of the benchmark's."""
    return benchmark_metrics(returns, benchmark)["beta"]


def information_ratio(returns: ArrayLike, benchmark: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the annual Sharpe ratio of the returns less the benchmark's."""
    return benchmark_metrics(returns, benchmark, periods_per_year=periods_per_year)["information_ratio"]


def tracking_error(returns: ArrayLike, benchmark: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the annual standard deviation of the returns less the benchmark's, ddof 1."""
    return benchmark_metrics(returns, benchmark, periods_per_year=periods_per_year)["tracking_error"]


def correlation(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Return Pearson's correlation of the returns with the benchmark's."""
    return benchmark_metrics(returns, benchmark)["correlation"]


def _alpha(excess: float, slope: float, excess_other: float, periods_per_year: float) -> float:
    if isinstance(slope, Undefined):
        return slope
    figure = (excess - slope * excess_other) * periods_per_year
    return float(figure) if math.isfinite(figure) else Undefined(BROKEN_RETURN)


def _information(mean: float, second: float, n: int, periods_per_year: float) -> float:
    figure = define.annual_sharpe(mean, second, n, periods_per_year)
    if isinstance(figure, Undefined) and figure.reason == NO_VARIANCE:
        return Undefined("no variance in the returns less the benchmark's")
    return figure


def _correlation(joint: float, deviation: float, deviation_other: float, n: int) -> float:
    if n < 2:
        return Undefined(ONE_RETURN)
    if deviation_other == 0.0:
        return Undefined(_FLAT)
    figure = ratio(joint, deviation * deviation_other, NO_VARIANCE)
    return figure if isinstance(figure, Undefined) else math.copysign(min(abs(figure), 1.0), figure)
