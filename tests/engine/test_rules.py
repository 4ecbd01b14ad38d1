"""Rules decide what slow references decide, from nothing but the past."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import Actions, Bars, Execution, InputError, TargetUnits, TargetWeights, simulate
from engine.kernels.rules import rolling_mean_nb
from engine.rules import Crossing, Ranking, Rule, Threshold
from engine.rules.base import prices_of
from strategies.rolling import rolling_mean
from strategies.total_return import forward_index, growth
from tests.engine.markets import bars_of, random_bars, times

SEEDS = range(6)
RULES = (
    Crossing(3, 8),
    Crossing(2, 11, units=-5.0),
    Crossing(1, 4, weight=0.25),
    Threshold(5, enter=0.04, leave=-0.03, units=10.0),
    Ranking(12, 3, top=2, every="week"),
)


def market(seed, n_bars=120, n_assets=5, missing_rate=0.1):
    return random_bars(np.random.default_rng(seed), n_bars, n_assets, missing_rate=missing_rate)


def with_actions(bars, seed):
    """Splits, dividends and a delisting; prices fall with a split and an ex-date as they would."""
    rng = np.random.default_rng(seed)
    actions = Actions.none(bars)
    split, dividend, delisting = (np.array(values) for values in (actions.split, actions.dividend, actions.delisting))
    split[rng.random(split.shape) < 0.03] = 2.0
    dividend[rng.random(split.shape) < 0.05] = 0.5
    delisting[-30, 0] = -0.5
    return Actions(split, dividend, delisting)


def slowly(is_on, held):
    """Targets where a switch, off at first, changes; NaN in `is_on` is a bar that decides nothing."""
    targets = np.full(is_on.shape, np.nan)
    for asset in range(is_on.shape[1]):
        before = 0.0
        for t, now in enumerate(is_on[:, asset]):
            if not np.isnan(now) and now != before:
                targets[t, asset], before = (held if now else 0.0), now
    return targets


def own_bars(prices, function):
    """A function of each asset's own bars as a panel, NaN on bars that it misses."""
    frame = pd.DataFrame(prices)
    return np.column_stack([function(frame[asset].dropna()).reindex(frame.index) for asset in frame])


def slow_crossing(prices, rule, held):
    def is_above(price):
        return (price.rolling(rule.fast).mean() > price.rolling(rule.slow).mean()).astype(float)

    return slowly(own_bars(prices, is_above), held)


def slow_threshold(prices, rule, held):
    def is_held(price):
        change, states, state = price / price.shift(rule.lookback) - 1.0, [], 0.0
        for value in change:
            if value > rule.enter:
                state = 1.0
            elif value < rule.leave:
                state = 0.0
            states.append(state)
        return pd.Series(states, price.index)

    return slowly(own_bars(prices, is_held), held)


