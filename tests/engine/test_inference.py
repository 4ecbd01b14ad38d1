"""Numbers printed in the papers, and those checked by other implementations."""

from __future__ import annotations

import math

import pytest

from engine import (
    InputError,
    deflated_sharpe,
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


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: expected_maximum_sharpe(0, 1.0), "n_trials must be at least 1, was 0"),
        (lambda: expected_maximum_sharpe(5, -1.0), "variance must be zero or positive"),
        (lambda: probabilistic_sharpe(0.1, 1), "n must be at least 2, was 1"),
        (lambda: probabilistic_sharpe(math.nan, 100), "one distribution"),
        (lambda: probabilistic_sharpe(2.0, 100, 3.0, 3.0), "one distribution"),
        (lambda: minimum_track_record(0.1, confidence=1.0), "confidence must be between"),
        (lambda: minimum_backtest_length(10, 0.0), "sharpe must be positive"),
    ],
)
def test_bad_argument_is_named(call, rule):
    with pytest.raises(InputError, match=rule):
        call()
