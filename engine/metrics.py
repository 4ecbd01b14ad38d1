"""Performance figures, one written definition each.

Rates are fractions. Returns are per bar. A figure that is undefined (no variance, no losses, no trades, a
NaN among the returns) is NaN, never infinite. Losses are negative: drawdown, VaR and CVaR are returns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InputError
from engine.kernels.statistics import (
    drawdown_nb,
    growth_nb,
    moments_nb,
    partial_moments_nb,
    quantile_nb,
    tail_mean_nb,
)
from engine.panels import Floats

# A spread below this share of the mean is rounding: constant returns have no Sharpe ratio, not one of 1e16.
_NO_VARIANCE = 1e-12


def metrics(
    returns: ArrayLike,
    *,
    equity: ArrayLike | None = None,
    initial_cash: float | None = None,
    trades: NDArray[Any] | None = None,
    fills: NDArray[Any] | None = None,
    exposure: ArrayLike | None = None,
    periods_per_year: float = 252.0,
) -> dict[str, float]:
    """Return all figures that the arguments allow, by name.

    Parameters
    ----------
    returns : float64[n_bars]
        Return of each bar; the first against the initial cash.
    equity : float64[n_bars], optional
        Ccy at each bar's end; by default what 1 grows to.
    initial_cash : float, optional
        Ccy before the first bar; by default what the first return says.
    trades, fills : structured, optional
        As in `Result`: adds the figures of trades, fills and turnover.
    exposure : float64[n_bars], optional
        Ccy, gross: adds exposure and time in market.
    periods_per_year : float
        Bars a year.
    """
    series = _series("returns", returns)
    wealth = wealth_of(series) if equity is None else _series("equity", equity)
    if wealth.size != series.size:
        raise InputError(f"equity must have one value a return ({series.size}), had {wealth.size}")
    first = _initial(series, wealth) if initial_cash is None else float(initial_cash)
    figures = _return_metrics(series, wealth, first, periods_per_year)
    if trades is not None:
        figures |= trade_metrics(trades)
    if fills is not None:
        figures["n_fills"] = fills.size
        figures["turnover"] = turnover(fills, wealth, periods_per_year=periods_per_year)
    if exposure is not None:
        gross = _series("exposure", exposure)
        figures["exposure"] = mean_exposure(gross, wealth)
        figures["time_in_market"] = time_in_market(gross)
    return {name: float(value) for name, value in figures.items()}


def _return_metrics(series: Floats, wealth: Floats, first: float, periods_per_year: float) -> dict[str, float]:
    deepest, length = drawdown_nb(wealth, first)
    ordered = np.sort(series)
    growth = cagr_of(wealth, first, periods_per_year)
    return {
        "total_return": wealth[-1] / first - 1.0 if wealth.size else math.nan,
        "cagr": growth,
        "volatility": volatility(series, periods_per_year=periods_per_year),
        "sharpe": sharpe(series, periods_per_year=periods_per_year),
        "sortino": sortino(series, periods_per_year=periods_per_year),
        "calmar": _ratio(growth, -deepest),
        "max_drawdown": deepest,
        "max_drawdown_bars": length,
        "skew": skew(series),
        "kurtosis": kurtosis(series),
        "var_95": _quantile(ordered, 0.05),
        "cvar_95": _tail_mean(ordered, 0.05),
        "omega": omega(series),
        "tail_ratio": _ratio(abs(_quantile(ordered, 0.95)), abs(_quantile(ordered, 0.05))),
    }


def sharpe(returns: ArrayLike, *, risk_free_rate: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Return the annual Sharpe ratio: arithmetic mean excess return / its deviation (ddof 1) x sqrt(periods).

    `risk_free_rate` is per bar. Annualised as if returns were independent (Lo 2002 shows how far that may be off).
    """
    series = _series("returns", returns)
    mean, second, _, _ = moments_nb(series)
    deviation = _deviation(mean, second, series.size)
    return _ratio(mean - risk_free_rate, deviation) * math.sqrt(periods_per_year)


