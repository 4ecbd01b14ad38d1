"""Sweeps are single runs of which only the figures are kept."""

from __future__ import annotations

import math
import os
import signal
import time

import numpy as np
import pytest

from engine import Account, Actions, Costs, Execution, InputError, TargetUnits, TargetWeights, Trials, simulate, sweep
from engine.risk import Risk
from engine.rules import Crossing, Ranking, Threshold
from engine.sweep_figures import DEFAULT, all_names
from tests.engine.markets import random_bars, random_market

BARS = random_bars(np.random.default_rng(7), 250, 4, missing_rate=0.02)
ALONE = random_bars(np.random.default_rng(8), 400, 1)
GRID = [{"lookback": lookback, "gross": gross} for lookback in (5, 20, 60) for gross in (0.5, 1.0, 1.5)]
SETTINGS = {"account": Account(cash=50_000.0), "costs": Costs(commission_bps=2.0, commission_min=1.0)}
PAIRS = {"fast": range(2, 9), "slow": range(10, 40, 4)}
LEVELS = {"lookback": (1, 4, 25, 500), "enter": (-0.01, 0.0, 0.06), "leave": (-0.3, -0.05, -0.01)}


def decide(parameters):
    lookback = parameters["lookback"]
    weights = np.full(BARS.close.shape, np.nan)
    gain = BARS.close[lookback:] / BARS.close[:-lookback] - 1.0
    weights[lookback:] = np.where(np.isnan(gain), np.nan, np.where(gain > 0.0, parameters["gross"] / 4.0, 0.0))
    return TargetWeights(weights)


def is_same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def assert_are_single_runs(trials, run):
    """Each figure of each trial is that of a run of its own."""
    for number, parameters in enumerate(trials.parameters):
        alone = run(parameters).metrics
        for name, values in trials.metrics.items():
            assert is_same(values[number], alone[name]), (parameters, name)


def test_sweep_of_a_function_is_single_runs_to_the_last_bit():
    for names in (None, all_names()):
        trials = sweep(BARS, decide, GRID, metrics=names, **SETTINGS)
        assert trials.n == trials.n_done == len(GRID)
        assert trials.is_complete
        assert trials.parameters == tuple(GRID)
        assert tuple(trials.metrics) == (DEFAULT if names is None else names)
        assert_are_single_runs(trials, lambda row: simulate(BARS, decide(row), **SETTINGS))
        assert np.unique(trials.metrics["sharpe"]).size == len(GRID)


def test_all_figures_of_a_result_may_be_asked_for():
    assert set(all_names()) == set(simulate(BARS, decide(GRID[0])).metrics)
    assert set(DEFAULT) < set(all_names())


@pytest.mark.parametrize("kind", [Crossing, Threshold])
@pytest.mark.parametrize("seed", range(40))
def test_sweep_over_one_asset_is_single_runs_to_the_last_bit(kind, seed):
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, int(rng.integers(30, 300)), 1, tick=float(rng.choice([0.0, 0.5])))
    settings = {
        "account": Account(cash=float(rng.choice([500.0, 5_000.0, 1e6])), leverage=float(rng.choice([1.0, 2.0]))),
        "costs": Costs(
            commission_bps=float(rng.choice([0.0, 5.0])),
            commission_min=float(rng.choice([0.0, 0.0, 1.0])),
            slippage_bps=float(rng.choice([0.0, 9.0])),
        ),
        "execution": Execution(lot_size=float(rng.choice([0.0, 1.0]))),
        "periods_per_year": 300.0,
    }
    rule = kind(units=100.0) if rng.random() < 0.5 else kind(weight=float(rng.choice([0.5, 1.0, -0.5])))
    trials = sweep(bars, rule, PAIRS if kind is Crossing else LEVELS, **settings)
    assert_are_single_runs(trials, lambda row: simulate(bars, rule.with_parameters(row), **settings))
    decided = [rule.with_parameters(row).decisions(bars) for row in trials.parameters]
    as_targets = sweep(bars, lambda row: decided[trials.parameters.index(row)], trials.parameters, **settings)
    for name, values in trials.metrics.items():
        np.testing.assert_array_equal(values, as_targets.metrics[name])


