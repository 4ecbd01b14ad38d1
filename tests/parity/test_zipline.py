"""The same orders in zipline-reloaded, over real and made-up bars, to 1e-9.

zipline needs older pandas: its interpreter is named by QUANTLAKE_ZIPLINE_PYTHON, see `make parity-zipline`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import exchange_calendars
import numpy as np
import pytest

from engine import Account, Actions, Costs, TargetUnits, simulate
from engine.adapters import zipline as peer
from engine.profiles import profile, profile_account, profile_costs
from tests.parity.markets import (
    Plan,
    assert_agrees,
    levels,
    random_orders,
    random_units,
    real_actions,
    real_bars,
    wild_bars,
)

ACCOUNT = replace(profile_account("zipline"), cash=1_000_000.0)
RULES = profile("zipline")
VOLUME_SHARE = Costs(commission_per_share=0.001, volume_share_impact=0.1, volume_share_limit=0.025)


@pytest.fixture(scope="session")
def python():
    name = os.environ.get("QUANTLAKE_ZIPLINE_PYTHON")
    if not name:
        pytest.skip("QUANTLAKE_ZIPLINE_PYTHON does not name an interpreter with zipline-reloaded")
    return Path(name)


def sessions(n_bars):
    calendar = exchange_calendars.get_calendar("XNYS", start="2001-01-02", end="2006-01-01")
    return calendar.sessions[:n_bars].to_numpy().astype("datetime64[D]")


def both(python, bars, decisions, *, costs, execution=RULES, actions=None, account=ACCOUNT):
    options = {"account": account, "costs": costs, "execution": execution, "actions": actions}
    return simulate(bars, decisions, **options), peer.run(bars, decisions, python=python, **options)


def whole_splits(bars, rng):
    """Splits that leave whole shares, and dividends paid two weeks later."""
    shape = bars.close.shape
    split, dividend = np.ones(shape), np.zeros(shape)
    split[100, 0], split[200, 1], split[150, 2] = 2.0, 4.0, 2.0
    dividend[40::63] = np.round(rng.uniform(0.1, 1.0, dividend[40::63].shape), 2)
    pay_bar = np.arange(shape[0])[:, None] + np.full(shape, 10)
    return Actions(split=split, dividend=dividend, delisting=np.full(shape, np.nan), pay_bar=pay_bar)


def test_volume_shares_splits_and_dividends_are_those_of_zipline(python):
    bars = wild_bars(31, n_bars=400, days=sessions(400))
    rng = np.random.default_rng(1)
    decisions = TargetUnits(random_units(rng, bars, rate=0.05))
    execution = replace(RULES, participation_rate=0.025)
    actions = whole_splits(bars, rng)
    assert_agrees(*both(python, bars, decisions, costs=VOLUME_SHARE, execution=execution, actions=actions), n_fills=75)


def test_real_prices_splits_and_dividends_are_those_of_zipline(python, shared_data):
    bars = real_bars(shared_data, ("AAPL", "IBM", "XOM"), "2005-01-01", "2006-12-31")
    actions = real_actions(shared_data, bars, days_to_pay=20)
    assert (actions.split != 1.0).any() and (actions.dividend > 0.0).sum() > 10
    decisions = TargetUnits(random_units(np.random.default_rng(2), bars, lot=20_000.0, rate=0.05))
    account = replace(ACCOUNT, cash=100_000_000.0)
    # AAPL split 2:1 in February 2005; what is sold in whole lots of two stays whole.
    assert_agrees(
        *both(python, bars, decisions, costs=profile_costs("zipline"), actions=actions, account=account), n_fills=50
    )


def test_limits_and_stops_look_at_closes_as_in_zipline(python):
    bars = wild_bars(32, n_bars=400, days=sessions(400))
    orders = random_orders(np.random.default_rng(3), bars, 300, ("market", "limit", "stop", "stop_limit"))
    execution = replace(RULES, participation_rate=np.inf)
    assert_agrees(*both(python, bars, orders, costs=Costs(commission_bps=15.0), execution=execution), n_fills=100)


def one_at_a_time(rng, bars, *, every=25):
    """Orders that take several bars' volume and end before the next one of their asset is placed."""
    plan = Plan(bars)
    for asset in range(bars.n_assets):
        for bar in range(2 + asset, bars.n_bars - every, every):
            kind, side = str(rng.choice(["market", "limit", "stop", "stop_limit"])), int(rng.choice([-1, 1]))
            prices = levels(rng, kind, float(bars.close[bar, asset]), side)
            plan.add(bar, asset, side * int(rng.integers(20, 120)), kind, tif=f"bars:{every - 2}", **prices)
    return plan.orders()


def test_what_the_volume_leaves_over_trades_in_the_next_bars_as_in_zipline(python):
    bars = wild_bars(36, n_bars=500, days=sessions(500))
    execution = replace(RULES, participation_rate=0.025)
    orders = one_at_a_time(np.random.default_rng(5), bars)
    ours, theirs = both(python, bars, orders, costs=Costs(), execution=execution)
    assert_agrees(ours, theirs, n_fills=70)
    assert len(ours.fills) > len(set(ours.fills["order"].tolist())) + 10


def test_a_minimum_is_charged_once_over_the_fills_of_an_order_as_in_zipline(python):
    bars = wild_bars(33, n_bars=300, days=sessions(300))
    decisions = TargetUnits(random_units(np.random.default_rng(4), bars, rate=0.04, lot=50.0))
    costs = replace(VOLUME_SHARE, commission_per_share=0.02, commission_min=2.0)
    execution = replace(RULES, participation_rate=0.025)
    assert_agrees(*both(python, bars, decisions, costs=costs, execution=execution), n_fills=60)


def test_zipline_pays_fractions_of_a_split_at_the_cost_basis_and_we_at_the_mark(python):
    bars = wild_bars(34, n_bars=60, n_assets=1, days=sessions(60))
    actions = Actions.none(bars)
    split = np.ones(bars.close.shape)
    split[30] = 1.5
    actions = Actions(split=split, dividend=actions.dividend, delisting=actions.delisting)
    units = np.full(bars.close.shape, np.nan)
    units[2] = 5.0
    ours, theirs = both(python, bars, TargetUnits(units), costs=Costs(), actions=actions)
    basis, mark = theirs.fills["price"][0] / 1.5, bars.close[29, 0] / 1.5
    assert ours.equity[:30] == pytest.approx(theirs.equity[:30], rel=1e-12)
    assert theirs.equity[30:] - ours.equity[30:] == pytest.approx(0.5 * (basis - mark), abs=0.011)


def test_a_missing_interpreter_is_named():
    bars = wild_bars(35, n_bars=5, days=sessions(5))
    units = TargetUnits(np.full(bars.close.shape, np.nan))
    with pytest.raises(Exception, match="no-such-python"):
        peer.run(bars, units, python="no-such-python", account=Account(cash=1.0, dividends_on="pay_date"))
