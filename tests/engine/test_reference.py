"""Cases small enough to compute by hand, each for the reference and for the compiled engine."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Actions, Costs, Execution, TargetUnits, TargetWeights
from engine.risk import Risk
from tests.engine.comparison import ENGINES
from tests.engine.markets import Market, bars_of, orders_of, shaped_bars, targets, times

FLAT = (10.0, 10.0, 10.0, 10.0)
BUY = {"bar": 0, "quantity": 100.0, "kind": "market"}


@pytest.fixture(params=sorted(ENGINES))
def run(request):
    return ENGINES[request.param]


def flat(n_bars, *, price=10.0, volume=1e6):
    return shaped_bars([(price,) * 4] * n_bars, volume=volume)


def actions_of(bars, *, split=(), dividend=(), pay_bar=None):
    none = Actions.none(bars)
    arrays = {"split": none.split.copy(), "dividend": none.dividend.copy()}
    for name, cells in (("split", split), ("dividend", dividend)):
        for bar, value in cells:
            arrays[name][bar, 0] = value
    pays = None if pay_bar is None else np.full(none.split.shape, pay_bar)
    return Actions(arrays["split"], arrays["dividend"], none.delisting, pays)


def column(records, name):
    return [record[name] for record in records]


def test_order_larger_than_its_share_of_the_volume_fills_over_several_bars(run):
    bars = flat(5, volume=405.0)
    execution = Execution(participation_rate=0.1, lot_size=10.0)
    outcome = run(Market(bars, orders_of(bars, [BUY]), execution=execution))
    assert column(outcome.fills, "quantity") == [40.0, 40.0, 20.0]
    assert outcome.statuses == ["filled"]
    short = run(Market(bars, orders_of(bars, [BUY | {"tif": "bars:2"}]), execution=execution))
    assert column(short.fills, "quantity") == [40.0, 40.0]
    assert short.statuses == ["expired"]


@pytest.mark.parametrize(
    ("costs", "commissions"),
    [
        (Costs(commission_per_share=0.01), [0.4, 0.4, 0.2]),
        (Costs(commission_per_share=0.01, commission_min=0.5), [0.5, 0.3, 0.2]),
        (Costs(commission_per_share=0.01, commission_min=5.0), [5.0, 0.0, 0.0]),
        (Costs(commission_fixed=1.0, commission_bps=10.0), [1.4, 0.4, 0.2]),
        (Costs(commission_per_share=0.01, commission_max_rate=0.0005), [0.2, 0.2, 0.1]),
        (Costs(commission_min=0.3, commission_max_rate=0.0005), [0.2, 0.1, 0.0]),
        (Costs(commission_min=0.3, commission_max_rate=0.0005, commission_min_beats_max=True), [0.3, 0.0, 0.0]),
        (Costs(commission_tiers=((0.0, 0.02), (50.0, 0.01))), [0.8, 0.5, 0.2]),
    ],
)
def test_commission_of_an_order_is_that_of_all_its_fills_together(run, costs, commissions):
    bars = flat(5, volume=400.0)
    execution = Execution(participation_rate=0.1)
    outcome = run(Market(bars, orders_of(bars, [BUY]), costs=costs, execution=execution))
    assert column(outcome.fills, "commission") == pytest.approx(commissions)
    assert outcome.cash[-1] == pytest.approx(99_000.0 - sum(commissions))


def test_tiers_begin_anew_each_month(run):
    bars = shaped_bars([FLAT] * 4, bar_end=times(4, "2020-01-30T21:00"))
    orders = orders_of(bars, [BUY, BUY | {"bar": 1}])  # fill on 31 January and 1 February
    outcome = run(Market(bars, orders, costs=Costs(commission_tiers=((0.0, 0.02), (50.0, 0.01)))))
    assert column(outcome.fills, "commission") == pytest.approx([1.5, 1.5])


def test_sale_pays_fees_and_a_buy_does_not(run):
    bars = flat(4)
    orders = orders_of(bars, [BUY, BUY | {"bar": 1, "quantity": -50.0}, BUY | {"bar": 2, "quantity": -40.0}])
    costs = Costs(sell_fee_rate=0.001, sell_fee_per_share=0.01, sell_fee_max=0.45)
    outcome = run(Market(bars, orders, costs=costs))
    assert column(outcome.fills, "fees") == pytest.approx([0.0, 0.5 + 0.45, 0.4 + 0.4])


def test_each_part_of_a_price_is_attributed(run):
    bars = flat(2, price=100.0, volume=1_000.0)
    costs = Costs(spread_bps=20.0, slippage_bps=5.0, slippage_ticks=2.0, volume_share_impact=0.1)
    outcome = run(Market(bars, orders_of(bars, [BUY]), costs=costs, execution=Execution(tick_size=0.01)))
    (fill,) = outcome.fills
    assert fill["price"] == pytest.approx(100.0 + 0.1 + (0.05 + 0.02) + 100.0 * 0.1 * 0.1**2)
    assert [fill[name] for name in ("spread", "slippage", "impact")] == pytest.approx([10.0, 7.0, 10.0])
    assert outcome.cash[-1] == pytest.approx(100_000.0 - 10_000.0 - 27.0)


def test_impact_grows_with_the_root_of_the_share_of_the_mean_volume(run):
    closes = [100.0, 110.0, 99.0, 99.0, 99.0]
    bars = shaped_bars([(close,) * 4 for close in closes], volume=400.0)
    orders = orders_of(bars, [BUY | {"bar": 2}])
    outcome = run(Market(bars, orders, costs=Costs(impact_coefficient=0.5)))
    sigma = np.std([0.1, -0.1], ddof=1)
    assert outcome.fills[0]["price"] == pytest.approx(99.0 * (1.0 + 0.5 * sigma * 0.5))
    early = run(Market(bars, orders_of(bars, [BUY | {"bar": 1}]), costs=Costs(impact_coefficient=0.5)))
    assert early.fills[0]["impact"] == 0.0


def test_limit_order_cuts_impact_then_slippage_then_the_spread(run):
    bars = shaped_bars([(100.0,) * 4, (99.0, 99.0, 90.0, 95.0)], volume=1_000.0)
    costs = Costs(spread_bps=20.0, slippage_bps=100.0, volume_share_impact=1.0)
    orders = orders_of(bars, [BUY | {"kind": "limit", "limit_price": 99.5}])
    (fill,) = run(Market(bars, orders, costs=costs)).fills
    assert (fill["price"], fill["impact"]) == (pytest.approx(99.5), pytest.approx(0.0))
    assert fill["spread"] == pytest.approx(9.9)
    assert fill["slippage"] == pytest.approx(50.0 - 9.9)


def test_interest_and_borrow_are_paid_for_the_nights_on_what_was_held_before(run):
    friday = np.array(["2020-01-02T21", "2020-01-03T21", "2020-01-06T21", "2020-01-06T22"], dtype="datetime64[us]")
    bars = shaped_bars([FLAT] * 4, bar_end=friday)
    account = Account(cash=1_000.0, cash_rate=0.036, day_count=360.0)
    market = Market(bars, TargetUnits(targets(4, 1, {(0, 0): -50.0})), account=account, costs=Costs(borrow_rate=0.072))
    flows = run(market).flows
    assert [(f["bar"], f["asset"], f["kind"]) for f in flows] == [
        (1, -1, "cash_interest"),
        (2, 0, "borrow"),
        (2, -1, "cash_interest"),
    ]
    cash = 1_500.0 + 0.1
    assert column(flows, "amount") == pytest.approx([0.1, -500.0 * 0.072 * 3 / 360, cash * 0.036 * 3 / 360])


def test_negative_cash_pays_interest(run):
    account = Account(cash=1_000.0, leverage=2.0, debit_rate=0.36)
    market = Market(flat(3), TargetUnits(targets(3, 1, {(0, 0): 150.0})), account=account)
    (flow,) = run(market).flows
    assert (flow["bar"], flow["kind"]) == (2, "debit_interest")
    assert flow["amount"] == pytest.approx(-0.5)


def test_margin_call_cuts_positions_at_the_next_open(run):
    closes = [10.0, 10.0, 7.0, 8.0, 8.0]
    bars = bars_of([[close] for close in closes])
    account = Account(cash=1_000.0, leverage=2.0, maintenance_margin=0.4)
    units = TargetUnits(targets(5, 1, {(0, 0): 200.0, (2, 0): 50.0}))
    outcome = run(Market(bars, units, account=account))
    # At bar 2: equity 400 of exposure 1,400; 200 x (400 x 2 / 1400) units are left. The decision of bar 2 is dropped.
    assert column(outcome.fills, "kind") == ["target", "liquidation"]
    assert outcome.positions[3][0] == pytest.approx(200.0 * 800.0 / 1_400.0)
    assert outcome.fills[1]["price"] == 8.0


def test_margin_call_cancels_and_rejects_orders(run):
    bars = bars_of([[10.0], [10.0], [7.0], [8.0]])
    account = Account(cash=1_000.0, leverage=2.0, maintenance_margin=0.4)
    late = {"bar": 2, "quantity": 5.0, "kind": "market"}
    waiting = {"bar": 0, "quantity": 5.0, "kind": "limit", "limit_price": 1.0}
    orders = orders_of(bars, [BUY | {"quantity": 200.0}, waiting, late])
    outcome = run(Market(bars, orders, account=account))
    assert outcome.statuses == ["filled", "cancelled", "rejected"]
    assert column(outcome.rejections, "reason") == ["margin_call"]


def test_dividend_may_be_paid_later_than_it_is_earned(run):
    bars = flat(6)
    actions = actions_of(bars, dividend=[(2, 0.5)], pay_bar=4)
    units = TargetUnits(targets(6, 1, {(0, 0): 100.0, (2, 0): 0.0}))
    market = Market(bars, units, actions, Account(dividends_on="pay_date"))
    outcome = run(market)
    (flow,) = outcome.flows
    assert [flow[name] for name in ("bar", "amount", "quantity", "rate")] == [4, 50.0, 100.0, 0.5]
    assert outcome.equity == [100_000.0] * 4 + [100_050.0] * 2


def test_split_rescales_orders_and_their_prices(run):
    bars = shaped_bars([(10.0,) * 4, (10.0,) * 4, (5.0, 5.0, 4.0, 5.0)])
    orders = orders_of(bars, [BUY | {"kind": "limit", "limit_price": 9.0}])
    (fill,) = run(Market(bars, orders, actions_of(bars, split=[(2, 2.0)]))).fills
    assert (fill["quantity"], fill["price"]) == (200.0, 4.5)


def test_fraction_that_a_split_leaves_is_paid_out(run):
    bars = shaped_bars([(10.0,) * 4, (10.0,) * 4, (8.0,) * 4])
    execution = Execution(lot_size=1.0, cash_in_lieu=True)
    market = Market(
        bars, TargetUnits(targets(3, 1, {(0, 0): 3.0})), actions_of(bars, split=[(2, 1.5)]), execution=execution
    )
    outcome = run(market)
    (flow,) = outcome.flows
    assert (flow["kind"], flow["quantity"], flow["amount"]) == ("cash_in_lieu", -0.5, pytest.approx(10.0 / 3.0))
    assert outcome.positions[2] == [4.0]


@pytest.mark.parametrize(
    ("row", "settings", "reason", "refused"),
    [
        (BUY | {"quantity": 0.5}, {"execution": Execution(lot_size=1.0)}, "below_lot", 0.5),
        (BUY | {"quantity": -5.0}, {"account": Account(allow_short=False)}, "no_position", -5.0),
        (BUY | {"quantity": 1e5}, {"execution": Execution(cash_policy="reject")}, "no_cash", 1e5),
        (BUY | {"quantity": -1e5}, {"execution": Execution(cash_policy="margin")}, "margin", -1e5),
        (BUY, {"costs": Costs(commission_min=2e5)}, "no_cash", 100.0),
    ],
)
def test_orders_are_rejected_with_a_reason(run, row, settings, reason, refused):
    bars = flat(3)
    outcome = run(Market(bars, orders_of(bars, [row]), **settings))
    assert outcome.statuses == ["rejected"]
    assert outcome.fills == []
    (rejection,) = outcome.rejections
    assert [rejection[name] for name in ("order", "reason", "quantity")] == [0, reason, refused]


def test_buys_of_a_moment_are_scaled_together_and_what_is_cut_off_is_dropped(run):
    bars = bars_of([[10.0, 20.0]] * 4)
    rows = [BUY | {"quantity": 80.0}, BUY | {"quantity": 60.0, "asset": 1}]
    outcome = run(Market(bars, orders_of(bars, rows), account=Account(cash=1_000.0)))
    assert column(outcome.fills, "quantity") == pytest.approx([40.0, 30.0])
    assert outcome.statuses == ["filled", "filled"]
    assert outcome.cash[-1] == pytest.approx(0.0)


def test_order_on_margin_is_rejected_where_exposure_would_pass_its_limit(run):
    bars = flat(4)
    account, execution = Account(cash=1_000.0, leverage=2.0), Execution(cash_policy="margin")
    rows = [BUY | {"quantity": 150.0}, BUY | {"bar": 1, "quantity": 60.0}, BUY | {"bar": 2, "quantity": 50.0}]
    outcome = run(Market(bars, orders_of(bars, rows), account=account, execution=execution))
    assert outcome.statuses == ["filled", "rejected", "filled"]
    assert outcome.cash == [1_000.0, -500.0, -500.0, -1_000.0]


def test_decision_waits_for_its_latency(run):
    bars = flat(6)
    market = Market(bars, TargetUnits(targets(6, 1, {(1, 0): 5.0})), execution=Execution(latency_bars=2))
    assert column(run(market).fills, "bar") == [4]


def test_finer_bars_say_which_exit_came_first(run):
    bars = shaped_bars([(100.0,) * 4, (100.0,) * 4, (100.0, 106.0, 94.0, 100.0)])
    ends = bars.bar_end[2] - np.arange(2)[::-1] * np.timedelta64(1, "h")
    first, second = (100.0, 106.0, 99.0, 101.0), (101.0, 102.0, 94.0, 100.0)
    rows = [
        BUY | {"quantity": 1.0},
        {"bar": 1, "quantity": -1.0, "oco_group": 1, "kind": "limit", "limit_price": 105.0},
        {"bar": 1, "quantity": -1.0, "oco_group": 1, "kind": "stop", "stop_price": 95.0},
    ]
    for parts, kind in (((first, second), "limit"), ((second, first), "stop")):
        finer = shaped_bars(parts, bar_end=ends)
        outcome = run(Market(bars, orders_of(bars, rows), finer=finer))
        assert column(outcome.fills, "kind") == ["market", kind]
        assert outcome.n_ambiguous == 0
    assert run(Market(bars, orders_of(bars, rows))).n_ambiguous == 1


def test_exit_that_participation_limits_leaves_at_the_next_opens(run):
    shapes = [(100.0,) * 4, (100.0,) * 4, (100.0, 100.0, 90.0, 92.0), (91.0,) * 4, (97.0,) * 4]
    bars = shaped_bars(shapes, volume=np.array([[100.0], [1_000.0], [100.0], [100.0], [100.0]]))
    market = Market(
        bars,
        TargetUnits(targets(5, 1, {(0, 0): 25.0})),
        execution=Execution(participation_rate=0.1),
        risk=Risk(stop_loss_rate=0.05),
    )
    fills = run(market).fills[1:]
    assert [(f["bar"], f["kind"], f["quantity"], f["price"]) for f in fills] == [
        (2, "stop_loss", -10.0, 95.0),
        (3, "stop_loss", -10.0, 91.0),
        (4, "stop_loss", -5.0, 97.0),
    ]


def test_trades_are_first_in_first_out_with_their_excursions(run):
    shapes = [FLAT, (10.0, 11.0, 9.0, 10.0), (12.0, 13.0, 8.0, 12.0), (11.0, 12.0, 10.0, 11.0)]
    bars = shaped_bars(shapes)
    rows = [BUY, BUY | {"bar": 1, "quantity": 50.0}, BUY | {"bar": 2, "quantity": -120.0}]
    outcome = run(Market(bars, orders_of(bars, rows), costs=Costs(commission_fixed=6.0)))
    first, second, still = outcome.trades
    assert [first[name] for name in ("entry_bar", "exit_bar", "quantity", "entry_price")] == [1, 3, 100.0, 10.0]
    assert first["pnl"] == pytest.approx(100.0 - 6.0 - 5.0)
    assert first["return_rate"] == pytest.approx(89.0 / 1_000.0)
    assert (first["mae"], first["mfe"]) == (pytest.approx(-200.0), pytest.approx(300.0))
    assert [second[name] for name in ("entry_bar", "quantity", "entry_price")] == [2, 20.0, 12.0]
    assert second["pnl"] == pytest.approx(-20.0 - 6.0 * 20.0 / 50.0 - 1.0)
    assert (still["is_open"], still["quantity"], still["pnl"]) == (True, 30.0, pytest.approx(-30.0 - 3.6))


def test_weights_never_trade_a_delisted_asset(run):
    bars = bars_of([[10.0, 10.0]] * 4)
    none = Actions.none(bars)
    delisting = none.delisting.copy()
    delisting[2, 0] = -0.5
    actions = Actions(none.split, none.dividend, delisting)
    outcome = run(Market(bars, TargetWeights(np.full((4, 2), 0.5)), actions, Account(cash=1_000.0)))
    assert [(f["kind"], f["price"]) for f in outcome.fills if f["asset"] == 0] == [("target", 10.0), ("delisting", 5.0)]
    assert outcome.equity[2:] == [750.0, 750.0]
