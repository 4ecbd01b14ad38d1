"""One asset that trades at opens takes a short way through the bars, and ends where the bar loop does, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Costs, Execution, TargetUnits, TargetWeights
from engine.play import Capacity, Setting, instructions_of, new_curves
from engine.records import FILL_KINDS
from engine.risk import Risk
from engine.rules import Crossing
from tests.engine.markets import bars_of, random_bars

SUMS = ("cash", "n_fills", "traded", "commission", "fees", "spread", "slippage", "impact", "n_rejections")
SEEDS = range(150)


def setting_of(bars, account=None, costs=None, execution=None, **more):
    risk, actions = more.get("risk", Risk()), more.get("actions")
    return Setting.of(bars, account or Account(), costs or Costs(), execution or Execution(), risk, actions, None)


def random_setting(rng, bars):
    def some(value, share=0.5):
        return value if rng.random() < share else 0.0

    costs = Costs(
        commission_bps=some(rng.uniform(0.0, 30.0)),
        commission_fixed=some(rng.uniform(0.0, 3.0)),
        commission_per_share=some(0.01),
        commission_min=some(1.0, 0.2),
        commission_max_rate=0.01 if rng.random() < 0.2 else np.inf,
        sell_fee_rate=some(0.001),
        sell_fee_per_share=some(0.002),
        spread_bps=some(rng.uniform(0.0, 40.0)),
        slippage_bps=some(rng.uniform(0.0, 40.0)),
        slippage_ticks=some(2.0, 0.2),
    )
    execution = Execution(
        timing=str(rng.choice(["next_open", "next_close"])),
        lot_size=float(rng.choice([0.0, 0.0, 1.0, 7.0])),
        tick_size=float(rng.choice([0.0, 0.01])) or (0.01 if costs.slippage_ticks > 0.0 else 0.0),
        cash_policy=str(rng.choice(["scale", "scale", "reject"])),
    )
    account = Account(
        cash=float(rng.choice([300.0, 5_000.0, 100_000.0])),
        leverage=float(rng.choice([1.0, 2.5])),
        allow_short=bool(rng.random() < 0.5),
    )
    return setting_of(bars, account, costs, execution)


def random_targets(rng, n_bars):
    share = rng.choice([0.02, 0.2, 0.9])
    if rng.random() < 0.5:
        values = rng.choice([-60.0, -3.3, 0.0, 2.0, 17.25, 100.0, 1e4], (n_bars, 1))
        return TargetUnits(np.where(rng.random((n_bars, 1)) < share, values, np.nan))
    values = rng.choice([-1.0, -0.2, 0.0, 0.0, 0.5, 1.0, 2.0], (n_bars, 1))
    return TargetWeights(np.where(rng.random((n_bars, 1)) < share, values, np.nan))


def ends(setting, instructions):
    """What the short way and the bar loop leave; a pass that writes records takes the loop."""
    n_bars = setting.bars.n_bars
    short = setting._play_opens(instructions.plan, new_curves(n_bars))
    long = setting.play(instructions, Capacity(1, 1, 1))
    return short, long


def same_bits(one, other):
    return np.array_equal(np.asarray(one).view(np.int64), np.asarray(other).view(np.int64))


@pytest.mark.parametrize("first", range(0, SEEDS.stop, 30))
def test_the_short_way_ends_where_the_bar_loop_does(first):
    n_short = 0
    for seed in range(first, first + 30):
        rng = np.random.default_rng(seed)
        bars = random_bars(rng, int(rng.integers(1, 120)), 1, tick=float(rng.choice([0.0, 0.5])))
        setting = random_setting(rng, bars)
        assert setting.trades_at_opens
        instructions = instructions_of(random_targets(rng, bars.n_bars), bars)
        short, long = ends(setting, instructions)
        if short is None:
            continue
        n_short += 1
        for name in ("equity", "cash", "exposure"):
            assert same_bits(getattr(short.curves, name), getattr(long.curves, name)), (seed, name)
        assert [short.state[name] for name in SUMS] == [long.state[name] for name in SUMS], seed
        if long.state["n_fills"] > 0:
            assert same_bits(short.mark, long.mark), seed
    assert n_short > 10


def test_it_gives_up_where_costs_bend_and_cash_is_short():
    bars = bars_of([[10.0], [10.0], [10.0]])
    buy = instructions_of(TargetUnits(np.array([[100.0], [np.nan], [np.nan]])), bars)
    for costs, execution in ((Costs(commission_min=5.0), Execution()), (Costs(), Execution(cash_policy="reject"))):
        for cash, is_short in ((999.0, True), (2_000.0, False)):
            short, _ = ends(setting_of(bars, Account(cash=cash), costs, execution), buy)
            assert (short is None) == is_short
    short, long = ends(setting_of(bars, Account(cash=999.0)), buy)
    assert short.state["cash"] == long.state["cash"] == pytest.approx(0.0)


def test_what_is_more_than_opens_takes_the_bar_loop():
    bars = bars_of([[10.0], [11.0]])
    several = bars_of([[10.0, 10.0], [11.0, 11.0]])
    gaps = bars_of([[np.nan], [11.0]])
    assert setting_of(bars).trades_at_opens
    assert not setting_of(several).trades_at_opens
    assert not setting_of(gaps).trades_at_opens
    for settings in (
        {"account": Account(cash_rate=0.01)},
        {"account": Account(debit_rate=0.01)},
        {"account": Account(maintenance_margin=0.25)},
        {"costs": Costs(borrow_rate=0.01)},
        {"costs": Costs(impact_coefficient=0.1)},
        {"costs": Costs(volume_share_impact=0.1)},
        {"costs": Costs(commission_tiers=((0.0, 0.01),))},
        {"execution": Execution(timing="same_close")},
        {"execution": Execution(latency_bars=1)},
        {"execution": Execution(participation_rate=0.1)},
        {"execution": Execution(cash_policy="margin")},
        {"execution": Execution(slip_within_bar=True)},
        {"risk": Risk(stop_loss_rate=0.1)},
        {"risk": Risk(time_stop_bars=3)},
    ):
        assert not setting_of(bars, **settings).trades_at_opens, settings


def test_a_result_of_the_short_way_has_all_that_a_result_has():
    from engine import simulate

    bars = random_bars(np.random.default_rng(4), 300, 1)
    rule = Crossing(3, 10, units=20.0)
    result = simulate(bars, rule, costs=Costs(commission_bps=3.0, spread_bps=4.0))
    assert result._played.curves.cash.size == 0
    assert same_bits(result.equity, result._run.recorded.curves.equity)
    assert same_bits(result.cash, result._run.recorded.curves.cash)
    assert same_bits(result.exposure, result._run.recorded.curves.exposure)
    assert same_bits(result.cash + result.positions[:, 0] * bars.close[:, 0], result.equity)
    assert result.fills.size == result.metrics["n_fills"] > 10
    assert {FILL_KINDS[kind] for kind in result.fills["kind"]} == {"target"}
    assert result.costs["commission"] == pytest.approx(result.fills["commission"].sum())
    assert result.trades.size > 5
    assert result.metrics["time_in_market"] == np.count_nonzero(result.positions) / 300
