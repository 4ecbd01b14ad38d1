"""How the trials of a sweep are run: in chunks, on threads, keeping the sums of each run and not its bars."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.account import Account
from engine.actions import Actions
from engine.bars import Bars
from engine.costs import Costs
from engine.errors import InputError, QuantlakeError
from engine.execution import Execution
from engine.kernels.state import STATE, Curves
from engine.kernels.statistics import LANES
from engine.kernels.sweeping import sums_nb
from engine.orders import Orders
from engine.panels import Floats
from engine.parameter_sets import Parameters
from engine.play import Instructions, Setting, instructions_of
from engine.policy import Policy
from engine.result import Result
from engine.risk import Risk
from engine.rules.base import Rule
from engine.scratch import scratch
from engine.settings import shown
from engine.threads import work_through

Decide = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Study:
    """All of a sweep but its parameter sets."""

    bars: Bars
    rule: Rule | Decide
    account: Account
    costs: Costs
    execution: Execution
    risk: Risk
    actions: Actions | None
    finer: Bars | None
    periods_per_year: float

    def decide(self, parameters: Parameters) -> Any:
        """Return the decisions of a parameter set."""
        return self.rule.with_parameters(parameters) if isinstance(self.rule, Rule) else self.rule(parameters)

    def setting(self, decisions: object) -> Setting:
        """Return the setting for decisions, checked."""
        return Setting.of(
            self.bars, self.account, self.costs, self.execution, self.risk, self.actions, self.finer, decisions
        )


class Trial:
    """Runs single trials of a study, on any thread; what a thread needs again it keeps."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._settings: dict[bool, Setting] = {}
        self._planners: dict[type[Rule], Callable[[Any], Instructions]] = {}
        self._kept = threading.local()
        self._lock = threading.Lock()

    def setting(self, decisions: object) -> Setting:
        """Return the setting for decisions of a kind, made once."""
        has_orders = isinstance(decisions, (Orders, Policy))
        with self._lock:
            if has_orders not in self._settings:
                self._settings[has_orders] = self._study.setting(decisions)
        return self._settings[has_orders]

    def instructions(self, parameters: Parameters) -> tuple[Setting, Instructions]:
        """Return what a parameter set asks to do."""
        decisions = self._study.decide(parameters)
        setting = self.setting(decisions)
        if not isinstance(decisions, Rule):
            return setting, instructions_of(decisions, self._study.bars)
        kind = type(decisions)
        with self._lock:
            if kind not in self._planners:
                self._planners[kind] = decisions.planner(self._study.bars, self._study.actions)
        return setting, self._planners[kind](decisions)

    def result(self, parameters: Parameters) -> Result:
        """Return the whole result of a parameter set."""
        with naming(parameters):
            setting, instructions = self.instructions(parameters)
            return Result(setting, instructions, setting.play(instructions), self._study.periods_per_year)

    def write_sums(self, parameters: Parameters, asked: int, sums_out: Floats) -> None:
        """Write the sums float64[N_SUMS] of a parameter set."""
        if not hasattr(self._kept, "curves"):
            n_bars = self._study.bars.n_bars
            self._kept.curves, self._kept.returns = Curves(*scratch((3, n_bars))), scratch(n_bars)
            self._kept.lanes, self._kept.states = scratch((3, LANES)), scratch(1, STATE)
        with naming(parameters):
            setting, instructions = self.instructions(parameters)
            played = setting.play(instructions, curves=self._kept.curves)
        kept = self._kept
        kept.states[0] = played.state
        sums_nb(played.curves, kept.states, self._study.account.cash, asked, kept.returns, kept.lanes, sums_out)


class naming:  # noqa: N801
    """Names the parameters of a trial in the error that it fails with."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, QuantlakeError):
            raise InputError(f"{error}, in the trial {shown(self._parameters)}") from error
        if isinstance(error, Exception):
            error.add_note(f"in the trial {shown(self._parameters)}")


@dataclass(frozen=True)
class Chunks:
    """Runs trials chunk by chunk on threads, reports progress from the calling thread, and stops when asked to.

    A chunk writes to its own rows alone, so that nothing depends on the number of threads.
    """

    n_threads: int
    n_trials: int
    progress: Callable[[int, int], None] | None
    should_stop: Callable[[], bool] | None

    def __call__(self, run: Callable[[int, int], None], n: int, size: int, before: int = 0) -> int:
        """Run `run(first, end)` over n trials, of which `before` stand in front; return how many were done."""
        # As many chunks a thread for each of them: a last one alone would keep the others waiting.
        n_chunks = max(-(-n // size), 4 * self.n_threads)
        size = max(n // (-(-n_chunks // self.n_threads) * self.n_threads), 1)
        chunks = ((first, min(first + size, n)) for first in range(0, n, size))
        progress = self.progress
        report = None if progress is None else (lambda done: progress(before + done, self.n_trials))
        return work_through(chunks, run, self.n_threads, report=report, should_stop=self.should_stop)

    def share_out(self, run: Callable[[int, int], None], n: int) -> None:
        """Run `run(first, end)` over n pieces of preparation, an equal part a thread."""
        ends = [n * (i + 1) // self.n_threads for i in range(self.n_threads)]
        work_through(zip([0, *ends[:-1]], ends, strict=True), run, self.n_threads)
