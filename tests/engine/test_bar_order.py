"""The order of things within a bar, on markets small enough to do by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Actions, Costs, Execution, InputError, TargetUnits, TargetWeights, simulate
from tests.engine.markets import bars_of, targets

NAN = np.nan


def one_asset(closes, opens=None):
    return bars_of([[price] for price in closes], None if opens is None else [[price] for price in opens])


def actions_of(bars, *, split=(), dividend=(), delisting=()):
    actions = Actions.none(bars)
    arrays = {"split": actions.split.copy(), "dividend": actions.dividend.copy(), "delisting": actions.delisting.copy()}
    for name, cells in (("split", split), ("dividend", dividend), ("delisting", delisting)):
        for bar, asset, value in cells:
            arrays[name][bar, asset] = value
    return Actions(**arrays)


def test_order_decided_on_a_bar_fills_at_the_next_open():
    bars = one_asset([10.0, 12.0, 14.0], [9.0, 11.0, 13.0])
    result = simulate(bars, TargetUnits(targets(3, 1, {(0, 0): 100.0})), account=Account(cash=2_000.0))
    assert result.fills["bar"].tolist() == [1]
    assert result.fills["price"].tolist() == [11.0]
    assert result.equity.tolist() == [2_000.0, 2_100.0, 2_300.0]
    assert result.positions[:, 0].tolist() == [0.0, 100.0, 100.0]


def test_same_close_fills_on_the_bar_of_the_decision():
    bars = one_asset([10.0, 12.0, 14.0], [9.0, 11.0, 13.0])
    result = simulate(bars, TargetUnits(targets(3, 1, {(0, 0): 100.0})), execution=Execution(timing="same_close"))
    assert result.fills["bar"].tolist() == [0]
    assert result.fills["price"].tolist() == [10.0]


def test_decision_of_the_last_bar_trades_nothing():
    result = simulate(one_asset([10.0, 12.0]), TargetUnits(targets(2, 1, {(1, 0): 5.0})))
    assert result.fills.size == 0


def test_weight_is_sized_with_the_close_and_equity_of_its_bar_not_of_its_fill():
    bars = one_asset([10.0, 50.0], [10.0, 20.0])
    result = simulate(bars, TargetWeights(targets(2, 1, {(0, 0): 0.25})), account=Account(cash=1_000.0))
    assert result.fills["quantity"].tolist() == [25.0]
    assert result.fills["price"].tolist() == [20.0]


def test_nan_leaves_a_position_alone_and_zero_closes_it():
    bars = one_asset([10.0, 20.0, 30.0, 40.0])
    result = simulate(bars, TargetWeights(targets(4, 1, {(0, 0): 0.5, (2, 0): 0.0})), account=Account(cash=1_000.0))
    assert result.fills["quantity"].tolist() == [50.0, -50.0]
    assert result.positions[:, 0].tolist() == [0.0, 50.0, 50.0, 0.0]


def test_sells_pay_for_the_buys_of_the_same_bar():
    bars = bars_of([[10.0, 10.0]] * 3)
    weights = targets(3, 2, {(0, 1): 1.0, (1, 0): 1.0, (1, 1): 0.0})
    result = simulate(bars, TargetWeights(weights), account=Account(cash=1_000.0))
    assert result.fills["asset"].tolist() == [1, 1, 0]
    assert result.fills["quantity"].tolist() == [100.0, -100.0, 100.0]


def test_buys_are_scaled_down_in_proportion_where_cash_is_short():
    bars = bars_of([[10.0, 20.0], [20.0, 40.0]])
    result = simulate(bars, TargetWeights(targets(2, 2, {(0, 0): 0.6, (0, 1): 0.4})), account=Account(cash=1_000.0))
    assert result.fills["quantity"] == pytest.approx([30.0, 10.0], rel=1e-12)
    assert result.cash[1] == pytest.approx(0.0, abs=1e-9)


def test_buys_are_rejected_together_where_cash_is_short_and_the_policy_says_so():
    bars = bars_of([[10.0, 20.0], [20.0, 40.0]])
    weights = TargetWeights(targets(2, 2, {(0, 0): 0.6, (0, 1): 0.4}))
    result = simulate(bars, weights, account=Account(cash=1_000.0), execution=Execution(cash_policy="reject"))
    assert result.fills.size == 0


def test_all_of_the_cash_is_not_short_of_itself():
    bars = bars_of([[0.1, 0.7, 3.3]] * 2)
    weights = TargetWeights(np.full((2, 3), 1.0 / 3.0))
    result = simulate(bars, weights, execution=Execution(cash_policy="reject"))
    assert result.fills.size == 3


def test_leverage_lets_buys_spend_more_than_the_cash():
    bars = one_asset([10.0, 10.0, 10.0])
    weights = TargetWeights(targets(3, 1, {(0, 0): 3.0}))
    result = simulate(bars, weights, account=Account(cash=1_000.0, leverage=2.0))
    assert result.positions[1, 0] == pytest.approx(200.0)
    assert result.cash[1] == pytest.approx(-1_000.0)


def test_scaling_counts_fixed_and_proportional_commissions():
    bars = one_asset([10.0, 10.0])
    costs = Costs(commission_bps=100.0, commission_fixed=20.0)
    result = simulate(bars, TargetWeights(targets(2, 1, {(0, 0): 1.0})), account=Account(cash=1_000.0), costs=costs)
    assert result.fills["quantity"][0] == pytest.approx((1_000.0 - 20.0) / 1.01 / 10.0, rel=1e-12)
    assert result.cash[1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "costs",
    [
        Costs(commission_per_share=0.01, commission_min=5.0),
        Costs(commission_per_share=0.5, commission_min=1.0, commission_max_rate=0.01),
        Costs(commission_fixed=50.0, commission_bps=2_000.0, commission_max_rate=0.15),
    ],
)
def test_scaling_spends_all_cash_also_where_minimum_and_maximum_bend_the_costs(costs):
    bars = bars_of([[10.0, 25.0]] * 2)
    weights = TargetWeights(targets(2, 2, {(0, 0): 0.7, (0, 1): 0.9}))
    result = simulate(bars, weights, account=Account(cash=1_000.0), costs=costs)
    assert result.fills.size == 2
    assert result.cash[1] == pytest.approx(0.0, abs=1e-8)
    assert result.fills["quantity"][0] / result.fills["quantity"][1] == pytest.approx(70.0 / 36.0, rel=1e-9)


def test_lots_round_towards_zero_on_both_sides():
    bars = bars_of([[10.0, 10.0]] * 2)
    weights = TargetWeights(targets(2, 2, {(0, 0): 0.5799, (0, 1): -0.5799}))
    result = simulate(bars, weights, account=Account(cash=1_000.0), execution=Execution(lot_size=10.0))
    assert sorted(result.fills["quantity"].tolist()) == [-50.0, 50.0]


def test_whole_lots_survive_rounding_noise():
    bars = one_asset([0.1, 0.1])
    weights = TargetWeights(targets(2, 1, {(0, 0): 0.3}))
    result = simulate(bars, weights, account=Account(cash=1.0), execution=Execution(lot_size=1.0))
    assert result.fills["quantity"].tolist() == [3.0]


def test_closing_sells_the_odd_rest_that_a_split_left():
    bars = one_asset([10.0] * 4)
    units = TargetUnits(targets(4, 1, {(0, 0): 3.0, (2, 0): 0.0}))
    actions = actions_of(bars, split=[(2, 0, 1.5)])
    result = simulate(bars, units, actions=actions, execution=Execution(lot_size=1.0))
    assert result.positions[:, 0].tolist() == [0.0, 3.0, 4.5, 0.0]


def test_short_targets_are_clipped_where_short_sales_are_not_allowed():
    weights = TargetWeights(targets(3, 1, {(0, 0): 0.5, (1, 0): -0.5}))
    result = simulate(one_asset([10.0] * 3), weights, account=Account(allow_short=False))
    assert result.positions[:, 0].tolist() == [0.0, 5_000.0, 0.0]


def test_missing_bar_trades_nothing_and_the_order_waits_for_the_next_one():
    bars = one_asset([10.0, NAN, NAN, 12.0])
    result = simulate(bars, TargetUnits(targets(4, 1, {(0, 0): 10.0})))
    assert result.fills["bar"].tolist() == [3]


def test_newer_target_supersedes_one_that_waits():
    bars = one_asset([10.0, NAN, 12.0])
    result = simulate(bars, TargetUnits(targets(3, 1, {(0, 0): 10.0, (1, 0): 4.0})))
    assert result.fills["quantity"].tolist() == [4.0]


def test_missing_bar_keeps_the_last_mark():
    bars = one_asset([10.0, 12.0, NAN, 9.0])
    result = simulate(bars, TargetUnits(targets(4, 1, {(0, 0): 10.0})), account=Account(cash=1_000.0))
    assert result.equity.tolist() == [1_000.0, 1_000.0, 1_000.0, 970.0]


def test_weight_on_a_missing_bar_is_sized_with_the_last_mark_after_splits():
    bars = one_asset([10.0, NAN, 6.0])
    weights = TargetWeights(targets(3, 1, {(1, 0): 0.5}))
    result = simulate(bars, weights, account=Account(cash=1_000.0), actions=actions_of(bars, split=[(1, 0, 2.0)]))
    assert result.fills["quantity"].tolist() == [100.0]


def test_weight_before_the_first_bar_of_an_asset_is_refused():
    bars = bars_of([[10.0, NAN], [10.0, 5.0]])
    with pytest.raises(InputError, match=r"before an asset's first bar, was 0\.5 for A1 at 2020-01-01"):
        simulate(bars, TargetWeights(targets(2, 2, {(0, 1): 0.5})))
    assert simulate(bars, TargetWeights(targets(2, 2, {(0, 1): 0.0}))).fills.size == 0


def test_split_rescales_position_and_pending_target_and_keeps_equity():
    bars = bars_of([[100.0, 10.0], [100.0, 10.0], [50.0, 5.0]])
    units = TargetUnits(targets(3, 2, {(0, 0): 10.0, (1, 1): 8.0}))
    result = simulate(bars, units, actions=actions_of(bars, split=[(2, 0, 2.0), (2, 1, 2.0)]))
    assert result.positions.tolist() == [[0.0, 0.0], [10.0, 0.0], [20.0, 16.0]]
    assert result.equity.tolist() == [100_000.0] * 3


def test_dividend_pays_on_what_was_held_at_the_previous_close():
    bars = one_asset([10.0] * 4)
    units = TargetUnits(targets(4, 1, {(0, 0): 10.0, (1, 0): 0.0, (2, 0): -10.0}))
    actions = actions_of(bars, dividend=[(1, 0, 1.0), (2, 0, 1.0), (3, 0, 1.0)])
    result = simulate(bars, units, actions=actions)
    assert result.cash_flows["bar"].tolist() == [2]
    assert result.cash_flows["amount"].tolist() == [10.0]


def test_short_position_pays_the_dividend():
    bars = one_asset([10.0] * 3)
    result = simulate(
        bars, TargetUnits(targets(3, 1, {(0, 0): -10.0})), actions=actions_of(bars, dividend=[(2, 0, 0.5)])
    )
    assert result.cash_flows["amount"].tolist() == [-5.0]
    assert result.equity[-1] == 99_995.0


def test_dividend_counts_units_before_the_split_of_the_same_bar():
    bars = one_asset([10.0] * 3)
    actions = actions_of(bars, split=[(2, 0, 2.0)], dividend=[(2, 0, 1.0)])
    result = simulate(bars, TargetUnits(targets(3, 1, {(0, 0): 10.0})), actions=actions)
    assert result.cash_flows["quantity"].tolist() == [10.0]


def test_delisting_closes_at_the_last_mark_and_ends_trading():
    bars = one_asset([10.0, 10.0, 99.0, 99.0])
    units = TargetUnits(targets(4, 1, {(0, 0): 10.0, (1, 0): 20.0, (2, 0): 30.0}))
    costs = Costs(commission_fixed=1.0)
    result = simulate(bars, units, actions=actions_of(bars, delisting=[(2, 0, -0.3)]), costs=costs)
    assert result.fills_frame()["kind"].tolist() == ["target", "delisting"]
    assert result.fills["quantity"].tolist() == [10.0, -10.0]
    assert result.fills["price"][1] == pytest.approx(7.0)
    assert result.fills["commission"].tolist() == [1.0, 0.0]
    assert result.equity[-1] == pytest.approx(100_000.0 - 1.0 - 30.0)
    assert not result.trades["is_open"].any()


def test_no_equity_left_means_no_position():
    bars = one_asset([10.0, 10.0, 5.0, 5.0, 5.0])
    weights = TargetWeights(targets(5, 1, {(0, 0): 3.0, (2, 0): 1.0}))
    result = simulate(bars, weights, account=Account(cash=1_000.0, leverage=3.0))
    assert result.positions[:, 0].tolist() == [0.0, 300.0, 300.0, 0.0, 0.0]
    assert result.equity.tolist() == [1_000.0, 1_000.0, -500.0, -500.0, -500.0]
    assert np.isnan(result.returns[3:]).all()
    assert not any(np.isinf(value) for value in result.metrics.values())
