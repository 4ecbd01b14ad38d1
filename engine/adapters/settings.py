"""Checks that a peer has what it is asked for: nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from engine.adapters.comparison import refuse
from engine.bars import Bars
from engine.costs import Costs
from engine.execution import Execution
from engine.records import BARS, DAY, GTC


def check_whole_axis(peer: str, bars: Bars) -> None:
    """Refuse bars that are missing: the peers trade at stale prices there, each in its own way."""
    refuse(bars.has_gaps, peer, "missing bars; every asset must have every bar")


def check_charged(peer: str, costs: Costs, charged: Iterable[str]) -> None:
    """Refuse costs other than those a peer can charge."""
    names = set(charged)
    for field in fields(costs):
        if field.name not in names and getattr(costs, field.name) != field.default:
            refuse(True, peer, f"Costs({field.name}={getattr(costs, field.name)!r}); it has {', '.join(sorted(names))}")


def check_execution(peer: str, execution: Execution, right: Execution, *, free: Iterable[str] = ()) -> None:
    """Refuse settings that contradict the profile of a peer; `free` names those the peer has itself."""
    names = set(free)
    for field in fields(execution):
        value, wanted = getattr(execution, field.name), getattr(right, field.name)
        if field.name not in names and value != wanted:
            refuse(True, peer, f"Execution({field.name}={value!r}); its own is {wanted!r}")


def last_bar(order: Any, bars: Bars) -> int | None:
    """Return the last bar in which an order (`records.ORDER`) without a parent works; None: to the end."""
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
