"""The compiled engine against a slow one in plain Python that shares no code with it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from engine import TargetWeights, simulate
from tests.engine.markets import random_market
from tests.engine.reference import Settings, simulate_slowly

SEEDS = range(120)
# Equal to 1e-9, relative to the account where values pass through zero.
RATE = 1e-9


def rows(values):
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def both(seed):
    market = random_market(seed)
    fast = simulate(market.bars, market.decisions, **market.settings)
    settings = Settings(**asdict(market.account), **asdict(market.costs), **asdict(market.execution))
    is_weight = isinstance(market.decisions, TargetWeights)
    slow = simulate_slowly(
        rows(market.bars.open),
        rows(market.bars.close),
        rows(market.decisions.weights if is_weight else market.decisions.units),
        settings,
        is_weight=is_weight,
        splits=market.actions.split.tolist(),
        dividends=market.actions.dividend.tolist(),
        delistings=rows(market.actions.delisting),
    )
    return market, fast, slow


@pytest.mark.parametrize("seed", SEEDS)
def test_random_market_gives_the_result_of_the_slow_reference(seed):
    market, fast, slow = both(seed)
    near = {"rtol": RATE, "atol": RATE * market.account.cash}
    np.testing.assert_allclose(fast.equity, slow.equity, **near)
    np.testing.assert_allclose(fast.cash, slow.cash, **near)
    np.testing.assert_allclose(fast.positions, slow.positions, rtol=RATE, atol=1e-6 * RATE * market.account.cash)
    assert_same_records(fast.fills_frame(), slow.fills, market)
    assert_same_records(fast.cash_flows_frame(), slow.flows, market)
    assert_same_trades(fast.trades, slow.trades, market)


def assert_same_records(frame, expected, market):
    bar_end = market.bars.bar_end
    keys = [(str(np.datetime64(row.bar_end.tz_localize(None))), row.symbol, row.kind) for row in frame.itertuples()]
    wanted = [(str(bar_end[row["bar"]]), market.bars.symbols[row["asset"]], row["kind"]) for row in expected]
    order, wanted_order = sorted_order(keys), sorted_order(wanted)
    assert [keys[i] for i in order] == [wanted[i] for i in wanted_order]
    for name in frame.columns.difference(["bar_end", "symbol", "kind"]):
        values = frame[name].to_numpy()[order]
        np.testing.assert_allclose(
            values, [expected[i][name] for i in wanted_order], rtol=RATE, atol=RATE * market.account.cash
        )


def sorted_order(keys):
    return sorted(range(len(keys)), key=keys.__getitem__)


def assert_same_trades(trades, expected, market):
    names = ("is_open", "asset", "exit_bar", "entry_bar")
    keys = [tuple(int(trade[name]) for name in names) for trade in trades]
    wanted = [tuple(int(trade[name]) for name in names) for trade in expected]
    order, wanted_order = sorted_order(keys), sorted_order(wanted)
    assert [keys[i] for i in order] == [wanted[i] for i in wanted_order]
    for name in ("quantity", "entry_price", "exit_price", "pnl", "commission", "costs"):
        values = [trades[i][name] for i in order]
        np.testing.assert_allclose(
            values, [expected[i][name] for i in wanted_order], rtol=RATE, atol=RATE * market.account.cash
        )


def test_random_markets_visit_every_rule():
    seen = {"delisting": 0, "dividend": 0, "short": 0, "missing": 0, "scaled": 0, "same_close": 0, "lots": 0}
    for seed in SEEDS:
        market = random_market(seed)
        result = simulate(market.bars, market.decisions, **market.settings)
        seen["delisting"] += int((result.fills["kind"] == 1).sum())
        seen["dividend"] += result.cash_flows.size
        seen["short"] += int((result.positions < 0).any())
        seen["missing"] += int(market.bars.has_gaps and result.fills.size > 0)
        seen["scaled"] += int((np.abs(result.cash) < 1e-7 * market.account.cash).any())
        seen["same_close"] += int(market.execution.timing == "same_close" and result.fills.size > 0)
        seen["lots"] += int(market.execution.lot_size > 0 and result.fills.size > 0)
    assert min(seen.values()) >= 10, seen