@pytest.mark.parametrize(("rule", "grid"), [(Crossing(units=100), PAIRS), (Threshold(units=100), LEVELS)], ids=repr)
@pytest.mark.parametrize(
    "more",
    [
        {"risk": Risk(stop_loss_rate=0.05)},
        {"execution": Execution(timing="same_close")},
        {"costs": Costs(impact_coefficient=0.1)},
        {"account": Account(cash_rate=0.03)},
        {"execution": Execution(cash_policy="reject"), "account": Account(cash=4_000.0)},
        {"costs": Costs(commission_min=3.0), "account": Account(cash=4_000.0)},
        {"actions": Actions(np.ones((400, 1)), np.full((400, 1), 0.01), np.full((400, 1), np.nan))},
    ],
    ids=repr,
)
def test_trials_that_take_the_bar_loop_are_single_runs_too(rule, grid, more):
    trials = sweep(ALONE, rule, grid, **more)
    assert_are_single_runs(trials, lambda row: simulate(ALONE, rule.with_parameters(row), **more))


@pytest.mark.parametrize(
    ("rule", "grid"),
    [
        (Crossing(units=3), {"fast": (2, 5), "slow": (9, 20)}),
        (Threshold(weight=0.2), {"lookback": (3, 10), "enter": (0.0, 0.05), "leave": (-0.1, 0.0)}),
        (Ranking(40, 5, gross=0.9), {"top": (1, 2, 9), "skip": (0, 5), "every": ("week", "month")}),
    ],
    ids=repr,
)
def test_sweep_of_rules_over_several_assets_is_single_runs_to_the_last_bit(rule, grid):
    trials = sweep(BARS, rule, grid, **SETTINGS)
    assert trials.n == math.prod(map(len, grid.values()))
    assert_are_single_runs(trials, lambda row: simulate(BARS, rule.with_parameters(row), **SETTINGS))


@pytest.mark.parametrize("seed", range(8))
def test_sweep_of_orders_and_targets_in_any_market_is_single_runs(seed):
    market = random_market(seed, n_bars=40)
    trials = sweep(market.bars, lambda _: market.decisions, [{}, {}], metrics=all_names(), **market.settings)
    assert_are_single_runs(trials, lambda _: simulate(market.bars, market.decisions, **market.settings))


def test_a_mapping_of_values_is_all_their_combinations():
    trials = sweep(ALONE, Crossing(), {"slow": (20, 30), "fast": [3, 4]}, metrics=("n_fills",))
    assert tuple(trials.parameters) == (
        {"slow": 20, "fast": 3},
        {"slow": 20, "fast": 4},
        {"slow": 30, "fast": 3},
        {"slow": 30, "fast": 4},
    )


def test_units_and_weights_may_be_swept_as_well():
    grid = [{"units": 5}, {"weight": 0.5}, {"units": -5.0, "fast": 3}, {}]
    trials = sweep(ALONE, Crossing(4, 9), grid, **SETTINGS)
    assert_are_single_runs(trials, lambda row: simulate(ALONE, Crossing(**{"fast": 4, "slow": 9} | row), **SETTINGS))
    assert np.unique(trials.metrics["total_return"]).size == 4


def test_more_averages_than_memory_holds_are_made_in_groups(monkeypatch):
    import engine.crossing_sweep

    whole = sweep(ALONE, Crossing(units=10), PAIRS)
    monkeypatch.setattr(engine.crossing_sweep, "_SHARED", 5 * ALONE.n_bars)
    seen = []
    parts = sweep(ALONE, Crossing(units=10), PAIRS, progress=lambda done, total: seen.append((done, total)))
    for name, values in whole.metrics.items():
        np.testing.assert_array_equal(values, parts.metrics[name])
    assert seen[-1] == (whole.n, whole.n)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_the_highest_trials_come_first_and_run_again_to_the_last_bit():
    for rule, grid, bars in ((Crossing(units=100), PAIRS, ALONE), (decide, GRID, BARS)):
        trials = sweep(bars, rule, grid, **SETTINGS)
        for by in ("sharpe", "max_drawdown"):
            best = trials.top(5, by)
            assert best.n == 5
            assert best.metrics[by].tolist() == sorted(trials.metrics[by].tolist(), reverse=True)[:5]
            results = trials.rerun(5, by)
            for name, values in best.metrics.items():
                assert all(is_same(result.metrics[name], value) for result, value in zip(results, values, strict=True))
        assert trials.rerun(1)[0].fills.size == trials.top(1).metrics["n_fills"][0]


def test_equal_trials_keep_their_order_and_undefined_ones_are_no_best():
    rows = tuple({"number": i} for i in range(5))
    trials = Trials(rows, {"sharpe": np.array([1.0, np.nan, 2.0, 1.0, -np.inf])})
    assert [row["number"] for row in trials.top().parameters] == [2, 0, 3, 4]
    with pytest.raises(InputError, match="no figure 'sharp'; did you mean 'sharpe'"):
        trials.top(by="sharp")
    with pytest.raises(InputError, match="only trials of a sweep can be run again"):
        trials.rerun()


