"""Sweeps: many parameter sets over the same bars, of which only figures are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.account import Account
from engine.actions import Actions
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import Decisions
from engine.errors import InputError
from engine.execution import Execution
from engine.panels import Floats
from engine.simulation import simulate

if TYPE_CHECKING:
    import pandas as pd

_ACCOUNT, _COSTS, _EXECUTION = Account(), Costs(), Execution()


@dataclass(frozen=True, eq=False)
class Trials:
    """One row a parameter set, in the order they were given.

    Parameters
    ----------
    parameters : tuple of dict
    metrics : dict of name to float64[n_trials]
    """

    parameters: tuple[dict[str, Any], ...]
    metrics: dict[str, Floats]

    @property
    def n(self) -> int:
        """Number of trials."""
        return len(self.parameters)

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
    decide: Callable[[Mapping[str, Any]], Decisions],
    parameters: Sequence[Mapping[str, Any]],
    *,
    account: Account = _ACCOUNT,
    costs: Costs = _COSTS,
    execution: Execution = _EXECUTION,
    actions: Actions | None = None,
    periods_per_year: float = 252.0,
    progress: Callable[[int, int], None] | None = None,
) -> Trials:
    """Return the figures of a run for each parameter set, equal to those of `simulate` to the last bit.

    Parameters
    ----------
    decide : callable
        From one parameter mapping to its decisions; called in order, once a trial.
    parameters : sequence of mappings
    progress : callable, optional
        Called with (trials done, trials in all) after each trial.

    Raises
    ------
    InputError
        As `simulate`; or there are no parameter sets.
    """
    sets = tuple(dict(row) for row in parameters)
    if not sets:
        raise InputError("a sweep needs at least one parameter set, had none")
    rows: list[dict[str, float]] = []
    for done, row in enumerate(sets, start=1):
        result = simulate(
            bars,
            decide(row),
            account=account,
            costs=costs,
            execution=execution,
            actions=actions,
            periods_per_year=periods_per_year,
        )
        rows.append(result.metrics)
        if progress is not None:
            progress(done, len(sets))
    return Trials(sets, {name: np.array([row[name] for row in rows]) for name in rows[0]})
