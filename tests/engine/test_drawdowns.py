"""Drawdown records against a hand-computed series and a plain definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.drawdowns import (
    average_drawdown,
    drawdown_bars,
    drawdowns_of,
    longest_drawdown_bars,
    max_drawdown_bars_of,
)
from engine.errors import InputError
from engine.kernels.statistics import drawdown_nb
from engine.records import DRAWDOWN

FIELDS = ("peak_bar", "start_bar", "trough_bar", "end_bar", "is_open", "peak", "trough")


def plain(equity, initial):
    """Runs of bars below the running peak, from the arrays of peaks."""
    levels = np.concatenate([[initial], equity])
    peaks = np.maximum.accumulate(levels)
    is_under = levels < peaks
    rows = []
    for t in np.flatnonzero(is_under[1:] & ~is_under[:-1]) + 1:
        later = np.flatnonzero(~is_under[t:])
        end = t + int(later[0]) if later.size else levels.size
        trough = t + int(np.argmin(levels[t:end]))
        last = min(end, levels.size - 1)
        rows.append((t - 2, t - 1, trough - 1, last - 1, not later.size, peaks[t], levels[trough]))
    return rows


def test_hand_computed_drawdowns():
    equity = np.array([95.0, 90.0, 100.0, 110.0, 110.0, 99.0, 88.0, 88.0, 112.0, 111.0])
    drawdowns = drawdowns_of(equity, 100.0)
    assert drawdowns.dtype == DRAWDOWN
    assert [tuple(row[list(FIELDS)]) for row in drawdowns] == [
        (-1, 0, 1, 2, False, 100.0, 90.0),
        (4, 5, 6, 8, False, 110.0, 88.0),
        (8, 9, 9, 9, True, 112.0, 111.0),
    ]
    assert drawdowns["depth"].tolist() == [90.0 / 100.0 - 1.0, 88.0 / 110.0 - 1.0, 111.0 / 112.0 - 1.0]
    assert drawdown_bars(drawdowns).tolist() == [3, 4, 1]
    assert (max_drawdown_bars_of(drawdowns), longest_drawdown_bars(drawdowns)) == (4, 4)
    assert average_drawdown(drawdowns) == pytest.approx((-0.1 - 0.2 - 1.0 / 112.0) / 3.0)


@pytest.mark.parametrize("seed", range(40))
def test_drawdowns_are_the_runs_of_bars_below_the_peak(seed):
    rng = np.random.default_rng(seed)
    equity = 100.0 + np.cumsum(rng.integers(-3, 4, int(rng.integers(0, 200))))
    drawdowns, wanted = drawdowns_of(equity, 100.0), plain(equity, 100.0)
    assert [tuple(row[list(FIELDS)]) for row in drawdowns] == wanted
    assert min(drawdowns["depth"], default=0.0) == drawdown_nb(equity, 100.0)


def test_every_second_bar_may_begin_one():
    equity = np.array([99.0, 101.0, 100.0, 102.0, 101.0])
    assert drawdowns_of(equity, 100.0)["start_bar"].tolist() == [0, 2, 4]


def test_longest_drawdown_is_not_always_the_deepest_and_the_first_of_equals_counts():
    equity = np.array([80.0, 100.0, 99.0, 99.0, 99.0, 100.0, 80.0, 80.0, 100.0])
    drawdowns = drawdowns_of(equity, 100.0)
    assert max_drawdown_bars_of(drawdowns) == 2
    assert longest_drawdown_bars(drawdowns) == 4


def test_rising_equity_has_no_drawdown():
    none = drawdowns_of(np.array([100.0, 100.0, 101.0]), 100.0)
    assert none.size == 0
    assert (max_drawdown_bars_of(none), longest_drawdown_bars(none)) == (0, 0)
    assert math.isnan(average_drawdown(none))


@pytest.mark.parametrize(
    ("equity", "initial", "rule"),
    [
        ([1.0, math.nan], 1.0, "equity must be finite, was nan at bar 1"),
        ([[1.0]], 1.0, r"equity must have one axis \[n_bars\], had shape \(1, 1\)"),
        ([1.0], 0.0, "initial_cash must be positive and finite, was 0.0"),
    ],
)
def test_wrong_input_is_named(equity, initial, rule):
    with pytest.raises(InputError, match=rule):
        drawdowns_of(np.array(equity), initial)
