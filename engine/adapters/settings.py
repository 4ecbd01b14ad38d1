"""Checks that a peer has what it is asked for: nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from engine.account import Account
from engine.actions import Actions
from engine.adapters.comparison import refuse
from engine.bars import Bars
from engine.costs import Costs
from engine.errors import InputError
from engine.execution import Execution
from engine.records import BARS, DAY, GTC
from engine.risk import Risk
from engine.settings import check_kind


def check_parts(
    bars: Any,
    decisions: Any,
    kinds: tuple[type, ...],
    account: Any,
    costs: Any,
    execution: Any,
    *,
    risk: Any = None,
    actions: Any = None,
) -> None:
    """Refuse parts of a run that are something else; None stands for a default."""
    check_kind("bars", bars, Bars)
    check_kind("decisions", decisions, *kinds)
    parts = {"account": (account, Account), "costs": (costs, Costs), "execution": (execution, Execution)}
    parts |= {"risk": (risk, Risk), "actions": (actions, Actions)}
    for name, (value, kind) in parts.items():
        if value is not None:
            check_kind(name, value, kind)
    if bars.n_bars == 0 or bars.n_assets == 0:
        raise InputError(f"a run needs at least one bar and one asset, had shape {bars.close.shape}")


def check_whole_axis(peer: str, bars: Bars) -> None:
    """Refuse bars that are missing: the peers trade at stale prices there, each in its own way."""
    check_kind("bars", bars, Bars)
    refuse(bars.has_gaps, peer, "missing bars; every asset must have every bar")


def check_charged(peer: str, costs: Costs, charged: Iterable[str]) -> None:
    """Refuse costs other than those a peer can charge."""
    check_kind("costs", costs, Costs)
    names = set(charged)
    for field in fields(costs):
        if field.name not in names and getattr(costs, field.name) != field.default:
            refuse(True, peer, f"Costs({field.name}={getattr(costs, field.name)!r}); it has {', '.join(sorted(names))}")


def check_execution(peer: str, execution: Execution, right: Execution, *, free: Iterable[str] = ()) -> None:
    """Refuse settings that contradict the profile of a peer; `free` names those the peer has itself."""
    check_kind("execution", execution, Execution)
    names = set(free)
    for field in fields(execution):
        value, wanted = getattr(execution, field.name), getattr(right, field.name)
        if field.name not in names and value != wanted:
            refuse(True, peer, f"Execution({field.name}={value!r}); its own is {wanted!r}")


def last_bar(order: Any, bars: Bars) -> int | None:
    """Return the last bar in which an order (`records.ORDER`) without a parent works; None: to the end."""
    check_kind("bars", bars, Bars)
    first = int(order["bar"]) + 1
    tif = int(order["tif"])
    if tif == GTC or first >= bars.n_bars:
        return None
    last = first
    if tif == DAY:
        days = bars.bar_end.astype("datetime64[D]")
        last = int(np.searchsorted(days, days[first], side="right")) - 1
    elif tif == BARS:
        last = first + int(order["tif_bars"]) - 1
    return last if last < bars.n_bars else None
