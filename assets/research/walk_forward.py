"""Walk-forward: parameters chosen on each training part, judged on the test part after it, stitched into one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.research.market import Market
from assets.research.search import Study, optimise, simulate_rows, targets_of

if TYPE_CHECKING:
    from engine import Result
    from strategies.spec import Spec
    from strategies.walk_forward import WalkForwardWindow


@dataclass(frozen=True)
class WindowRun:
    """One window: its search on the training bars and the chosen parameters' run on the test bars."""

    window: WalkForwardWindow
    study: Study
    in_sample: Result
    out_of_sample: Result


def plan_windows(market: Market, spec: Spec) -> tuple[WalkForwardWindow, ...]:
    """Return the windows of the spec's walk-forward."""
    from strategies.walk_forward import plan

    return plan(market.bars.bar_end, spec.walk_forward)


def run_window(market: Market, spec: Spec, window: WalkForwardWindow) -> WindowRun:
    """Return one window's search and its out-of-sample run."""
    study = optimise(market, spec, window.train, name=window.key)
    targets = targets_of(market, spec, study.best.parameters)
    return WindowRun(
        window=window,
        study=study,
        in_sample=simulate_rows(market, spec, targets, window.train),
        out_of_sample=simulate_rows(market, spec, _take_over(targets, window.test), window.test),
    )


def stitch(
    market: Market,
    spec: Spec,
    windows: Sequence[WalkForwardWindow],
    parameters: dict[str, dict[str, object]],
) -> tuple[slice, Result]:
    """Return the bars and the run of the windows' chosen parameters, one window after the other.

    It is one continuous run: positions carry over from window to window, and changing the parameters costs what
    the trades it causes cost.
    """
    targets = np.full((market.bars.n_bars, market.bars.n_assets), np.nan)
    for window in windows:
        whole = targets_of(market, spec, parameters[window.key])
        targets[window.test] = _take_over(whole, window.test)[window.test]
    rows = slice(windows[0].test.start, windows[-1].test.stop)
    return rows, simulate_rows(market, spec, targets, rows)


def _take_over(targets: np.ndarray, rows: slice) -> np.ndarray:
    """Return the targets with the first of `rows` set to what the parameters would hold there.

    A strategy that trades monthly leaves most bars alone (NaN). Without this the old parameters' positions would
    stay until the next rebalancing, or a window would begin in cash.
    """
    taken = targets.copy()
    for column in range(targets.shape[1]):
        decided = np.flatnonzero(~np.isnan(targets[: rows.start + 1, column]))
        if decided.size:
            taken[rows.start, column] = targets[decided[-1], column]
    return taken
