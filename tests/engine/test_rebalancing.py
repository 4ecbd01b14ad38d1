"""Whole rebalancings, which the engine takes in passes over the assets, beside the slow reference.

Markets without gaps, costs in proportion, many targets at an open: what random markets of other tests seldom are.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from engine import Account, Costs, Execution, TargetUnits, TargetWeights
from engine.records import FILL_KINDS
from tests.engine import random_settings as draw
from tests.engine.comparison import assert_same, play, play_slowly
from tests.engine.markets import NAN, Market, random_bars

SEEDS = range(48)
N_BARS, N_ASSETS = 40, 6


def rebalanced_market(seed):
    """Weights or units of most assets at most bars; money is short in some markets and borrowed in others."""
    rng = np.random.default_rng([seed, 77])
    bars = random_bars(rng, N_BARS, N_ASSETS)
    shape = bars.close.shape
    is_long_only, is_weight = rng.random() < 0.5, rng.random() < 0.6
    scale = draw.one_of(rng, (0.5, 0.9, 1.3)) if is_weight else 40.0
    values = rng.uniform(0.0 if is_long_only else -1.0, 1.0, shape) * (2.0 * scale / N_ASSETS if is_weight else scale)
    values[rng.random(shape) < 0.1] = 0.0
    values[rng.random(shape) < 0.15] = NAN
    values[rng.random(N_BARS) < 0.3] = NAN
    return Market(
        bars=bars,
        decisions=TargetWeights(values) if is_weight else TargetUnits(values.round()),
        actions=draw.actions(rng, bars, "targets") if rng.random() < 0.4 else None,
        account=Account(
            cash=draw.one_of(rng, (1_000.0, 10_000.0, 100_000.0)),
            leverage=draw.one_of(rng, (1.0, 1.0, 2.0)),
            allow_short=bool(rng.random() < 0.6),
            debit_rate=draw.one_of(rng, (0.0, 0.08)),
        ),
        costs=Costs(
            commission_bps=draw.one_of(rng, (0.0, 30.0)),
            commission_fixed=draw.one_of(rng, (0.0, 1.0)),
            commission_per_share=draw.one_of(rng, (0.0, 0.05)),
            sell_fee_rate=draw.one_of(rng, (0.0, 0.001)),
            sell_fee_per_share=draw.one_of(rng, (0.0, 0.01)),
            sell_fee_max=draw.one_of(rng, (0.3, np.inf)),
            spread_bps=draw.one_of(rng, (0.0, 40.0)),
            slippage_bps=draw.one_of(rng, (0.0, 30.0)),
        ),
        execution=Execution(
            lot_size=draw.one_of(rng, (0.0, 0.0, 1.0)), cash_policy=draw.one_of(rng, ("scale", "scale", "reject"))
        ),
        family="rebalanced",
    )


@cache
def market_and_outcome(seed):
    market = rebalanced_market(seed)
    return market, play_slowly(market)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rebalancing_gives_the_result_of_the_slow_reference(seed):
    market, slow = market_and_outcome(seed)
    assert_same(market, play(market), slow)


def test_markets_are_such_that_passes_are_taken_and_money_is_short_in_some():
    n_full, n_short = 0, 0
    for seed in SEEDS:
        market, slow = market_and_outcome(seed)
        assert not market.bars.has_gaps
        fills = np.bincount([fill["bar"] for fill in slow.fills], minlength=N_BARS)
        n_full += int((fills >= 3).sum())
        n_short += min(slow.cash) < 1.0 or bool(slow.rejections)
    assert n_full > 600
    assert 8 < n_short < 40


def test_sales_are_written_before_buys():
    for seed in SEEDS[:12]:
        fills = play(rebalanced_market(seed)).fills
        fills = fills[fills["kind"] == FILL_KINDS.index("target")]
        is_later_bar = np.diff(fills["bar"]) > 0
        assert (is_later_bar | (np.diff(np.sign(fills["quantity"])) >= 0.0)).all()
