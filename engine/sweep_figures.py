"""Figures of many runs at once, from the sums that were kept of each; to the last bit those of `engine.metrics`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from engine.errors import InputError
from engine.kernels import sweeping as column
from engine.metrics import Metrics
from engine.metrics import definitions as define
from engine.metrics.undefined import _ROUNDING, ratio
from engine.panels import Floats
from engine.records import TRADE
from engine.settings import listed, several, shown

_MOST_NAMES = 1_000


class Runs(NamedTuple):
    """Sums of runs that began with the same cash and had the same bars."""

    sums: Floats  # [n_trials, N_SUMS]
    initial_cash: float
    n_bars: int
    periods_per_year: float


def _defined(values: Floats) -> Floats:
    """Return figures, NaN instead of what is not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return `undefined.ratio` of many."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _defined(np.where(below > 0.0, above / below, np.nan))


def _each(function: Callable[..., float], *columns: Floats) -> Floats:
    """Return a figure that is computed one by one: its bits hang on the functions of Python's mathematics."""
    return np.array([function(*row) for row in zip(*(values.tolist() for values in columns), strict=True)])


def _total_return(runs: Runs) -> Floats:
    return _defined(runs.sums[:, column.LAST] / runs.initial_cash - 1.0)


def _cagr(runs: Runs) -> Floats:
    years = runs.n_bars / runs.periods_per_year
    return _each(lambda last: define.growth_rate(last, runs.initial_cash, years), runs.sums[:, column.LAST])


def _mean_return(runs: Runs) -> Floats:
    return _defined(runs.sums[:, column.MEAN])


def _volatility(runs: Runs) -> Floats:
    n = runs.n_bars
    return _each(lambda second: define.annual_volatility(second, n, runs.periods_per_year), runs.sums[:, column.SECOND])


def _sharpe(runs: Runs) -> Floats:
    # `define.annual_sharpe` of many: the figure that most sweeps ask for.
    mean, second, n = runs.sums[:, column.MEAN], runs.sums[:, column.SECOND], runs.n_bars
    if n < 2:
        return np.full(mean.size, np.nan)
    deviation = np.sqrt(second)
    deviation[deviation < _ROUNDING * np.maximum(1.0, np.abs(mean))] = 0.0
    return _ratio(mean, deviation * math.sqrt(n / (n - 1))) * math.sqrt(runs.periods_per_year)


def _sortino(runs: Runs) -> Floats:
    def sortino(above: float, below: float, squares: float) -> float:
        return define.annual_sortino(above, below, squares, runs.n_bars, runs.periods_per_year)

    return _each(sortino, *(runs.sums[:, i] for i in (column.ABOVE, column.BELOW, column.SQUARES)))


def _omega(runs: Runs) -> Floats:
    return _ratio(runs.sums[:, column.ABOVE], runs.sums[:, column.BELOW])


def _max_drawdown(runs: Runs) -> Floats:
    return _defined(runs.sums[:, column.DEPTH])


def _calmar(runs: Runs) -> Floats:
    return _ratio(_cagr(runs), -_max_drawdown(runs))


def _skew(runs: Runs) -> Floats:
    return _standardised(runs, column.THIRD, 3)


def _kurtosis(runs: Runs) -> Floats:
    return _standardised(runs, column.FOURTH, 4)


def _standardised(runs: Runs, moment: int, power: int) -> Floats:
    def figure(value: float, mean: float, second: float) -> float:
        return define.standardised(value, mean, second, power, runs.n_bars)

    return _each(figure, *(runs.sums[:, i] for i in (moment, column.MEAN, column.SECOND)))


def _n_fills(runs: Runs) -> Floats:
    return runs.sums[:, column.N_FILLS].copy()


def _turnover(runs: Runs) -> Floats:
    yearly = 0.5 * runs.sums[:, column.TRADED] * runs.periods_per_year / runs.n_bars
    return _ratio(yearly, runs.sums[:, column.MEAN_EQUITY])


def _costs(runs: Runs) -> Floats:
    return _each(lambda *parts: sum(parts), *(runs.sums[:, i] for i in range(column.COMMISSION, column.IMPACT + 1)))


def _exposure(runs: Runs) -> Floats:
    return _defined(runs.sums[:, column.MEAN_EXPOSURE])


def _time_in_market(runs: Runs) -> Floats:
    return _each(lambda n: ratio(n, runs.n_bars, ""), runs.sums[:, column.N_EXPOSED])


class _Figure(NamedTuple):
    of: Callable[[Runs], Floats]
    asks: int = 0


# In the order of `Metrics`.
_FIGURES: dict[str, _Figure] = {
    "total_return": _Figure(_total_return),
    "cagr": _Figure(_cagr),
    "mean_return": _Figure(_mean_return, column.RETURNS),
    "volatility": _Figure(_volatility, column.RETURNS),
    "sharpe": _Figure(_sharpe, column.RETURNS),
    "sortino": _Figure(_sortino, column.SIDES),
    "calmar": _Figure(_calmar, column.DEPTHS),
    "max_drawdown": _Figure(_max_drawdown, column.DEPTHS),
    "skew": _Figure(_skew, column.SHAPE),
    "kurtosis": _Figure(_kurtosis, column.SHAPE),
    "omega": _Figure(_omega, column.SIDES),
    "n_fills": _Figure(_n_fills),
    "turnover": _Figure(_turnover, column.EQUITIES),
    "costs_ccy": _Figure(_costs),
    "exposure": _Figure(_exposure, column.EXPOSURES),
    "time_in_market": _Figure(_time_in_market, column.EXPOSURES),
}
DEFAULT = tuple(name for name in _FIGURES if name not in ("mean_return", "omega"))


def checked(names: Iterable[str] | None) -> tuple[str, ...]:
    """Return the figures to compute, each once; raises `InputError` naming one that there is not."""
    if names is None:
        return DEFAULT
    if isinstance(names, str):
        raise InputError(f"metrics must be several names such as ({names!r},), was {names!r}")
    known = all_names()
    given = several(f"metrics must be names such as ['sharpe'], was {shown(names)}", names, most=_MOST_NAMES)
    chosen = tuple(dict.fromkeys(listed(f"no figure {shown(name)}", name, known) for name in given))
    if not chosen:
        raise InputError("metrics must name at least one figure, named none")
    return chosen


def all_names() -> tuple[str, ...]:
    """Return all figures of a run by name."""
    nothing, none = np.empty(0), np.empty(0, dtype=TRADE)
    return tuple(
        Metrics(nothing, initial_cash=1.0, exposure=nothing, trades=none, n_fills=0.0, traded_value=0.0, costs=0.0)
    )


def are_sums_enough(names: Sequence[str]) -> bool:
    """Return whether figures can be had from sums: without sorting returns and without looking at trades."""
    return all(name in _FIGURES for name in names)


def asked_by(names: Sequence[str]) -> int:
    """Return what sums figures need, as bits of `kernels.sweeping`."""
    asked = 0
    for name in names:
        asked |= _FIGURES[name].asks
    return asked


def figures_of(names: Sequence[str], runs: Runs) -> dict[str, Floats]:
    """Return float64[n_trials] of each figure."""
    return {name: _FIGURES[name].of(runs) for name in names}
