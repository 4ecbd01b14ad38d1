"""The built-in strategies against the same rules written in plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strategies.errors import StrategyError
from strategies.evaluation import evaluate
from strategies.panel import values_of
from tests.strategies.windows import random_window

WINDOWS = [random_window(700, n_assets, seed, missing) for n_assets, seed, missing in [(5, 1, 0.0), (8, 2, 0.01)]]


def as_frames(window):
    """The window's index and membership as pandas frames; the rest of each test is pandas alone."""
    times = pd.DatetimeIndex(window._bars.bar_end)
    index = pd.DataFrame(values_of(window.index), index=times)
    return index, pd.DataFrame(values_of(window.members), index=times)


def equal_parts(chosen):
    count = chosen.sum(axis=1)
    return chosen.astype(float).div(count.where(count > 0, 1), axis=0)


def at_starts(weights, starts, also=None):
    keep = pd.DataFrame(np.repeat(np.asarray(starts)[:, None], weights.shape[1], axis=1), weights.index)
    return weights.where(keep if also is None else keep | also)


def month_starts(index):
    months = pd.Series(index.tz_localize(None).to_period("M"))
    return (months != months.shift(1)).to_numpy()


def masked(weights, index, members):
    return weights.where(members, 0.0).where(index.notna())


def changed(weights):
    return weights.ne(weights.shift(1))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("every_months", [1, 3])
def test_equal_weight_equals_plain_pandas(window, every_months):
    index, members = as_frames(window)
    weights = equal_parts(members)
    starts = month_starts(index.index)
    due = starts & ((np.cumsum(starts) - 1) % every_months == 0)
    expected = masked(at_starts(weights, due, changed(weights)), index, members)
    actual = evaluate("equal_weight", window, {"every_months": every_months}).weights
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (20, 100)])
def test_ma_cross_equals_plain_pandas(window, fast, slow):
    index, members = as_frames(window)
    rising = (index.rolling(fast).mean() > index.rolling(slow).mean()) & members
    weights = equal_parts(rising)
    expected = masked(at_starts(weights, month_starts(index.index), changed(weights)), index, members)
    actual = evaluate("ma_cross", window, {"fast": fast, "slow": slow}).weights
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("top", [1, 3])
def test_momentum_equals_plain_pandas(window, top):
    index, members = as_frames(window)
    score = (index.shift(21) / index.shift(252) - 1.0).where(members)
    chosen = (score.rank(axis=1, ascending=False, method="first") <= top) & score.notna()
    expected = masked(at_starts(equal_parts(chosen), month_starts(index.index)), index, members)
    actual = evaluate("momentum", window, {"top": top}).weights
    np.testing.assert_array_equal(actual, expected)
    assert (np.nansum(actual, axis=1) > 0.99).any()


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("ma_cross", {"fast": 50, "slow": 50}, "fast must be less than slow, was 50 against 50"),
        ("momentum", {"skip": 252}, "skip must be less than lookback"),
        ("equal_weight", {"every_months": 0}, "every_months must be at least 1"),
        ("momentum", {"top": 0}, "top needs a number of at least 1"),
    ],
)
def test_parameters_that_make_no_sense_together_are_refused(name, parameters, says):
    with pytest.raises(StrategyError, match=says):
        evaluate(name, WINDOWS[0], parameters)
