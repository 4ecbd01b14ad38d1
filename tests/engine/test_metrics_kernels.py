"""The kernels of statistics against their written order of additions, NumPy, and naive scans, to the last bit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from engine.kernels.statistics import (
    LANES,
    covariance_nb,
    drawdown_nb,
    mean_and_variance_nb,
    mean_nb,
    moments_nb,
    partial_moments_nb,
    returns_nb,
)

SIZES = [1, 2, 63, 64, 65, 127, 128, 640, 1_000, 2_520, 2_561]


def lanes():
    """Scratch full of what must not be read."""
    return np.full((3, LANES), np.nan)


def summed(values):
    """The sum in the order that is written down: lane by lane, then halves onto halves."""
    sums = [0.0] * LANES
    for place, value in enumerate(values):
        sums[place % LANES] += float(value)
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [sums[i] + sums[i + half] for i in range(half)]
    return sums[0]


def naive_drawdown(equity, initial):
    peak, deepest = initial, 0.0
    for value in equity:
        if value >= peak:
            peak = value
        elif value / peak - 1.0 < deepest:
            deepest = value / peak - 1.0
    return deepest


def sample(seed, n):
    return np.random.default_rng(seed).standard_t(3, n) * 0.01 + 0.0003


@pytest.mark.parametrize("n", SIZES)
def test_moments_have_the_bits_of_the_written_order(n):
    values = sample(n, n)
    mean = summed(values) / n
    distance = values - mean
    square = distance * distance
    moments = [summed(power) / n for power in (square, square * distance, square * square)]
    assert mean_nb(values, lanes()) == mean
    assert mean_and_variance_nb(values, lanes()) == (mean, moments[0])
    assert moments_nb(values, lanes()) == (mean, *moments)


@pytest.mark.parametrize("n", SIZES)
def test_partial_moments_and_covariance_have_the_bits_of_the_written_order(n):
    values, others = sample(n, n), sample(n + 1, n)
    distance = values - 0.001
    shortfall = np.where(distance < 0.0, -distance, 0.0)
    above, below, squares = partial_moments_nb(values, 0.001, lanes())
    assert above == summed(np.where(distance < 0.0, 0.0, distance))
    assert below == summed(shortfall)
    assert squares == summed(shortfall * shortfall)
    mean, other = mean_nb(values, lanes()), mean_nb(others, lanes())
    assert covariance_nb(values, others, mean, other, lanes()) == summed((values - mean) * (others - other)) / n


def test_sums_are_exact_but_for_the_last_digits():
    values = np.random.default_rng(0).lognormal(0.0, 4.0, 100_000)
    exact = sum(map(Fraction, values.tolist())) / values.size
    assert mean_nb(values, lanes()) == pytest.approx(float(exact), rel=2e-15)


def test_variance_survives_a_mean_a_billion_times_its_spread():
    values = 1e9 + sample(0, 5_000)
    _, variance = mean_and_variance_nb(values, lanes())
    assert variance == pytest.approx((values - values.mean()).var(), rel=1e-9)


def test_a_nan_anywhere_spoils_mean_and_moments():
    for place in (0, 63, 64, 100):
        values = sample(1, 101)
        values[place] = np.nan
        assert math.isnan(mean_nb(values, lanes()))
        assert np.isnan(moments_nb(values, lanes())).all()
        assert math.isnan(partial_moments_nb(values, 0.0, lanes())[0])


def test_no_values_have_no_moments():
    none = np.empty(0)
    assert math.isnan(mean_nb(none, lanes()))
    assert np.isnan(mean_and_variance_nb(none, lanes())).all()
    assert np.isnan(moments_nb(none, lanes())).all()
    assert partial_moments_nb(none, 0.0, lanes()) == (0.0, 0.0, 0.0)


def test_returns_begin_with_the_initial_cash_and_are_nan_after_nothing_is_left():
    equity = np.array([90.0, 99.0, 0.0, 5.0, -5.0, -2.0, 4.0])
    returns = np.empty(7)
    returns_nb(equity, 100.0, returns)
    wanted = [90.0 / 100.0 - 1.0, 99.0 / 90.0 - 1.0, -1.0, np.nan, -2.0, np.nan, np.nan]
    np.testing.assert_array_equal(returns, wanted)
    returns_nb(equity, 0.0, returns)
    assert math.isnan(returns[0])
    returns_nb(np.empty(0), 100.0, np.empty(0))


@pytest.mark.parametrize("n", [*range(12), *SIZES, 5_000])
@pytest.mark.parametrize("drift", [-0.002, 0.0, 0.002])
def test_drawdown_is_that_of_a_scan_to_the_last_bit(n, drift):
    for seed in range(12):
        rng = np.random.default_rng([n, seed])
        equity = 1e5 * np.exp(np.cumsum(rng.normal(drift, 0.02, n)))
        if seed % 3 == 1:
            equity = np.round(equity, -3)
        if seed % 5 == 3:
            equity = 1e5 * (1.0 + np.cumsum(rng.normal(0.0, 1e-10, n)))
        if seed % 4 == 2:
            equity -= rng.uniform(0.0, 2e5)
        for initial in (1e5, 0.9e5, 1e6):
            assert drawdown_nb(equity, initial) == naive_drawdown(equity, initial)


def test_drawdown_at_and_across_the_ends_of_blocks():
    for place in range(2 * LANES + 3):
        equity = np.full(2 * LANES + 5, 100.0)
        equity[place] = 150.0
        equity[place + 1 :] = 120.0
        equity[-1] = 90.0
        assert drawdown_nb(equity, 100.0) == naive_drawdown(equity, 100.0) == 90.0 / 150.0 - 1.0
        equity[place] = -20.0
        assert drawdown_nb(equity, 100.0) == naive_drawdown(equity, 100.0)


def test_drawdown_of_negative_zero_is_a_whole_loss():
    equity = np.full(200, 50.0)
    equity[70] = -0.0
    assert drawdown_nb(equity, 100.0) == -1.0


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_drawdown_of_equity_that_is_not_finite_is_nan(bad):
    for place in (0, 1, 63, 64, 100, 127, 128, 129):
        for level in (50.0, 150.0):
            equity = np.full(130, level)
            equity[place] = bad
            assert math.isnan(drawdown_nb(equity, 100.0))


@pytest.mark.parametrize("initial", [0.0, -1.0, np.nan, np.inf])
def test_drawdown_needs_a_positive_first_peak(initial):
    assert math.isnan(drawdown_nb(np.full(100, 50.0), initial))
