"""Sweeps of `Threshold` over one asset."""

from __future__ import annotations

from functools import partial

import numpy as np

from engine.kernels.sweeping import Changes, threshold_sweep_nb
from engine.one_asset_sweep import OneAssetSweep
from engine.panels import Floats
from engine.parameter_sets import ParameterSets
from engine.rules.threshold import Threshold
from engine.sweeping import Chunks, Study, Trial, naming


class Thresholds(OneAssetSweep):
    """A sweep of `Threshold`."""

    def __init__(self, study: Study, trial: Trial, sets: ParameterSets, rule: Threshold) -> None:
        super().__init__(study, trial, sets)
        self._changes = _changes(rule, sets, study.bars.n_bars)

    def run(self, asked: int, run_chunks: Chunks, sums_out: Floats) -> int:
        """Write the sums of all trials and return how many were done."""
        return run_chunks(partial(self._run, asked, sums_out), len(sums_out), self.chunk_size)

    def _run(self, asked: int, sums_out: Floats, first: int, end: int) -> None:
        market, changes, chunk = self.setting.market, self._changes, slice(first, end)
        sums, is_done = sums_out[chunk], np.empty(end - first, dtype=np.bool_)
        threshold_sweep_nb(
            market.open.reshape(-1),
            market.close.reshape(-1),
            Changes(
                changes.lookback[chunk],
                changes.enter[chunk],
                changes.leave[chunk],
                changes.held[chunk],
                changes.is_weight[chunk],
            ),
            self.setting.rules,
            asked,
            self.room(asked),
            is_done,
            sums,
        )
        self.run_unusual(first, is_done, asked, sums)


def _changes(rule: Threshold, sets: ParameterSets, n_bars: int) -> Changes:
    """Return the parameters of all trials, checked."""
    rules = []
    for row in sets:
        with naming(row):
            rules.append(rule.with_parameters(row))
    held = [each.held(1) for each in rules]
    return Changes(
        # Over more bars than there are nothing changes, however many more.
        np.array([min(each.lookback, n_bars) for each in rules]),
        np.array([each.enter for each in rules]),
        np.array([each.leave for each in rules]),
        np.array([value for value, _ in held]),
        np.array([is_weight for _, is_weight in held]),
    )
