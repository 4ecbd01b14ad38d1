"""Pieces of work on threads: each once, in order, the first error, and sweeps inside sweeps."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from engine import simulate, sweep
from engine.rules import Crossing
from engine.threads import work_through
from tests.engine.markets import random_bars

ALONE = random_bars(np.random.default_rng(3), 300, 1)


def pieces_of(n, size):
    return [(first, min(first + size, n)) for first in range(0, n, size)]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_each_piece_is_run_once_by_no_more_threads_than_asked_for(n_threads):
    counts, threads = np.zeros(1003, dtype=int), set()

    def run(first, end):
        threads.add(threading.get_ident())
        time.sleep(0.0005)
        counts[first:end] += 1

    assert work_through(pieces_of(1003, 10), run, n_threads) == 1003
    assert (counts == 1).all()
    assert threading.get_ident() in threads
    assert len(threads) <= n_threads
    assert work_through([], run, n_threads) == 0


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_error_is_that_of_the_first_piece_that_failed(n_threads):
    def run(first, end):
        time.sleep(0.01 if first == 4 else 0.0)
        if first >= 4:
            raise ValueError(f"piece {first}")

    for _ in range(10):
        with pytest.raises(ValueError, match="piece 4"):
            work_through(pieces_of(40, 1), run, n_threads)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_what_was_begun_when_a_stop_was_asked_for_is_finished_without_a_gap(n_threads):
    finished = set()

    def run(first, end):
        time.sleep(0.001)
        finished.add(first)

    done = work_through(pieces_of(1000, 1), run, n_threads, should_stop=lambda: len(finished) >= 20)
    assert finished == set(range(done))
    # Each thread may be a piece ahead, and helpers as many as there are threads.
    assert 20 <= done <= 20 + 3 * n_threads


def test_a_sweep_inside_a_sweep_ends():
    grid = {"slow": range(10, 22)}

    def decide(row):
        best = sweep(ALONE, Crossing(2, units=9), grid, n_threads=2).top(1, "total_return").parameters[0]
        return Crossing(2, best["slow"], units=row["units"]).decisions(ALONE)

    inner = sweep(ALONE, Crossing(2, units=9), grid).top(1, "total_return").parameters[0]
    trials = sweep(ALONE, decide, {"units": range(1, 40)}, metrics=("total_return",), n_threads=2)
    assert trials.is_complete
    alone = simulate(ALONE, Crossing(2, inner["slow"], units=39))
    assert trials.metrics["total_return"][-1] == alone.metrics["total_return"]
