"""Every parameter of every public callable refuses what it is not, by name; what is right in any form is taken."""

from __future__ import annotations

import dataclasses
import inspect
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest

from engine import (
    Account,
    Actions,
    Bars,
    Costs,
    Crossing,
    Execution,
    InputError,
    Orders,
    Policy,
    Ranking,
    Risk,
    TargetUnits,
    TargetWeights,
    Threshold,
    Trials,
    simulate,
    sweep,
)
from engine import inference as infer
from engine import metrics as figures
from engine.adapters import backtesting_py, backtrader, comparison, vectorbt, zipline
from engine.adapters import settings as adapting
from engine.drawdowns import drawdowns_of
from engine.metrics.peers import stated_as
from engine.overfitting import pbo
from engine.profiles import profile_account, profile_costs
from tests.engine.markets import bars_of, times

NAN, INF = np.nan, np.inf


class Wordless:
    """It has no words for itself, and is no array."""

    def __repr__(self):
        raise RuntimeError("no words")

    def __array__(self, *_, **__):
        raise RuntimeError("no array")


def endless():
    while True:
        yield 1


OTHERS = {
    "a bool": True,
    "text": "x",
    "bytes": b"x",
    "an empty list": [],
    "a list": [None],
    "a dict": {"a": 1},
    "a set": {1},
    "a Decimal": Decimal("1.5"),
    "a Fraction": Fraction(1, 2),
    "pandas' NA": pd.NA,
    "a complex number": 1j,
    "a time": np.datetime64("2020-01-01"),
    "an object": object(),
    "a wordless object": Wordless(),
    "a type": dict,
}
NONE = {"None": None}
BEYOND = {"10**400": 10**400, "10**5000": 10**5000}
NUMBERS = OTHERS | NONE | BEYOND | {"NaN": NAN, "a function": len, "an array": np.array([1.0])}
SETTINGS = NUMBERS | {"1e308": 1e308, "-1e308": -1e308, "1e-320": 1e-320, "-inf": -INF}
COUNTS = NUMBERS | {
    "1.5": 1.5,
    "-2": -2,
    "2**63": 2**63,
    "-2**63": -(2**63),
    "10**30": 10**30,
    "uint64": np.uint64(2**63),
}
FLAGS = NUMBERS | {"1": 1, "0.0": 0.0}
del FLAGS["a bool"]
NAMES = NUMBERS | {"an index": np.int64(1)}
FUNCTIONS = {key: value for key, value in NUMBERS.items() if key not in ("None", "a function")}
FUNCTIONS |= {"a function of too many": lambda a, b, c, d, e, f, g: None}
THINGS = NUMBERS | {"a frame": pd.DataFrame({"a": [1.0]}), "an iterator": endless()}
OPTIONAL = {key: value for key, value in THINGS.items() if key != "None"}
MAPPINGS = {key: value for key, value in THINGS.items() if key not in ("a dict", "a frame")}
LISTS = {key: value for key, value in THINGS.items() if key not in ("an array", "None", "an empty list", "a dict")}
LINES = THINGS | {
    "objects": np.array([1.0, None], dtype=object),
    "Decimals": [Decimal(1)] * 4,
    "masked": np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    "a masked row": [np.ma.masked_array([1.0, 2.0], mask=[True, False])],
    "complex": np.ones(4, dtype=complex),
    "times": np.zeros(4, dtype="M8[s]"),
    "spans": np.zeros(4, dtype="m8[s]"),
    "texts": ["1.5"] * 4,
    "bools": [True] * 4,
    "records": np.zeros(4, dtype=[("a", float)]),
    "ragged": [[1.0], [1.0, 2.0]],
    "huge": [10**400] * 4,
    "three axes": np.ones((4, 2, 1)),
}
del LINES["an empty list"], LINES["an array"]
PANELS = LINES | {"an array": np.array([1.0])}
RECORDS = LINES | {"records": np.zeros(4, dtype=[("a", float)])}

