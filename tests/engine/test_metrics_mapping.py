"""All figures of a run as one mapping: which it holds, when they are computed, and that they are the functions'."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

from engine import metrics as figures
from engine.drawdowns import average_drawdown, drawdowns_of, longest_drawdown_bars
from engine.metrics import Metrics, metrics
from engine.metrics.mapping import _GROUPS
from engine.records import FILL, TRADE

CASH = 1_000.0


def equity_of(n=400, seed=0):
    return CASH * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0003, 0.01, n)))


def trades_of(n=6):
    trades = np.zeros(n, dtype=TRADE)
    trades["pnl"] = np.resize([5.0, -3.0, 2.0], n)
    return trades


def whole(equity, **changed):
    given = {
        "exposure": np.full(equity.size, 500.0), "trades": trades_of(), "n_fills": 12, "traded_value": 9_000.0,
        "costs": 3.5, "benchmark": np.random.default_rng(9).normal(0.0, 0.01, equity.size),
    } | changed  # fmt: skip
    return Metrics(equity, initial_cash=CASH, **given)


def refuse():
    raise AssertionError("this must not be asked for")


def test_each_figure_is_that_of_its_function():
    equity = equity_of()
    row = whole(equity, periods_per_year=100.0)
    returns = figures.returns_of(equity, CASH)
    ordered = np.sort(returns)
    drawdowns = drawdowns_of(equity, CASH)
    benchmark = np.random.default_rng(9).normal(0.0, 0.01, equity.size)
    wanted = {
        "total_return": equity[-1] / CASH - 1.0,
        "cagr": figures.cagr_of(equity, CASH, 100.0),
        "mean_return": figures.mean_return(returns),
        "best_return": ordered[-1],
        "worst_return": ordered[0],
        "volatility": figures.volatility(returns, periods_per_year=100.0),
        "sharpe": figures.sharpe(returns, periods_per_year=100.0),
        "sortino": figures.sortino(returns, periods_per_year=100.0),
        "max_drawdown": drawdowns["depth"].min(),
        "max_drawdown_bars": figures.max_drawdown_bars(returns),
        "longest_drawdown_bars": longest_drawdown_bars(drawdowns),
        "average_drawdown": average_drawdown(drawdowns),
        "skew": figures.skew(returns),
        "kurtosis": figures.kurtosis(returns),
        "var_95": figures.value_at_risk(returns),
        "cvar_95": figures.expected_shortfall(returns),
        "omega": figures.omega(returns),
        "tail_ratio": figures.tail_ratio(returns),
        "n_fills": 12.0,
        "turnover": 0.5 * 9_000.0 * 100.0 / equity.size / equity.mean(),
        "costs_ccy": 3.5,
        "exposure": (500.0 / equity).mean(),
        "time_in_market": 1.0,
    }
    wanted["calmar"] = wanted["cagr"] / -wanted["max_drawdown"]
    wanted |= figures.trade_metrics(trades_of())
    wanted |= figures.benchmark_metrics(returns, benchmark, periods_per_year=100.0)
    assert set(row) == set(wanted) == set(_GROUPS)
    exact = ("sharpe", "volatility", "sortino", "max_drawdown", "cagr", "skew", "var_95", "cvar_95", "beta", "sqn")
    assert {name: row[name] for name in exact} == {name: wanted[name] for name in exact}
    assert dict(row) == pytest.approx(wanted, rel=1e-12)
    assert [name for name, value in row.items() if type(value) is not float] == []


def test_figures_that_nothing_was_given_for_are_not_there():
    bare = Metrics(equity_of(), initial_cash=CASH)
    assert list(bare)[:2] == ["total_return", "cagr"]
    assert len(bare) == 19
    assert {"n_trades", "n_fills", "turnover", "costs_ccy", "exposure", "alpha"}.isdisjoint(bare)
    assert bare.get("n_trades") is None
    assert "sharpe" in bare
    assert 3 not in bare


def test_order_is_fixed_and_does_not_follow_the_asking():
    first, second = whole(equity_of()), whole(equity_of())
    assert second["time_in_market"] == 1.0
    assert list(first) == list(second) == list(first.keys()) == list(_GROUPS)


def test_sharpe_drawdown_and_counts_derive_no_trade():
    row = whole(equity_of(), trades=refuse, costs=refuse)
    for name in ("sharpe", "max_drawdown", "total_return", "n_fills", "turnover", "calmar", "exposure", "beta"):
        assert math.isfinite(row[name])
    with pytest.raises(AssertionError, match="must not be asked for"):
        row["win_rate"]


def test_total_return_and_drawdown_ask_for_no_returns():
    row = whole(equity_of(), returns=refuse)
    assert math.isfinite(row["total_return"] + row["cagr"] + row["max_drawdown"] + row["n_fills"])
    with pytest.raises(AssertionError, match="must not be asked for"):
        row["sharpe"]


def test_returns_and_trades_are_asked_for_once():
    equity, calls = equity_of(), []

    def returns():
        calls.append("returns")
        return figures.returns_of(equity, CASH)

    def trades():
        calls.append("trades")
        return trades_of()

    row = whole(equity, returns=returns, trades=trades)
    assert dict(row) == dict(whole(equity))
    assert sorted(calls) == ["returns", "trades"]


def test_misspelt_figure_names_the_nearest():
    row = Metrics(equity_of(), initial_cash=CASH)
    with pytest.raises(KeyError, match="no figure 'sharp'; did you mean 'sharpe'"):
        row["sharp"]
    with pytest.raises(KeyError, match="no figure 'n_trades'"):
        row["n_trades"]


def test_mapping_is_read_only_and_equals_the_dict_of_its_figures():
    row = whole(equity_of())
    with pytest.raises(TypeError):
        row["sharpe"] = 1.0
    assert row == dict(row)
    assert row == whole(equity_of())
    assert row != whole(equity_of(seed=1))
    assert row != {"sharpe": row["sharpe"]}
    assert row != 3
    assert {**row, "more": 1.0}["sharpe"] == row["sharpe"]


def test_undefined_figures_are_equal_and_say_why():
    flat = np.full(5, CASH)
    row = whole(flat, trades=trades_of(0), benchmark=np.zeros(5))
    assert row == whole(flat, trades=trades_of(0), benchmark=np.zeros(5))
    undefined = {name for name, value in row.items() if math.isnan(value)}
    assert set(row.reasons) == undefined
    assert row.reasons["sharpe"] == "no variance in the returns"
    assert row.reasons["sortino"] == "no return below the target"
    assert row.reasons["calmar"] == "no drawdown"
    assert row.reasons["average_drawdown"] == "no drawdown"
    assert row.reasons["win_rate"] == "no closed trade"
    assert row.reasons["beta"] == "no variance in the benchmark's returns"
    assert "max_drawdown" not in row.reasons
    assert "total_return" not in row.reasons
    assert list(row.reasons) == [name for name in row if name in undefined]


def test_lost_account_keeps_the_figures_that_equity_alone_defines():
    equity = np.array([900.0, -50.0, -60.0, -60.0])
    row = Metrics(equity, initial_cash=CASH, exposure=np.zeros(4))
    assert row["total_return"] == -60.0 / CASH - 1.0
    assert row["cagr"] == -1.0
    assert row["max_drawdown"] == -60.0 / CASH - 1.0
    assert row["max_drawdown_bars"] == 4.0
    assert row.reasons["sharpe"] == row.reasons["cvar_95"] == "a return is not a finite number"
    assert row.reasons["exposure"] == "equity is not positive at every bar"


@pytest.mark.parametrize("equity", [[], [CASH], [CASH, math.nan], [math.inf, CASH], [0.0, 0.0], [-1.0, 5.0]])
def test_nothing_is_infinite_whatever_the_equity(equity):
    values = np.array(equity, dtype=float)
    row = whole(values, benchmark=np.zeros(values.size), exposure=np.zeros(values.size))
    assert not any(math.isinf(value) for value in row.values())
    assert set(row.reasons) == {name for name, value in row.items() if math.isnan(value)}


def test_copies_and_pickles_are_the_plain_figures():
    row = whole(equity_of(), trades=lambda: trades_of())
    for twin in (pickle.loads(pickle.dumps(row)), copy.deepcopy(row)):
        assert type(twin) is dict
        assert row == twin


def test_door_takes_series_and_derives_what_is_not_given():
    returns = np.array([0.1, -0.2, 0.05])
    fills = np.zeros(2, dtype=FILL)
    fills["quantity"], fills["price"] = [10.0, -10.0], [5.0, 6.0]
    row = metrics(returns, equity=[110.0, 88.0, 92.4], fills=fills, exposure=[50.0, 0.0, 0.0], trades=trades_of())
    assert row["total_return"] == pytest.approx(-0.076)
    assert row["n_fills"] == 2.0
    assert row["turnover"] == pytest.approx(0.5 * 110.0 * 252.0 / 3.0 / np.mean([110.0, 88.0, 92.4]))
    assert row["time_in_market"] == pytest.approx(1.0 / 3.0)
    assert row["n_trades"] == 6.0
    assert metrics(returns)["max_drawdown"] == pytest.approx(-0.2)
    assert metrics(returns, equity=[110.0, 88.0, 92.4], initial_cash=200.0)["total_return"] == pytest.approx(-0.538)
    assert metrics(returns, benchmark=[0.0, 0.1, 0.2])["beta"] == figures.beta(returns, [0.0, 0.1, 0.2])
