"""From a decision to weights: masks, and refusals that name the strategy and the day."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.errors import StrategyError
from strategies.evaluation import evaluate
from strategies.panel import values_of
from strategies.registry import Strategy
from strategies.spec import Spec
from strategies.window import Window
from tests.strategies.windows import bars_from_close, random_window

NAN = np.nan


def decided_by(function):
    return Strategy("mine", function, {})


def test_weights_are_nan_before_the_first_bar_and_zero_outside_the_universe():
    close = np.array([[NAN, 1.0], [1.0, 1.0], [NAN, 1.0], [1.0, 1.0]])
    members = np.array([[True, True], [True, True], [True, False], [True, True]])
    window = Window(bars_from_close(close), members=members)
    weights = evaluate(decided_by(lambda w: w.close * 0.0 + 0.5), window).weights
    expected = [[NAN, 0.5], [0.5, 0.5], [NAN, 0.0], [0.5, 0.5]]
    np.testing.assert_array_equal(weights, expected)


def test_missing_weights_of_members_stay_missing():
    window = Window(bars_from_close(np.ones((3, 1))), members=np.array([[True], [True], [False]]))
    weights = evaluate(decided_by(lambda w: w.members.equal_weight().where(w.month_start)), window).weights
    np.testing.assert_array_equal(weights, [[1.0], [NAN], [0.0]])


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda w: w.members, r"mine returned True and False: end with \.equal_weight\(\)"),
        (lambda w: np.ones((50, 3)), "mine must return a panel of weights, returned ndarray"),
        (lambda w: None, "returned NoneType"),
        (lambda w: random_window(50, 3).close, "mine returned a panel of another window"),
        (lambda w: 1.0 / (w.close * 0.0), r"finite or NaN, strategy mine asked for inf of S0 at 2001-12-20"),
        (lambda w: w.close * 0.0 + 0.5, r"leverage 1, strategy mine asked for 1.5 at 2001-12-20: end with .norm"),
        (lambda w: w.close * 0.0 - 0.34, "asked for 1.02"),
    ],
)
def test_answers_that_are_no_weights_are_refused_by_name_and_day(function, says):
    window = Window(bars_from_close(np.ones((50, 3))))
    with pytest.raises(StrategyError, match=says):
        evaluate(decided_by(function), window)


def test_the_leverage_of_the_account_bounds_the_gross_exposure():
    window = Window(bars_from_close(np.ones((50, 3))))
    two = decided_by(lambda w: w.close * 0.0 + 2.0 / 3.0)
    assert values_of(window.close).shape == evaluate(two, window, leverage=2.0).weights.shape
    spec = Spec.from_yaml("strategy: equal_weight\nuniverse: x\naccount: {leverage: 2.0}", "geared")
    assert np.nanmax(evaluate(spec, window).weights) == pytest.approx(1 / 3)
    with pytest.raises(StrategyError, match=r"leverage 1\.5"):
        evaluate(two, window, leverage=1.5)


def test_parameters_replace_those_of_the_spec():
    window = random_window(300, 4)
    spec = Spec.from_yaml("strategy: ma_cross\nuniverse: x\nparameters: {fast: 5, slow: 20}", "s")
    same = evaluate("ma_cross", window, {"fast": 5, "slow": 30}).weights
    np.testing.assert_array_equal(evaluate(spec, window, {"slow": 30}).weights, same)
    np.testing.assert_array_equal(evaluate(spec.with_parameters({"slow": 30}), window).weights, same)
    assert not np.array_equal(evaluate(spec, window).weights, same, equal_nan=True)
