"""Positions that only wait for their levels: many bars without a decision, which the bar loop takes in stretches."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Costs, Execution, TargetUnits
from engine.records import FILL_KINDS
from engine.risk import Risk
from tests.engine.comparison import assert_same, play, play_slowly
from tests.engine.markets import Market, random_bars

N_BARS = 150


@pytest.mark.parametrize("seed", range(48))
def test_stretches_give_the_result_of_the_slow_reference(seed):
    market = waiting_market(seed)
    slow = play_slowly(market)
    assert_same(market, play(market), slow)


def test_a_target_that_is_the_position_opens_it_anew_after_an_exit():
    bars = random_bars(np.random.default_rng(1), 10, 1)
    units = np.full((10, 1), np.nan)
    units[0], units[4] = 20.0, 20.0
    market = Market(bars=bars, decisions=TargetUnits(units), risk=Risk(time_stop_bars=4))
    assert [FILL_KINDS[fill["kind"]] for fill in play(market).fills] == ["target", "time_stop", "target", "time_stop"]


def test_every_level_was_met_far_from_its_entry():
    held = {}
    for seed in range(48):
        for trade in play(waiting_market(seed)).trades:
            if trade["exit_kind"] >= 0:
                kind = FILL_KINDS[trade["exit_kind"]]
                held[kind] = max(held.get(kind, 0), int(trade["n_bars"]))
    assert all(held[kind] > 33 for kind in ("stop_loss", "take_profit", "trailing_loss", "time_stop")), held


def waiting_market(seed):
    rng = np.random.default_rng([seed, 5])
    n_assets = int(rng.integers(1, 4))
    bars = random_bars(rng, N_BARS, n_assets, missing_rate=rng.choice([0.0, 0.1]))
    units = np.full((N_BARS, n_assets), np.nan)
    for asset in range(n_assets):
        for bar in rng.choice(N_BARS, 4, replace=False):
            units[bar, asset] = rng.choice([-20.0, 20.0, 35.0])
    kinds = rng.random(4) < 0.5
    kinds[seed % 4] = True
    stop, profit, trailing, n_bars = kinds * [*rng.uniform(0.1, [0.4, 0.6, 0.4]), rng.integers(20, 60)]
    risk = Risk(stop_loss_rate=stop, take_profit_rate=profit, trailing_stop_rate=trailing, time_stop_bars=int(n_bars))
    execution = Execution(intrabar=str(rng.choice(["pessimistic", "ohlc", "olhc", "adaptive"])))
    return Market(
        bars=bars,
        decisions=TargetUnits(units),
        account=Account(cash=1e6),
        costs=Costs(commission_bps=2.0, slippage_bps=1.0),
        execution=execution,
        risk=risk,
    )