def volatility(returns: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the annual standard deviation of returns, ddof 1."""
    series = _series("returns", returns)
    if series.size < 2:
        return math.nan
    _, second, _, _ = moments_nb(series)
    return math.sqrt(second * series.size / (series.size - 1) * periods_per_year)


def sortino(returns: ArrayLike, *, target_rate: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Return annual mean excess over a per-bar target / root mean square of the shortfalls over all bars."""
    series = _series("returns", returns)
    if series.size == 0:
        return math.nan
    above, below, squares = partial_moments_nb(series, target_rate)
    mean = (above - below) / series.size
    return _ratio(mean, math.sqrt(squares / series.size)) * math.sqrt(periods_per_year)


def omega(returns: ArrayLike, *, threshold_rate: float = 0.0) -> float:
    """Return the sum of returns above a per-bar threshold / the sum below it."""
    above, below, _ = partial_moments_nb(_series("returns", returns), threshold_rate)
    return _ratio(above, below)


def cagr(returns: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the constant annual rate that grows as much as the returns do; -1 once everything is lost."""
    return cagr_of(wealth_of(_series("returns", returns)), 1.0, periods_per_year)


def cagr_of(equity: Floats, initial_cash: float, periods_per_year: float = 252.0) -> float:
    """Return the annual rate from the initial cash to the last of float64[n_bars] equity."""
    if equity.size == 0:
        return math.nan
    growth = float(equity[-1]) / initial_cash
    if math.isnan(growth):
        return math.nan
    years = equity.size / periods_per_year
    exponent = math.log(growth) / years if growth > 0.0 else -math.inf
    return math.exp(exponent) - 1.0 if exponent < 700.0 else math.nan


def max_drawdown(returns: ArrayLike) -> float:
    """Return the deepest fall from a peak of wealth, at most 0; the wealth before the first return is a peak."""
    return float(drawdown_nb(wealth_of(_series("returns", returns)), 1.0)[0])


def max_drawdown_bars(returns: ArrayLike) -> int:
    """Return the bars from the peak of the deepest drawdown until it is reached again, or to the last bar."""
    return int(drawdown_nb(wealth_of(_series("returns", returns)), 1.0)[1])


def calmar(returns: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return the annual growth rate / the size of the maximum drawdown."""
    return _ratio(cagr(returns, periods_per_year=periods_per_year), -max_drawdown(returns))


def skew(returns: ArrayLike) -> float:
    """Return the third standardised moment, divided by n (biased), as the probabilistic Sharpe ratio wants it."""
    mean, second, third, _ = moments_nb(_series("returns", returns))
    return _ratio(third, _spread(mean, second) ** 3)


def kurtosis(returns: ArrayLike) -> float:
    """Return the fourth standardised moment (Pearson: 3 for a normal), divided by n (biased)."""
    mean, second, _, fourth = moments_nb(_series("returns", returns))
    return _ratio(fourth, _spread(mean, second) ** 4)


def value_at_risk(returns: ArrayLike, *, tail_rate: float = 0.05) -> float:
    """Return the quantile of returns at the tail, linear between observations; a loss is negative."""
    return _quantile(np.sort(_series("returns", returns)), tail_rate)


def expected_shortfall(returns: ArrayLike, *, tail_rate: float = 0.05) -> float:
    """Return CVaR: the mean return of the worst tail, its last observation counted by its fraction.

    (x_1 + ... + x_k + (a n - k) x_{k+1}) / (a n) with k = floor(a n) over ascending returns, which is coherent
    (Acerbi and Tasche 2002); a loss is negative.
    """
    return _tail_mean(np.sort(_series("returns", returns)), tail_rate)


def tail_ratio(returns: ArrayLike) -> float:
    """Return the size of the 95th percentile of returns / that of the 5th."""
    ordered = np.sort(_series("returns", returns))
    return _ratio(abs(_quantile(ordered, 0.95)), abs(_quantile(ordered, 0.05)))


def trade_metrics(trades: NDArray[Any]) -> dict[str, float]:
    """Return the figures of closed trades (open ones are only counted).

    win_rate: share with a P&L above 0. profit_factor: sum of gains / sum of losses. expectancy: mean P&L (ccy).
    sqn: sqrt(n) x mean P&L / its deviation (ddof 1), the system quality number.
    """
    pnl = np.ascontiguousarray(trades["pnl"][~trades["is_open"]])
    above, below, _ = partial_moments_nb(pnl, 0.0)
    mean, second, _, _ = moments_nb(pnl)
    return {
        "n_trades": pnl.size,
        "n_open_trades": trades.size - pnl.size,
        "win_rate": float(np.count_nonzero(pnl > 0.0)) / pnl.size if pnl.size else math.nan,
        "profit_factor": _ratio(above, below),
        "expectancy": float(mean),
        "sqn": _ratio(mean, _deviation(mean, second, pnl.size)) * math.sqrt(pnl.size),
    }


def turnover(fills: NDArray[Any], equity: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return half the value traded a year / mean equity: 1 is a whole portfolio replaced once a year."""
    wealth = _series("equity", equity)
    if wealth.size == 0:
        return math.nan
    traded = float(np.abs(fills["quantity"] * fills["price"]).sum())
    return _ratio(0.5 * traded * periods_per_year / wealth.size, float(wealth.mean()))


def mean_exposure(exposure: ArrayLike, equity: ArrayLike) -> float:
    """Return the mean of gross exposure / equity over bars; undefined once equity is gone."""
    wealth = _series("equity", equity)
    if wealth.size == 0 or wealth.min() <= 0.0:
        return math.nan
    return float((_series("exposure", exposure) / wealth).mean())


def time_in_market(exposure: ArrayLike) -> float:
    """Return the share of bars that end with a position."""
    gross = _series("exposure", exposure)
    return float(np.count_nonzero(gross)) / gross.size if gross.size else math.nan


def wealth_of(returns: Floats) -> Floats:
    """Return what 1 grows to with float64[n_bars] returns."""
    wealth = np.empty_like(returns)
    growth_nb(returns, wealth)
    return wealth


def _series(name: str, values: ArrayLike) -> Floats:
    series = np.ascontiguousarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise InputError(f"{name} must have one axis [n_bars], had shape {series.shape}")
    return series


def _initial(returns: Floats, equity: Floats) -> float:
    return float(equity[0] / (1.0 + returns[0])) if returns.size and returns[0] > -1.0 else math.nan


def _spread(mean: float, second: float) -> float:
    """Return the deviation (ddof 0), or 0 where it is rounding of the mean."""
    spread = math.sqrt(second)
    return spread if spread >= _NO_VARIANCE * max(1.0, abs(mean)) else 0.0


def _deviation(mean: float, second: float, n: int) -> float:
    return _spread(mean, second) * math.sqrt(n / (n - 1)) if n > 1 else 0.0


def _ratio(above: float, below: float) -> float:
    ratio = float(above) / float(below) if below > 0.0 else math.nan
    return ratio if math.isfinite(ratio) else math.nan


def _quantile(ordered: Floats, share: float) -> float:
    # Sorting puts a NaN last.
    return float(quantile_nb(ordered, share)) if ordered.size and not math.isnan(ordered[-1]) else math.nan


def _tail_mean(ordered: Floats, share: float) -> float:
    return float(tail_mean_nb(ordered, share)) if ordered.size and not math.isnan(ordered[-1]) else math.nan
