"""What a window's panels remember, and choices within a bar against a sort."""

from __future__ import annotations

import numpy as np
import pytest

from strategies import crosssection, panel
from strategies.panel import values_of
from strategies.rolling import rolling_mean
from strategies.window import Window
from tests.engine.markets import random_bars

OPERATIONS = ("sum", "mean", "std", "min", "max", "ema")


def window():
    return Window(random_bars(np.random.default_rng(3), 80, 4, missing_rate=0.1))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_average_of_the_index_is_computed_once_a_window(operation):
    seen = window()
    first = getattr(seen.index, operation)(7)
    assert getattr(seen.index, operation)(7) is first
    assert getattr(seen.index, operation)(8) is not first
    assert getattr(seen.total_return, operation)(7) is not first
    fresh = getattr(window().index, operation)(7)
    np.testing.assert_array_equal(values_of(fresh), values_of(first))


def test_deviations_of_other_degrees_are_others():
    seen = window()
    assert seen.index.std(7) is seen.index.std(7, ddof=1)
    assert seen.index.std(7) is not seen.index.std(7, ddof=0)


def test_what_is_no_panel_of_the_window_remembers_nothing():
    seen = window()
    assert (seen.index + 1.0).mean(5) is not (seen.index + 1.0).mean(5)
    score = seen.index / 2.0
    assert score.mean(5) is not score.mean(5)


def test_the_oldest_are_forgotten_where_memory_ends(monkeypatch):
    seen = window()
    monkeypatch.setattr(panel, "_MEMORY", 3 * values_of(seen.index).nbytes)
    means = {n: seen.index.mean(n) for n in (2, 3, 4)}
    assert all(seen.index.mean(n) is mean for n, mean in means.items())
    fourth = seen.index.mean(5)
    assert seen.index.mean(5) is fourth
    assert seen.index.mean(4) is means[4]
    again = seen.index.mean(2)
    assert again is not means[2]
    np.testing.assert_array_equal(values_of(again), rolling_mean(values_of(seen.index), 2))
    monkeypatch.setattr(panel, "_MEMORY", 0)
    assert seen.index.max(2) is seen.index.max(2)


def slow_top(values, taking_part, k):
    chosen = np.zeros(values.shape, dtype=np.bool_)
    for t in range(len(values)):
        members = [j for j in range(values.shape[1]) if taking_part[t, j] and not np.isnan(values[t, j])]
        chosen[t, sorted(members, key=lambda j: (-values[t, j], j))[:k]] = True
    return chosen


def test_the_highest_are_those_of_a_sort_with_ties_in_order():
    rng = np.random.default_rng(1)
    few = np.array([-np.inf, -2.0, -1e-300, -0.0, 0.0, 1e-300, 1.0, 3.0, np.inf, np.nan])
    for n_assets in (1, 2, 9, 70):
        for values in (rng.choice(few, (60, n_assets)), rng.normal(size=(60, n_assets))):
            taking_part = rng.random(values.shape) < rng.choice([0.3, 0.9, 1.0])
            for k in {1, 2, n_assets // 2 + 1, n_assets, n_assets + 3}:
                found = crosssection.top(values, taking_part, k)
                np.testing.assert_array_equal(found, slow_top(values, taking_part, k))