BARS = bars_of([[10.0, 20.0], [11.0, 19.0], [12.0, 18.0], [11.0, 19.0]])
ALONE = bars_of([[10.0], [11.0], [12.0], [11.0]])
UNITS = TargetUnits([[1.0, 2.0]], rows=[0])
ENDS = pd.DatetimeIndex(times(4)).tz_localize("UTC")
ORDERS = pd.DataFrame({"bar_end": ENDS[:1], "symbol": "A0", "quantity": 1.0, "kind": "market"})
RETURNS = np.array([0.01, -0.02, 0.03, 0.0])
RUN = simulate(BARS, UNITS)
TRIALS = sweep(BARS, Crossing(1, 2), {"slow": (2, 3)})
PEER = comparison.PeerResult("peer", np.asarray(RUN.equity), np.zeros(0, dtype=comparison.PEER_FILL))


def still(t, bars, account, desk, memory, parameters):
    memory[0] = 1.0


def fields(kind):
    """Return what a setting may not be, by the type that its field declares."""
    kinds = {"float": SETTINGS, "int": COUNTS, "bool": FLAGS, "str": NAMES, "Tiers": THINGS}
    return {item.name: kinds[item.type] for item in dataclasses.fields(kind)}


def without(values, *names):
    return {key: value for key, value in values.items() if key not in names}


WITH_BENCHMARK = ("alpha", "beta", "correlation", "information_ratio", "tracking_error", "benchmark_metrics")
FIGURES = {name: [*inspect.signature(getattr(figures, name)).parameters] for name in figures.__all__}
OF_RETURNS = [name for name, parameters in FIGURES.items() if parameters[0] == "returns" and name not in WITH_BENCHMARK]
ANNUAL = ("volatility", "sharpe", "sortino", "downside_deviation", "cagr", "calmar")
PARTS = {
    "account": THINGS,
    "costs": THINGS,
    "execution": THINGS,
    "risk": THINGS,
    "actions": OPTIONAL,
    "finer": OPTIONAL,
}
PRICES = dict.fromkeys(("open", "high", "low", "close", "volume"), PANELS)
OF_BARS = {name: getattr(BARS, name) for name in (*PRICES, "bar_end", "symbols")}
PANEL_OF = {"split": np.ones((4, 2)), "dividend": np.zeros((4, 2)), "delisting": np.full((4, 2), NAN)}
SHARPE = {"sharpe": 0.1, "n": 100, "skew": 0.0, "kurtosis": 3.0}

