"""How much a Sharpe ratio can be trusted, after how many trials.

Sharpe ratios are per bar (not annual) unless said otherwise, kurtosis is Pearson's (3 for a normal): using the
excess instead is a mistake found in several libraries, and moves the result by little enough to stay unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import InputError
from engine.panels import Floats

_NORMAL = NormalDist()
_EULER_GAMMA = 0.5772156649015329
# Cells of one matrix of resampled returns held at a time.
_CELLS = 1 << 20


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


def effective_trials(n_trials: int, mean_correlation: float) -> float:
    """Return how many independent trials n trials are worth whose returns correlate by so much on average.

    rho + (1 - rho) n, Bailey and Lopez de Prado (2014): deflate with it and with all trials, and show both.
    """
    _check_count("n_trials", n_trials, 1)
    if not 0.0 <= mean_correlation <= 1.0:
        raise InputError(f"mean_correlation must be between 0 and 1, was {mean_correlation}")
    return mean_correlation + (1.0 - mean_correlation) * n_trials


def annual_factor(periods_per_year: int, autocorrelations: Sequence[float] = ()) -> float:
    """Return what a per-bar Sharpe ratio is multiplied by to be annual, given the returns' autocorrelations.

    q / sqrt(q + 2 sum over k < q of (q - k) rho_k) for q bars a year, rho_k from lag 1 on and 0 past the end;
    independent returns: sqrt(q). Lo (2002).
    """
    _check_count("periods_per_year", periods_per_year, 1)
    q = periods_per_year
    scale = q + 2.0 * sum((q - lag) * rho for lag, rho in enumerate(autocorrelations[: q - 1], start=1))
    if not 0.0 < scale < math.inf:
        raise InputError(f"autocorrelations must be those of a process, gave a variance of {scale} bars a year")
    return q / math.sqrt(scale)


def bootstrap_sharpe(
    returns: ArrayLike,
    *,
    seed: int,
    n_samples: int = 2_000,
    mean_block_bars: float = 10.0,
    periods_per_year: float = 252.0,
) -> Floats:
    """Return annual Sharpe ratios float64[n_samples] of returns drawn anew in blocks; quantiles of them are bands.

    The stationary bootstrap (Politis and Romano 1994, JASA 89): blocks begin anywhere and have geometric lengths, so
    that what returns have to do with those just before them is kept. A sample without variance is NaN. The same seed
    gives the same samples.

    Parameters
    ----------
    returns : float64[n_bars]
    seed : int
        Of NumPy's default generator.
    mean_block_bars : float
        At least 1 (independent draws); longer where returns are autocorrelated.

    Raises
    ------
    InputError
        Returns are not finite or fewer than two; or a setting is out of its range.
    """
    series = np.ascontiguousarray(returns, dtype=np.float64)
    if series.ndim != 1 or series.size < 2 or not np.isfinite(series).all():
        raise InputError(f"returns must be two or more finite numbers on one axis, had shape {series.shape}")
    _check_count("n_samples", n_samples, 1)
    _check_count("mean_block_bars", mean_block_bars, 1)
    generator = np.random.default_rng(seed)
    sharpes = np.empty(n_samples)
    n_at_once = max(1, _CELLS // series.size)
    for first in range(0, n_samples, n_at_once):
        drawn = series[_blocks(generator, min(n_at_once, n_samples - first), series.size, mean_block_bars)]
        deviation = drawn.std(axis=1, ddof=1)
        is_flat = deviation < 1e-12
        sharpes[first : first + n_at_once] = np.where(
            is_flat, np.nan, drawn.mean(axis=1) / np.where(is_flat, 1.0, deviation)
        )
    return sharpes * math.sqrt(periods_per_year)


def _blocks(generator: np.random.Generator, n_samples: int, n: int, mean_block_bars: float) -> np.ndarray:
    """Return int64[n_samples, n] places of the stationary bootstrap; the series is a ring."""
    bars = np.arange(n)
    starts = generator.integers(0, n, (n_samples, n))
    begins = generator.random((n_samples, n)) < 1.0 / mean_block_bars
    begins[:, 0] = True
    begun = np.maximum.accumulate(np.where(begins, bars, 0), axis=1)
    places: np.ndarray = (np.take_along_axis(starts, begun, axis=1) + bars - begun) % n
    return places


def _variance_factor(sharpe: float, skew: float, kurtosis: float) -> float:
    factor = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not 0.0 < factor < math.inf:
        raise InputError(
            "sharpe, skew and kurtosis must belong to one distribution (kurtosis >= 1 + skew^2, Pearson), "
            f"were {sharpe}, {skew} and {kurtosis}"
        )
    return factor


def _check_count(name: str, value: float, least: int) -> None:
    if not value >= least or not math.isfinite(value):
        raise InputError(f"{name} must be at least {least}, was {value}")