def test_frame_of_trials_has_parameters_and_figures():
    frame = sweep(BARS, decide, GRID, **SETTINGS).to_frame()
    assert frame["lookback"].tolist() == [row["lookback"] for row in GRID]
    assert frame["sharpe"].notna().all()
    assert len(frame) == len(GRID)


def test_parameter_with_a_figures_name_is_refused_in_the_frame():
    trials = sweep(BARS, lambda row: decide({"lookback": 5, "gross": 1.0}), [{"sharpe": 1}])
    with pytest.raises(InputError, match="must not have a figure's name, was 'sharpe'"):
        trials.to_frame()


def short_of_a_price(_):
    return TargetWeights(np.ones(BARS.close.shape))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((BARS, decide, []), "at least one parameter set, had none"),
        ((BARS, decide, {}), "at least one parameter set, had none"),
        ((BARS, decide, {"lookback": ()}), "at least one parameter set, had none"),
        ((BARS, decide, {"lookback": 5}), r"grid\['lookback'\] must be the values to try, was 5"),
        ((BARS, Ranking(), {"every": "month"}), r"grid\['every'\] must be the values to try, was 'month'"),
        ((BARS, "crossing", [{}]), r"rule must be a rule or a function of \(parameters\), was 'crossing'"),
        ((ALONE, Crossing(), [{"fast": 3}, {"fast": 60}]), "fast must be less than slow.*in the trial {'fast': 60}"),
        ((ALONE, Crossing(), {"fast": [3.5]}), "fast must be a whole number.*in the trial {'fast': 3.5}"),
        ((ALONE, Crossing(), [{"fats": 3}]), "no parameter 'fats'; did you mean 'fast'.*in the trial {'fats': 3}"),
        ((BARS, Crossing(), [{"fats": 3}]), "no parameter 'fats'; did you mean 'fast'.*in the trial {'fats': 3}"),
        ((BARS, lambda _: TargetUnits(np.ones((3, 4))), [{"a": 1}]), "must have the shape.*in the trial {'a': 1}"),
        ((BARS, lambda _: None, [{"a": 1}]), "decisions must be .*was NoneType, in the trial {'a': 1}"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_its_parameters(arguments, text):
    with pytest.raises(InputError, match=text):
        sweep(*arguments)


def test_wrong_settings_are_refused_before_any_trial():
    for more, text in (
        ({"metrics": ("sharp",)}, "no figure 'sharp'; did you mean 'sharpe'"),
        ({"metrics": "sharpe"}, "metrics must be several names"),
        ({"metrics": ()}, "at least one figure"),
        ({"n_threads": 0}, "n_threads must be a whole number of at least 1, was 0"),
        ({"periods_per_year": 0.0}, "periods_per_year must be positive"),
        ({"costs": 3}, "costs must be Costs"),
    ):
        with pytest.raises(InputError, match=text):
            sweep(BARS, lambda _: pytest.fail("a trial was run"), [{}], **more)


def test_an_error_of_the_users_own_names_the_trial_too():
    def decide_wrongly(parameters):
        raise ZeroDivisionError("by me")

    with pytest.raises(ZeroDivisionError, match="by me") as caught:
        sweep(BARS, decide_wrongly, [{"a": 7}])
    assert caught.value.__notes__ == ["in the trial {'a': 7}"]


def test_a_sweep_within_a_sweep_has_its_own_threads():
    def decide_by_another(parameters):
        inner = sweep(BARS, decide, GRID, metrics=("sharpe",), n_threads=2)
        assert inner.is_complete
        return decide(parameters)

    nested = sweep(BARS, decide_by_another, GRID[:4], metrics=("sharpe",), n_threads=2)
    alone = sweep(BARS, decide, GRID[:4], metrics=("sharpe",))
    assert np.array_equal(nested.metrics["sharpe"], alone.metrics["sharpe"], equal_nan=True)


def test_a_forked_process_sweeps_with_threads_of_its_own():
    wanted = sweep(BARS, decide, GRID, metrics=("sharpe",), n_threads=2).metrics["sharpe"]
    child = os.fork()
    if child == 0:
        found = sweep(BARS, decide, GRID, metrics=("sharpe",), n_threads=2).metrics["sharpe"]
        os._exit(0 if np.array_equal(found, wanted, equal_nan=True) else 1)
    deadline = time.monotonic() + 60.0
    ended = (0, 0)
    while ended == (0, 0) and time.monotonic() < deadline:
        ended = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended == (child, 0)
