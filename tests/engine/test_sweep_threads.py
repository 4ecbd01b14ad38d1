"""Sweeps on several threads: the same bits, progress, an end before the end, errors and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import engine
from engine import Costs, InputError, sweep
from engine.rules import Crossing, Ranking, Threshold
from engine.sweep_figures import all_names
from tests.engine.markets import random_bars

REPOSITORY = Path(engine.__file__).resolve().parent.parent
ALONE = random_bars(np.random.default_rng(8), 400, 1)
BARS = random_bars(np.random.default_rng(9), 200, 6, missing_rate=0.05)
PAIRS = {"fast": range(2, 12), "slow": range(15, 60, 3)}
SWEEPS = {
    "crossings": (ALONE, Crossing(units=100), PAIRS),
    "crossings with fallbacks": (ALONE, Crossing(units=2_500), PAIRS),
    "crossings of many": (BARS, Crossing(weight=0.1), {"fast": (2, 3, 4), "slow": (8, 9, 20)}),
    "thresholds": (ALONE, Threshold(), {"lookback": range(2, 30)}),
    "rankings": (BARS, Ranking(20, 0), {"top": (1, 2, 3), "skip": (0, 3), "every": ("week", "month")}),
    "a function": (ALONE, lambda row: Crossing(row["fast"], row["slow"], units=9).decisions(ALONE), PAIRS),
}


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("metrics", [None, all_names()], ids=["default", "all"])
def test_any_number_of_threads_gives_the_same_bits(name, metrics):
    settings = {"costs": Costs(commission_min=1.0, commission_bps=3.0), "metrics": metrics}
    alone = sweep(*SWEEPS[name], **settings)
    for n_threads in (2, 3, 7):
        several = sweep(*SWEEPS[name], n_threads=n_threads, **settings)
        assert several.n_done == alone.n_done == alone.n
        for figure, values in alone.metrics.items():
            assert np.array_equal(values.view(np.int64), several.metrics[figure].view(np.int64)), figure


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_progress_is_told_in_order_by_the_calling_thread(name, n_threads):
    seen, threads = [], set()

    def progress(done, total):
        seen.append((done, total))
        threads.add(threading.get_ident())

    trials = sweep(*SWEEPS[name], n_threads=n_threads, progress=progress)
    assert {total for _, total in seen} == {trials.n}
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == trials.n
    # Other threads may have done several chunks since the last report.
    assert len(seen) >= (4 if n_threads == 1 else 2)
    assert threads == {threading.get_ident()}


def test_three_trials_are_three_reports():
    seen = []
    sweep(BARS, Ranking(20, 0), {"top": (1, 2, 3)}, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_sweep_that_is_stopped_has_what_was_done_and_says_how_much(name, n_threads):
    whole = sweep(*SWEEPS[name])
    asked = []

    def should_stop():
        asked.append(True)
        return len(asked) > 2

    part = sweep(*SWEEPS[name], n_threads=n_threads, should_stop=should_stop)
    assert 0 < part.n_done < part.n == whole.n
    assert not part.is_complete
    for figure, values in whole.metrics.items():
        np.testing.assert_array_equal(part.metrics[figure][: part.n_done], values[: part.n_done])
        assert np.isnan(part.metrics[figure][part.n_done :]).all()
    assert len(part.to_frame()) == whole.n
    nothing = sweep(*SWEEPS[name], n_threads=n_threads, should_stop=lambda: True)
    assert nothing.n_done == 0
    assert nothing.top().n == 0


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_ends_the_sweep_and_its_threads(n_threads):
    before = threading.active_count()

    def decide(row):
        if row["number"] == 5:
            raise InputError("five is refused")
        return Crossing(3, 9, units=1).decisions(ALONE)

    with pytest.raises(InputError, match="five is refused, in the trial {'number': 5}"):
        sweep(ALONE, decide, {"number": range(1000)}, n_threads=n_threads)
    assert threading.active_count() == before


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_the_sweep_and_its_threads(n_threads):
    before = threading.active_count()
    started = threading.Event()

    def decide(row):
        started.set()
        return Crossing(3, 9, units=1).decisions(ALONE)

    def interrupt():
        started.wait()
        signal.raise_signal(signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sweep(ALONE, decide, [{}] * 1_000_000, n_threads=n_threads)
    interrupting.join()
    # A thread that was just being started ends by itself.
    while threading.active_count() > before and time.monotonic() - began < 20.0:
        time.sleep(0.01)
    assert time.monotonic() - began < 20.0


MEMORY = """
import numpy as np
from engine import Bars, sweep
from engine.rules import Crossing
n_bars = 2_520
rng = np.random.default_rng(1)
close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (n_bars, 1)), axis=0)), 5)
bar_end = np.datetime64("2000-01-03T21:00", "us") + np.arange(n_bars) * np.timedelta64(1, "D")
bars = Bars(close, close, close, close, np.ones_like(close), bar_end, ("A",))


def peak():
    # Not getrusage, which remembers the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


rule, metrics = Crossing(units=100), ("total_return", "sharpe", "max_drawdown", "n_fills")
sweep(bars, rule, {"fast": range(2, 12), "slow": range(105, 115)}, metrics=metrics, n_threads=2)
before = peak()
trials = sweep(bars, rule, {"fast": range(2, 102), "slow": range(105, 305, 2)}, metrics=metrics, n_threads=2)
assert trials.n == 10_000 and trials.is_complete
print(before, peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_memory_grows_with_the_trials_and_not_with_their_bars():
    # Once to compile, which takes more memory than any sweep.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY], capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    # 10,000 equities alone would be 200 MB.
    assert after - before < 30
    assert after < 300
