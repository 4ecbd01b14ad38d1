"""Total returns, membership and the calendar of a window against slow, obvious loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.account import Account
from engine.actions import Actions
from engine.decisions import TargetUnits
from engine.simulation import simulate
from strategies.errors import StrategyError
from strategies.panel import values_of
from strategies.window import Window
from tests.strategies.windows import bars_from_close, business_days, random_close, random_window

NAN = np.nan


def wealth_of_one_holder(close, split, dividend, delisting):
    """Follow one owner of one asset day by day: shares, cash reinvested at the next close there is."""
    index, shares, cash, has_begun = [], 1.0, 0.0, False
    for t, price in enumerate(close):
        if has_begun:
            cash += dividend[t] * shares
            shares *= split[t]
        if has_begun and not math.isnan(delisting[t]):
            index.append(index[-1] * (1.0 + delisting[t]))
            shares, cash = NAN, NAN
        elif math.isnan(price):
            index.append(index[-1] if has_begun else NAN)
        else:
            has_begun = True
            shares += cash / price
            cash = 0.0
            index.append(shares * price if not math.isnan(shares) else index[-1])
    return index


def test_the_index_is_the_wealth_of_one_share_with_dividends_reinvested():
    window = random_window(500, 6, seed=3, missing=0.05)
    actions, close = window._actions, window._bars.close
    expected = [
        wealth_of_one_holder(close[:, j], actions.split[:, j], actions.dividend[:, j], actions.delisting[:, j])
        for j in range(6)
    ]
    np.testing.assert_allclose(values_of(window.index), np.transpose(expected), rtol=1e-12, atol=0.0)


def test_a_split_and_a_dividend_on_one_day_count_as_the_engine_counts_them():
    close = np.array([[100.0], [52.0], [53.0]])
    bars = bars_from_close(close)
    none = Actions.none(bars)
    split, dividend = none.split.copy(), none.dividend.copy()
    split[1], dividend[1] = 2.0, 4.0
    actions = Actions(split, dividend, none.delisting)
    window = Window(bars, actions)
    assert values_of(window.total_return)[1, 0] == pytest.approx((52.0 * 2.0 + 4.0) / 100.0 - 1.0)
    bars = bars_from_close(np.vstack([close[:1], close]))
    held = np.full((4, 1), NAN)
    held[0] = 1.0
    later = Actions(
        *(np.vstack([getattr(none, n)[:1], getattr(actions, n)]) for n in ("split", "dividend", "delisting"))
    )
    result = simulate(bars, TargetUnits(held), account=Account(cash=1000.0), actions=later)
    gained = result.equity[2] - result.equity[1]
    assert gained == pytest.approx(100.0 * values_of(window.total_return)[1, 0])


def test_actions_on_a_missing_bar_are_kept_for_the_next_close():
    bars = bars_from_close(np.array([[100.0], [NAN], [51.0]]))
    split, dividend = np.array([[1.0], [2.0], [1.0]]), np.array([[0.0], [1.0], [0.5]])
    window = Window(bars, Actions(split, dividend, np.full((3, 1), NAN)))
    assert values_of(window.index)[:, 0] == pytest.approx([100.0, 100.0, 51.0 * 2 + 1.0 + 0.5 * 2])
    assert values_of(window.total_return)[:, 0] == pytest.approx([NAN, NAN, 0.04], nan_ok=True)


def test_an_action_announced_later_changes_no_earlier_index():
    close = random_close(50, 2, seed=1)
    bars = bars_from_close(close)
    split = np.ones(close.shape)
    split[40] = 4.0
    none = Actions.none(bars)
    before = values_of(Window(bars, none).index)
    after = values_of(Window(bars, Actions(split, none.dividend, none.delisting)).index)
    assert np.array_equal(before[:40], after[:40])
    assert (after[40:] == before[40:] * 4.0).all()


def test_an_index_without_actions_is_the_price():
    close = random_close(300, 3, seed=2)
    np.testing.assert_allclose(values_of(Window(bars_from_close(close)).index), close, rtol=1e-12)


def test_members_are_in_the_universe_have_begun_and_are_not_delisted():
    close = np.array([[NAN, 1.0, 1.0], [1.0, 1.0, 1.0], [NAN, 1.0, 1.0], [1.0, NAN, 1.0]])
    delisting = np.full(close.shape, NAN)
    delisting[2, 1] = -1.0
    universe = np.ones(close.shape, bool)
    universe[1:3, 2] = False
    actions = Actions(np.ones(close.shape), np.zeros(close.shape), delisting)
    window = Window(bars_from_close(close), actions, members=universe)
    assert values_of(window.members).tolist() == [
        [False, True, True],
        [True, True, False],
        [True, False, False],
        [True, False, True],
    ]


def test_calendar_starts_are_told_by_the_bar_before():
    window = Window(bars_from_close(np.ones((30, 2)), first="2001-12-20"))
    days = business_days(30).astype("datetime64[D]").tolist()
    for name, of in {
        "month_start": lambda d: (d.year, d.month),
        "week_start": lambda d: d.isocalendar()[:2],
        "year_start": lambda d: d.year,
    }.items():
        expected = [i == 0 or of(days[i]) != of(days[i - 1]) for i in range(30)]
        assert values_of(getattr(window, name)).tolist() == [[e, e] for e in expected]


def test_a_cut_window_holds_nothing_later_of_any_input():
    window = random_window(100, 4, seed=5)
    cut = window.cut(60)
    for array in (cut._bars.close, cut._actions.split, cut._features["signal"], cut._universe, cut._bars.bar_end):
        assert len(array) == 60
    assert values_of(cut.feature("signal")).shape == (60, 4)


def test_inputs_of_another_shape_are_refused_by_name():
    bars = bars_from_close(np.ones((5, 2)))
    with pytest.raises(StrategyError, match=r"vix must have the shape \(5, 2\) of the bars, was \(5, 1\)"):
        Window(bars, features={"vix": np.ones((5, 1))}).feature("vix")
    with pytest.raises(StrategyError, match="members must have the shape"):
        Window(bars, members=np.ones((4, 2), bool))
    with pytest.raises(StrategyError, match="actions must have the shape"):
        Window(bars, Actions.none(bars_from_close(np.ones((4, 2)))))
