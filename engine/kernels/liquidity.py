"""What impact is measured by: the deviation of returns and the mean volume before each bar."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import kernel
from engine.kernels.state import Floats, Integers


@kernel
def liquidity_nb(
    close: Floats,
    volume: Floats,
    events: Events,
    last: Floats,
    returns: Floats,
    volumes: Floats,
    n_seen: Integers,
    liquidity_out: np.ndarray,
) -> None:
    """Write, for each bar, statistics of the asset's own last bars strictly before it.

    Parameters
    ----------
    close, volume : float64[n_bars, n_assets]
    events : of which splits rescale what was seen: prices and volumes are in units of the bar
    last, n_seen : float64[n_assets] NaN and int64[n_assets] zero, scratch
    returns, volumes : float64[n_assets, n_window], scratch
    liquidity_out : LIQUIDITY[n_bars, n_assets], deviation (ddof 1) of close-to-close returns, NaN of fewer than
        two; and mean volume
    """
    n_bars, n_assets = close.shape
    window = returns.shape[1]
    event = 0
    for t in range(n_bars):
        while event < events.bar.size and events.bar[event] == t:
            asset = events.asset[event]
            last[asset] /= events.split[event]
            for i in range(window):
                volumes[asset, i] *= events.split[event]
            event += 1
        for asset in range(n_assets):
            price = close[t, asset]
            seen = n_seen[asset]
            n_returns = min(seen - 1, window)
            n_volumes = min(seen, window)
            liquidity_out[t, asset]["sigma"] = np.nan
            liquidity_out[t, asset]["adv"] = np.nan
            if not np.isnan(price) and n_returns >= 2:
                mean = 0.0
                for i in range(n_returns):
                    mean += returns[asset, i]
                mean /= n_returns
                squares = 0.0
                for i in range(n_returns):
                    squares += (returns[asset, i] - mean) * (returns[asset, i] - mean)
                total = 0.0
                for i in range(n_volumes):
                    total += volumes[asset, i]
                liquidity_out[t, asset]["sigma"] = np.sqrt(squares / (n_returns - 1))
                liquidity_out[t, asset]["adv"] = total / n_volumes
            if np.isnan(price):
                continue
            volumes[asset, seen % window] = volume[t, asset]
            if seen > 0:
                returns[asset, (seen - 1) % window] = price / last[asset] - 1.0
            last[asset] = price
            n_seen[asset] = seen + 1
