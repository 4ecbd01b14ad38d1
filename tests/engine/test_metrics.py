"""Figures against hand-computed ones, NumPy, and the recorded answers of another library."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

from engine import metrics as figures
from engine.errors import InputError
from engine.metrics import Undefined, metrics
from engine.records import FILL, TRADE

FIXTURE = [-0.05, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05]


@pytest.fixture
def golden(shared_data):
    return json.loads((shared_data / "golden" / "empyrical.json").read_text())


def series(golden, name, missing=None):
    values = golden["series"][name]
    return np.array(
        [missing if value is None else value for value in values if value is not None or missing is not None]
    )


def test_every_figure_that_empyrical_recorded_of_mixed_returns_is_ours(golden):
    wanted = golden["expected"]["mixed_returns"]
    # Its missing first return is left out, or counts as a bar without a return where bars are counted.
    whole, known = series(golden, "mixed_returns", missing=0.0), series(golden, "mixed_returns")
    assert whole.size == known.size + 1
    got = {
        "cum_returns_final": figures.total_return(known),
        "max_drawdown": figures.max_drawdown(known),
        "annual_return(cagr)": figures.cagr(whole),
        "annual_volatility": figures.volatility(known),
        "calmar": figures.calmar(whole),
        "sharpe": figures.sharpe(known),
        "sharpe_rf_simple_benchmark": figures.sharpe(known - series(golden, "simple_benchmark")[1:]),
        "sortino": figures.sortino(known),
        "downside_risk": figures.downside_deviation(known),
        "omega(rf0,req0)": figures.omega(known),
        "omega_rf_flat_line_1": figures.omega(known, threshold_rate=0.01),
        "stability": figures.stability(known),
        "tail_ratio(1dp)": figures.tail_ratio(known),
    }
    assert got.keys() == wanted.keys()
    # The last was recorded to one decimal.
    assert got.pop("tail_ratio(1dp)") == pytest.approx(wanted.pop("tail_ratio(1dp)"), abs=0.05)
    assert got == pytest.approx(wanted, rel=1e-12)


def test_every_figure_that_empyrical_recorded_of_one_sided_returns_is_ours_unless_infinite(golden):
    wanted = golden["expected"]
    functions = {
        "cum_returns_final": figures.total_return,
        "max_drawdown": figures.max_drawdown,
        "sharpe": figures.sharpe,
        "sortino": figures.sortino,
    }
    for name in ("negative_returns", "positive_returns", "flat_line_1"):
        returns = series(golden, name)
        for figure, value in wanted[name].items():
            got = functions[figure](returns)
            if value == "inf":
                assert isinstance(got, Undefined)
            else:
                # The file holds four to seven decimals of some.
                digits = len(str(value).partition(".")[2])
                assert got == pytest.approx(value, rel=1e-12, abs=0.6 * 10.0**-digits if digits < 10 else 0.0)


def test_information_ratio_is_the_sharpe_ratio_of_the_difference(golden):
    known, other = series(golden, "mixed_returns"), series(golden, "simple_benchmark")[1:]
    wanted = golden["expected"]["mixed_returns"]["sharpe_rf_simple_benchmark"]
    assert figures.information_ratio(known, other) == pytest.approx(wanted, rel=1e-12)


def test_figures_against_a_benchmark_are_those_of_least_squares():
    rng = np.random.default_rng(5)
    other = rng.normal(0.0004, 0.01, 500)
    own = 0.0002 + 1.3 * other + rng.normal(0.0, 0.004, 500)
    slope, level = np.polyfit(other, own, 1)
    row = figures.benchmark_metrics(own, other)
    assert row["beta"] == pytest.approx(slope, rel=1e-10)
    assert row["alpha"] == pytest.approx(252.0 * level, rel=1e-9)
    assert row["correlation"] == pytest.approx(np.corrcoef(own, other)[0, 1], rel=1e-12)
    assert row["tracking_error"] == pytest.approx((own - other).std(ddof=1) * math.sqrt(252.0), rel=1e-12)
    assert row["information_ratio"] == pytest.approx(figures.sharpe(own - other), rel=1e-15)
    single = [figures.alpha(own, other), figures.beta(own, other), figures.information_ratio(own, other),
              figures.tracking_error(own, other), figures.correlation(own, other)]  # fmt: skip
    assert single == list(row.values())
    assert figures.alpha(own, other, risk_free_rate=1e-4) == pytest.approx(
        252.0 * (level - 1e-4 * (1.0 - slope)), rel=1e-9
    )


def test_benchmark_without_variance_leaves_only_the_active_return():
    row = figures.benchmark_metrics([0.01, -0.02, 0.03], [0.0, 0.0, 0.0])
    reasons = {name: value.reason for name, value in row.items() if isinstance(value, Undefined)}
    assert reasons == dict.fromkeys(("alpha", "beta", "correlation"), "no variance in the benchmark's returns")
    same = figures.benchmark_metrics([0.01, -0.02, 0.03], [0.01, -0.02, 0.03])
    assert (same["alpha"], same["beta"], same["tracking_error"]) == (0.0, 1.0, 0.0)
    assert same["correlation"] == pytest.approx(1.0)
    assert same["information_ratio"].reason == "no variance in the returns less the benchmark's"


@pytest.mark.parametrize("value", [0.01, 0.0, -0.003, 1e-9])
def test_constant_returns_have_no_ratio_and_nothing_is_infinite(value):
    row = metrics(np.full(756, value))
    assert math.isnan(row["sharpe"])
    assert math.isnan(row["skew"])
    assert math.isnan(row["kurtosis"])
    assert not any(math.isinf(figure) for figure in row.values())


@pytest.mark.parametrize("returns", [[], [0.01], [math.nan, 0.01, 0.02], [-1.0, math.nan]])
def test_figures_of_short_or_broken_returns_are_undefined_and_never_infinite(returns):
    row = metrics(returns)
    assert math.isnan(row["sharpe"])
    assert not any(math.isinf(figure) for figure in row.values())


def test_moments_agree_with_numpy():
    returns = np.random.default_rng(0).normal(0.001, 0.02, 1_000) ** 3 + 0.01
    centred = (returns - returns.mean()) / returns.std()
    assert figures.skew(returns) == pytest.approx((centred**3).mean(), rel=1e-10)
    assert figures.kurtosis(returns) == pytest.approx((centred**4).mean(), rel=1e-10)
    assert figures.volatility(returns) == pytest.approx(returns.std(ddof=1) * math.sqrt(252), rel=1e-10)


@pytest.mark.parametrize("tail", [0.0, 0.01, 0.05, 0.37, 0.95, 1.0])
def test_value_at_risk_is_the_linear_quantile(tail):
    returns = np.random.default_rng(1).normal(size=253)
    assert figures.value_at_risk(returns, tail_rate=tail) == pytest.approx(np.quantile(returns, tail), rel=1e-12)


def test_expected_shortfall_counts_the_last_return_by_its_fraction():
    assert figures.expected_shortfall(FIXTURE, tail_rate=0.25) == pytest.approx(-0.036, abs=1e-15)
    assert figures.expected_shortfall(FIXTURE, tail_rate=0.05) == pytest.approx(-0.05, abs=1e-15)
    assert figures.expected_shortfall(FIXTURE, tail_rate=1.0) == pytest.approx(np.mean(FIXTURE), abs=1e-15)


def test_initial_cash_is_a_peak():
    assert figures.max_drawdown([-0.1, 0.05]) == pytest.approx(-0.1)
    assert metrics([-0.1, 0.05])["max_drawdown"] == pytest.approx(-0.1)


def test_length_of_the_deepest_drawdown_is_from_its_peak_to_its_recovery():
    wealth = np.array([1.0, 1.1, 1.0, 0.9, 1.0, 1.1, 1.05, 1.2])
    returns = np.diff(wealth, prepend=1.0) / np.concatenate([[1.0], wealth[:-1]])
    returns[5] += 1e-12
    assert figures.max_drawdown(returns) == pytest.approx(0.9 / 1.1 - 1.0)
    assert figures.max_drawdown_bars(returns) == 4
    assert figures.max_drawdown_bars([0.1, -0.2, 0.01]) == 2
    assert figures.max_drawdown_bars([-0.2, 0.01]) == 2
    assert figures.max_drawdown_bars([0.1, 0.1]) == 0


def test_sharpe_of_an_excess_return():
    returns = np.array([0.02, -0.01, 0.03])
    wanted = (returns.mean() - 0.001) / returns.std(ddof=1) * math.sqrt(12)
    assert figures.sharpe(returns, risk_free_rate=0.001, periods_per_year=12) == pytest.approx(wanted, rel=1e-12)


def test_growth_of_a_lost_account_is_minus_one():
    assert figures.cagr([0.1, -1.0]) == -1.0


def trades_with(pnl, **fields):
    trades = np.zeros(len(pnl), dtype=TRADE)
    trades["pnl"] = pnl
    for name, values in fields.items():
        trades[name] = values
    return trades


def test_trade_figures_leave_open_trades_out():
    trades = trades_with(
        [100.0, -50.0, 0.0, 30.0, 1e6],
        is_open=[False, False, False, False, True],
        n_bars=[1, 2, 3, 6, 99],
        mae=[-10.0, -60.0, -5.0, -1.0, -1e6],
        mfe=[120.0, 5.0, 3.0, 40.0, 1e7],
    )
    row = figures.trade_metrics(trades)
    pnl = np.array([100.0, -50.0, 0.0, 30.0])
    assert (row["n_trades"], row["n_open_trades"]) == (4, 1)
    assert row["win_rate"] == 0.5
    assert row["profit_factor"] == pytest.approx(130.0 / 50.0)
    assert row["expectancy"] == pytest.approx(20.0)
    assert row["sqn"] == pytest.approx(2.0 * pnl.mean() / pnl.std(ddof=1))
    assert (row["average_win_ccy"], row["average_loss_ccy"]) == (65.0, -50.0)
    assert row["average_trade_bars"] == 3.0
    assert (row["average_mae_ccy"], row["average_mfe_ccy"]) == (-19.0, 42.0)


def test_trade_figures_of_no_trades_one_trade_and_no_losses_say_why_they_are_undefined():
    def reasons(trades):
        row = figures.trade_metrics(trades)
        return {name: value.reason for name, value in row.items() if isinstance(value, Undefined)}

    none = reasons(trades_with([]))
    assert none == {
        "win_rate": "no closed trade", "profit_factor": "no closed trade", "expectancy": "no closed trade",
        "sqn": "fewer than two closed trades", "average_win_ccy": "no winning trade",
        "average_loss_ccy": "no losing trade", "average_trade_bars": "no closed trade",
        "average_mae_ccy": "no closed trade", "average_mfe_ccy": "no closed trade",
    }  # fmt: skip
    assert reasons(trades_with([5.0])) == {
        "profit_factor": "no losing trade",
        "sqn": "fewer than two closed trades",
        "average_loss_ccy": "no losing trade",
    }
    assert reasons(trades_with([-5.0, -5.0])) == {
        "sqn": "no variance in the trades' P&L",
        "average_win_ccy": "no winning trade",
    }
    assert reasons(trades_with([5.0, -4.0], mae=np.nan, mfe=np.nan)) == dict.fromkeys(
        ("average_mae_ccy", "average_mfe_ccy"), "no highs and lows were given"
    )


@pytest.mark.parametrize(
    ("figure", "returns", "reason"),
    [
        (figures.sharpe, [0.01], "fewer than two returns"),
        (figures.sharpe, [0.01, 0.01, 0.01], "no variance in the returns"),
        (figures.sharpe, [0.01, math.nan, 0.02], "a return is not a finite number"),
        (figures.sharpe, [0.01, math.inf, 0.02], "a return is not a finite number"),
        (figures.volatility, [], "fewer than two returns"),
        (figures.sortino, [0.01, 0.0], "no return below the target"),
        (figures.sortino, [], "no returns"),
        (figures.sortino, [-0.1, math.nan], "a return is not a finite number"),
        (figures.omega, [0.01, 0.0], "no return below the threshold"),
        (figures.omega, [0.01, math.nan], "a return is not a finite number"),
        (figures.downside_deviation, [], "no returns"),
        (figures.calmar, [0.01, 0.0], "no drawdown"),
        (figures.calmar, [math.nan, 0.0], "a return is not a finite number"),
        (figures.cagr, [], "no returns"),
        (figures.cagr, [1e9, 1e9], "annual growth beyond what a float holds"),
        (figures.total_return, [math.nan], "a return is not a finite number"),
        (figures.mean_return, [], "no returns"),
        (figures.max_drawdown, [math.nan, 0.1], "a return is not a finite number"),
        (figures.max_drawdown, [], "no returns"),
        (figures.max_drawdown_bars, [0.1, math.nan], "a return is not a finite number"),
        (figures.max_drawdown_bars, [], "no returns"),
        (figures.skew, [0.0, 0.0], "no variance in the returns"),
        (figures.kurtosis, [], "no returns"),
        (figures.value_at_risk, [], "no returns"),
        (figures.expected_shortfall, [0.1, math.nan], "a return is not a finite number"),
        (figures.tail_ratio, [0.0, 0.0, 0.1], "the 5th percentile of the returns is zero"),
        (figures.stability, [0.1], "fewer than two returns"),
        (figures.stability, [0.0, 0.0], "no variance in the wealth"),
        (figures.stability, [0.1, -1.0], "a return is not a finite number above -1"),
        (figures.time_in_market, [], "no returns"),
    ],
)
def test_undefined_figure_is_nan_and_says_why(figure, returns, reason):
    value = figure(np.array(returns))
    assert math.isnan(value)
    assert value.reason == reason


def test_reason_survives_a_copy_and_a_pickle():
    value = figures.sharpe([0.01])
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert math.isnan(twin)
        assert twin.reason == "fewer than two returns"


def test_turnover_and_exposure_of_lost_equity_are_undefined():
    fills = np.zeros(2, dtype=FILL)
    fills["quantity"], fills["price"] = [10.0, -5.0], [20.0, 40.0]
    assert figures.traded_value(fills) == 400.0
    assert figures.turnover(fills, [100.0, 300.0], periods_per_year=2.0) == 1.0
    assert figures.turnover(fills, [100.0, -300.0]).reason == "mean equity is not positive"
    assert figures.turnover(fills, []).reason == "no returns"
    assert figures.mean_exposure([50.0, 300.0], [100.0, 200.0]) == 1.0
    assert figures.mean_exposure([50.0, 0.0], [100.0, 0.0]).reason == "equity is not positive at every bar"
    assert figures.time_in_market([50.0, 0.0, 10.0, 0.0]) == 0.5


def test_equity_must_fit_the_returns():
    with pytest.raises(InputError, match=r"equity must have one value a return \(2\), had 3"):
        metrics([0.1, 0.2], equity=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="returns must have one axis"):
        figures.sharpe([[0.1, 0.2]])
