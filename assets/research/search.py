"""Searches: a grid over the whole sample, and an Optuna study on the training part of a window.

Every trial is kept, the failed ones too: the deflated Sharpe ratio counts them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.research.market import Market, ResearchError
from engine.errors import nearest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from engine import Result, TargetWeights
    from strategies.search import Choices, Range
    from strategies.spec import Spec

MAX_GRID = 20_000


@dataclass(frozen=True)
class Trial:
    """One point of a search. `metrics` is empty where the trial failed; `reason` says why."""

    number: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the trial has metrics."""
        return not self.reason


@dataclass(frozen=True)
class Study:
    """A search: its name, its trials in order and the best of them."""

    name: str
    trials: tuple[Trial, ...]
    best: Trial

    @property
    def hash(self) -> str:
        """Return the sha256 of all trials: parameters and the bits of each metric."""
        digest = hashlib.sha256()
        for trial in self.trials:
            digest.update(json.dumps(dict(trial.parameters), sort_keys=True).encode())
            for name in sorted(trial.metrics):
                digest.update(name.encode())
                digest.update(np.float64(trial.metrics[name]).tobytes())
        return digest.hexdigest()


def simulate_rows(market: Market, spec: Spec, targets: np.ndarray, rows: slice) -> Result:
    """Return the simulation of the target weights over a range of bars, starting in cash at its first bar."""
    from engine import TargetWeights, simulate

    return simulate(
        market.bars[rows],
        TargetWeights(targets[rows]),
        account=spec.account,
        costs=spec.costs,
        execution=spec.execution,
        risk=spec.risk,
        actions=market.actions[rows],
        periods_per_year=market.periods_per_year,
    )


def targets_of(market: Market, spec: Spec, parameters: Mapping[str, Any]) -> np.ndarray:
    """Return the target weights float64[n_bars, n_assets] of a parameter set over the whole market."""
    from strategies.evaluation import evaluate

    decisions: TargetWeights = evaluate(spec, market.window, parameters)
    return decisions.weights


def sweep(market: Market, spec: Spec, progress: Callable[[int, int], None] | None = None) -> Study:
    """Return the study of every grid point of the spec's search space over the simulated bars.

    Raises
    ------
    ResearchError : a grid of more than 20,000 points.
    """
    from strategies.search import grid, size

    points = size(spec.search) if spec.search else 1
    if points > MAX_GRID:
        raise ResearchError(
            f"the search space of spec {spec.name!r} has {points:,.0f} grid points, more than {MAX_GRID:,}:"
            " widen its steps, or search it by `quantlake walkforward`"
        )
    combinations = [{**spec.parameters, **point} for point in (grid(spec.search) if spec.search else [{}])]
    trials = []
    for number, parameters in enumerate(combinations):
        trials.append(_trial(market, spec, number, parameters, market.simulated))
        if progress is not None:
            progress(number + 1, int(points))
    return Study("sweep", tuple(trials), _best(trials, spec.metric))


def optimise(market: Market, spec: Spec, rows: slice, *, name: str) -> Study:
    """Return an Optuna study of the search space on a range of bars.

    The sampler (TPE) is seeded from the spec's seed and the study's name, so the same study finds the same points.
    A point proposed twice is evaluated once and counted once.
    """
    import optuna

    if not spec.search:
        trial = _trial(market, spec, 0, spec.parameters, rows)
        return Study(name, (trial,), _best([trial], spec.metric))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=study_seed(spec.seed, name))
    )
    space = {key: _distribution(values) for key, values in spec.search.items()}
    seen: dict[str, Trial] = {}
    for _ in range(spec.walk_forward.n_trials):
        asked = study.ask(space)
        key = json.dumps(asked.params, sort_keys=True)
        if key not in seen:
            seen[key] = _trial(market, spec, len(seen), {**spec.parameters, **asked.params}, rows)
        value = _score(seen[key], spec.metric)
        if math.isfinite(value):
            study.tell(asked, value)
        else:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
    trials = list(seen.values())
    return Study(name, tuple(trials), _best(trials, spec.metric))


def study_seed(seed: int, name: str) -> int:
    """Return the seed of a study: 32 bits of the sha256 of the spec's seed and the study's name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big")


def _distribution(domain: Range | Choices) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from strategies.search import Choices

    if isinstance(domain, Choices):
        return CategoricalDistribution(domain.values)
    if isinstance(domain.low, int):
        return IntDistribution(domain.low, int(domain.high), step=int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, step=domain.step)


def _trial(market: Market, spec: Spec, number: int, parameters: Mapping[str, Any], rows: slice) -> Trial:
    from strategies.errors import StrategyError

    try:
        targets = targets_of(market, spec, parameters)
    except StrategyError as error:
        return Trial(number, dict(parameters), reason=str(error))
    # A plain dict: the lazy figures of a run would keep all of it alive, trial after trial.
    return Trial(number, dict(parameters), dict(simulate_rows(market, spec, targets, rows).metrics))


def _score(trial: Trial, metric: str) -> float:
    if not trial.is_complete:
        return math.nan
    if metric not in trial.metrics:
        raise ResearchError(f"unknown metric {metric!r}{nearest(metric, trial.metrics)}")
    return trial.metrics[metric]


def _best(trials: list[Trial], metric: str) -> Trial:
    scored = [(score, trial) for trial in trials if math.isfinite(score := _score(trial, metric))]
    if scored:
        # The first of equals, so that the choice does not hang on anything but the scores.
        return max(scored, key=lambda pair: (pair[0], -pair[1].number))[1]
    completed = [trial for trial in trials if trial.is_complete]
    if not completed:
        raise ResearchError(f"every trial failed; the first: {trials[0].reason}")
    return completed[0]
