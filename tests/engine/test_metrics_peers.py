"""Figures as the peers state them, against the peers themselves where they can be imported."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from engine import metrics as figures
from engine.errors import InputError
from engine.metrics.peers import STATEMENTS, stated_as
from engine.records import TRADE

RETURNS = {
    "noise": np.random.default_rng(0).normal(0.0005, 0.012, 500),
    "fat tails": np.random.default_rng(1).standard_t(3, 700) * 0.01,
    "a loss at once": np.concatenate([[-0.3], np.random.default_rng(2).normal(0.001, 0.01, 300)]),
}
# What empyrical-reloaded 0.7.1, quantstats 0.0.86 and backtesting.py 0.6.6 said of `wave` and of the closed `TRADES`.
RECORDED = {
    "empyrical": {
        "sharpe": 0.36692859321767823, "sortino": 0.47066269588366777, "volatility": 0.1480483940169505,
        "cagr": 0.044169035924211286, "max_drawdown": -0.10492785295510522, "calmar": 0.4209467236798374,
        "omega": 1.0663438840248953, "var_95": -0.011946106103629155, "cvar_95": -0.01954889196633214,
        "tail_ratio": 1.1574086627270233,
    },
    "quantstats": {
        "sharpe": 0.3669285932176781, "sortino": 0.47066269588366766, "volatility": 0.1480483940169505,
        "cagr": 0.044169035924211286, "max_drawdown": -0.1049278529551052, "calmar": 0.42094672367983743,
        "omega": 1.0663438840248953, "skew": -2.5789621902850395, "kurtosis": 20.922987917498507,
        "var_95": -0.015124619965356436, "cvar_95": -0.01902164664027696, "tail_ratio": 1.1574086627270237,
    },
    "backtesting.py": {
        "cagr": 0.07704497187625048, "volatility": 0.1571354853095694, "sharpe": 0.49030918588799827,
        "sortino": 0.6901031624032513, "max_drawdown": -0.1049278529551052, "calmar": 0.7342661620000479,
        "profit_factor": 2.4, "expectancy": 0.0175,
    },
}  # fmt: skip
OF_TRADES = ("profit_factor", "expectancy")
SERIES = pytest.mark.parametrize("name", RETURNS)


def wave():
    """Returns that need no random generator: a wave with a slow and a fast part, and one crash."""
    t = np.arange(250)
    returns = 0.0006 + 0.009 * np.sin(1.7 * t) + 0.006 * np.cos(0.31 * t * t)
    returns[0], returns[100] = -0.03, -0.08
    return returns


def trades_with(pnl, rates, is_open):
    trades = np.zeros(len(pnl), dtype=TRADE)
    trades["pnl"], trades["return_rate"], trades["is_open"] = pnl, rates, is_open
    return trades


TRADES = trades_with([50.0, -20.0, 0.0, 30.0, 99.0], [0.1, -0.05, 0.0, 0.02, 0.5], [False] * 4 + [True])


def given_for(figure, returns):
    return TRADES if figure in OF_TRADES else returns


@pytest.mark.parametrize("peer", RECORDED)
def test_statements_are_what_the_peer_was_seen_to_say(peer):
    assert RECORDED[peer].keys() == STATEMENTS[peer].keys()
    for figure, value in RECORDED[peer].items():
        assert stated_as(peer, figure, given_for(figure, wave())) == pytest.approx(value, rel=1e-10), figure


@SERIES
def test_statements_of_vectorbt_are_those_of_the_installed_one(name):
    vectorbt = pytest.importorskip("vectorbt", reason="vectorbt is not installed")
    index = pd.date_range("2020-01-01", periods=RETURNS[name].size, freq="D")
    theirs = pd.Series(RETURNS[name], index=index).vbt.returns(freq="D", year_freq="252 days")
    wanted = {
        "sharpe": theirs.sharpe_ratio(), "sortino": theirs.sortino_ratio(), "cagr": theirs.annualized(),
        "volatility": theirs.annualized_volatility(), "max_drawdown": theirs.max_drawdown(),
        "calmar": theirs.calmar_ratio(), "omega": theirs.omega_ratio(), "var_95": theirs.value_at_risk(),
        "cvar_95": theirs.cond_value_at_risk(), "tail_ratio": theirs.tail_ratio(),
    }  # fmt: skip
    assert {*wanted, "profit_factor"} == STATEMENTS["vectorbt"].keys()
    assert vectorbt.__version__.startswith("1.")
    for figure, value in wanted.items():
        assert stated_as("vectorbt", figure, RETURNS[name]) == pytest.approx(value, rel=1e-9), figure


def test_vectorbt_calls_infinite_what_is_undefined_here():
    pytest.importorskip("vectorbt", reason="vectorbt is not installed")
    flat = np.array([0.0, 0.25, 0.25, 0.25])
    theirs = pd.Series(flat, index=pd.date_range("2020-01-01", periods=4)).vbt.returns(freq="D", year_freq="252 days")
    for figure, value in (("sortino", theirs.sortino_ratio()), ("omega", theirs.omega_ratio())):
        assert math.isinf(value)
        assert stated_as("vectorbt", figure, flat) == value
        assert math.isnan(getattr(figures, figure)(flat))
    assert math.isinf(stated_as("vectorbt", "sharpe", np.zeros(4) + 0.25))
    assert stated_as("vectorbt", "profit_factor", TRADES) == 4.0
    assert math.isinf(stated_as("vectorbt", "profit_factor", TRADES[:1]))


@SERIES
def test_statements_of_backtesting_are_those_of_the_installed_one(name):
    statistics = pytest.importorskip("backtesting._stats", reason="backtesting.py is not installed")
    index = pd.date_range("2020-01-01", periods=RETURNS[name].size, freq="B")
    equity = 1e5 * np.cumprod(1.0 + RETURNS[name])
    row = {"EntryBar": 0, "ExitBar": 1, "PnL": 1.0, "ReturnPct": 0.1, "Duration": pd.Timedelta("1D")}
    said = statistics.compute_stats(pd.DataFrame([row]), equity, pd.DataFrame({"Close": equity}, index=index), None)
    wanted = {
        "cagr": said["Return (Ann.) [%]"] / 100.0, "volatility": said["Volatility (Ann.) [%]"] / 100.0,
        "sharpe": said["Sharpe Ratio"], "sortino": said["Sortino Ratio"], "calmar": said["Calmar Ratio"],
        "max_drawdown": said["Max. Drawdown [%]"] / 100.0,
    }  # fmt: skip
    for figure, value in wanted.items():
        assert stated_as("backtesting.py", figure, RETURNS[name]) == pytest.approx(value, rel=1e-9), figure


@SERIES
def test_statements_of_lean_follow_its_formulas(name):
    returns = RETURNS[name]
    growth = (1.0 + returns.mean()) ** 252.0 - 1.0
    losses = returns[returns < 0.0]
    assert stated_as("lean", "sharpe", returns) == pytest.approx(growth / (returns.std(ddof=1) * math.sqrt(252.0)))
    assert stated_as("lean", "sortino", returns) == pytest.approx(growth / (losses.std(ddof=1) * math.sqrt(252.0)))
    assert stated_as("lean", "volatility", returns) == figures.volatility(returns)
    assert stated_as("lean", "max_drawdown", returns) == -figures.max_drawdown(returns)
    # Of four closed trades two win 6 % on average, and two lose 2.5 %: a trade at zero is a loss.
    assert stated_as("lean", "expectancy", TRADES) == pytest.approx(0.5 * 0.06 / 0.025 - 0.5)
    assert stated_as("lean", "sharpe", np.zeros(9)) == stated_as("lean", "sortino", np.zeros(9)) == 0.0
    assert stated_as("lean", "expectancy", TRADES[4:]) == 0.0


@SERIES
def test_statements_without_a_difference_are_ours(name):
    names = {"var_95": "value_at_risk", "cvar_95": "expected_shortfall"}
    for statements in STATEMENTS.values():
        for figure, statement in statements.items():
            if statement.difference == "none":
                own = getattr(figures, names.get(figure, figure))(RETURNS[name])
                assert statement.compute(RETURNS[name], 252.0) == pytest.approx(own, rel=1e-12)


def test_initial_cash_is_a_peak_here_and_not_there():
    returns = RETURNS["a loss at once"]
    assert figures.max_drawdown(returns) <= -0.3
    assert stated_as("vectorbt", "max_drawdown", returns) > figures.max_drawdown(returns)


def test_periods_of_a_year_are_the_callers():
    returns = RETURNS["noise"]
    year = stated_as("vectorbt", "sharpe", returns, periods_per_year=365.0)
    assert year == pytest.approx(figures.sharpe(returns) * math.sqrt(365.0 / 252.0))


def test_unknown_peer_and_figure_name_the_nearest():
    with pytest.raises(InputError, match="no peer 'vectorbot'; did you mean 'vectorbt'"):
        stated_as("vectorbot", "sharpe", [0.1])
    with pytest.raises(InputError, match="lean has no figure 'sharp'; did you mean 'sharpe'"):
        stated_as("lean", "sharp", [0.1])
