"""The four kinds of run, each a pure function of a market and a spec.

backtest       the spec's parameters over the whole sample
sweep          every point of the search space over the whole sample; stands for its best point
window         one walk-forward window: a search on its training bars, judged on its test bars
walk_forward   all windows stitched: the out-of-sample headline
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.research.market import Market, ResearchError
from assets.research.search import Study, simulate_rows, sweep, targets_of
from assets.research.walk_forward import WindowRun, plan_windows, run_window, stitch

if TYPE_CHECKING:
    from engine import Result
    from strategies.spec import Spec

KINDS = ("backtest", "sweep", "window", "walk_forward")
N_CUTS = 50

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Run:
    """A finished computation, ready to be recorded or compared.

    Attributes
    ----------
    parameters : those of the simulated result; of a walk-forward, by test year.
    result : the simulation the run stands for.
    hash : sha256 of what the run computed; equal hashes mean equal bits.
    studies : searches made for this run; those of a walk-forward belong to its windows.
    is_out_of_sample : whether the parameters were chosen without seeing the result's bars.
    in_sample_sharpe : annual Sharpe ratio where the parameters were chosen; of several windows the mean.
    """

    kind: str
    spec: Spec
    parameters: Mapping[str, Any]
    result: Result
    hash: str
    periods_per_year: float
    studies: tuple[Study, ...] = ()
    windows: tuple[WindowRun, ...] = ()
    is_out_of_sample: bool = False
    in_sample_sharpe: float = float("nan")
    test_window: str | None = None

    @property
    def n_trials(self) -> int:
        """Trials made for this run, itself counted as one where it searched nothing."""
        return sum(len(study.trials) for study in self.studies) or 1


def require_no_lookahead(market: Market, spec: Spec) -> int:
    """Return at how many cuts the spec's decisions were recomputed and found unchanged.

    Raises
    ------
    LookaheadError : a decision changes when later data are taken away; the text names the first one.
    """
    from strategies.errors import LookaheadError
    from strategies.evaluation import evaluate
    from strategies.lookahead import check

    report = check(
        lambda window: evaluate(spec, window, spec.parameters).weights,
        market.window,
        n_cuts=N_CUTS,
        seed=spec.seed,
    )
    if report.leak is not None:
        raise LookaheadError(f"strategy {spec.strategy!r} of spec {spec.name!r} looks ahead: {report.leak.description}")
    return report.n_cuts


def backtest_run(market: Market, spec: Spec) -> Run:
    """Return the run of the spec's own parameters over the simulated bars."""
    targets = targets_of(market, spec, spec.parameters)
    result = simulate_rows(market, spec, targets, market.simulated)
    return Run("backtest", spec, dict(spec.parameters), result, result.hash, market.periods_per_year)


def sweep_run(market: Market, spec: Spec, progress: Progress | None = None) -> Run:
    """Return the run of the best grid point, with the study of all of them."""
    study = sweep(market, spec, progress)
    targets = targets_of(market, spec, study.best.parameters)
    result = simulate_rows(market, spec, targets, market.simulated)
    return Run(
        "sweep",
        spec,
        dict(study.best.parameters),
        result,
        _joined(study.hash, result.hash),
        market.periods_per_year,
        studies=(study,),
        in_sample_sharpe=result.metrics["sharpe"],
    )


def window_runs(
    market: Market, spec: Spec, among: Collection[str] | None = None, progress: Progress | None = None
) -> list[Run]:
    """Return the runs of the spec's walk-forward windows, or of those whose test year is among some years.

    Raises
    ------
    ResearchError : no window is among them; names those there are.
    """
    planned = plan_windows(market, spec)
    windows = [window for window in planned if among is None or window.key in among]
    if not windows:
        raise ResearchError(
            f"no walk-forward window of {spec.name!r} has its test year among {', '.join(among or ())}:"
            f" there are {', '.join(window.key for window in planned)}"
        )
    runs = []
    for window in windows:
        run = run_window(market, spec, window)
        runs.append(
            Run(
                "window",
                spec,
                dict(run.study.best.parameters),
                run.out_of_sample,
                _joined(run.study.hash, run.out_of_sample.hash),
                market.periods_per_year,
                studies=(run.study,),
                windows=(run,),
                is_out_of_sample=True,
                in_sample_sharpe=run.in_sample.metrics["sharpe"],
                test_window=window.key,
            )
        )
        if progress is not None:
            progress(len(runs), len(windows))
    return runs


def walk_forward_run(
    market: Market,
    spec: Spec,
    parameters: Mapping[str, Mapping[str, Any]],
    in_sample_sharpes: Sequence[float],
) -> Run:
    """Return the stitched out-of-sample run of the parameters chosen in each window, by test year."""
    windows = plan_windows(market, spec)
    _, result = stitch(market, spec, windows, {key: dict(values) for key, values in parameters.items()})
    defined = [sharpe for sharpe in in_sample_sharpes if np.isfinite(sharpe)]
    return Run(
        "walk_forward",
        spec,
        {key: dict(values) for key, values in parameters.items()},
        result,
        result.hash,
        market.periods_per_year,
        is_out_of_sample=True,
        in_sample_sharpe=float(np.mean(defined)) if defined else float("nan"),
    )


def replay(market: Market, spec: Spec, kind: str, test_window: str | None) -> Run:
    """Return a run of this kind computed anew, its searches included."""
    if kind == "backtest":
        return backtest_run(market, spec)
    if kind == "sweep":
        return sweep_run(market, spec)
    if kind == "window":
        return window_runs(market, spec, [str(test_window)])[0]
    searched = window_runs(market, spec)
    return walk_forward_run(
        market,
        spec,
        {str(run.test_window): run.parameters for run in searched},
        [run.in_sample_sharpe for run in searched],
    )


def _joined(*hashes: str) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
