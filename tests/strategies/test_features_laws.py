"""What every feature of the registry must keep: no look ahead, its warm-up, no care for the assets' order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strategies.features import FEATURES, compute
from strategies.features.across import sum_across
from strategies.features.smoothing import RELATIVE_TOLERANCE
from strategies.lookahead import check
from strategies.panel import values_of
from strategies.window import Window
from tests.strategies.feature_markets import market, part, reordered

START = 320
# Averages that never forget altogether agree to a stated tolerance, the others to rounding. A gap of averages is
# their ratio less one, and agrees as the ratio does.
RECURSIVE = {"ema_gap_12_26": 1.0, "rsi_14": 0.0, "atr_14": 0.0}


@pytest.fixture(scope="module")
def whole() -> Window:
    return market(600, 4, seed=2)


@pytest.fixture(scope="module")
def gappy() -> Window:
    return market(420, 5, seed=6, missing=0.01)


@pytest.fixture(scope="module")
def values(whole: Window) -> dict[str, np.ndarray]:
    return compute(whole)


@pytest.mark.parametrize("name", FEATURES)
def test_a_slice_that_begins_with_the_warmup_gives_the_values_of_all_history(
    name: str, whole: Window, values: dict[str, np.ndarray]
) -> None:
    warmup = FEATURES[name].warmup_bars
    expected = values[name][START:]
    assert np.isfinite(expected[:, :-1]).any(axis=0).all()
    found = compute(part(whole, slice(START - warmup, None)), [name])[name][warmup:]
    rounding = RELATIVE_TOLERANCE if name in RECURSIVE else 1e-9
    shift = RECURSIVE.get(name, 0.0)
    np.testing.assert_allclose(found + shift, expected + shift, rtol=rounding, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, feature in FEATURES.items() if feature.warmup_bars])
def test_one_bar_less_than_the_warmup_is_too_short(name: str, whole: Window, values: dict[str, np.ndarray]) -> None:
    warmup = FEATURES[name].warmup_bars
    short = compute(part(whole, slice(START - warmup + 1, None)), [name])[name]
    assert np.isnan(short[: warmup - 1]).all(), "a value shows before its warm-up has passed"
    is_lost = np.isnan(short[warmup - 1]) & ~np.isnan(values[name][START])
    assert is_lost.any(), "a shorter warm-up would do"


@pytest.mark.parametrize("name", FEATURES)
def test_no_feature_looks_ahead(name: str, gappy: Window) -> None:
    report = check(lambda window: compute(window, [name])[name], gappy, n_cuts=30)
    assert report.is_clean, report.leak
    assert np.isfinite(compute(gappy, [name])[name]).any()


@pytest.mark.parametrize("missing", [0.0, 0.01])
def test_the_order_of_the_assets_does_not_matter_to_any_bit(missing: float) -> None:
    window = market(420, 9, seed=7, missing=missing)
    order = np.random.default_rng(0).permutation(9)
    before, after = compute(window), compute(reordered(window, order))
    for name in FEATURES:
        np.testing.assert_array_equal(after[name], before[name][:, order], err_msg=name)


def test_what_is_added_up_across_assets_has_the_same_bits_in_any_order() -> None:
    # Returns of a few assets add up without rounding; these do not.
    window = market(420, 9, seed=7, missing=0.05)
    order = np.random.default_rng(0).permutation(9)
    before, after = (sum_across(one.close * one.volume / 3.0) for one in (window, reordered(window, order)))
    np.testing.assert_array_equal(values_of(after), values_of(before))
    traded = np.nan_to_num(window._bars.close * window._bars.volume / 3.0)
    expected = [[math.fsum(line)] * 9 for line in traded]
    np.testing.assert_allclose(values_of(before), expected, rtol=1e-14)


def test_an_asset_that_never_trades_changes_nothing(whole: Window, values: dict[str, np.ndarray]) -> None:
    from engine.actions import Actions
    from engine.bars import Bars

    bars, actions = whole._bars, whole._actions
    empty = np.full((bars.n_bars, 1), np.nan)
    prices = {name: np.hstack([getattr(bars, name), empty]) for name in ("open", "high", "low", "close", "volume")}
    quiet = {"split": np.ones_like(empty), "dividend": np.zeros_like(empty), "delisting": empty}
    wider = Window(
        Bars(**prices, bar_end=bars.bar_end, symbols=(*bars.symbols, "NEVER")),
        Actions(**{name: np.hstack([getattr(actions, name), column]) for name, column in quiet.items()}),
        features={name: np.hstack([figure, empty]) for name, figure in whole._features.items()},
    )
    found = compute(wider)
    for name in FEATURES:
        np.testing.assert_array_equal(found[name][:, :-1], values[name], err_msg=name)
        assert np.isnan(found[name][:, -1]).all(), name


def test_no_value_is_infinite(gappy: Window) -> None:
    for name, found in compute(gappy).items():
        assert not np.isinf(found).any(), name
