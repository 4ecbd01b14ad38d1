"""Where bars are missing: which features have no value, and that a value is still that of all history."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.features import FEATURES, compute
from strategies.features.smoothing import RELATIVE_TOLERANCE, SPARE_BARS
from strategies.window import Window
from tests.strategies.feature_markets import market, part, with_holes

AVERAGES = {"ema_gap_12_26": 1.0, "rsi_14": 0.0, "atr_14": 0.0}
"""Features that pass over missing bars, with what is added before they are compared (a gap is a ratio less one)."""
ENDS = {"momentum_252_21": (0, 21, 252), "momentum_126_21": (0, 21, 126), "reversal_21": (0, 21)}
"""Features of the closes so many bars ago, and of nothing in between; the others need every bar they look back on."""
SIX_WEEKS, YEARS = slice(450, 480), slice(330, 760)


def holes(n_bars: int) -> np.ndarray:
    """Six assets: whole, single bars missing, runs of them, six weeks, almost two years; the last is listed late."""
    random = np.random.default_rng(4)
    gone = np.zeros((n_bars, 6), np.bool_)
    gone[random.choice(n_bars, n_bars // 60, replace=False), 1] = True
    for start in random.choice(n_bars - 20, 6, replace=False):
        gone[start : start + random.integers(2, 15), 2] = True
    gone[SIX_WEEKS, 3] = True
    gone[YEARS, 4] = True
    gone[:350, 5] = True
    return gone


@pytest.fixture(scope="module")
def gappy() -> Window:
    return with_holes(market(900, 6, seed=11), holes(900))


@pytest.fixture(scope="module")
def values(gappy: Window) -> dict[str, np.ndarray]:
    return compute(gappy)


@pytest.mark.parametrize("name", FEATURES)
def test_a_slice_that_begins_with_the_warmup_gives_the_values_of_all_history(
    name: str, gappy: Window, values: dict[str, np.ndarray]
) -> None:
    warmup, shift = FEATURES[name].warmup_bars, AVERAGES.get(name, 0.0)
    rounding = RELATIVE_TOLERANCE if name in AVERAGES else 1e-9
    near_holes = [SIX_WEEKS.stop, SIX_WEEKS.stop + 1, YEARS.stop, YEARS.stop + 1]
    for bar in [*range(300, 900, 19), *near_holes, *(hole + warmup for hole in near_holes if hole + warmup < 900)]:
        found = compute(part(gappy, slice(bar - warmup, bar + 1)), [name])[name][-1] if bar >= warmup else None
        if found is not None:
            expected = values[name][bar]
            np.testing.assert_allclose(found + shift, expected + shift, rtol=rounding, atol=1e-12, err_msg=str(bar))


@pytest.mark.parametrize("name", FEATURES)
def test_a_value_is_missing_where_a_bar_it_needs_is(name: str, gappy: Window, values: dict[str, np.ndarray]) -> None:
    has_bar = ~np.isnan(gappy._bars.close)
    warmup, ends = FEATURES[name].warmup_bars, ENDS.get(name.removeprefix("rank_"))
    expected = np.zeros(has_bar.shape, np.bool_)
    for bar in range(warmup, len(has_bar)):
        last = has_bar[bar - warmup : bar + 1]
        if ends:
            expected[bar] = np.logical_and.reduce([has_bar[bar - ago] for ago in ends])
        elif name in AVERAGES:
            expected[bar] = has_bar[bar] & (last.sum(axis=0) >= len(last) - SPARE_BARS)
        else:
            expected[bar] = last.all(axis=0)
    has_value = np.isfinite(values[name])
    if warmup:
        np.testing.assert_array_equal(has_value, expected)
    else:  # a figure as filed may be missing for reasons of its own
        assert not (has_value & ~expected).any() and has_value.any()


def test_a_hole_between_two_closes_is_earned_by_whoever_held_the_asset(
    gappy: Window, values: dict[str, np.ndarray]
) -> None:
    """By hand, for the asset without a bar of six weeks: one share, its splits, its dividends, close to close."""
    bars, actions = gappy._bars, gappy._actions
    bar = SIX_WEEKS.stop + 40
    shares, worth = 1.0, bars.close[bar - 126, 3]
    growth, last = 1.0, worth
    cash = 0.0
    for now in range(bar - 125, bar - 20):
        cash += shares * actions.dividend[now, 3]
        shares *= actions.split[now, 3]
        if not np.isnan(bars.close[now, 3]):
            growth *= (bars.close[now, 3] * shares + cash) / last
            last, shares, cash = bars.close[now, 3], 1.0, 0.0
    assert values["momentum_126_21"][bar, 3] == pytest.approx(growth - 1.0, rel=1e-9)
    assert np.isnan(values["momentum_126_21"][SIX_WEEKS.stop - 1 + 21, 3])


def test_who_has_no_value_takes_no_place_among_the_ranked(gappy: Window, values: dict[str, np.ndarray]) -> None:
    bar = YEARS.stop + 100  # the fourth asset's year began in its hole
    ranks = values["rank_momentum_252_21"][bar]
    others = np.isfinite(values["momentum_252_21"][bar])
    assert not others[4] and np.isnan(ranks[4])
    assert sorted(ranks[others]) == pytest.approx(np.linspace(0.0, 1.0, others.sum()))


def test_the_first_bar_after_a_hole_has_no_return_however_short_the_hole(values: dict[str, np.ndarray]) -> None:
    for hole, asset in ((SIX_WEEKS, 3), (YEARS, 4)):
        returns = values["total_return"][:, asset]
        assert np.isnan(returns[hole.start : hole.stop + 1]).all()
        assert np.isfinite(returns[[hole.start - 1, hole.stop + 1]]).all()
