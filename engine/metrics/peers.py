"""Our figures as other libraries state them: what to expect when a result is compared with theirs.

`STATEMENTS` is the table: by peer and figure, the peer's definition, how it differs from ours, and a function that
computes it. Risk-free rate and required return are zero. Read in vectorbt 1.2.0, backtesting.py 0.6.6, LEAN (2026),
empyrical-reloaded 0.7.1 and quantstats 0.0.86; a figure that is infinite there is infinite here too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine import metrics as ours
from engine.panels import Floats, records_of, series_of
from engine.settings import listed, periods, shown

_NORMAL = NormalDist()
_SAME = "none"
_OF_TRADES = ("profit_factor", "expectancy")
_FIELDS = ("pnl", "return_rate", "is_open")


class Statement(NamedTuple):
    """How a peer states a figure."""

    definition: str
    difference: str  # from ours; "none" where the figures are equal wherever ours is defined
    compute: Callable[[Any, float], float]  # of returns (trades, for the figures of trades) and periods a year


def stated_as(peer: str, figure: str, records: ArrayLike | NDArray[Any], *, periods_per_year: float = 252.0) -> float:
    """Return one of our figures as a peer states it.

    Parameters
    ----------
    peer : vectorbt, backtesting.py, lean, empyrical or quantstats
    figure : name of one of our figures that the peer has
    records : float64[n_bars] returns, the first against the initial cash; for profit_factor and expectancy, trades
        (`records.TRADE`)
    periods_per_year : bars a year; the peers' defaults are 365 (vectorbt) and 252 (the others)

    Raises
    ------
    InputError
        No such peer, or it has no such figure; or the records are neither returns nor trades, as the figure needs.
    """
    statements = STATEMENTS[listed(f"no peer {shown(peer)}", peer, STATEMENTS)]
    statement = statements[listed(f"{peer} has no figure {shown(figure)}", figure, statements)]
    is_of_trades = figure in _OF_TRADES
    given = records_of("trades", records, _FIELDS) if is_of_trades else series_of("returns", records)
    a_year = periods(periods_per_year)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"), warnings.catch_warnings():
        # NumPy warns of means of nothing, which are NaN; Python raises where NumPy would say inf or NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return float(statement.compute(given, a_year)) if given.size or is_of_trades else math.nan
        except ArithmeticError:
            return math.nan


def _sharpe(returns: Floats, periods: float) -> float:
    return float(np.mean(returns) / np.std(returns, ddof=1) * math.sqrt(periods))


def _sortino(returns: Floats, periods: float) -> float:
    return float(np.mean(returns) / np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) * math.sqrt(periods))


def _omega(returns: Floats, _: float) -> float:
    return float(np.sum(returns[returns > 0.0]) / abs(np.sum(returns[returns < 0.0])))


def _drawdown_without_initial(returns: Floats, _: float = 0.0) -> float:
    wealth = np.cumprod(1.0 + returns)
    return float((wealth / np.maximum.accumulate(wealth) - 1.0).min())


def _vectorbt_calmar(returns: Floats, periods: float) -> float:
    depth = _drawdown_without_initial(returns)
    growth = np.prod(1.0 + returns) ** (periods / returns.size) - 1.0
    return float(growth / -depth) if depth != 0.0 else math.nan


def _smallest_mean(returns: Floats, _: float) -> float:
    return float(np.sort(returns)[: int((returns.size - 1) * 0.05) + 1].mean())


def _daily_growth(returns: Floats) -> float:
    """backtesting.py's geometric mean: equity begins with the first bar's end, so it knows no return before."""
    known = returns[1:]
    return float(np.exp(np.log1p(known).mean()) - 1.0) if (known > -1.0).all() else 0.0


def _compound_return(returns: Floats, periods: float) -> float:
    return float((1.0 + _daily_growth(returns)) ** periods - 1.0)


def _compound_volatility(returns: Floats, periods: float) -> float:
    growth = 1.0 + _daily_growth(returns)
    return float(np.sqrt((np.var(returns[1:], ddof=1) + growth**2) ** periods - growth ** (2.0 * periods)))


def _compound_sharpe(returns: Floats, periods: float) -> float:
    return _compound_return(returns, periods) / (_compound_volatility(returns, periods) or math.nan)


def _compound_sortino(returns: Floats, periods: float) -> float:
    shortfall = np.sqrt(np.mean(np.minimum(returns[1:], 0.0) ** 2)) * math.sqrt(periods)
    return float(np.float64(_compound_return(returns, periods)) / shortfall)


def _compound_calmar(returns: Floats, periods: float) -> float:
    return _compound_return(returns, periods) / (-_drawdown_without_initial(returns) or math.nan)


def _lean_growth(returns: Floats, periods: float) -> float:
    return float((1.0 + np.mean(returns)) ** periods - 1.0)


def _lean_sharpe(returns: Floats, periods: float) -> float:
    deviation = math.sqrt(np.var(returns, ddof=1) * periods)
    return _lean_growth(returns, periods) / deviation if deviation else 0.0


def _lean_sortino(returns: Floats, periods: float) -> float:
    below = returns[returns < 0.0]
    deviation = math.sqrt(np.var(below, ddof=1) * periods) if below.size > 1 else 0.0
    return _lean_growth(returns, periods) / deviation if deviation else 0.0


def _normal_quantile(returns: Floats, _: float = 0.0) -> float:
    return float(np.mean(returns) + np.std(returns, ddof=1) * _NORMAL.inv_cdf(0.05))


def _normal_tail_mean(returns: Floats, _: float) -> float:
    density = _NORMAL.pdf(_NORMAL.inv_cdf(0.05))
    return float(np.mean(returns) - np.std(returns, ddof=1) * density / 0.05)


def _unbiased_skew(returns: Floats, _: float) -> float:
    n = returns.size
    return ours.skew(returns) * math.sqrt(n * (n - 1)) / (n - 2)


def _unbiased_excess(returns: Floats, _: float) -> float:
    n = returns.size
    excess = (n + 1) * (ours.kurtosis(returns) - 3.0) + 6.0
    return excess * (n - 1) / ((n - 2) * (n - 3))


def _closed(trades: NDArray[Any], field: str) -> Floats:
    values: Floats = trades[field][~trades["is_open"]]
    return values


def _rate_profit_factor(trades: NDArray[Any], _: float) -> float:
    rates = _closed(trades, "return_rate")
    return float(rates[rates > 0.0].sum() / (-rates[rates < 0.0].sum() or math.nan))


def _pnl_profit_factor(trades: NDArray[Any], _: float) -> float:
    pnl = _closed(trades, "pnl")
    return float(pnl[pnl > 0.0].sum() / abs(pnl[pnl < 0.0].sum()))


def _lean_expectancy(trades: NDArray[Any], _: float) -> float:
    rates = _closed(trades, "return_rate")
    wins, losses = rates[rates > 0.0], rates[rates <= 0.0]
    if rates.size == 0:
        return 0.0
    loss = -losses.mean() if losses.size else 0.0
    payoff = wins.mean() / loss if wins.size and loss else 0.0
    return float(wins.size / rates.size * payoff - losses.size / rates.size)


def _ours(figure: Callable[..., float], is_annual: bool = True) -> Callable[[Floats, float], float]:
    if not is_annual:
        return lambda returns, _: figure(returns)
    return lambda returns, periods: figure(returns, periods_per_year=periods)


_ARITHMETIC = "mean / deviation (ddof 1) x sqrt(periods)"
_SHORTFALL = "mean / root mean square of min(return, 0) x sqrt(periods)"
_PERCENTILE = "5th percentile, linear"
_SMALLEST = "mean of the int((n - 1) x 0.05) + 1 lowest returns"
_COUNTED = "whole returns only, where ours counts the last one by its fraction"
_NO_INITIAL = "the initial cash is no peak: a loss on the first bar is not seen"
_FIRST_BAR = "the return of the first bar is not known to it"

STATEMENTS: dict[str, dict[str, Statement]] = {
    "vectorbt": {
        "sharpe": Statement(_ARITHMETIC, "infinite without variance; a year has 365 days by default", _sharpe),
        "sortino": Statement(_SHORTFALL, "infinite without a loss", _sortino),
        "volatility": Statement("deviation (ddof 1) x sqrt(periods)", _SAME, _ours(ours.volatility)),
        "cagr": Statement("product of (1 + return) ^ (periods / n) - 1", _SAME, _ours(ours.cagr)),
        "max_drawdown": Statement("lowest wealth / running peak - 1", _NO_INITIAL, _drawdown_without_initial),
        "calmar": Statement("cagr / size of max_drawdown", _NO_INITIAL, _vectorbt_calmar),
        "omega": Statement("sum of gains / sum of losses", "infinite without a loss", _omega),
        "var_95": Statement(_PERCENTILE, _SAME, _ours(ours.value_at_risk, is_annual=False)),
        "cvar_95": Statement(_SMALLEST, _COUNTED, _smallest_mean),
        "tail_ratio": Statement("|95th| / |5th percentile|", _SAME, _ours(ours.tail_ratio, is_annual=False)),
        "profit_factor": Statement("gains / losses of P&L", "infinite without a loss", _pnl_profit_factor),
    },
    "backtesting.py": {
        "cagr": Statement("(1 + geometric mean) ^ periods - 1", _FIRST_BAR, _compound_return),
        "volatility": Statement(
            "sqrt((variance + g^2) ^ periods - g ^ (2 periods)), g = 1 + geometric mean",
            f"that of compounded returns; {_FIRST_BAR}",
            _compound_volatility,
        ),
        "sharpe": Statement("its cagr / its volatility", "geometric, and of compounded returns", _compound_sharpe),
        "sortino": Statement(
            "its cagr / (root mean square of min(return, 0) x sqrt(periods))", "geometric numerator", _compound_sortino
        ),
        "max_drawdown": Statement("lowest equity / running peak - 1", _NO_INITIAL, _drawdown_without_initial),
        "calmar": Statement("its cagr / size of its max_drawdown", _NO_INITIAL, _compound_calmar),
        "profit_factor": Statement("gains / losses of trades' returns", "of returns, not of P&L", _rate_profit_factor),
        "expectancy": Statement(
            "mean return of trades", "a rate, not ccy", lambda trades, _: float(np.mean(_closed(trades, "return_rate")))
        ),
    },
    "lean": {
        "sharpe": Statement(
            "((1 + mean) ^ periods - 1) / (deviation (ddof 1) x sqrt(periods))",
            "compounded numerator; 0 without variance",
            _lean_sharpe,
        ),
        "sortino": Statement(
            "((1 + mean) ^ periods - 1) / (deviation (ddof 1) of the negative returns x sqrt(periods))",
            "compounded numerator; the spread among losses instead of their size; 0 where undefined",
            _lean_sortino,
        ),
        "volatility": Statement("deviation (ddof 1) x sqrt(periods)", _SAME, _ours(ours.volatility)),
        "max_drawdown": Statement(
            "1 - lowest equity / running peak", "positive", lambda returns, _: -ours.max_drawdown(returns)
        ),
        "expectancy": Statement(
            "win rate x mean win / mean loss - loss rate, of trades' returns", "a ratio, not ccy", _lean_expectancy
        ),
    },
    "empyrical": {
        "sharpe": Statement(_ARITHMETIC, "infinite or of rounding without variance", _sharpe),
        "sortino": Statement(_SHORTFALL, "infinite without a loss", _sortino),
        "volatility": Statement("deviation (ddof 1) x sqrt(periods)", _SAME, _ours(ours.volatility)),
        "cagr": Statement("wealth ^ (periods / n) - 1", _SAME, _ours(ours.cagr)),
        "max_drawdown": Statement("lowest wealth / running peak - 1", _SAME, _ours(ours.max_drawdown, is_annual=False)),
        "calmar": Statement("cagr / size of max_drawdown", _SAME, _ours(ours.calmar)),
        "omega": Statement("sum of gains / sum of losses", _SAME, _ours(ours.omega, is_annual=False)),
        "var_95": Statement(_PERCENTILE, _SAME, _ours(ours.value_at_risk, is_annual=False)),
        "cvar_95": Statement(_SMALLEST, _COUNTED, _smallest_mean),
        "tail_ratio": Statement("|95th| / |5th percentile|", _SAME, _ours(ours.tail_ratio, is_annual=False)),
    },
    "quantstats": {
        "sharpe": Statement(_ARITHMETIC, "of rounding (1e16) without variance", _sharpe),
        "sortino": Statement(_SHORTFALL, _SAME, _ours(ours.sortino)),
        "volatility": Statement("deviation (ddof 1) x sqrt(periods)", _SAME, _ours(ours.volatility)),
        "cagr": Statement("wealth ^ (periods / n) - 1", _SAME, _ours(ours.cagr)),
        "max_drawdown": Statement("lowest wealth / running peak - 1", _SAME, _ours(ours.max_drawdown, is_annual=False)),
        "calmar": Statement("cagr / size of max_drawdown", _SAME, _ours(ours.calmar)),
        "omega": Statement("sum of gains / sum of losses", _SAME, _ours(ours.omega, is_annual=False)),
        "skew": Statement("third standardised moment, unbiased", "unbiased", _unbiased_skew),
        "kurtosis": Statement("fourth standardised moment - 3, unbiased", "excess, unbiased", _unbiased_excess),
        "var_95": Statement("5 % quantile of a normal with the returns' moments", "parametric", _normal_quantile),
        "cvar_95": Statement("mean of that normal below its 5 % quantile", "parametric", _normal_tail_mean),
        "tail_ratio": Statement("|95th| / |5th percentile|", _SAME, _ours(ours.tail_ratio, is_annual=False)),
    },
}
