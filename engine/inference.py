"""How much a Sharpe ratio can be trusted, after how many trials.

Sharpe ratios are per bar (not annual) unless said otherwise, kurtosis is Pearson's (3 for a normal): using the
excess instead is a mistake found in several libraries, and moves the result by little enough to stay unseen.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from engine.errors import InputError

_NORMAL = NormalDist()
_EULER_GAMMA = 0.5772156649015329


def sharpe_error(sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Return the standard error of a Sharpe ratio measured over n bars.

    sqrt((1 - skew SR + (kurtosis - 1) / 4 SR^2) / n); with normal returns Lo's (2002, FAJ 58:4)
    sqrt((1 + SR^2 / 2) / n). Returns are taken as independent.
    """
    _check_count("n", n, 1)
    return math.sqrt(_variance_factor(sharpe, skew, kurtosis) / n)


def probabilistic_sharpe(
    sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio is above a benchmark.

    Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15:2.
    """
    _check_count("n", n, 2)
    deviation = math.sqrt(_variance_factor(sharpe, skew, kurtosis))
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n - 1) / deviation)


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of n trials without any skill is expected to show.

    `variance` is that of the trials' Sharpe ratios. Bailey and Lopez de Prado (2014); one trial: 0.
    """
    _check_count("n_trials", n_trials, 1)
    if not 0.0 <= variance < math.inf:
        raise InputError(f"variance must be zero or positive, and finite, was {variance}")
    if n_trials == 1:
        return 0.0
    typical = _NORMAL.inv_cdf(1.0 - 1.0 / n_trials)
    beyond = _NORMAL.inv_cdf(1.0 - 1.0 / (n_trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER_GAMMA) * typical + _EULER_GAMMA * beyond)


def deflated_sharpe(sharpe: float, n: int, skew: float, kurtosis: float, n_trials: int, variance: float) -> float:
    """Return the probability that the true Sharpe ratio is above what the best of n trials shows by luck.

    `n_trials` counts every parameter set ever tried, `variance` is that of their Sharpe ratios. Bailey and
    Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40:5.
    """
    return probabilistic_sharpe(sharpe, n, skew, kurtosis, expected_maximum_sharpe(n_trials, variance))


def minimum_track_record(
    sharpe: float, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the bars needed to tell a Sharpe ratio from a benchmark; NaN where it is not above it.

    1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (z / (SR - benchmark))^2, Bailey and Lopez de Prado (2012).
    """
    if not 0.5 < confidence < 1.0:
        raise InputError(f"confidence must be between 0.5 and 1, was {confidence}")
    factor = _variance_factor(sharpe, skew, kurtosis)
    if not sharpe > benchmark:
        return math.nan
    return 1.0 + factor * (_NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def minimum_backtest_length(n_trials: int, sharpe: float = 1.0) -> float:
    """Return the years below which the best of n trials without skill is expected to show an ANNUAL Sharpe ratio.

    Bailey, Borwein, Lopez de Prado and Zhu (2014), Notices of the AMS 61:5.
    """
    if not 0.0 < sharpe < math.inf:
        raise InputError(f"sharpe must be positive and finite, was {sharpe}")
    return (expected_maximum_sharpe(n_trials, 1.0) / sharpe) ** 2


def _variance_factor(sharpe: float, skew: float, kurtosis: float) -> float:
    factor = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not 0.0 < factor < math.inf:
        raise InputError(
            "sharpe, skew and kurtosis must belong to one distribution (kurtosis >= 1 + skew^2, Pearson), "
            f"were {sharpe}, {skew} and {kurtosis}"
        )
    return factor


def _check_count(name: str, value: int, least: int) -> None:
    if not value >= least or not math.isfinite(value):
        raise InputError(f"{name} must be at least {least}, was {value}")