# Name, callable, arguments that are right, and for each of them what is not.
CASES = [
    ("Account", Account, {}, fields(Account)),
    ("Costs", Costs, {}, fields(Costs) | {"commission_tiers": without(THINGS, "an empty list")}),
    ("Execution", Execution, {}, fields(Execution)),
    ("Risk", Risk, {}, fields(Risk)),
    ("Bars", Bars, OF_BARS, PRICES | {"bar_end": LINES, "symbols": THINGS}),
    ("Bars.from_frame", Bars.from_frame, {}, {"frame": THINGS}),
    ("Actions", Actions, PANEL_OF, dict.fromkeys(PANEL_OF, PANELS) | {"pay_bar": without(PANELS, "None")}),
    ("Actions.none", Actions.none, {}, {"bars": THINGS}),
    ("Actions.from_frame", Actions.from_frame, {"bars": BARS, "frame": ORDERS}, {"bars": THINGS, "frame": THINGS}),
    ("TargetWeights", TargetWeights, {"weights": np.ones((4, 2))}, {"weights": without(PANELS, "a frame")}),
    ("TargetUnits", TargetUnits, {"units": np.ones((1, 2))}, {"rows": without(LINES, "None")}),
    ("values_and_rows", UNITS.values_and_rows, {}, {"bars": THINGS}),
    ("aligned", UNITS.aligned, {}, {"bars": THINGS}),
    ("Orders", Orders, {}, {"frame": THINGS}),
    ("Orders.table", Orders(ORDERS).table, {}, {"bars": THINGS}),
    ("Policy", Policy, {"function": still}, {"function": THINGS, "parameters": MAPPINGS, "n_memory": COUNTS}),
    ("Crossing", Crossing, {}, {"fast": COUNTS, "slow": COUNTS, "units": without(SETTINGS, "None")}),
    ("Threshold", Threshold, {}, {"lookback": COUNTS, "enter": SETTINGS, "weight": without(SETTINGS, "None")}),
    ("Ranking", Ranking, {}, {"lookback": COUNTS, "skip": COUNTS, "top": COUNTS, "gross": SETTINGS, "every": NAMES}),
    ("decisions", Crossing(1, 2).decisions, {"bars": BARS}, {"bars": THINGS, "actions": OPTIONAL}),
    ("planner", Ranking(2, 1).planner, {"bars": BARS}, {"bars": THINGS, "actions": OPTIONAL}),
    ("with_parameters", Crossing(1, 2).with_parameters, {}, {"parameters": THINGS}),
    ("simulate", simulate, {"bars": BARS, "decisions": UNITS}, {"bars": THINGS, "decisions": THINGS} | PARTS),
    ("sweep", sweep, {"bars": BARS, "rule": Crossing(1, 2), "grid": {"slow": (2, 3)}},
     {"bars": THINGS, "rule": FUNCTIONS, "grid": THINGS, "metrics": LISTS, "n_threads": COUNTS} | PARTS
     | {"periods_per_year": NUMBERS, "progress": FUNCTIONS, "should_stop": FUNCTIONS}),
    ("Trials", Trials, {"parameters": ({},), "metrics": {"sharpe": [1.0]}},
     {"parameters": without(THINGS, "an empty list"), "metrics": MAPPINGS, "n_done": COUNTS}),
    ("top", TRIALS.top, {}, {"n": COUNTS, "by": NAMES}),
    ("rerun", TRIALS.rerun, {}, {"n": COUNTS, "by": NAMES}),
    ("preset", Costs.preset, {}, {"name": NAMES}),
    ("profile", Execution.profile, {}, {"name": NAMES}),
    ("profile_costs", profile_costs, {}, {"name": NAMES}),
    ("profile_account", profile_account, {}, {"name": NAMES}),
    ("trades_by", RUN.trades_by, {}, {"method": NAMES}),
    ("trades_frame", RUN.trades_frame, {}, {"method": NAMES}),
    *((name, getattr(figures, name), {"returns": RETURNS}, {"returns": LINES}) for name in OF_RETURNS),
    *((name, getattr(figures, name), {"returns": RETURNS}, {"periods_per_year": NUMBERS}) for name in ANNUAL),
    ("sharpe", figures.sharpe, {"returns": RETURNS}, {"risk_free_rate": NUMBERS}),
    ("sortino", figures.sortino, {"returns": RETURNS}, {"target_rate": NUMBERS}),
    ("omega", figures.omega, {"returns": RETURNS}, {"threshold_rate": NUMBERS}),
    ("value_at_risk", figures.value_at_risk, {"returns": RETURNS}, {"tail_rate": NUMBERS}),
    ("cagr_of", figures.cagr_of, {"equity": [1.0], "initial_cash": 1.0},
     {"equity": LINES, "initial_cash": without(NUMBERS, "NaN")}),
    ("returns_of", figures.returns_of, {"equity": [1.0], "initial_cash": 1.0}, {"equity": LINES}),
    ("trade_metrics", figures.trade_metrics, {}, {"trades": RECORDS}),
    ("traded_value", figures.traded_value, {}, {"fills": RECORDS}),
    ("turnover", figures.turnover, {"fills": RUN.fills, "equity": RUN.equity}, {"fills": RECORDS, "equity": LINES}),
    ("time_in_market", figures.time_in_market, {}, {"exposure": LINES}),
    ("mean_exposure", figures.mean_exposure, {"exposure": RUN.exposure, "equity": RUN.equity},
     {"exposure": LINES, "equity": LINES}),
    *((name, getattr(figures, name), {"returns": RETURNS, "benchmark": RETURNS}, {"returns": LINES, "benchmark": LINES})
      for name in WITH_BENCHMARK),
    ("alpha", figures.alpha, {"returns": RETURNS, "benchmark": RETURNS},
     {"risk_free_rate": NUMBERS, "periods_per_year": NUMBERS}),
    ("metrics", figures.metrics, {"returns": RETURNS},
     {"returns": LINES, "equity": without(LINES, "None"), "exposure": without(LINES, "None"),
      "trades": without(RECORDS, "None"), "fills": without(RECORDS, "None"), "benchmark": without(LINES, "None"),
      "initial_cash": without(NUMBERS, "None", "NaN"), "periods_per_year": NUMBERS}),
    ("drawdowns_of", drawdowns_of, {"equity": [1.0], "initial_cash": 1.0}, {"equity": LINES, "initial_cash": NUMBERS}),
    ("stated_as", stated_as, {"peer": "lean", "figure": "sharpe", "records": RETURNS},
     {"peer": NAMES, "figure": NAMES, "records": LINES, "periods_per_year": NUMBERS}),
    ("sharpe_error", infer.sharpe_error, SHARPE, dict.fromkeys(SHARPE, NUMBERS)),
    ("probabilistic_sharpe", infer.probabilistic_sharpe, SHARPE, dict.fromkeys((*SHARPE, "benchmark"), NUMBERS)),
    ("deflated_sharpe", infer.deflated_sharpe, SHARPE | {"n_trials": 9, "variance": 0.1},
     dict.fromkeys((*SHARPE, "n_trials", "variance"), NUMBERS)),
    ("expected_maximum_sharpe", infer.expected_maximum_sharpe, {"n_trials": 9, "variance": 0.1},
     {"n_trials": NUMBERS, "variance": NUMBERS}),
    ("minimum_track_record", infer.minimum_track_record, {"sharpe": 0.1},
     {"sharpe": NUMBERS, "benchmark": NUMBERS, "confidence": NUMBERS}),
    ("minimum_backtest_length", infer.minimum_backtest_length, {"n_trials": 9},
     {"n_trials": NUMBERS, "sharpe": NUMBERS}),
    ("effective_trials", infer.effective_trials, {"n_trials": 9, "mean_correlation": 0.5},
     {"n_trials": NUMBERS, "mean_correlation": NUMBERS}),
    ("annual_factor", infer.annual_factor, {"periods_per_year": 12},
     {"periods_per_year": COUNTS, "autocorrelations": LINES}),
    ("bootstrap_sharpe", infer.bootstrap_sharpe, {"returns": RETURNS, "seed": 1, "n_samples": 2},
     {"returns": LINES, "seed": COUNTS, "n_samples": COUNTS, "mean_block_bars": NUMBERS, "periods_per_year": NUMBERS}),
    ("pbo", pbo, {"returns": np.eye(40, 3)}, {"returns": PANELS, "n_splits": COUNTS, "metric": NAMES}),
    ("PeerResult", comparison.PeerResult, vars(PEER),
     {"peer": without(NAMES, "text"), "equity": LINES, "fills": RECORDS}),
    ("compare", comparison.compare, {"result": RUN, "peer": PEER}, {"result": THINGS, "peer": THINGS}),
    ("agrees", comparison.compare(RUN, PEER).agrees, {}, {"tolerance": NUMBERS}),
    ("check_whole_axis", adapting.check_whole_axis, {"peer": "peer"}, {"bars": THINGS}),
    ("check_charged", adapting.check_charged, {"peer": "peer", "charged": ()}, {"costs": THINGS}),
    ("check_execution", adapting.check_execution, {"peer": "peer", "right": Execution()}, {"execution": THINGS}),
    *((f"{peer.__name__}.run", peer.run, {"bars": ALONE, "decisions": UNITS},
       {"bars": THINGS, "decisions": THINGS, "account": OPTIONAL, "costs": OPTIONAL, "execution": OPTIONAL})
      for peer in (vectorbt, backtrader, backtesting_py)),
    ("zipline.run", partial(zipline.run, python="none"), {"bars": ALONE, "decisions": UNITS},
     {"bars": THINGS, "decisions": THINGS, "account": OPTIONAL, "actions": OPTIONAL, "python": without(NAMES, "text")}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "right", "parameter", "wrong"),
    [
        pytest.param(call, right, parameter, wrong, id=f"{name}-{parameter}")
        for name, call, right, parameters in CASES
        for parameter, wrong in parameters.items()
    ],
)
def test_what_a_parameter_is_not_is_refused_whatever_it_is(call, right, parameter, wrong):
    for what, value in wrong.items():
        with pytest.raises(InputError) as error:
            call(**right | {parameter: value})
            pytest.fail(f"{what} was taken")
        assert len(str(error.value)) < 1_000, what


