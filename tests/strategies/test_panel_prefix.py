"""What comes later changes nothing: each operation on cut data equals, to the bit, the same bars of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.panel import Panel, values_of
from strategies.window import Window
from tests.strategies.windows import random_window

OPERATIONS = {
    "lag": lambda w, n: w.close.lag(n - 1),
    "difference": lambda w, n: w.close.difference(n),
    "change": lambda w, n: w.index.change(n),
    "has_changed": lambda w, n: (w.close > w.close.lag(n)).has_changed(),
    "sum": lambda w, n: w.volume.sum(n),
    "mean": lambda w, n: w.close.mean(n),
    "std": lambda w, n: w.close.std(n + 1),
    "min": lambda w, n: w.low.min(n),
    "max": lambda w, n: w.high.max(n),
    "ema": lambda w, n: w.close.ema(n),
    "rolling": lambda w, n: w.close.rolling(n, lambda last: np.median(last, axis=0)),
    "expanding_sum": lambda w, n: w.volume.expanding_sum(),
    "expanding_mean": lambda w, n: w.close.expanding_mean(),
    "expanding_std": lambda w, n: w.close.expanding_std(),
    "expanding_min": lambda w, n: w.close.expanding_min(),
    "expanding_max": lambda w, n: w.close.expanding_max(),
    "carry": lambda w, n: w.close.carry(n),
    "until": lambda w, n: (w.close > w.close.lag(n)).until(w.close < w.close.lag(2 * n)),
    "rank": lambda w, n: w.feature("signal").rank(),
    "top": lambda w, n: w.feature("signal").top(n),
    "bottom": lambda w, n: w.feature("signal").bottom(n),
    "demean": lambda w, n: w.feature("signal").demean(),
    "zscore": lambda w, n: w.feature("signal").zscore(),
    "equal_weight": lambda w, n: (w.feature("signal") > 0.0).equal_weight(),
    "normalize": lambda w, n: w.feature("signal").normalize(),
    "where": lambda w, n: w.close.where(w.month_start, w.open.lag(n)),
    "is_valid": lambda w, n: w.close.is_valid(),
    "fill": lambda w, n: w.close.fill(0.0),
    "clip": lambda w, n: w.feature("signal").clip(-0.5, 0.5),
    "sign": lambda w, n: w.feature("signal").sign(),
    "log": lambda w, n: w.close.log(),
    "arithmetic": lambda w, n: (abs(-w.close) ** 1.3 + 2.0 / w.open - w.high * 0.5) % 7.0,
    "logic": lambda w, n: ~((w.close >= w.open) & (w.low <= 50.0) | (w.high == w.low) | (w.close != w.open)),
    "window.members": lambda w, n: w.members,
    "window.index": lambda w, n: w.index,
    "window.total_return": lambda w, n: w.total_return,
    "window.month_start": lambda w, n: w.month_start,
    "window.week_start": lambda w, n: w.week_start,
    "window.year_start": lambda w, n: w.year_start,
    "window.feature": lambda w, n: w.feature("volatility_21") + w.feature("dollar_volume_21"),
}


def assert_same_prefix(operation, window: Window, t: int, n: int) -> None:
    whole, then = values_of(operation(window, n)), values_of(operation(window.cut(t), n))
    assert then.shape == (t, whole.shape[1])
    assert np.array_equal(whole[:t], then, equal_nan=whole.dtype != np.bool_)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_value_is_the_same_to_the_bit_whatever_bars_follow(name, data):
    n_bars = data.draw(st.integers(1, 90))
    window = random_window(
        n_bars,
        data.draw(st.integers(1, 9)),
        data.draw(st.integers(0, 10**6)),
        missing=data.draw(st.sampled_from([0.0, 0.02, 0.3])),
    )
    assert_same_prefix(OPERATIONS[name], window, data.draw(st.integers(1, n_bars)), data.draw(st.integers(1, 30)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_value_is_the_same_to_the_bit_in_a_long_and_wide_market(name):
    window = random_window(1200, 33, seed=7)
    for t, n in [(1199, 20), (1024, 200), (777, 3), (129, 64), (1, 1)]:
        assert_same_prefix(OPERATIONS[name], window, t, n)


def test_every_operation_of_panels_and_windows_is_in_the_table():
    prices = {"open", "high", "low", "close", "volume"}
    panel = {name for name in dir(Panel) if not name.startswith("_")}
    window = {f"window.{name}" for name in dir(Window) if not name.startswith("_")}
    assert panel | window - {"window.cut"} - {f"window.{name}" for name in prices} <= set(OPERATIONS)
