"""How much a Sharpe ratio can be trusted, after how many trials.

Sharpe ratios are per bar (not annual) unless said otherwise, kurtosis is Pearson's (3 for a normal): using the
excess instead is a mistake found in several libraries, and moves the result by little enough to stay unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.bounds import MOST, MOST_SAMPLES, MOST_SEED
from engine.errors import InputError
from engine.panels import Floats, series_of
from engine.settings import LARGEST, SMALLEST, number, periods, whole

_NORMAL = NormalDist()
_EULER_GAMMA = 0.5772156649015329
_ABOVE_HALF, _BELOW_ONE = math.nextafter(0.5, 1.0), math.nextafter(1.0, 0.0)
# Cells of one matrix of resampled returns held at a time.
_CELLS = 1 << 20


def sharpe_error(sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Return the standard error of a Sharpe ratio measured over n bars.

    sqrt((1 - skew SR + (kurtosis - 1) / 4 SR^2) / n); with normal returns Lo's (2002, FAJ 58:4)
    sqrt((1 + SR^2 / 2) / n). Returns are taken as independent.
    """
    return math.sqrt(_variance_factor(sharpe, skew, kurtosis) / _count("n", n, 1))


def probabilistic_sharpe(
    sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio is above a benchmark.

    Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15:2.
    """
    n_free = _count("n", n, 2) - 1.0
    deviation = math.sqrt(_variance_factor(sharpe, skew, kurtosis))
    distance = float(sharpe) - _figure("benchmark", benchmark)
    return _NORMAL.cdf(distance * math.sqrt(n_free) / deviation)


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of n trials without any skill is expected to show.

    `variance` is that of the trials' Sharpe ratios. Bailey and Lopez de Prado (2014); one trial: 0.
    """
    n = _count("n_trials", n_trials, 1)
    spread = math.sqrt(number("variance", variance, low=0.0, high=LARGEST, rule="zero or positive, and finite"))
    if n == 1.0:
        return 0.0
    # The upper tail as the lower one turned round: 1 - 1 / n is 1 for many trials.
    typical = -_NORMAL.inv_cdf(1.0 / n)
    beyond = -_NORMAL.inv_cdf(1.0 / n / math.e)
    return spread * ((1.0 - _EULER_GAMMA) * typical + _EULER_GAMMA * beyond)


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
    share = number("confidence", confidence, low=_ABOVE_HALF, high=_BELOW_ONE, rule="between 0.5 and 1")
    factor = _variance_factor(sharpe, skew, kurtosis)
    distance = float(sharpe) - _figure("benchmark", benchmark)
    if not distance > 0.0:
        return math.nan
    needed = _NORMAL.inv_cdf(share) / distance
    return 1.0 + factor * needed * needed


def minimum_backtest_length(n_trials: int, sharpe: float = 1.0) -> float:
    """Return the years below which the best of n trials without skill is expected to show an ANNUAL Sharpe ratio.

    Bailey, Borwein, Lopez de Prado and Zhu (2014), Notices of the AMS 61:5.
    """
    wanted = number("sharpe", sharpe, low=SMALLEST, high=LARGEST, rule="positive and finite")
    years = expected_maximum_sharpe(n_trials, 1.0) / wanted
    return years * years


def effective_trials(n_trials: int, mean_correlation: float) -> float:
    """Return how many independent trials n trials are worth whose returns correlate by so much on average.

    rho + (1 - rho) n, Bailey and Lopez de Prado (2014): deflate with it and with all trials, and show both.
    """
    n = _count("n_trials", n_trials, 1)
    common = number("mean_correlation", mean_correlation, low=0.0, high=1.0, rule="between 0 and 1")
    return common + (1.0 - common) * n


def annual_factor(periods_per_year: int, autocorrelations: Sequence[float] = ()) -> float:
    """Return what a per-bar Sharpe ratio is multiplied by to be annual, given the returns' autocorrelations.

    q / sqrt(q + 2 sum over k < q of (q - k) rho_k) for q bars a year, rho_k from lag 1 on and 0 past the end;
    independent returns: sqrt(q). Lo (2002).
    """
    q = whole("periods_per_year", periods_per_year, low=1)
    known = series_of("autocorrelations", autocorrelations)[: q - 1].tolist()
    scale = q + 2.0 * sum((q - lag) * rho for lag, rho in enumerate(known, start=1))
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
        Of NumPy's default generator, 0 to 2**63 - 1.
    mean_block_bars : float
        At least 1 (independent draws); longer where returns are autocorrelated.

    Raises
    ------
    InputError
        Returns are not finite or fewer than two; or a setting is out of its range.
    """
    series = series_of("returns", returns)
    if series.size < 2 or not (np.abs(series) <= MOST).all():
        raise InputError(f"returns must be two or more finite numbers on one axis, had shape {series.shape}")
    n_samples = whole("n_samples", n_samples, low=1, high=MOST_SAMPLES)
    mean_block_bars = _count("mean_block_bars", mean_block_bars, 1)
    scale = math.sqrt(periods(periods_per_year))
    generator = np.random.default_rng(whole("seed", seed, low=0, high=MOST_SEED))
    sharpes = np.empty(n_samples)
    n_at_once = max(1, _CELLS // series.size)
    for first in range(0, n_samples, n_at_once):
        drawn = series[_blocks(generator, min(n_at_once, n_samples - first), series.size, mean_block_bars)]
        deviation = drawn.std(axis=1, ddof=1)
        is_flat = deviation < 1e-12
        sharpes[first : first + n_at_once] = np.where(
            is_flat, np.nan, drawn.mean(axis=1) / np.where(is_flat, 1.0, deviation)
        )
    return sharpes * scale


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
    ratio, third, fourth = _figure("sharpe", sharpe), _figure("skew", skew), _figure("kurtosis", kurtosis)
    factor = 1.0 - third * ratio + (fourth - 1.0) / 4.0 * ratio * ratio
    if not 0.0 < factor < math.inf:
        raise InputError(
            "sharpe, skew and kurtosis must belong to one distribution (kurtosis >= 1 + skew^2, Pearson), "
            f"were {ratio}, {third} and {fourth}"
        )
    return factor


def _figure(name: str, value: Any) -> float:
    return number(name, value, low=-LARGEST, high=LARGEST, rule="a finite number")


def _count(name: str, value: Any, least: int) -> float:
    """Return a count as a float: what `effective_trials` says is no whole number."""
    return number(name, value, low=float(least), high=LARGEST, rule=f"at least {least}")
