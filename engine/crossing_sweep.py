"""Sweeps of `Crossing` over one asset: averages are shared by the trials, and runs need no bar loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.bounds import MOST, MOST_BARS
from engine.kernels.rules import rolling_means_nb
from engine.kernels.state import STATE, Curves
from engine.kernels.statistics import LANES
from engine.kernels.sweeping import EXPOSURES, TRADED, Pairs, Room, crossing_sweep_nb
from engine.panels import Floats
from engine.parameter_sets import ParameterSets
from engine.rules.crossing import Crossing
from engine.scratch import scratch
from engine.sweeping import Study, Trial, naming

Columns = tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.bool_]]

# A chunk is about this many bars, two milliseconds of work.
_CHUNK_BARS = 3_000_000
# The averages that trials of one group share, in numbers: 128 MB.
_SHARED = 16_000_000
_NO_VALUES = np.empty(0)


class Crossings:
    """A sweep of `Crossing` over one asset that trades at opens alone: averages are shared, runs need no bar loop."""

    def __init__(self, study: Study, trial: Trial, sets: ParameterSets, columns: Columns) -> None:
        self._study = study
        self._trial = trial
        self._sets = sets
        fast, slow, self._held, self._is_weight = columns
        # A mean over more bars than there are is never above another, however many more.
        longest = study.bars.n_bars + 1
        self._fast, self._slow = np.minimum(fast, longest), np.minimum(slow, longest)
        self._kept = threading.local()

    @classmethod
    def of(cls, study: Study, trial: Trial, sets: ParameterSets) -> Crossings | None:
        """Return the sweep, or None where it takes the general way."""
        rule = study.rule
        if type(rule) is not Crossing or not trial.setting(rule).trades_at_opens:
            return None
        return cls(study, trial, sets, _columns(rule, sets))

    def run(self, asked: int, run_chunks: Callable[..., int], sums_out: Floats) -> int:
        """Write the sums of all trials and return how many were done."""
        close = self._study.bars.close.reshape(-1)
        n_done = 0
        for first, end, windows in self._groups():
            means = np.empty((windows.size, close.size))
            rolling_means_nb(close, windows, np.empty(close.size), means)
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
            n_done += run_chunks(run, end - first, max(_CHUNK_BARS // close.size, 1), first)
            if n_done < end:
                break
        return n_done

    def _groups(self) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """Yield consecutive trials, the first and the one after the last, whose averages fit into memory."""
        n = len(self._sets)
        most = max(_SHARED // self._study.bars.n_bars, 2)
        first = 0
        while first < n:
            end = n
            while True:
                is_used = np.zeros(self._study.bars.n_bars + 2, dtype=np.bool_)
                is_used[self._fast[first:end]] = is_used[self._slow[first:end]] = True
                windows = np.flatnonzero(is_used)
                if windows.size <= most:
                    break
                end = first + max((end - first) // 2, 1)
            yield first, end, windows
            first = end

    def _run(self, pairs: Pairs, before: int, asked: int, sums_out: Floats, first: int, end: int) -> None:
        """Run the trials first to end of a group that has `before` trials in front of it."""
        setting = self._trial.setting(self._study.rule)
        market = setting.market
        chunk, sums = slice(first, end), sums_out[before + first : before + end]
        is_done = np.empty(end - first, dtype=np.bool_)
        crossing_sweep_nb(
            market.open.reshape(-1),
            market.close.reshape(-1),
            Pairs(pairs.means, pairs.fast[chunk], pairs.slow[chunk], pairs.held[chunk], pairs.is_weight[chunk]),
            setting.rules,
            asked,
            self._room(bool(asked & EXPOSURES)),
            is_done,
            sums,
        )
        # Money that traded so little cannot have grown beyond MOST_CCY with prices from LEAST to MOST; a run of its own
        # tells of the others.
        is_done &= sums[:, TRADED] <= MOST
        for i in np.flatnonzero(~is_done).tolist():
            self._trial.write_sums(self._sets[before + first + i], asked, sums[i])

    def _room(self, has_exposure: bool) -> Room:
        """Return the scratch of this thread."""
        if not hasattr(self._kept, "room"):
            n_bars = self._study.bars.n_bars
            equity, exposure = scratch((2, n_bars))
            self._kept.room = Room(
                Curves(equity, _NO_VALUES, exposure if has_exposure else _NO_VALUES),
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
