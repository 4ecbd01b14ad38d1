"""Sweeps: many parameter sets over the same bars, of which only figures are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.account import Account
from engine.actions import Actions
from engine.bars import Bars
from engine.bounds import MOST_THREADS
from engine.costs import Costs
from engine.crossing_sweep import Crossings
from engine.errors import InputError
from engine.execution import Execution
from engine.kernels.sweeping import N_SUMS
from engine.one_asset_sweep import OneAssetSweep
from engine.panels import Floats, series_of
from engine.parameter_sets import Combinations, Grid, Parameters, ParameterSets, Rows, rows_of, sets_of
from engine.result import Result
from engine.risk import Risk
from engine.rules.base import Rule
from engine.rules.crossing import Crossing
from engine.rules.threshold import Threshold
from engine.settings import check_function, listed, periods, shown, whole
from engine.simulation import Decisions
from engine.sweep_figures import Runs, are_sums_enough, asked_by, checked, figures_of
from engine.sweeping import Chunks, Study, Trial
from engine.threshold_sweep import Thresholds

if TYPE_CHECKING:
    import pandas as pd

_ACCOUNT, _COSTS, _EXECUTION, _RISK = Account(), Costs(), Execution(), Risk()

# A chunk of trials is about this many bars of one asset, a few milliseconds: progress is reported after each.
_CHUNK_BARS = 5_000_000


@dataclass(frozen=True, eq=False)
class Trials:
    """One row a parameter set, in the order they were given.

    Parameters
    ----------
    parameters : sequence of dict
        Of a grid of values, each is made when it is asked for.
    metrics : dict of name to float64[n_trials]
        NaN where a figure is undefined, and in the rows that were not done.
    n_done : int, optional
        How many trials were done before the sweep was stopped: the first ones. By default all.
    """

    parameters: Sequence[Parameters] | ParameterSets
    metrics: dict[str, Floats]
    n_done: int = -1
    _study: Study | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, (Combinations, Rows)):
            self.__dict__["parameters"] = rows_of(self.parameters)
        if not isinstance(self.metrics, Mapping):
            raise InputError(f"metrics must be a mapping of names to figures, was {shown(self.metrics)}")
        figures = {name: series_of(f"figures of {shown(name)}", values) for name, values in self.metrics.items()}
        for name, values in figures.items():
            if values.size != self.n:
                raise InputError(f"there must be one {name} a parameter set ({self.n}), were {values.size}")
        n_done = whole("n_done", self.n_done, low=-1)
        if n_done > self.n:
            raise InputError(f"n_done must be at most the number of trials ({self.n}), was {n_done}")
        self.__dict__.update(metrics=figures, n_done=self.n if n_done < 0 else n_done)

    @property
    def n(self) -> int:
        """Number of trials."""
        return len(self.parameters)

    @property
    def is_complete(self) -> bool:
        """Whether all trials were done."""
        return self.n_done == self.n

    def top(self, n: int = 10, by: str = "sharpe") -> Trials:
        """Return the n trials with the highest figure, the highest first; trials without one are left out.

        Of equal figures the first trial comes first. Losses are negative figures, so that the highest is the
        least of them; where the lowest is wanted, as for costs_ccy, sort the frame.

        Raises
        ------
        InputError
            There is no such figure; the nearest is named.
        """
        n = whole("n", n, low=1)
        figures = self.metrics[listed(f"trials have no figure {shown(by)}", by, self.metrics)]
        # A NaN sorts last.
        order = np.argsort(-figures, kind="stable")[: min(n, int(np.count_nonzero(~np.isnan(figures))))]
        return Trials(
            Rows(self.parameters[i] for i in order.tolist()),
            {name: values[order] for name, values in self.metrics.items()},
            _study=self._study,
        )

    def rerun(self, n: int = 10, by: str = "sharpe") -> list[Result]:
        """Return the whole results of the n trials with the highest figure; their figures are the trials' own.

        Raises
        ------
        InputError
            There is no such figure; or these trials were not made by `sweep`.
        """
        if self._study is None:
            raise InputError("only trials of a sweep can be run again")
        trial = Trial(self._study)
        return [trial.result(row) for row in self.top(n, by).parameters]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a trial: its parameters, then its figures; a figure gives way to no parameter's name."""
        import pandas as pd

        names = list(dict.fromkeys(name for row in self.parameters for name in row))
        clash = sorted(set(names) & set(self.metrics))
        if clash:
            raise InputError(f"a parameter must not have a figure's name, was {clash[0]!r}")
        columns: dict[str, Any] = {name: [row.get(name) for row in self.parameters] for name in names}
        return pd.DataFrame(columns | self.metrics)


