"""Sweeps are single runs of which only the figures are kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine import Account, Costs, InputError, TargetWeights, simulate, sweep
from tests.engine.markets import random_bars

BARS = random_bars(np.random.default_rng(7), 250, 4, missing_rate=0.02)
GRID = [{"lookback": lookback, "gross": gross} for lookback in (5, 20, 60) for gross in (0.5, 1.0, 1.5)]
SETTINGS = {"account": Account(cash=50_000.0), "costs": Costs(commission_bps=2.0, commission_min=1.0)}


def decide(parameters):
    lookback = parameters["lookback"]
    weights = np.full(BARS.close.shape, np.nan)
    gain = BARS.close[lookback:] / BARS.close[:-lookback] - 1.0
    weights[lookback:] = np.where(np.isnan(gain), np.nan, np.where(gain > 0.0, parameters["gross"] / 4.0, 0.0))
    return TargetWeights(weights)


def test_sweep_is_single_runs_to_the_last_bit():
    trials = sweep(BARS, decide, GRID, **SETTINGS)
    assert trials.n == len(GRID)
    assert trials.parameters == tuple(GRID)
    for number, parameters in enumerate(GRID):
        alone = simulate(BARS, decide(parameters), **SETTINGS).metrics
        assert set(alone) == set(trials.metrics)
        for name, value in alone.items():
            other = trials.metrics[name][number]
            assert other == value or (math.isnan(other) and math.isnan(value))
    assert np.unique(trials.metrics["sharpe"]).size == len(GRID)


def test_frame_of_trials_has_parameters_and_figures():
    frame = sweep(BARS, decide, GRID, **SETTINGS).to_frame()
    assert frame["lookback"].tolist() == [row["lookback"] for row in GRID]
    assert frame["sharpe"].notna().all()
    assert len(frame) == len(GRID)


def test_progress_counts_every_trial():
    seen = []
    sweep(BARS, decide, GRID[:3], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_sweep_without_parameters_is_refused():
    with pytest.raises(InputError, match="at least one parameter set"):
        sweep(BARS, decide, [])


def test_parameter_with_a_figures_name_is_refused_in_the_frame():
    trials = sweep(BARS, lambda row: decide({"lookback": 5, "gross": 1.0}), [{"sharpe": 1}])
    with pytest.raises(InputError, match="must not have a figure's name, was 'sharpe'"):
        trials.to_frame()
