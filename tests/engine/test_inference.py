"""Numbers printed in the papers, and those checked by other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import InputError
from engine.inference import (
    annual_factor,
    bootstrap_sharpe,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_backtest_length,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_error,
)

DAILY = 2.5 / math.sqrt(250.0)
VARIANCE = 0.5 / 250.0


@pytest.mark.parametrize(("n_trials", "hurdle"), [(100, 0.113172), (46, 0.100362)])
def test_expected_maximum_sharpe_is_that_of_the_paper(n_trials, hurdle):
    assert expected_maximum_sharpe(n_trials, VARIANCE) == pytest.approx(hurdle, abs=5e-7)


@pytest.mark.parametrize(("n_trials", "value"), [(10, 1.5746), (45, 2.2356), (100, 2.5306), (1000, 3.2551)])
def test_expected_maximum_of_standard_trials(n_trials, value):
    assert expected_maximum_sharpe(n_trials, 1.0) == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize(
    ("skew", "kurtosis", "n_trials", "value"),
    [(-3.0, 10.0, 100, 0.900397), (-3.0, 10.0, 46, 0.950502), (0.0, 3.0, 88, 0.950491)],
)
def test_deflated_sharpe_is_that_of_the_paper(skew, kurtosis, n_trials, value):
    assert deflated_sharpe(DAILY, 1250, skew, kurtosis, n_trials, VARIANCE) == pytest.approx(value, abs=5e-7)


def test_deflated_sharpe_takes_pearson_kurtosis_and_not_the_excess():
    assert deflated_sharpe(DAILY, 1250, -3.0, 7.0, 100, VARIANCE) == pytest.approx(0.901779, abs=5e-7)
    assert deflated_sharpe(DAILY, 1250, -3.0, 10.0, 100, VARIANCE) != pytest.approx(0.901779, abs=5e-4)


@pytest.mark.parametrize(
    ("n", "skew", "kurtosis", "value"),
    [(24, 0.0, 3.0, 0.981675), (24, -2.448, 10.164, 0.913361), (36, -2.448, 10.164, 0.953505)],
)
def test_probabilistic_sharpe_is_that_of_the_paper(n, skew, kurtosis, value):
    assert probabilistic_sharpe(0.458, n, skew, kurtosis) == pytest.approx(value, abs=5e-6)


@pytest.mark.parametrize(
    ("sharpe", "benchmark", "periods", "years"),
    [(2.0, 1.0, 250, 2.73), (2.0, 1.0, 52, 2.83), (2.0, 1.0, 12, 3.24),
     (1.0, 0.0, 252, 2.71), (0.5, 0.0, 252, 10.83), (2.0, 0.0, 252, 0.69)],
)  # fmt: skip
def test_minimum_track_record_of_normal_returns(sharpe, benchmark, periods, years):
    root = math.sqrt(periods)
    bars = minimum_track_record(sharpe / root, benchmark=benchmark / root)
    assert bars / periods == pytest.approx(years, abs=6e-3)


def test_minimum_track_record_of_skewed_returns():
    root = math.sqrt(12.0)
    months = minimum_track_record(2.0 / root, -0.72, 5.78, 1.0 / root)
    assert months == pytest.approx(59.9, abs=0.05)


def test_minimum_track_record_is_undefined_below_the_benchmark():
    assert math.isnan(minimum_track_record(0.05, benchmark=0.05))


def test_minimum_backtest_length_is_that_of_the_paper():
    assert minimum_backtest_length(45) == pytest.approx(5.00, abs=5e-3)


def test_sharpe_error_of_one_a_year_over_five_years_of_days():
    assert sharpe_error(1.0 / math.sqrt(252.0), 1260) * math.sqrt(252.0) == pytest.approx(0.4477, abs=5e-5)


def test_single_trial_is_not_deflated():
    assert expected_maximum_sharpe(1, 1.0) == 0.0
    assert deflated_sharpe(0.1, 500, 0.0, 3.0, 1, 1.0) == probabilistic_sharpe(0.1, 500)


def test_probabilistic_sharpe_is_not_that_of_the_excess_kurtosis():
    assert probabilistic_sharpe(0.458, 24, -2.448, 7.164) == pytest.approx(0.9200, abs=5e-5)


def test_autocorrelated_returns_have_a_smaller_annual_sharpe():
    powers = [0.3**lag for lag in range(1, 12)]
    assert annual_factor(12, powers) == pytest.approx(2.6148, abs=5e-5)
    assert annual_factor(12) == pytest.approx(math.sqrt(12.0), rel=1e-15)
    assert annual_factor(12, [*powers, 5.0]) == annual_factor(12, powers)


def test_correlated_trials_count_less():
    assert effective_trials(100, 0.0) == 100.0
    assert effective_trials(100, 1.0) == 1.0
    assert effective_trials(100, 0.25) == 75.25


def test_bootstrapped_sharpes_spread_as_the_standard_error_says():
    returns = np.random.default_rng(0).normal(0.0006, 0.01, 1_260)
    sharpes = bootstrap_sharpe(returns, seed=1, n_samples=4_000, mean_block_bars=1.0)
    per_bar = returns.mean() / returns.std(ddof=1)
    assert sharpes.mean() == pytest.approx(per_bar * math.sqrt(252.0), abs=0.05)
    assert sharpes.std() == pytest.approx(sharpe_error(per_bar, returns.size) * math.sqrt(252.0), rel=0.05)


@pytest.mark.parametrize("mean_block_bars", [1.0, 5.0, 25.0])
def test_blocks_keep_as_much_autocorrelation_as_the_paper_says(mean_block_bars):
    shocks = np.random.default_rng(2).normal(0.0, 0.01, 1_500)
    returns = np.empty_like(shocks)
    returns[0] = shocks[0]
    for t in range(1, shocks.size):
        returns[t] = 0.4 * returns[t - 1] + shocks[t]
    returns -= returns.mean()
    n, lags = returns.size, np.arange(1, returns.size)
    # The variance of a resampled mean: equation 7 of the paper, whose series is a ring.
    circular = np.array([returns @ np.roll(returns, -lag) for lag in range(n)]) / n
    kept = (1.0 - lags / n) * (1.0 - 1.0 / mean_block_bars) ** lags
    variance = (circular[0] + 2.0 * (kept @ circular[1:])) / n
    sharpes = bootstrap_sharpe(returns, seed=3, n_samples=6_000, mean_block_bars=mean_block_bars)
    assert sharpes.std() == pytest.approx(math.sqrt(252.0 * variance) / returns.std(), rel=0.04)


def test_bootstrap_repeats_with_its_seed_and_only_with_it():
    returns = np.random.default_rng(4).normal(0.0, 0.01, 300)
    first = bootstrap_sharpe(returns, seed=5, n_samples=50)
    assert np.array_equal(first, bootstrap_sharpe(returns, seed=5, n_samples=50))
    assert not np.array_equal(first, bootstrap_sharpe(returns, seed=6, n_samples=50))
    assert first.shape == (50,)


def test_bootstrap_of_constant_returns_has_no_sharpe():
    assert np.isnan(bootstrap_sharpe(np.full(20, 0.01), seed=0, n_samples=5)).all()


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: expected_maximum_sharpe(0, 1.0), "n_trials must be at least 1, was 0"),
        (lambda: expected_maximum_sharpe(5, -1.0), "variance must be zero or positive"),
        (lambda: probabilistic_sharpe(0.1, 1), "n must be at least 2, was 1"),
        (lambda: probabilistic_sharpe(math.nan, 100), "sharpe must be a finite number, was nan"),
        (lambda: probabilistic_sharpe(2.0, 100, 3.0, 3.0), "one distribution"),
        (lambda: minimum_track_record(0.1, confidence=1.0), "confidence must be between"),
        (lambda: minimum_backtest_length(10, 0.0), "sharpe must be positive"),
        (lambda: effective_trials(10, 1.5), "mean_correlation must be between 0 and 1, was 1.5"),
        (lambda: annual_factor(12, [-0.9]), "autocorrelations must be those of a process"),
        (lambda: bootstrap_sharpe([0.1], seed=0), "two or more finite numbers"),
        (lambda: bootstrap_sharpe([0.1, math.nan], seed=0), "two or more finite numbers"),
        (lambda: bootstrap_sharpe([0.1, 0.2], seed=0, mean_block_bars=0.5), "mean_block_bars must be at least 1"),
    ],
)
def test_bad_argument_is_named(call, rule):
    with pytest.raises(InputError, match=rule):
        call()