def sweep(
    bars: Bars,
    rule: Rule | Callable[[Mapping[str, Any]], Decisions],
    grid: Grid,
    *,
    account: Account = _ACCOUNT,
    costs: Costs = _COSTS,
    execution: Execution = _EXECUTION,
    risk: Risk = _RISK,
    actions: Actions | None = None,
    finer: Bars | None = None,
    periods_per_year: float = 252.0,
    metrics: Iterable[str] | None = None,
    n_threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Trials:
    """Return the figures of a run for each parameter set, equal to those of `simulate` to the last bit.

    Nothing of a run is kept but its figures: memory grows with the trials, not with trials x bars. The bits are the
    same for any number of threads.

    Parameters
    ----------
    rule : Rule or callable
        A rule of `engine.rules`, of which a parameter set replaces fields; or a function from one parameter set to
        its decisions, called once a trial (with several threads: from these, and several at a time).
    grid : sequence of mappings, or mapping of name to values
        The parameter sets; or the values of each parameter, all of which are combined, the last name changing
        fastest.
    metrics : names, optional
        The figures to compute, any of `Result.metrics`. By default those that need neither sorted returns nor
        trades: total_return, cagr, volatility, sharpe, sortino, calmar, max_drawdown, skew, kurtosis, n_fills,
        turnover, costs_ccy, exposure, time_in_market.
    n_threads : int
        Trials run at the same time. Compiled code runs beside other threads, a function in Python does not.
    progress : callable, optional
        Called between chunks of trials, from the calling thread, with (trials done, trials in all).
    should_stop : callable, optional
        Asked between chunks; True ends the sweep. The trials not done then have NaN figures, and `n_done` tells
        how many were.
    account, costs, execution, risk, actions, finer, periods_per_year
        As in `simulate`.

    Raises
    ------
    InputError
        As `simulate`, with the parameters of the trial; there are no parameter sets; a rule does not have a
        parameter; there is no such figure.
    """
    sets = sets_of(grid)
    names = checked(metrics)
    n_threads = whole("n_threads", n_threads, low=1, high=MOST_THREADS)
    if not isinstance(rule, Rule):
        check_function("rule", rule, ("parameters",), otherwise="a rule or ")
    if progress is not None:
        check_function("progress", progress, ("n_done", "n_trials"))
    if should_stop is not None:
        check_function("should_stop", should_stop, ())
    study = Study(bars, rule, account, costs, execution, risk, actions, finer, periods(periods_per_year))
    study.setting(None)
    chunks = Chunks(n_threads, len(sets), progress, should_stop)
    figures, n_done = _figures(study, sets, names, chunks)
    return Trials(sets, figures, n_done, study)


def _figures(
    study: Study, sets: ParameterSets, names: Sequence[str], run_chunks: Chunks
) -> tuple[dict[str, Floats], int]:
    """Return float64[n_trials] of each figure and how many trials were done; the figures of others are NaN."""
    trial = Trial(study)
    if not are_sums_enough(names):
        values = np.full((len(sets), len(names)), np.nan)

        def run(first: int, end: int) -> None:
            for i in range(first, end):
                metrics = trial.result(sets[i]).metrics
                values[i] = [metrics[name] for name in names]

        n_done = run_chunks(run, len(sets), _chunk_size(study))
        return {name: values[:, i].copy() for i, name in enumerate(names)}, n_done
    asked = asked_by(names)
    sums = np.full((len(sets), N_SUMS), np.nan)
    n_done = 0
    if (together := _together(study, trial, sets)) is not None:
        n_done = together.run(asked, run_chunks, sums)
    else:

        def run(first: int, end: int) -> None:
            for i in range(first, end):
                trial.write_sums(sets[i], asked, sums[i])

        n_done = run_chunks(run, len(sets), _chunk_size(study))
    runs = Runs(sums, study.account.cash, study.bars.n_bars, study.periods_per_year)
    return figures_of(names, runs), n_done


def _together(study: Study, trial: Trial, sets: ParameterSets) -> OneAssetSweep | None:
    """Return the sweep of a common rule over one asset that trades at opens alone, or None for any other."""
    rule = study.rule
    if not isinstance(rule, Rule) or not trial.setting(rule).trades_at_opens:
        return None
    if type(rule) is Crossing:
        return Crossings(study, trial, sets, rule)
    return Thresholds(study, trial, sets, rule) if type(rule) is Threshold else None


def _chunk_size(study: Study) -> int:
    return max(_CHUNK_BARS // study.bars.close.size, 1)