def slow_ranking(bars, prices, rule):
    month = pd.DatetimeIndex(bars.bar_end).tz_localize(None).to_period({"month": "M", "week": "W"}[rule.every])
    targets = np.full(prices.shape, np.nan)
    for t in range(rule.lookback, bars.n_bars):
        if month[t] == month[t - 1]:
            continue
        score = pd.Series(prices[t - rule.skip] / prices[t - rule.lookback])
        chosen = score[~np.isnan(prices[t])].dropna().sort_values(ascending=False, kind="stable").index[: rule.top]
        targets[t] = 0.0
        targets[t, chosen] = rule.gross / max(len(chosen), 1)
    return targets


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_assets", [1, 5])
@pytest.mark.parametrize("missing_rate", [0.0, 0.2])
def test_switching_rules_decide_what_pandas_does(seed, n_assets, missing_rate):
    bars = market(seed, n_assets=n_assets, missing_rate=missing_rate)
    for rule in (Crossing(3, 8, units=7.0), Crossing(2, 30, units=-7.0), Crossing(1, 2, units=7.0)):
        expected = slow_crossing(bars.close, rule, rule.units)
        np.testing.assert_array_equal(rule.decisions(bars).aligned(bars), expected)
    for rule in (Threshold(5, units=7.0), Threshold(9, enter=0.05, leave=-0.05, units=7.0)):
        expected = slow_threshold(bars.close, rule, 7.0)
        np.testing.assert_array_equal(rule.decisions(bars).aligned(bars), expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("every", ["week", "month"])
def test_ranking_decides_what_pandas_does(seed, every):
    for missing_rate, top in ((0.0, 2), (0.3, 3), (0.3, 9), (0.9, 2)):
        bars = market(seed, n_assets=8, missing_rate=missing_rate)
        rule = Ranking(20, seed, top, 0.9, every)
        np.testing.assert_array_equal(rule.decisions(bars).aligned(bars), slow_ranking(bars, bars.close, rule))


def test_of_equal_changes_the_asset_that_stands_first_is_taken():
    rng = np.random.default_rng(3)
    closes = rng.integers(1, 4, (60, 40)).astype(float)
    bars = bars_of(closes)
    for top in (1, 5, 20, 39, 40):
        rule = Ranking(5, 1, top, every="week")
        np.testing.assert_array_equal(rule.decisions(bars).aligned(bars), slow_ranking(bars, closes, rule))


def test_moving_averages_are_those_of_the_strategies_to_the_last_bit():
    rng = np.random.default_rng(5)
    for size in (1, 2, 7, 64, 500):
        values = rng.normal(0.0, 1.0, size) * 10.0 ** rng.integers(-9, 9, size)
        for n in {1, 2, 3, 5, 8, size - 1, size, size + 1, size // 2, size // 4} - {0}:
            mean = np.empty(size)
            rolling_mean_nb(values, n, np.empty(size), mean)
            expected = rolling_mean(values[:, None], n)[:, 0]
            np.testing.assert_array_equal(mean.view(np.int64)[n - 1 :], expected.view(np.int64)[n - 1 :])
            assert np.isnan(mean[: n - 1]).all()


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_later_bars_change_no_decision(rule):
    bars = market(11)
    actions = with_actions(bars, 11)
    whole = rule.decisions(bars, actions).aligned(bars)
    assert np.isfinite(whole).any()
    for t in (1, 2, 30, 77, 119):
        part = bars[:t]
        np.testing.assert_array_equal(rule.decisions(part, actions[:t]).aligned(part), whole[:t])


@pytest.mark.parametrize("seed", SEEDS)
def test_with_actions_rules_see_total_returns(seed):
    bars = market(seed, missing_rate=0.2)
    actions = with_actions(bars, seed)
    prices = prices_of(bars, actions)
    total = growth(bars.close, actions.split, actions.dividend, np.full(bars.close.shape, np.nan))
    index = forward_index(bars.close, total)
    is_listed = ~np.logical_or.accumulate(~np.isnan(actions.delisting), axis=0)
    index = np.where(is_listed & ~np.isnan(bars.close), index, np.nan)
    first = np.nanmax(np.where(np.cumsum(~np.isnan(index), axis=0) == 1, index / prices, np.nan), axis=0)
    np.testing.assert_allclose(prices * first, index, rtol=1e-12)
    rule = Crossing(3, 8, units=7.0)
    np.testing.assert_array_equal(rule.decisions(bars, actions).aligned(bars), slow_crossing(prices, rule, rule.units))


def test_a_split_is_no_move_of_the_market():
    closes = np.full((40, 1), 100.0)
    closes[20:] = 50.0
    bars = bars_of(closes)
    split = np.ones(closes.shape)
    split[20] = 2.0
    actions = Actions(split, np.zeros(closes.shape), np.full(closes.shape, np.nan))
    fall = Threshold(5, enter=0.1, leave=0.1, units=1.0)
    assert prices_of(bars, actions).tolist() == [[100.0]] * 40
    assert fall.decisions(bars, actions).rows.size == 0
    assert prices_of(bars, None) is bars.close
    assert prices_of(bars, Actions.none(bars)) is bars.close


def test_an_asset_is_not_ranked_from_its_delisting_on():
    closes = np.tile(np.array([[1.0, 1.0, 1.0]]), (60, 1)) * np.linspace(1.0, 2.0, 60)[:, None] ** [3.0, 2.0, 1.0]
    bars = bars_of(closes)
    delisting = np.full(closes.shape, np.nan)
    delisting[30, 0] = 0.0
    actions = Actions(np.ones(closes.shape), np.zeros(closes.shape), delisting)
    rule = Ranking(10, 1, top=1, every="week")
    weights = rule.decisions(bars, actions)
    assert (weights.weights[weights.rows < 30] == [1.0, 0.0, 0.0]).all()
    assert (weights.weights[weights.rows >= 30] == [0.0, 1.0, 0.0]).all()


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("n_assets", [1, 5])
def test_a_rule_is_simulated_as_its_decisions(rule, n_assets):
    bars = market(17, n_assets=n_assets)
    actions = with_actions(bars, 17)
    settings = {"actions": actions, "execution": Execution(lot_size=1.0)}
    by_rule = simulate(bars, rule, **settings)
    assert by_rule.fills.size > 0
    assert by_rule.hash == simulate(bars, rule.decisions(bars, actions), **settings).hash


def test_decisions_are_one_row_a_deciding_bar():
    bars = market(2, missing_rate=0.0)
    decided = Crossing(3, 8).decisions(bars)
    assert isinstance(decided, TargetWeights)
    assert set(np.unique(decided.weights[~np.isnan(decided.weights)])) == {0.0, 0.2}
    assert (~np.isnan(decided.weights)).any(axis=1).all()
    assert decided.rows.min() >= 7
    assert isinstance(Crossing(3, 8, units=1.0).decisions(bars), TargetUnits)


def test_a_market_shorter_than_a_rule_decides_nothing():
    bars = market(1, n_bars=6)
    for rule in RULES:
        assert rule.decisions(bars).aligned(bars).shape == (6, 5)
    assert np.isnan(Crossing(3, 8).decisions(bars).aligned(bars)).all()
    assert simulate(bars, Ranking()).fills.size == 0


def test_periods_begin_at_the_first_bar_of_a_new_one():
    closes = np.exp(np.random.default_rng(1).normal(0.0, 0.1, (800, 3)))
    bars = bars_of(closes)
    days = times(800).astype("datetime64[D]")
    for every, starts in {
        "day": days,
        "week": (days - np.datetime64("1970-01-05")) // np.timedelta64(7, "D"),
        "month": days.astype("datetime64[M]"),
        "year": days.astype("datetime64[Y]"),
    }.items():
        rows = Ranking(1, 0, top=1, every=every).decisions(bars).rows
        assert rows.tolist() == [t for t in range(1, 800) if starts[t] != starts[t - 1]]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Crossing(50, 10), "fast must be less than slow, was 50 against 10"),
        (lambda: Crossing(0, 10), "fast must be a whole number of at least 1, was 0"),
        (lambda: Crossing(3.0, 10), "fast must be a whole number of at least 1, was 3.0"),
        (lambda: Crossing(units=1.0, weight=1.0), "holds units or a weight, was units 1.0 and weight 1.0"),
        (lambda: Crossing(units=np.inf), "units must be finite, was inf"),
        (lambda: Threshold(0), "lookback must be a whole number of at least 1, was 0"),
        (lambda: Threshold(enter=0.1, leave=0.2), "leave must not be above enter, was 0.2 against 0.1"),
        (lambda: Threshold(enter=np.nan), "enter must be finite, was nan"),
        (lambda: Ranking(21, 21), "skip must be less than lookback, was 21 against 21"),
        (lambda: Ranking(top=0), "top must be a whole number of at least 1, was 0"),
        (lambda: Ranking(every="monthly"), "did you mean 'month'"),
        (lambda: Ranking(gross=True), "gross must be finite, was True"),
        (lambda: Crossing().with_parameters({"fats": 3}), "Crossing has no parameter 'fats'; did you mean 'fast'"),
    ],
)
def test_wrong_parameters_are_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_a_rule_has_to_say_how_it_plans():
    with pytest.raises(InputError, match="a rule must have a planner, Rule has none"):
        Rule().decisions(market(0))


def test_rules_are_values():
    assert Crossing(3, 8) == Crossing(3, 8, None, None)
    assert len({Crossing(3, 8), Crossing(3, 8), Crossing(3, 9)}) == 2
    assert Crossing(3, 8, units=np.int64(5)).units == 5.0
    assert isinstance(bars_of([[1.0]]), Bars)
