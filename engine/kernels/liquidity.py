"""What impact is measured by: the deviation of returns and the mean volume before each bar."""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import kernel, step
from engine.kernels.state import Floats, Integers

# Values that are summed at once: their sums stay in the fastest cache.
BLOCK = 256


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
            liquidity_out[t, asset]["sigma"] = np.nan
            liquidity_out[t, asset]["adv"] = np.nan
            if np.isnan(price):
                continue
            if n_returns >= 2:
                mean = sum_of_ring_nb(returns[asset], n_returns, seen - 1, 0.0, False) / n_returns
                squares = sum_of_ring_nb(returns[asset], n_returns, seen - 1, mean, True)
                n_volumes = min(seen, window)
                liquidity_out[t, asset]["sigma"] = np.sqrt(squares / (n_returns - 1))
                liquidity_out[t, asset]["adv"] = sum_of_ring_nb(volumes[asset], n_volumes, seen, 0.0, False) / n_volumes
            volumes[asset, seen % window] = volume[t, asset]
            if seen > 0:
                returns[asset, (seen - 1) % window] = price / last[asset] - 1.0
            last[asset] = price
            n_seen[asset] = seen + 1


@step
def sum_of_ring_nb(ring: Floats, n: int, n_written: int, mean: float, is_squared: bool) -> float:
    """Return the sum of the last n values written to a ring (or of their squared distances), oldest first."""
    place = n_written % ring.size if n == ring.size else 0
    total = 0.0
    for _ in range(n):
        value = ring[place] - mean
        total += value * value if is_squared else value
        place = 0 if place + 1 == ring.size else place + 1
    return total


@kernel
def whole_liquidity_nb(
    close: Floats, volume: Floats, n_assets: int, window: int, returns: Floats, work: Floats, liquidity_out: np.ndarray
) -> None:
    """Write the same, to the last bit, where no asset misses a bar and none splits.

    Parameters
    ----------
    close, volume : float64[n_bars x n_assets]
    window : bars, at least two
    returns : float64[n_bars x n_assets] and work : float64[2, BLOCK], scratch
    liquidity_out : LIQUIDITY[n_bars x n_assets]
    """
    for k in range(n_assets, close.size):
        returns[k] = close[k] / close[k - n_assets] - 1.0
    n_short = min((window + 1) * n_assets, close.size)
    for k in range(n_short):
        seen = k // n_assets
        liquidity_out[k]["sigma"] = np.nan
        liquidity_out[k]["adv"] = np.nan
        if seen >= 3:
            write_block_nb(volume, returns, work, n_assets, seen - 1, seen, k, 1, liquidity_out)
    for first in range(n_short, close.size, BLOCK):
        n = min(BLOCK, close.size - first)
        write_block_nb(volume, returns, work, n_assets, window, window, first, n, liquidity_out)


@kernel
def write_block_nb(
    volume: Floats,
    returns: Floats,
    work: Floats,
    n_assets: int,
    n_returns: int,
    n_volumes: int,
    first: int,
    n: int,
    liquidity_out: np.ndarray,
) -> None:
    """Write n places from `first` on, of equally many bars before each.

    Each sum adds its own values one after the other; the loops run over places, which the compiler takes several of.
    """
    total, mean = work[0, :n], work[1, :n]
    mean[:] = 0.0
    for i in range(n_returns, 0, -1):
        before = returns[first - i * n_assets : first - i * n_assets + n]
        for j in range(n):
            mean[j] += before[j]
    for j in range(n):
        mean[j] /= n_returns
    total[:] = 0.0
    for i in range(n_returns, 0, -1):
        before = returns[first - i * n_assets : first - i * n_assets + n]
        for j in range(n):
            total[j] += (before[j] - mean[j]) * (before[j] - mean[j])
    for j in range(n):
        liquidity_out[first + j]["sigma"] = np.sqrt(total[j] / (n_returns - 1))
    total[:] = 0.0
    for i in range(n_volumes, 0, -1):
        before = volume[first - i * n_assets : first - i * n_assets + n]
        for j in range(n):
            total[j] += before[j]
    for j in range(n):
        liquidity_out[first + j]["adv"] = total[j] / n_volumes