COLUMN_VALUES = {
    "text": "1.5",
    "bools": True,
    "times": pd.Timestamp("2020-01-01"),
    "spans": pd.Timedelta(1, "D"),
    "complex": 1j,
    "Decimals": Decimal(1),
    "mixed": [1.5, "x", 1.5, 1.5],
    "huge": [10**400] * 4,
    "lists": [[1.0]] * 4,
    "wordless": [Wordless()] * 4,
    "categories": pd.Categorical(["1"] * 4),
}
LONG = pd.DataFrame(
    {"symbol": "A", "bar_end": ENDS, "volume": 1.0, **dict.fromkeys(("open", "high", "low", "close"), 9.0)}
)
ACTED = pd.DataFrame({"symbol": ["A0"] * 4, "ex_date": "2020-01-02", "kind": "dividend", "value": [1.0] * 4})
ASKED = ORDERS.loc[[0] * 4].assign(kind="limit", limit_price=9.0).reset_index(drop=True)


@pytest.mark.parametrize(
    ("call", "frame", "columns"),
    [
        (Bars.from_frame, LONG, ("open", "high", "low", "close", "volume")),
        (lambda frame: Actions.from_frame(BARS, frame), ACTED, ("value",)),
        (lambda frame: Orders(frame).table(BARS), ASKED, ("quantity", "limit_price")),
        (lambda frame: TargetWeights(frame).aligned(BARS), pd.DataFrame({"A0": 1.0}, index=ENDS), ("A0",)),
    ],
    ids=["bars", "actions", "orders", "weights"],
)
def test_column_that_holds_no_plain_numbers_is_refused_by_its_name(call, frame, columns):
    call(frame)
    for column in columns:
        for what, values in COLUMN_VALUES.items():
            with pytest.raises(InputError, match="dividend" if column == "value" else column):
                call(frame.assign(**{column: values}))
                pytest.fail(f"{what} were taken")
        with pytest.raises(InputError, match="unique"):
            call(pd.concat([frame, frame[[column]]], axis=1))


