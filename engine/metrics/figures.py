"""All figures of given series."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import ArrayLike, NDArray

from engine.metrics.mapping import Metrics
from engine.metrics.series import initial, wealth_of
from engine.metrics.trading import OF_TRADES, traded_value
from engine.panels import records_of, series_of


def metrics(
    returns: ArrayLike,
    *,
    equity: ArrayLike | None = None,
    initial_cash: float | None = None,
    trades: NDArray[Any] | None = None,
    fills: NDArray[Any] | None = None,
    exposure: ArrayLike | None = None,
    benchmark: ArrayLike | None = None,
    periods_per_year: float = 252.0,
) -> Metrics:
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
    benchmark : float64[n_bars], optional
        Return of each bar: adds alpha, beta, information ratio, tracking error and correlation.
    periods_per_year : float
        Bars a year.

    Raises
    ------
    InputError
        A series does not hold numbers on one axis, or not one a return; trades or fills are no records of these.
    """
    series = series_of("returns", returns)
    n_bars = series.size
    wealth = wealth_of(series) if equity is None else series_of("equity", equity, n_bars)
    if initial_cash is not None:
        first = initial(initial_cash)
    elif equity is None or n_bars == 0:
        first = 1.0
    else:
        first = float(wealth[0] / (1.0 + series[0])) if series[0] > -1.0 else math.nan
    return Metrics(
        wealth,
        initial_cash=first,
        returns=series,
        exposure=None if exposure is None else series_of("exposure", exposure, n_bars),
        trades=None if trades is None else records_of("trades", trades, OF_TRADES),
        n_fills=None if fills is None else records_of("fills", fills, ("quantity", "price")).size,
        traded_value=None if fills is None else traded_value(fills),
        benchmark=None if benchmark is None else series_of("benchmark", benchmark, n_bars),
        periods_per_year=periods_per_year,
    )
