"""What all rules have in common: parameters, and prices to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self

import numpy as np

from engine.actions import Actions
from engine.bars import Bars
from engine.decisions import TargetUnits, TargetWeights
from engine.errors import InputError
from engine.kernels.rules import total_return_prices_nb
from engine.panels import Floats, read_only
from engine.play import Instructions
from engine.preparation import events_of
from engine.settings import check_kind, listed, shown


class Rule:
    """Decisions as a function of bars and a few parameters: a frozen dataclass with a `planner`."""

    def decisions(self, bars: Bars, actions: Actions | None = None) -> TargetUnits | TargetWeights:
        """Return what the rule decides: one row for each bar at which it decides anything.

        Raises `InputError` where actions do not fit the bars.
        """
        plan = self.planner(bars, actions)(self).plan
        values = plan.values[plan.row]
        return TargetWeights(values, plan.bar) if plan.is_weight else TargetUnits(values, plan.bar)

    def planner(self, bars: Bars, actions: Actions | None = None) -> Callable[[Any], Instructions]:
        """Return a function from rules of this kind to their instructions, which share what they have in common.

        The function may be called from several threads.
        """
        raise InputError(f"a rule must have a planner, {type(self).__name__} has none")

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """Return the rule with other parameters; raises `InputError` naming one that it does not have."""
        if not isinstance(parameters, Mapping):
            raise InputError(f"parameters must be a mapping such as {{'fast': 10}}, was {shown(parameters)}")
        known: list[str] = [field.name for field in fields(self)] if is_dataclass(self) else []
        for name in parameters:
            listed(f"{type(self).__name__} has no parameter {shown(name)}", name, known)
        return replace(self, **parameters)  # type: ignore[type-var]


def prices_of(bars: Bars, actions: Actions | None) -> Floats:
    """Return the prices that rules look at, float64[n_bars, n_assets]: see `engine.rules`.

    Raises `InputError` where bars or actions are something else, or do not fit each other.
    """
    check_kind("bars", bars, Bars)
    events = events_of(actions, bars)
    if events.bar.size == 0:
        return bars.close
    prices = np.empty(bars.close.shape)
    scratch = np.empty((3, bars.n_assets))
    total_return_prices_nb(bars.close, events, scratch, prices)
    return read_only(prices)
