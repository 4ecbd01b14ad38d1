"""The same decisions in vectorbt, over real and made-up bars, to 1e-9."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine import Account, Bars, Costs, InputError, Risk, TargetUnits, TargetWeights, simulate
from engine.adapters import compare
from engine.adapters import vectorbt as peer
from engine.profiles import profile
from tests.parity.markets import MARKETS, assert_agrees, random_units, real_bars, wild_bars

pytest.importorskip("vectorbt", reason="vectorbt is not installed")

ACCOUNT = Account(cash=1_000_000.0)
COSTS = Costs(commission_bps=5.0, commission_fixed=1.0, slippage_bps=10.0)
TIMINGS = ("same_close", "next_open")
LEVELS = {
    "stop loss": Risk(stop_loss_rate=0.03),
    "take profit": Risk(take_profit_rate=0.03),
    "both": Risk(stop_loss_rate=0.04, take_profit_rate=0.05),
    "trailing": Risk(trailing_stop_rate=0.04),
    "trailing and profit": Risk(trailing_stop_rate=0.05, take_profit_rate=0.03),
}


@pytest.fixture(params=MARKETS)
def bars(request):
    if request.param == "recorded":
        return real_bars(request.getfixturevalue("shared_data"), ("AAPL", "IBM", "XOM"))
    return wild_bars(1 if request.param == "made up" else request.param)


def settings(timing):
    return {"account": ACCOUNT, "costs": COSTS, "execution": replace(profile("vectorbt"), timing=timing)}


def signals(bars, seed, units=100.0):
    """Entries of one size on both sides, and exits."""
    return random_units(np.random.default_rng(seed), bars, most=1, lot=units, rate=0.12)


def heard(values, run, bars, timing):
    """The targets that vectorbt heard: it drops those of a bar on which a level was hit.

    A fill was a signal's if it leads where the signal wants to be, at the signal's price.
    """
    lag = int(timing == "next_open")
    price = bars.open if lag else bars.close
    slip = COSTS.slippage_bps / 1e4
    kept, held = values.copy(), np.zeros(bars.n_assets)
    for fill in run.fills:
        bar, asset = int(fill["bar"]) - lag, fill["asset"]
        held[asset] += fill["quantity"]
        if bar < 0 or np.isnan(values[bar, asset]):
            continue
        paid = price[fill["bar"], asset] * (1.0 + np.sign(fill["quantity"]) * slip)
        if held[asset] != values[bar, asset] or abs(fill["price"] / paid - 1.0) > 1e-9:
            kept[bar, asset] = np.nan
    return kept


@pytest.mark.parametrize("timing", TIMINGS)
def test_fixed_units_are_those_of_vectorbt(bars, timing):
    decisions = TargetUnits(random_units(np.random.default_rng(2), bars))
    run = peer.run(bars, decisions, **settings(timing))
    assert_agrees(simulate(bars, decisions, **settings(timing)), run, n_fills=100)


@pytest.mark.parametrize("timing", TIMINGS)
def test_target_percents_with_shared_cash_are_those_of_vectorbt(bars, timing):
    rng = np.random.default_rng(3)
    weights = np.full(bars.close.shape, np.nan)
    weights[::15] = rng.dirichlet(np.ones(bars.n_assets), size=weights[::15].shape[0]) * 0.8
    run = peer.run(bars, TargetWeights(weights), **settings(timing))
    assert_agrees(simulate(bars, TargetWeights(weights), **settings(timing)), run, n_fills=60)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("levels", LEVELS)
def test_stops_and_profits_are_those_of_vectorbt(bars, levels, timing):
    options = settings(timing) | {"risk": LEVELS[levels]}
    values = signals(bars, 4)
    values = heard(values, peer.run(bars, TargetUnits(values), **options), bars, timing)
    run = peer.run(bars, TargetUnits(values), **options)
    result = simulate(bars, TargetUnits(values), **options)
    assert_agrees(result, run, n_fills=100)
    kinds = set(np.array(result.fills["kind"]).tolist())
    assert len(kinds) >= 2


def test_vectorbt_drops_a_signal_on_the_bar_of_a_stop_and_we_trade_it():
    bars = path([100, 100, 90, 90], lows=[100, 100, 90, 90])
    units = np.array([[10.0], [np.nan], [-10.0], [np.nan]])
    options = {"account": ACCOUNT, "execution": profile("vectorbt"), "risk": Risk(stop_loss_rate=0.05)}
    theirs = peer.run(bars, TargetUnits(units), **options)
    ours = simulate(bars, TargetUnits(units), **options)
    assert theirs.fills["quantity"].tolist() == [10.0, -10.0]
    assert ours.fills["quantity"].tolist() == [10.0, -10.0, -10.0]
    assert compare(ours, theirs).n_only_ours + compare(ours, theirs).n_only_theirs > 0


def test_levels_need_targets_of_one_size_which_is_all_vectorbt_hears():
    bars = path([100, 100, 100])
    units = TargetUnits(np.array([[10.0], [20.0], [np.nan]]))
    with pytest.raises(InputError, match="levels of Risk with targets of several sizes"):
        peer.run(bars, units, risk=Risk(stop_loss_rate=0.05))


def path(closes, lows=None):
    close = np.array(closes, dtype=float)[:, None]
    low = close if lows is None else np.array(lows, dtype=float)[:, None]
    open_ = np.vstack([close[:1], close[:-1]])
    high, low = np.maximum(open_, close), np.minimum(low, np.minimum(open_, close))
    times = np.datetime64("2020-01-01T21:00", "us") + np.arange(len(close)) * np.timedelta64(1, "D")
    return Bars(open_, high, low, close, np.full(close.shape, 1e6), times, ("A",))
