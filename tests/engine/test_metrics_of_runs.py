"""Figures and trades of whole runs."""

from __future__ import annotations

import numpy as np
import pytest

from engine import Account, Actions, Costs, TargetUnits, simulate
from tests.engine.markets import bars_of, targets


def test_run_reports_turnover_exposure_and_time_in_market():
    bars = bars_of([[10.0]] * 4)
    units = TargetUnits(targets(4, 1, {(0, 0): 50.0, (2, 0): 0.0}))
    row = simulate(bars, units, account=Account(cash=1_000.0), periods_per_year=4.0).metrics
    assert row["turnover"] == pytest.approx(0.5)
    assert row["exposure"] == pytest.approx(0.25)
    assert row["time_in_market"] == 0.5
    assert (row["n_fills"], row["n_trades"], row["n_open_trades"]) == (2.0, 1.0, 0.0)


def test_trades_are_first_in_first_out_and_split_adjusted():
    bars = bars_of([[100.0], [100.0], [110.0], [60.0], [60.0]])
    split = np.ones((5, 1))
    split[3] = 2.0
    actions = Actions(split, np.zeros((5, 1)), np.full((5, 1), np.nan))
    units = TargetUnits(targets(5, 1, {(0, 0): 10.0, (1, 0): 15.0, (3, 0): 5.0}))
    result = simulate(bars, units, actions=actions, costs=Costs(commission_per_share=0.1))
    frame = result.trades_frame()
    assert frame["quantity"].tolist() == [20.0, 5.0, 5.0]
    assert frame["entry_price"].tolist() == [50.0, 55.0, 55.0]
    assert frame["exit_price"].tolist() == [60.0, 60.0, 60.0]
    assert frame["is_open"].tolist() == [False, False, True]
    assert frame["commission"].tolist() == pytest.approx([1.0 + 2.0, 0.25 + 0.5, 0.25])
    assert frame["pnl"].tolist() == pytest.approx([197.0, 24.25, 24.75])
    assert result.trades["pnl"].sum() == pytest.approx(result.equity[-1] - 100_000.0)


def test_closed_position_leaves_no_open_lot_of_rounding():
    rng = np.random.default_rng(0)
    for _ in range(50):
        steps = np.cumsum([*rng.uniform(0.1, 1.0, 20), rng.uniform(1e5, 1e6), rng.uniform(1e-5, 1e-4)])
        units = np.concatenate([steps, [0.0, np.nan]]).reshape(-1, 1)
        bars = bars_of(np.full((units.size, 1), 1.0))
        result = simulate(bars, TargetUnits(units), account=Account(cash=1e9))
        assert result.positions[-1, 0] == 0.0
        assert not result.trades["is_open"].any()
        assert result.trades.size == 22
