"""Values of the operations against pandas, exact sums and hand-made cases."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from strategies.errors import StrategyError
from strategies.panel import values_of
from strategies.window import Window
from tests.strategies.windows import bars_from_close, random_close, random_window

NAN = np.nan


def panel_of(rows, members=None):
    """A panel with these values, as a window's feature."""
    values = np.atleast_2d(np.asarray(rows, np.float64))
    bars = bars_from_close(np.full(values.shape, 10.0))
    return Window(bars, features={"x": values}, members=members).feature("x")


def column(*values):
    return panel_of(np.array(values, np.float64)[:, None])


def flat(panel):
    return values_of(panel)[:, 0].tolist()


def assert_close(panel, expected, tolerance=1e-12):
    np.testing.assert_allclose(values_of(panel), np.asarray(expected), rtol=tolerance, atol=0.0)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 21, 100, 250, 251, 252, 253])
@pytest.mark.parametrize("missing", [0.0, 0.01])
def test_rolling_statistics_equal_those_of_pandas(n, missing):
    close = random_close(252, 5, seed=n, missing=missing)
    rolling = pd.DataFrame(close).rolling(n)
    panel = panel_of(close)
    assert_close(panel.sum(n), rolling.apply(math.fsum, raw=True))
    assert_close(panel.mean(n), rolling.apply(np.mean, raw=True))
    assert_close(panel.min(n), rolling.min())
    assert_close(panel.max(n), rolling.max())
    if n > 1:
        expected = rolling.apply(lambda last: np.std(last, ddof=1), raw=True)
        assert_close(panel.std(n), expected, 1e-11)
        assert_close(panel.std(n, ddof=0), expected * math.sqrt((n - 1) / n), 1e-11)


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_the_exponential_average_equals_that_of_pandas(missing):
    close = random_close(300, 4, seed=3, missing=missing)
    frame = pd.DataFrame(close)
    expected = frame.ewm(span=12, adjust=False, ignore_na=True, min_periods=12).mean().where(frame.notna())
    assert_close(panel_of(close).ema(12), expected)


def test_expanding_statistics_equal_those_of_pandas():
    close = random_close(300, 4, seed=4, missing=0.05)
    expanding = pd.DataFrame(close).expanding()
    panel = panel_of(close)
    assert_close(panel.expanding_sum(), expanding.sum())
    assert_close(panel.expanding_mean(), expanding.mean())
    assert_close(panel.expanding_std(), expanding.std(), 1e-11)
    assert_close(panel.expanding_min(), expanding.min())
    assert_close(panel.expanding_max(), expanding.max())


def test_a_deviation_at_a_level_of_a_million_keeps_its_digits():
    steps = np.random.default_rng(1).integers(-8, 9, (500, 3)) / 1024.0
    at_zero, at_a_million = panel_of(steps).std(20), panel_of(steps + 1e6).std(20)
    assert_close(at_a_million, values_of(at_zero), 1e-12)


def test_a_constant_has_a_deviation_of_exactly_zero():
    assert flat(column(*[0.1] * 7).std(3)) == pytest.approx([NAN, NAN, 0.0, 0.0, 0.0, 0.0, 0.0], abs=0, nan_ok=True)


