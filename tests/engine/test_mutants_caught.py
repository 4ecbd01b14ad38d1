"""Planted faults that no other test saw, or none but the random markets, each on a market small enough for hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Actions, Costs, Execution, TargetUnits, simulate
from tests.engine.comparison import ENGINES
from tests.engine.markets import NAN, Market, bars_of, orders_of, shaped_bars, targets

FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.fixture(params=sorted(ENGINES))
def run(request):
    return ENGINES[request.param]


def test_margin_call_drops_the_target_that_waits_for_a_missing_bar(run):
    bars = bars_of([[10.0, 10.0], [10.0, NAN], [7.0, NAN], [8.0, 10.0], [8.0, 10.0]])
    account = Account(cash=1_000.0, leverage=2.0, maintenance_margin=0.4)
    units = TargetUnits(targets(5, 2, {(0, 0): 200.0, (0, 1): 5.0}))
    outcome = run(Market(bars, units, account=account))
    # At bar 2 equity is 400 of exposure 1,400: the call liquidates asset 0 and forgets asset 1.
    assert [(fill["bar"], fill["asset"], fill["kind"]) for fill in outcome.fills] == [
        (1, 0, "target"),
        (3, 0, "liquidation"),
    ]


@pytest.mark.parametrize(
    ("costs", "units"),
    [
        (Costs(commission_bps=100.0), 1_000.0 / 10.1),
        (Costs(commission_per_share=0.1), 1_000.0 / 10.1),
        (Costs(commission_fixed=10.0), 99.0),
        (Costs(spread_bps=200.0), 1_000.0 / 10.1),
        (Costs(slippage_bps=100.0), 1_000.0 / 10.1),
    ],
    ids=repr,
)
def test_buy_that_cash_covers_but_for_its_costs_is_scaled_down(run, costs, units):
    # 99.5 units are worth 995 of 1,000: each of the costs alone asks for more than the 5 that are left.
    bars = bars_of([[10.0], [10.0], [10.0]])
    outcome = run(Market(bars, TargetUnits(targets(3, 1, {(0, 0): 99.5})), account=Account(cash=1_000.0), costs=costs))
    assert outcome.fills[0]["quantity"] == pytest.approx(units)
    assert outcome.cash[-1] == pytest.approx(0.0, abs=1e-9)


def test_delisting_after_quiet_bars_pays_the_last_close_of_each_asset(run):
    bars = bars_of([[10.0 + bar, 20.0 + bar] for bar in range(9)])
    none = Actions.none(bars)
    delisting = none.delisting.copy()
    delisting[8] = (-0.5, 0.0)
    units = TargetUnits(targets(9, 2, {(0, 0): 10.0, (0, 1): -10.0}))
    outcome = run(Market(bars, units, actions=Actions(none.split, none.dividend, delisting)))
    # The closes of bar 7 are 17 and 27.
    assert [(fill["kind"], fill["price"]) for fill in outcome.fills[2:]] == [("delisting", 8.5), ("delisting", 27.0)]


def test_exposure_of_quiet_bars_counts_long_and_short_alike():
    bars = bars_of([[10.0 + bar, 20.0 + bar] for bar in range(10)])
    result = simulate(bars, TargetUnits(targets(10, 2, {(0, 0): 10.0, (0, 1): -10.0})))
    assert result.exposure.tolist() == [0.0, *(300.0 + 20.0 * bar for bar in range(1, 10))]


def test_run_does_not_see_the_volume_that_the_run_before_has_used():
    # A tenth of 100 units a bar: each run buys all that bar 1 allows.
    bars = shaped_bars([FLAT, FLAT, FLAT], volume=100.0)
    decisions = TargetUnits(targets(3, 1, {(0, 0): 10.0}))
    for _ in range(2):
        result = simulate(bars, decisions, execution=Execution(participation_rate=0.1))
        assert result.fills[["bar", "quantity"]].tolist() == [(1, 10.0)]


def test_run_counts_the_ambiguous_bar_that_the_run_before_has_counted():
    bars = shaped_bars([FLAT, FLAT, (100.0, 106.0, 94.0, 100.0)])
    exits = {"bar": 1, "quantity": -1.0, "oco_group": "exits"}
    orders = orders_of(
        bars,
        [
            {"bar": 0, "quantity": 1.0, "kind": "market"},
            exits | {"kind": "limit", "limit_price": 105.0},
            exits | {"kind": "stop", "stop_price": 95.0},
        ],
    )
    for _ in range(2):
        ambiguity = simulate(bars, orders).ambiguity
        assert (ambiguity["n_bars"], ambiguity["bound_ccy"]) == (1, 10.0)


@pytest.mark.parametrize(("borrowed", "fee"), [(-10.0, True), (10.0, False)])
def test_only_short_positions_pay_the_borrow_fee(run, borrowed, fee):
    bars = bars_of([[10.0]] * 4)
    units = TargetUnits(targets(4, 1, {(0, 0): borrowed}))
    outcome = run(Market(bars, units, costs=Costs(borrow_rate=0.1)))
    assert [flow["bar"] for flow in outcome.flows] == ([2, 3] if fee else [])


def test_target_that_volume_limits_is_carried_over_the_next_bars(run):
    bars = shaped_bars([FLAT] * 5, volume=100.0)
    units = TargetUnits(targets(5, 1, {(0, 0): 25.0}))
    outcome = run(Market(bars, units, execution=Execution(participation_rate=0.1)))
    assert [(fill["bar"], fill["quantity"]) for fill in outcome.fills] == [(1, 10.0), (2, 10.0), (3, 5.0)]


def test_split_rescales_the_stop_price_of_a_resting_order(run):
    bars = shaped_bars([FLAT, FLAT, (50.0, 51.0, 46.0, 50.0)])
    none = Actions.none(bars)
    actions = Actions(np.array([[1.0], [1.0], [2.0]]), none.dividend, none.delisting)
    rows = [
        {"bar": 0, "quantity": 1.0, "kind": "market"},
        {"bar": 0, "quantity": -1.0, "kind": "stop", "stop_price": 94.0},
    ]
    outcome = run(Market(bars, orders_of(bars, rows), actions=actions))
    assert [(fill["bar"], fill["kind"], fill["quantity"], fill["price"]) for fill in outcome.fills] == [
        (1, "market", 1.0, 100.0),
        (2, "stop", -2.0, 47.0),
    ]


def test_liquidation_that_waits_for_a_missing_bar_leaves_orders_of_others_alone():
    # Without margin as the cash policy nothing covers before the group; it once went on to liquidations.
    nan = float("nan")
    bars = bars_of([[10.0] * 3, [10.0] * 3, [7.0] * 3, [nan, 8.0, 8.0], [8.0] * 3])
    orders = orders_of(bars, [{"bar": 0, "quantity": 200.0, "kind": "market"}])
    result = simulate(bars, orders, account=Account(cash=1000.0, leverage=2.0, maintenance_margin=0.4))
    assert [int(bar) for bar in result.fills["bar"]] == [1, 4]


def test_child_of_an_order_that_expires_trails_from_the_close_also_where_nothing_is_held(run):
    # Half of the parent is bought at 100 and sold at 150 by the third order; it expires at a close of 200.
    high = (200.0, 200.0, 200.0, 200.0)
    shapes = [FLAT, FLAT, (150.0, 150.0, 150.0, 150.0), high, high, (200.0, 200.0, 185.0, 185.0)]
    bars = shaped_bars(shapes, volume=100.0)
    rows = [
        {"bar": 0, "quantity": 20.0, "kind": "limit", "limit_price": 100.0, "tif": "bars:4"},
        {"bar": 0, "quantity": -5.0, "kind": "trailing_stop", "trail": 10.0, "parent": 0.0},
        {"bar": 1, "quantity": -10.0, "kind": "market"},
    ]
    outcome = run(Market(bars, orders_of(bars, rows), execution=Execution(participation_rate=0.1)))
    assert [(fill["bar"], fill["order"], fill["price"]) for fill in outcome.fills] == [
        (1, 0, 100.0),
        (2, 2, 150.0),
        (5, 1, 190.0),
    ]
