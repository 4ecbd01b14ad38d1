"""Positions replayed from the records."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import kernel
from engine.kernels.book import without_noise_nb
from engine.records import CASH_IN_LIEU


@kernel
def positions_nb(fills: np.ndarray, cash_flows: np.ndarray, events: Events, position_out: np.ndarray) -> None:
    """Write the units held at each bar's end: float64[n_bars, n_assets], to the last bit those of the run."""
    fill, flow, event = 0, 0, 0
    for t in range(position_out.shape[0]):
        for asset in range(position_out.shape[1]):
            position_out[t, asset] = position_out[t - 1, asset] if t > 0 else 0.0
        while event < events.bar.size and events.bar[event] == t:
            position_out[t, events.asset[event]] *= events.split[event]
            event += 1
        while flow < cash_flows.size and cash_flows[flow]["bar"] <= t:
            if cash_flows[flow]["kind"] == CASH_IN_LIEU:
                position_out[t, cash_flows[flow]["asset"]] += cash_flows[flow]["quantity"]
            flow += 1
        while fill < fills.size and fills[fill]["bar"] == t:
            asset = fills[fill]["asset"]
            quantity = fills[fill]["quantity"]
            position_out[t, asset] = without_noise_nb(position_out[t, asset] + quantity, quantity)
            fill += 1
