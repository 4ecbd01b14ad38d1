"""Positions replayed from the records."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import kernel


@kernel
def positions_nb(fills: np.ndarray, events: Events, position_out: np.ndarray) -> None:
    """Write the units held at each bar's end: float64[n_bars, n_assets], to the last bit those of the run."""
    fill = 0
    event = 0
    for t in range(position_out.shape[0]):
        for asset in range(position_out.shape[1]):
            position_out[t, asset] = position_out[t - 1, asset] if t > 0 else 0.0
        while event < events.bar.size and events.bar[event] == t:
            position_out[t, events.asset[event]] *= events.split[event]
            event += 1
        while fill < fills.size and fills[fill]["bar"] == t:
            position_out[t, fills[fill]["asset"]] += fills[fill]["quantity"]
            fill += 1
