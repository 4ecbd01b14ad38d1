"""Sweeps of `Crossing` over one asset."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.bounds import MOST_BARS
from engine.kernels.rules import rolling_means_nb
from engine.kernels.sweeping import Pairs, crossing_sweep_nb
from engine.one_asset_sweep import OneAssetSweep
from engine.panels import Floats
from engine.parameter_sets import ParameterSets
from engine.rules.crossing import Crossing
from engine.sweeping import Chunks, Study, Trial, naming

Columns = tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.bool_]]

# The averages that trials of one group share, in numbers: 128 MB.
_SHARED = 16_000_000


class Crossings(OneAssetSweep):
    """A sweep of `Crossing`: trials share their averages."""

    def __init__(self, study: Study, trial: Trial, sets: ParameterSets, rule: Crossing) -> None:
        super().__init__(study, trial, sets)
        fast, slow, self._held, self._is_weight = _columns(rule, sets)
        # A mean over more bars than there are is never above another, however many more.
        longest = study.bars.n_bars + 1
        self._fast, self._slow = np.minimum(fast, longest), np.minimum(slow, longest)

    def run(self, asked: int, run_chunks: Chunks, sums_out: Floats) -> int:
        """Write the sums of all trials and return how many were done."""
        close = self.study.bars.close.reshape(-1)
        n_done = 0
        for first, end, windows in self._groups():
            means = _means(close, windows, run_chunks)
            rows = np.zeros(close.size + 2, dtype=np.int64)
            rows[windows] = np.arange(windows.size)
            part = slice(first, end)
            pairs = Pairs(
                means,
                rows[self._fast[part]],
                rows[self._slow[part]],
                self._held[part],
                self._is_weight[part],
            )
            run = partial(self._run, pairs, first, asked, sums_out)
            n_done += run_chunks(run, end - first, self.chunk_size, first)
            if n_done < end:
                break
        return n_done

    def _groups(self) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """Yield consecutive trials, the first and the one after the last, whose averages fit into memory."""
        n = len(self._sets)
        most = max(_SHARED // self.study.bars.n_bars, 2)
        first = 0
        while first < n:
            end = n
            while True:
                is_used = np.zeros(self.study.bars.n_bars + 2, dtype=np.bool_)
                is_used[self._fast[first:end]] = is_used[self._slow[first:end]] = True
                windows = np.flatnonzero(is_used)
                if windows.size <= most:
                    break
                end = first + max((end - first) // 2, 1)
            yield first, end, windows
            first = end

    def _run(self, pairs: Pairs, before: int, asked: int, sums_out: Floats, first: int, end: int) -> None:
        """Run the trials first to end of a group that has `before` trials in front of it."""
        market = self.setting.market
        chunk, sums = slice(first, end), sums_out[before + first : before + end]
        is_done = np.empty(end - first, dtype=np.bool_)
        crossing_sweep_nb(
            market.open.reshape(-1),
            market.close.reshape(-1),
            Pairs(pairs.means, pairs.fast[chunk], pairs.slow[chunk], pairs.held[chunk], pairs.is_weight[chunk]),
            self.setting.rules,
            asked,
            self.room(asked),
            is_done,
            sums,
        )
        self.run_unusual(before + first, is_done, asked, sums)


def _means(close: Floats, windows: NDArray[np.int64], run_chunks: Chunks) -> Floats:
    """Return the averages over each window, float64[n_windows, n_bars]."""
    means = np.empty((windows.size, close.size))

    def write(first: int, end: int) -> None:
        rolling_means_nb(close, windows[first:end], np.empty(close.size), means[first:end])

    run_chunks.share_out(write, windows.size)
    return means


def _columns(rule: Crossing, sets: ParameterSets) -> Columns:
    """Return windows int64[n_trials] twice, what is held float64[n_trials], and whether that is a weight."""
    if (windows := _windows(rule, sets)) is not None:
        units, is_weight = rule.held(1)
        return windows[0], windows[1], np.full(len(sets), units), np.full(len(sets), is_weight)
    rules = []
    for row in sets:
        with naming(row):
            rules.append(rule.with_parameters(row))
    held = [each.held(1) for each in rules]
    return (
        np.array([each.fast for each in rules]),
        np.array([each.slow for each in rules]),
        np.array([value for value, _ in held]),
        np.array([is_weight for _, is_weight in held]),
    )


def _windows(rule: Crossing, sets: ParameterSets) -> NDArray[np.int64] | None:
    """Return int64[2, n_trials], fast and slow, where they are all that differs; None where a rule has to look."""
    if not sets.names() <= {"fast", "slow"}:
        return None
    windows = np.empty((2, len(sets)), dtype=np.int64)
    for i, name in enumerate(("fast", "slow")):
        column = sets.integers(name) if name in sets.names() else getattr(rule, name)
        if column is None:
            return None
        windows[i] = column
    is_rule = (windows[0] >= 1) & (windows[0] < windows[1]) & (windows[1] <= MOST_BARS)
    return windows if is_rule.all() else None
