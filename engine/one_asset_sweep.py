"""Sweeps of rules over one asset that trades at opens alone: runs need no bar loop, and no Python between them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from engine.bounds import MOST
from engine.kernels.state import STATE, Curves
from engine.kernels.statistics import LANES
from engine.kernels.sweeping import EXPOSURES, TRADED, Room
from engine.panels import Floats
from engine.parameter_sets import ParameterSets
from engine.scratch import scratch
from engine.sweeping import Chunks, Study, Trial

# A chunk is about this many bars, two milliseconds of work.
_CHUNK_BARS = 3_000_000
_NO_VALUES = np.empty(0)


class OneAssetSweep(ABC):
    """All trials of a rule over one asset, many in one call of a kernel."""

    def __init__(self, study: Study, trial: Trial, sets: ParameterSets) -> None:
        self.study = study
        self._trial = trial
        self._sets = sets
        self.setting = trial.setting(study.rule)
        self._kept = threading.local()

    @abstractmethod
    def run(self, asked: int, run_chunks: Chunks, sums_out: Floats) -> int:
        """Write the sums of all trials, float64[n_trials, N_SUMS], and return how many were done."""

    @property
    def chunk_size(self) -> int:
        """Trials of a chunk."""
        return max(_CHUNK_BARS // self.study.bars.n_bars, 1)

    def run_unusual(self, first: int, is_done: NDArray[np.bool_], asked: int, sums_out: Floats) -> None:
        """Run those trials from number `first` on, one by one, that the kernel could not: they end or are refused.

        Money that traded so little cannot have grown beyond MOST_CCY with prices from LEAST to MOST; a run of its own
        tells of the others.
        """
        is_done = is_done & (sums_out[:, TRADED] <= MOST)
        for i in np.flatnonzero(~is_done).tolist():
            self._trial.write_sums(self._sets[first + i], asked, sums_out[i])

    def room(self, asked: int) -> Room:
        """Return the scratch of this thread."""
        if not hasattr(self._kept, "room"):
            n_bars = self.study.bars.n_bars
            equity, exposure = scratch((2, n_bars))
            self._kept.room = Room(
                Curves(equity, _NO_VALUES, exposure if asked & EXPOSURES else _NO_VALUES),
                scratch(1, STATE),
                scratch(n_bars),
                scratch((3, LANES)),
                scratch(-(-n_bars // 8) * 8, np.uint8),
                scratch(n_bars + 1, np.int64),
                scratch(n_bars + 1, np.int64),
                scratch(2),
            )
        room: Room = self._kept.room
        return room
