"""The lake's features against pandas, and over slices that begin with their warm-up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strategies.errors import StrategyError
from strategies.features import FEATURES, compute
from strategies.lookahead import check
from strategies.panel import values_of
from strategies.window import Window
from tests.strategies.windows import bars_from_close, random_close, random_window


def test_features_equal_those_of_pandas():
    close = random_close(600, 3, seed=1)
    frame = pd.DataFrame(close)
    features = compute(Window(bars_from_close(close)))
    returns = frame.pct_change(fill_method=None)
    expected = {
        "total_return": returns,
        "momentum_252_21": frame.shift(21) / frame.shift(252) - 1.0,
        "volatility_21": returns.rolling(21).apply(lambda last: np.std(last, ddof=1), raw=True),
        "dollar_volume_21": (frame * 1000.0).rolling(21).mean(),
    }
    assert set(features) == set(expected) == set(FEATURES)
    for name, values in expected.items():
        np.testing.assert_allclose(features[name], values, rtol=1e-9, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("name", FEATURES)
def test_a_slice_that_begins_with_the_warmup_gives_the_values_of_all_history(name):
    window = random_window(700, 3, seed=2, missing=0.0)
    start = 450
    first = start - FEATURES[name].warmup_bars
    part = Window(window._bars[first:], window._actions[first:])
    whole = compute(window, [name])[name][start:]
    np.testing.assert_allclose(compute(part, [name])[name][start - first :], whole, rtol=1e-9, atol=1e-14)
    short = Window(window._bars[first + 1 :], window._actions[first + 1 :])
    is_lost = np.isnan(compute(short, [name])[name][start - first - 1]) & ~np.isnan(whole[0])
    assert is_lost.any(), "a shorter warm-up would do"


@pytest.mark.parametrize("name", FEATURES)
def test_features_do_not_look_ahead(name):
    assert check(lambda window: compute(window, [name])[name], random_window(600, 4, seed=6)).is_clean


def test_a_given_feature_comes_before_a_computed_one_of_its_name():
    bars = bars_from_close(np.ones((3, 1)))
    given = np.array([[1.0], [2.0], [3.0]])
    window = Window(bars, features={"total_return": given})
    assert np.array_equal(values_of(window.feature("total_return")), given)
    assert np.array_equal(compute(window, ["total_return"])["total_return"], given)


def test_an_unknown_feature_is_answered_with_the_nearest():
    with pytest.raises(StrategyError, match="did you mean 'volatility_21'"):
        compute(random_window(30, 2), ["volatilty_21"])
