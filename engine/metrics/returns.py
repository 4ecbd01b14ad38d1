"""Figures of float64[n_bars] returns, one function each."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from engine.drawdowns import drawdowns_of, max_drawdown_bars_of
from engine.kernels.statistics import drawdown_nb, mean_and_variance_nb, moments_nb, partial_moments_nb
from engine.metrics import definitions as define
from engine.metrics.series import initial, lanes_of, rate, wealth_of
from engine.metrics.undefined import BROKEN_RETURN, NO_RETURNS, Undefined, ratio
from engine.panels import series_of
from engine.settings import number, periods


def mean_return(returns: ArrayLike) -> float:
    """Return the arithmetic mean of returns."""
    series = series_of("returns", returns)
    return define.finite(mean_and_variance_nb(series, lanes_of())[0], series.size)


def volatility(returns: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the annual standard deviation of returns, ddof 1."""
    series = series_of("returns", returns)
    _, second = mean_and_variance_nb(series, lanes_of())
    return define.annual_volatility(second, series.size, periods(periods_per_year))


def sharpe(returns: ArrayLike, *, risk_free_rate: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Return the annual Sharpe ratio: arithmetic mean excess return / its deviation (ddof 1) x sqrt(periods).

    `risk_free_rate` is per bar. Annualised as if returns were independent (Lo 2002 shows how far that may be off).
    """
    series = series_of("returns", returns)
    mean, second = mean_and_variance_nb(series, lanes_of())
    free = rate("risk_free_rate", risk_free_rate)
    return define.annual_sharpe(mean, second, series.size, periods(periods_per_year), free)


def sortino(returns: ArrayLike, *, target_rate: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Return annual mean excess over a per-bar target / root mean square of the shortfalls over all bars."""
    series = series_of("returns", returns)
    above, below, squares = partial_moments_nb(series, rate("target_rate", target_rate), lanes_of())
    return define.annual_sortino(above, below, squares, series.size, periods(periods_per_year))


def downside_deviation(returns: ArrayLike, *, target_rate: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Return the annual root mean square of the shortfalls below a per-bar target, over all bars."""
    series = series_of("returns", returns)
    _, _, squares = partial_moments_nb(series, rate("target_rate", target_rate), lanes_of())
    return define.annual_downside_deviation(squares, series.size, periods(periods_per_year))


def omega(returns: ArrayLike, *, threshold_rate: float = 0.0) -> float:
    """Return the sum of returns above a per-bar threshold / the sum below it."""
    series = series_of("returns", returns)
    above, below, _ = partial_moments_nb(series, rate("threshold_rate", threshold_rate), lanes_of())
    return define.omega_ratio(above, below, series.size)


def total_return(returns: ArrayLike) -> float:
    """Return the growth of 1 over all returns, less 1."""
    series = series_of("returns", returns)
    return define.finite(wealth_of(series)[-1] - 1.0 if series.size else math.nan, series.size)


def cagr(returns: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the constant annual rate that grows as much as the returns do; -1 once everything is lost."""
    return cagr_of(wealth_of(returns), 1.0, periods_per_year)


def cagr_of(equity: ArrayLike, initial_cash: float, periods_per_year: float = 252.0) -> float:
    """Return the annual rate from the initial cash to the last of float64[n_bars] equity."""
    wealth = series_of("equity", equity)
    last = float(wealth[-1]) if wealth.size else math.nan
    return define.growth_rate(last, initial(initial_cash), wealth.size / periods(periods_per_year))


def max_drawdown(returns: ArrayLike) -> float:
    """Return the deepest fall from a peak of wealth, at most 0; the wealth before the first return is a peak."""
    series = series_of("returns", returns)
    return define.finite(drawdown_nb(wealth_of(series), 1.0), series.size)


def max_drawdown_bars(returns: ArrayLike) -> float:
    """Return the bars from the peak of the deepest drawdown until it is reached again, or to the last bar."""
    wealth = wealth_of(returns)
    if wealth.size == 0:
        return Undefined(NO_RETURNS)
    if not np.isfinite(wealth).all():
        return Undefined(BROKEN_RETURN)
    return float(max_drawdown_bars_of(drawdowns_of(wealth, 1.0)))


def calmar(returns: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the annual growth rate / the size of the maximum drawdown."""
    return define.calmar_ratio(cagr(returns, periods_per_year=periods_per_year), max_drawdown(returns))


def skew(returns: ArrayLike) -> float:
    """Return the third standardised moment, divided by n (biased), as the probabilistic Sharpe ratio wants it."""
    series = series_of("returns", returns)
    mean, second, third, _ = moments_nb(series, lanes_of())
    return define.standardised(third, mean, second, 3, series.size)


def kurtosis(returns: ArrayLike) -> float:
    """Return the fourth standardised moment (Pearson: 3 for a normal), divided by n (biased)."""
    series = series_of("returns", returns)
    mean, second, _, fourth = moments_nb(series, lanes_of())
    return define.standardised(fourth, mean, second, 4, series.size)


def value_at_risk(returns: ArrayLike, *, tail_rate: float = 0.05) -> float:
    """Return the quantile of returns at the tail, linear between observations; a loss is negative."""
    return define.quantile(np.sort(series_of("returns", returns)), _tail(tail_rate))


def expected_shortfall(returns: ArrayLike, *, tail_rate: float = 0.05) -> float:
    """Return CVaR: the mean return of the worst tail, its last observation counted by its fraction.

    (x_1 + ... + x_k + (a n - k) x_{k+1}) / (a n) with k = floor(a n) over ascending returns, which is coherent
    (Acerbi and Tasche 2002); a loss is negative.
    """
    return define.tail_mean(np.sort(series_of("returns", returns)), _tail(tail_rate))


def tail_ratio(returns: ArrayLike) -> float:
    """Return the size of the 95th percentile of returns / that of the 5th."""
    return define.tail_size_ratio(np.sort(series_of("returns", returns)))


def stability(returns: ArrayLike) -> float:
    """Return how straight wealth grew: the R squared of log wealth on time."""
    series = series_of("returns", returns)
    if series.size < 2:
        return Undefined("fewer than two returns")
    if not (np.isfinite(series) & (series > -1.0)).all():
        return Undefined("a return is not a finite number above -1")
    logs = np.cumsum(np.log1p(series))
    time = np.arange(series.size) - (series.size - 1) / 2.0
    logs -= logs.mean()
    slope = time @ logs / (time @ time)
    return ratio(float(slope * (time @ logs)), float(logs @ logs), "no variance in the wealth")


def _tail(tail_rate: float) -> float:
    return number("tail_rate", tail_rate, low=0.0, high=1.0, rule="from 0 to 1")