def test_a_huge_value_leaves_no_trace_after_its_last_window():
    values = [1.0, 2.0, 1e300, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert flat(column(*values).mean(3))[5:] == [4.0, 5.0, 6.0]
    assert flat(column(*values).std(3))[5:] == [1.0, 1.0, 1.0]


def test_a_missing_value_spoils_its_windows_and_no_later_one():
    panel = column(1.0, 2.0, NAN, 4.0, 5.0, 6.0, 7.0)
    expected = [NAN, 1.5, NAN, NAN, 4.5, 5.5, 6.5]
    assert flat(panel.mean(2)) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(flat(panel.std(2))).tolist() == np.isnan(expected).tolist()
    assert flat(panel.max(2)) == pytest.approx([NAN, 2.0, NAN, NAN, 5.0, 6.0, 7.0], nan_ok=True)
    assert flat(panel.ema(2)) == pytest.approx([NAN, 5 / 3, NAN, 29 / 9, 119 / 27, 443 / 81, 1577 / 243], nan_ok=True)


def test_a_window_longer_than_the_bars_gives_no_value():
    panel = column(1.0, 2.0)
    for result in (panel.mean(3), panel.std(3), panel.max(3), panel.ema(3), panel.lag(3), panel.rolling(3, np.max)):
        assert np.isnan(flat(result)).all()


def test_lag_difference_and_change_look_back():
    panel = column(1.0, 2.0, 4.0, 5.0)
    assert flat(panel.lag(0)) == [1.0, 2.0, 4.0, 5.0]
    assert flat(panel.lag(2)) == pytest.approx([NAN, NAN, 1.0, 2.0], nan_ok=True)
    assert flat(panel.difference(1)) == pytest.approx([NAN, 1.0, 2.0, 1.0], nan_ok=True)
    assert flat(panel.change(2)) == pytest.approx([NAN, NAN, 3.0, 1.5], nan_ok=True)
    assert flat((panel > 1.5).lag(1)) == [False, False, True, True]


def test_rolling_shows_its_function_the_last_rows_only():
    seen = []
    close = np.arange(10.0).reshape(5, 2)
    panel_of(close).rolling(2, lambda last: seen.append(last.copy()) or last.sum(axis=0))
    assert [rows.tolist() for rows in seen] == [close[t - 1 : t + 1].tolist() for t in range(1, 5)]


def test_a_rolling_function_cannot_change_what_others_see():
    panel = column(1.0, 2.0, 3.0)
    panel.rolling(2, lambda last: last.fill(0.0) or 0.0)
    assert flat(panel) == [1.0, 2.0, 3.0]


def test_carry_takes_the_last_value_but_none_too_old():
    panel = column(NAN, 1.0, NAN, NAN, 2.0, NAN)
    assert flat(panel.carry()) == pytest.approx([NAN, 1.0, 1.0, 1.0, 2.0, 2.0], nan_ok=True)
    assert flat(panel.carry(1)) == pytest.approx([NAN, 1.0, 1.0, NAN, 2.0, 2.0], nan_ok=True)


def test_until_holds_from_the_start_to_the_end_signal():
    start, end = column(0, 1, 0, 0, 1, 0), panel_of([[0.0]] * 6)
    assert flat((start > 0).until(start > 2)) == [False, True, True, True, True, True]
    window = Window(
        bars_from_close(np.full((6, 1), 1.0)),
        features={"start": np.array([[0, 1, 0, 0, 1, 1.0]]).T, "end": np.array([[0, 0, 0, 1, 1, 0.0]]).T},
    )
    held = (window.feature("start") > 0).until(window.feature("end") > 0)
    assert flat(held) == [False, True, True, False, False, True]
    with pytest.raises(StrategyError, match="two windows"):
        (start > 0).until(end > 0)


def test_has_changed_counts_missing_as_a_value():
    assert flat(column(NAN, NAN, 1.0, 1.0, 2.0, NAN).has_changed()) == [False, False, True, False, True, True]


def test_a_comparison_with_a_missing_value_is_false_in_both_directions():
    panel = column(NAN, 1.0)
    results = [panel < 2, panel <= 2, panel > 0, panel >= 0, panel == 1, panel != 2]
    assert [flat(result) for result in results] == [[False, True]] * 6


def test_ranks_equal_those_of_pandas_among_the_members():
    window = random_window(300, 8, seed=11, missing=0.1)
    signal = np.round(values_of(window.feature("signal")), 1)
    members = values_of(window.members)
    expected = pd.DataFrame(np.where(members, signal, NAN)).rank(axis=1)
    rounded = Window(window._bars, window._actions, features={"x": signal}, members=window._universe)
    np.testing.assert_array_equal(values_of(rounded.feature("x").rank()), expected)


def test_the_top_are_the_highest_and_of_equals_the_first():
    panel = panel_of([[3.0, 5.0, 5.0, NAN], [NAN, NAN, 1.0, NAN], [-np.inf, 2.0, np.inf, 2.0]])
    assert values_of(panel.top(2)).tolist() == [
        [False, True, True, False],
        [False, False, True, False],
        [False, True, True, False],
    ]
    assert values_of(panel.top(1)).tolist()[0] == [False, True, False, False]
    assert values_of(panel.top(9)).sum() == 8
    assert values_of(panel.bottom(1)).tolist()[2] == [True, False, False, False]


def test_whoever_is_no_member_counts_for_nothing_across_assets():
    rows, members = [[9.0, 1.0, 2.0, 3.0]], np.array([[False, True, True, True]])
    panel = panel_of(rows, members)
    assert values_of(panel.rank())[0] == pytest.approx([NAN, 1.0, 2.0, 3.0], nan_ok=True)
    assert values_of(panel.top(1))[0].tolist() == [False, False, False, True]
    assert values_of(panel.demean())[0] == pytest.approx([NAN, -1.0, 0.0, 1.0], nan_ok=True)
    assert values_of(panel.zscore())[0] == pytest.approx([NAN, -1.0, 0.0, 1.0], nan_ok=True)
    assert values_of((panel > 1.5).equal_weight())[0] == pytest.approx([0.0, 0.0, 0.5, 0.5])
    assert values_of(panel.normalize(2.0))[0] == pytest.approx([0.0, 2 / 6, 4 / 6, 1.0])


def test_scores_of_one_asset_or_of_equals_are_harmless():
    assert np.isnan(values_of(panel_of([[1.0, NAN]]).zscore())).all()
    assert values_of(panel_of([[2.0, 2.0]]).zscore()).tolist() == [[0.0, 0.0]]
    assert values_of(panel_of([[0.0, NAN]]).normalize()).tolist() == [[0.0, 0.0]]


def test_weights_of_nobody_are_zero():
    assert values_of((panel_of([[1.0, 2.0]]) > 5.0).equal_weight()).tolist() == [[0.0, 0.0]]


def test_where_leaves_the_others_alone_or_takes_another_value():
    panel = column(1.0, 2.0, 3.0)
    assert flat(panel.where(panel > 1.5)) == pytest.approx([NAN, 2.0, 3.0], nan_ok=True)
    assert flat(panel.where(panel > 1.5, 0.0)) == [0.0, 2.0, 3.0]
    assert flat(panel.where(panel > 1.5, -panel)) == [-1.0, 2.0, 3.0]


def test_arithmetic_follows_numpy():
    panel = column(1.0, -4.0, 9.0)
    assert flat(1.0 + panel * 2.0 - 3.0 / panel) == [0.0, -6.25, 1 + 18 - 1 / 3]
    assert flat(10.0 - panel) == [9.0, 14.0, 1.0]
    assert flat(2.0**panel) == [2.0, 0.0625, 512.0]
    assert flat(abs(panel) % 2.0) == [1.0, 0.0, 1.0]
    assert flat(panel.clip(0.0, 5.0).sign()) == [1.0, 0.0, 1.0]
    assert flat(column(1.0, math.e, 1.0).log()) == [0.0, 1.0, 0.0]
    assert flat(column(1.0, NAN, 1.0).fill(7)) == [1.0, 7.0, 1.0]
    assert flat((panel > 0) | (panel < -3)) == [True, True, True]
    assert flat(True & (panel > 0)) == [True, False, True]
