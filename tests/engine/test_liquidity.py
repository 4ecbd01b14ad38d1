"""What impact is measured by, beside pandas' rolling statistics, and where bars stand among sessions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import Actions, Bars, Costs, Execution
from engine.kernels.liquidity import BLOCK
from engine.preparation import events_of, market_of
from tests.engine.markets import times as daily

COSTS = Costs(impact_coefficient=0.1, impact_bars=7)


def random_bars(n_bars, n_assets, *, gaps=0.0, seed=5, times=None):
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (n_bars, n_assets)), axis=0))
    volume = rng.uniform(0.0, 1e6, (n_bars, n_assets)).round()
    close[rng.random(close.shape) < gaps] = np.nan
    times = daily(n_bars) if times is None else times
    return Bars(close, close, close, close, volume, times, tuple(f"A{i}" for i in range(n_assets)))


def liquidity_of(bars, actions=None, costs=COSTS):
    return market_of(bars, costs, Execution(), events_of(actions, bars), has_nights=False, has_orders=False).liquidity


def no_actions(bars):
    """Return actions of which there is one, at the end of the last asset: nothing is rescaled before."""
    split = np.ones(bars.close.shape)
    split[-1, -1] = 2.0
    return Actions(split, np.zeros(split.shape), np.full(split.shape, np.nan))


@pytest.mark.parametrize("n_assets", [1, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_deviation_and_mean_volume_are_those_of_pandas(n_assets, gaps):
    bars = random_bars(BLOCK + 90, n_assets, gaps=gaps)
    found = liquidity_of(bars)
    for asset in range(n_assets):
        close, volume = pd.Series(bars.close[:, asset]).dropna(), pd.Series(bars.volume[:, asset])[lambda v: v == v]
        sigma = close.pct_change().rolling(7, min_periods=2).std().shift(1).reindex(range(bars.n_bars))
        adv = volume[close.index].rolling(7, min_periods=1).mean().shift(1).reindex(range(bars.n_bars))
        np.testing.assert_allclose(found["sigma"][:, asset], sigma, rtol=1e-10)
        np.testing.assert_allclose(found["adv"][:, asset], adv.where(sigma.notna()), rtol=1e-12)


@pytest.mark.parametrize(("n_bars", "n_assets"), [(1, 1), (2, 2), (8, 1), (9, 4), (BLOCK + 8, 1), (3 * BLOCK, 5)])
def test_bars_without_gaps_take_a_faster_way_to_the_same_bits(n_bars, n_assets):
    bars = random_bars(n_bars, n_assets)
    whole, ring = liquidity_of(bars), liquidity_of(bars, no_actions(bars))
    if n_bars > 1:
        whole, ring = whole[:-1], ring[:-1]
    assert whole.tobytes() == ring.tobytes()


def test_sessions_months_and_nights_are_those_of_the_dates():
    minutes = np.datetime64("1969-12-30T23:58", "ns") + np.arange(0, 90 * 24 * 60, 7) * np.timedelta64(60, "s")
    bars = random_bars(len(minutes), 1, times=minutes)
    market = market_of(bars, Costs(), Execution(), events_of(None, bars), has_nights=True, has_orders=False)
    days = minutes.astype("datetime64[D]")
    np.testing.assert_array_equal(market.calendar["session"], days.astype(np.int64))
    np.testing.assert_array_equal(market.calendar["month"], minutes.astype("datetime64[M]").astype(np.int64))
    np.testing.assert_array_equal(
        market.calendar["nights"], np.diff(days.astype(np.int64), prepend=days.astype(np.int64)[0])
    )
