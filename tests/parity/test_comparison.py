"""Profiles, what adapters refuse, and what a comparison finds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine import Account, Bars, Costs, Execution, InputError, TargetUnits, simulate
from engine.adapters import PEER_FILL, PeerResult, backtesting_py, backtrader, compare, vectorbt, zipline
from engine.profiles import PROFILES, profile, profile_account, profile_costs
from tests.parity.markets import Plan, wild_bars

FILLS = [(3, 0, 10.0, 100.0, 1.0), (3, 0, -4.0, 101.0, 0.5), (7, 1, 5.0, 20.0, 0.0)]


def run(fills, equity=(1.0, 1.0)):
    rows = np.array(fills, dtype=PEER_FILL)
    return SimpleNamespace(equity=np.array(equity), fills=rows, symbols=("A", "B"))


def peer(fills, equity=(1.0, 1.0)):
    return PeerResult("peer 1", np.array(equity), np.array(fills, dtype=PEER_FILL))


def test_a_run_agrees_with_itself_in_any_order():
    assert compare(run(FILLS), peer(FILLS[::-1])).agrees(0.0)


def test_parts_of_a_fill_at_one_price_are_one_fill():
    parts = [(3, 0, 6.0, 100.0, 0.6), *FILLS[1:], (3, 0, 4.0, 100.0, 0.4)]
    assert compare(run(FILLS), peer(parts)).agrees(1e-12)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ((3, 0, 10.1, 100.0, 1.0), "quantity"),
        ((3, 0, 10.0, 100.1, 1.0), "price"),
        ((3, 0, 10.0, 100.0, 1.1), "commission"),
    ],
)
def test_a_difference_is_found_where_it_is(changed, name):
    found = compare(run([changed, *FILLS[1:]]), peer(FILLS))
    figures = {field: getattr(found, field) for field in ("equity", "quantity", "price", "commission")}
    assert {field for field, value in figures.items() if value > 1e-9} == {name}
    assert not found.agrees(1e-9)


@pytest.mark.parametrize("moved", [(4, 0, 10.0, 100.0, 1.0), (3, 1, 10.0, 100.0, 1.0), (3, 0, -10.0, 100.0, 1.0)])
def test_a_fill_elsewhere_stands_alone_on_both_sides(moved):
    found = compare(run([moved, FILLS[2]]), peer([FILLS[0], FILLS[2]]))
    assert (found.n_only_ours, found.n_only_theirs, found.n_fills) == (1, 1, 1)
    assert "only theirs: bar 3 A +10 at 100" in str(found)


def test_equity_is_compared_at_every_bar():
    found = compare(run(FILLS, (1.0, 2.0, 1.0)), peer(FILLS, (1.0, 1.0, 1.0)))
    assert (found.equity, found.equity_bar) == (1.0, 1)
    assert not compare(run(FILLS, (np.nan, 1.0)), peer(FILLS)).agrees(1e9)
    with pytest.raises(InputError, match="same number of bars, ours had 3, peer 1 2"):
        compare(run(FILLS, (1.0, 1.0, 1.0)), peer(FILLS))


def test_runs_without_fills_agree():
    assert compare(run([]), peer([])).agrees(0.0)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_an_execution_with_costs_and_an_account(name):
    assert isinstance(profile(name), Execution)
    assert isinstance(profile_costs(name), Costs)
    assert isinstance(profile_account(name), Account)
    assert "Not reproduced" in PROFILES[name].__doc__


@pytest.mark.parametrize("of", [profile, profile_costs, profile_account])
def test_a_misspelt_profile_gets_the_nearest(of):
    with pytest.raises(InputError, match="no profile 'vectorbot'; did you mean 'vectorbt'"):
        of("vectorbot")


def test_an_adapter_names_the_package_it_lacks(monkeypatch):
    import sys

    bars, units = wild_bars(1, n_bars=3, n_assets=1), np.full((3, 1), np.nan)
    for adapter, package in ((vectorbt, "vectorbt"), (backtrader, "backtrader"), (backtesting_py, "backtesting")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=f"needs the package '{package}'"):
            adapter.run(bars, TargetUnits(units))


def test_nothing_that_a_peer_lacks_is_dropped_in_silence():
    pytest.importorskip("backtrader", reason="backtrader is not installed")
    bars = wild_bars(1, n_bars=5, n_assets=1)
    units = TargetUnits(np.full((5, 1), np.nan))
    with pytest.raises(InputError, match=r"Costs\(borrow_rate=0.1\)"):
        backtrader.run(bars, units, costs=Costs(borrow_rate=0.1))
    with pytest.raises(InputError, match=r"Execution\(latency_bars=2\); its own is 0"):
        backtrader.run(bars, units, execution=replace(profile("backtrader"), latency_bars=2))
    plan = Plan(bars)
    entry = plan.add(0, 0, 10, "market")
    for price in (90.0, 80.0):
        plan.add(0, 0, -10, "stop", stop_price=price, parent=entry)
    with pytest.raises(InputError, match="children that do not cancel each other"):
        backtrader.run(bars, plan.orders())
    with pytest.raises(InputError, match="fractions of a unit"):
        zipline.run(bars, TargetUnits(np.full((5, 1), 0.5)), python="python", account=profile_account("zipline"))


def test_lean_fills_limits_that_are_traded_through_and_its_minimum_fee_beats_its_maximum():
    prices = np.array([[10.0, 10.0, 10.0]]).T
    low = np.array([[10.0, 9.5, 9.49]]).T
    times = np.datetime64("2020-01-01T21:00", "us") + np.arange(3) * np.timedelta64(1, "D")
    bars = Bars(prices, prices, low, prices, np.full((3, 1), 1e6), times, ("A",))
    plan = Plan(bars)
    plan.add(0, 0, 1, "limit", limit_price=9.5)
    result = simulate(
        bars,
        plan.orders(),
        account=profile_account("lean"),
        costs=replace(profile_costs("lean"), slippage_bps=10.0),
        execution=profile("lean"),
    )
    assert result.fills["bar"].tolist() == [2]
    assert result.fills["price"].tolist() == [9.5]
    assert result.fills["commission"].tolist() == [1.0]
