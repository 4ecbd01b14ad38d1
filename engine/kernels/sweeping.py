"""Many runs of which only sums are kept: what figures are made of, and sweeps of rules over one asset."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.jit import kernel, step
from engine.kernels.rules import events_nb, threshold_events_nb
from engine.kernels.state import Curves, Floats, Integers, Rules
from engine.kernels.statistics import (
    drawdown_nb,
    mean_and_variance_nb,
    mean_nb,
    moments_nb,
    partial_moments_nb,
    returns_nb,
)
from engine.kernels.streaming import State, opens_nb

# Columns of a row of sums.
(
    LAST,
    MEAN,
    SECOND,
    THIRD,
    FOURTH,
    ABOVE,
    BELOW,
    SQUARES,
    DEPTH,
    MEAN_EQUITY,
    MEAN_EXPOSURE,
    N_EXPOSED,
    N_FILLS,
    TRADED,
    COMMISSION,
    FEES,
    SPREAD,
    SLIPPAGE,
    IMPACT,
) = range(19)
N_SUMS = 19

# Sums that are only computed where a figure asks for them: bits of `asked`.
RETURNS, SHAPE, SIDES, DEPTHS, EQUITIES, EXPOSURES = 1, 2, 4, 8, 16, 32


@kernel
def sums_nb(
    curves: Curves, states: np.ndarray, initial: float, asked: int, returns: Floats, lanes: Floats, sums_out: Floats
) -> None:
    """Write the sums float64[N_SUMS] of a run that ended in STATE[1].

    `returns` float64[n_bars] and `lanes` float64[3, LANES] are scratch.
    """
    write_sums_nb(curves, states[0], initial, asked, returns, lanes, sums_out)


@step
def write_sums_nb(
    curves: Curves, state: State, initial: float, asked: int, returns: Floats, lanes: Floats, sums_out: Floats
) -> None:
    """Write the sums of a run as `sums_nb` does."""
    equity, exposure = curves.equity, curves.exposure
    n_bars = equity.size
    sums_out[LAST] = equity[n_bars - 1]
    if asked & (RETURNS | SHAPE | SIDES) != 0:
        returns_nb(equity, initial, returns)
    if asked & SHAPE != 0:
        sums_out[MEAN], sums_out[SECOND], sums_out[THIRD], sums_out[FOURTH] = moments_nb(returns, lanes)
    elif asked & RETURNS != 0:
        sums_out[MEAN], sums_out[SECOND] = mean_and_variance_nb(returns, lanes)
    if asked & SIDES != 0:
        sums_out[ABOVE], sums_out[BELOW], sums_out[SQUARES] = partial_moments_nb(returns, 0.0, lanes)
    if asked & DEPTHS != 0:
        sums_out[DEPTH] = drawdown_nb(equity, initial)
    if asked & EQUITIES != 0:
        sums_out[MEAN_EQUITY] = mean_nb(equity, lanes)
    if asked & EXPOSURES != 0:
        n_exposed, n_gone = 0, 0
        for t in range(n_bars):
            returns[t] = exposure[t] / equity[t]
            n_exposed += exposure[t] != 0.0
            n_gone += not equity[t] > 0.0
        sums_out[MEAN_EXPOSURE] = np.nan if n_gone > 0 else mean_nb(returns, lanes)
        sums_out[N_EXPOSED] = n_exposed
    sums_out[N_FILLS] = state["n_fills"]
    sums_out[TRADED] = state["traded"]
    sums_out[COMMISSION] = state["commission"]
    sums_out[FEES] = state["fees"]
    sums_out[SPREAD] = state["spread"]
    sums_out[SLIPPAGE] = state["slippage"]
    sums_out[IMPACT] = state["impact"]


class Pairs(NamedTuple):
    """Trials of the crossing rule: averages float64[n_windows, n_bars], and one value a trial, [n_trials]."""

    means: Floats
    fast: Integers  # row of `means`
    slow: Integers
    held: Floats  # units, or weight, while the fast mean is above
    is_weight: np.ndarray


class Room(NamedTuple):
    """Scratch of a thread, used again for each trial."""

    curves: Curves  # cash, and exposure where nobody asks for it, are empty
    states: np.ndarray  # STATE[1]
    returns: Floats  # [n_bars]
    lanes: Floats  # [3, LANES]
    is_on: np.ndarray  # uint8[n_bars up to whole eights], zero behind the last bar
    bars: Integers  # [n_bars + 1], as is the one below
    rows: Integers
    values: Floats  # [2]


@kernel
def crossing_sweep_nb(
    open_: Floats,
    close: Floats,
    pairs: Pairs,
    rules: Rules,
    asked: int,
    room: Room,
    is_done_out: np.ndarray,
    sums_out: Floats,
) -> None:
    """Run all trials over one asset; write float64[n_trials, N_SUMS], and where that was not possible.

    `is_done_out` is bool[n_trials]; `room` is modified in place.
    """
    for trial in range(pairs.fast.size):
        quick, calm = pairs.means[pairs.fast[trial]], pairs.means[pairs.slow[trial]]
        n_events = events_nb(quick, calm, room.is_on, room.bars, room.rows)
        is_done_out[trial] = run_events_nb(
            open_, close, n_events, pairs.held[trial], pairs.is_weight[trial], rules, asked, room, sums_out[trial]
        )


class Changes(NamedTuple):
    """Trials of the threshold rule: one value a trial, [n_trials]."""

    lookback: Integers
    enter: Floats
    leave: Floats
    held: Floats  # units, or weight, from where a change is above `enter` until it is below `leave`
    is_weight: np.ndarray


@kernel
def threshold_sweep_nb(
    open_: Floats,
    close: Floats,
    changes: Changes,
    rules: Rules,
    asked: int,
    room: Room,
    is_done_out: np.ndarray,
    sums_out: Floats,
) -> None:
    """Run all trials over one asset, as `crossing_sweep_nb` does."""
    for trial in range(changes.lookback.size):
        n_events = threshold_events_nb(
            close,
            changes.lookback[trial],
            changes.enter[trial],
            changes.leave[trial],
            room.is_on,
            room.bars,
            room.rows,
        )
        is_done_out[trial] = run_events_nb(
            open_, close, n_events, changes.held[trial], changes.is_weight[trial], rules, asked, room, sums_out[trial]
        )


@step
def run_events_nb(
    open_: Floats,
    close: Floats,
    n_events: int,
    held: float,
    is_weight: bool,
    rules: Rules,
    asked: int,
    room: Room,
    sums_out: Floats,
) -> bool:
    """Run the first events of `room`, at which `held` is entered (row 1) or left (row 0), and write the run's sums.

    Return whether that was possible.
    """
    state, values = room.states[0], room.values
    values[0], values[1] = 0.0, held
    is_usual, _ = opens_nb(open_, close, room.bars, room.rows, values, n_events, is_weight, rules, state, room.curves)
    if is_usual:
        write_sums_nb(room.curves, state, rules.cash, asked, room.returns, room.lanes, sums_out)
    return is_usual