def test_numbers_in_any_form_are_the_same_bars_and_decisions():
    forms = (
        lambda values: values.tolist(),
        lambda values: values.astype(np.float32),
        lambda values: values.astype(np.int64),
        lambda values: values.astype(np.uint8),
        lambda values: values.astype(object),
        lambda values: np.ma.masked_array(values),
        lambda values: pd.DataFrame(values),
        lambda values: pd.DataFrame(values.astype(int)).astype("Int64"),
        lambda values: memoryview(values.copy()),
    )
    panels = {name: OF_BARS[name] for name in PRICES}
    for form in forms:
        bars = Bars(**{name: form(values) for name, values in panels.items()}, bar_end=times(4), symbols=["A0", "A1"])
        units = form(np.array([[1.0, 2.0]]))
        if not isinstance(units, pd.DataFrame):
            decisions = TargetUnits(units, rows=np.array([0], dtype=np.uint8))
            assert simulate(bars, decisions, periods_per_year=np.float32(252.0)).hash == RUN.hash
        assert simulate(bars, UNITS).hash == RUN.hash
    scalars = Account(cash=np.int64(5), leverage=np.float32(1.5)), Risk(time_stop_bars=np.uint8(3))
    assert scalars == (Account(cash=5.0, leverage=1.5), Risk(time_stop_bars=3))
    assert infer.expected_maximum_sharpe(np.float32(9.5), 1) == infer.expected_maximum_sharpe(9.5, 1.0)


def test_object_among_numbers_is_named_with_its_place():
    closes = np.array([[1.0, 2.0], [None, 2.0]], dtype=object)
    with pytest.raises(InputError, match=r"units must be numbers, was None at \[1, 0\]"):
        TargetUnits(closes)
