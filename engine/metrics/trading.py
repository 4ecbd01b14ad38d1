"""Figures of trades, fills and exposure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.kernels.statistics import mean_and_variance_nb, mean_nb, partial_moments_nb
from engine.metrics.series import lanes_of
from engine.metrics.undefined import NO_RETURNS, Undefined, ratio, sample_spread
from engine.panels import Floats, records_of, series_of
from engine.settings import periods

_NO_TRADE = "no closed trade"
OF_TRADES = ("is_open", "pnl", "n_bars", "mae", "mfe")


def trade_metrics(trades: NDArray[Any]) -> dict[str, float]:
    """Return the figures of closed trades (`records.TRADE`; open ones are only counted).

    n_trades, n_open_trades; win_rate: share with a P&L above 0; profit_factor: sum of gains / sum of losses;
    expectancy: mean P&L (ccy); sqn: sqrt(n) x mean P&L / its deviation (ddof 1), the system quality number;
    average_win_ccy and average_loss_ccy: mean P&L of the trades above and below 0 (a loss is negative);
    average_trade_bars: mean bars from entry to exit; average_mae_ccy, average_mfe_ccy: mean worst (<= 0) and best
    (>= 0) open P&L on the way.
    """
    trades = records_of("trades", trades, OF_TRADES)
    closed = trades[~trades["is_open"]]
    pnl = np.ascontiguousarray(closed["pnl"])
    n, lanes = pnl.size, lanes_of()
    gains, losses, _ = partial_moments_nb(pnl, 0.0, lanes)
    mean, second = mean_and_variance_nb(pnl, lanes)
    n_wins, n_losses = int(np.count_nonzero(pnl > 0.0)), int(np.count_nonzero(pnl < 0.0))
    return {
        "n_trades": float(n),
        "n_open_trades": float(trades.size - n),
        "win_rate": ratio(n_wins, n, _NO_TRADE),
        "profit_factor": ratio(gains, losses, "no losing trade" if n else _NO_TRADE),
        "expectancy": float(mean) if n else Undefined(_NO_TRADE),
        "sqn": _quality(mean, second, n),
        "average_win_ccy": ratio(gains, n_wins, "no winning trade"),
        "average_loss_ccy": ratio(-losses, n_losses, "no losing trade"),
        "average_trade_bars": float(closed["n_bars"].mean()) if n else Undefined(_NO_TRADE),
        "average_mae_ccy": _average_excursion(closed["mae"]),
        "average_mfe_ccy": _average_excursion(closed["mfe"]),
    }


def traded_value(fills: NDArray[Any]) -> float:
    """Return the sum of |quantity x price| (ccy) of fills."""
    fills = records_of("fills", fills, ("quantity", "price"))
    return float(np.abs(fills["quantity"] * fills["price"]).sum())


def turnover(fills: NDArray[Any], equity: ArrayLike, *, periods_per_year: float = 252.0) -> float:
    """Return half the value traded a year / mean equity: 1 is a whole portfolio replaced once a year."""
    return turnover_of(traded_value(fills), series_of("equity", equity), periods(periods_per_year))


def turnover_of(value_ccy: float, equity: Floats, periods_per_year: float) -> float:
    """Return `turnover` from the value traded (ccy) and float64[n_bars] equity."""
    if equity.size == 0:
        return Undefined(NO_RETURNS)
    mean = float(mean_nb(equity, lanes_of()))
    return ratio(0.5 * value_ccy * periods_per_year / equity.size, mean, "mean equity is not positive")


def mean_exposure(exposure: ArrayLike, equity: ArrayLike) -> float:
    """Return the mean of gross exposure / equity over bars; undefined once equity is gone."""
    wealth = series_of("equity", equity)
    gross = series_of("exposure", exposure, wealth.size)
    if wealth.size == 0:
        return Undefined(NO_RETURNS)
    if not wealth.min() > 0.0:
        return Undefined("equity is not positive at every bar")
    with np.errstate(over="ignore"):
        mean = float(mean_nb(gross / wealth, lanes_of()))
    return mean if math.isfinite(mean) else Undefined("exposure or equity is not a finite number")


def time_in_market(exposure: ArrayLike) -> float:
    """Return the share of bars that end with a position."""
    gross = series_of("exposure", exposure)
    return ratio(float(np.count_nonzero(gross)), gross.size, NO_RETURNS)


def _quality(mean: float, second: float, n: int) -> float:
    if n < 2:
        return Undefined("fewer than two closed trades")
    quality = ratio(mean, sample_spread(mean, second, n), "no variance in the trades' P&L")
    return quality if isinstance(quality, Undefined) else quality * math.sqrt(n)


def _average_excursion(excursions: Floats) -> float:
    if excursions.size == 0:
        return Undefined(_NO_TRADE)
    mean = float(excursions.mean())
    return mean if mean == mean else Undefined("no highs and lows were given")
