"""Ranks of assets by their change of price, and the few highest of a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel, step
from engine.kernels.state import Floats, Integers


@kernel
def scores_nb(prices: Floats, bars: Integers, lookback: int, skip: int, scores_out: np.ndarray) -> None:
    """Write price[t - skip] / price[t - lookback] at some bars t, int64[n_rows, n_assets]: its bits.

    A positive float and its bits have one order. -1: a price is missing, also that of the bar itself.
    """
    for row in range(bars.size):
        t = bars[row]
        now, recent, past, scores = prices[t], prices[t - skip], prices[t - lookback], scores_out[row]
        for asset in range(now.size):
            score = recent[asset] / past[asset]
            is_there = (score > 0.0) & (now[asset] > 0.0)
            scores[asset] = np.float64(score).view(np.int64) if is_there else -1


@kernel
def top_weights_nb(scores: np.ndarray, top: int, gross: float, weights_out: Floats) -> None:
    """Write gross / n for the n = `top` highest scores of each row (all where there are fewer), 0 for the others.

    Of equal scores the asset that stands first is taken.
    """
    for row in range(scores.shape[0]):
        line, weights = scores[row], weights_out[row]
        n_there = count_above_nb(line, -1)
        if n_there <= top:
            weight = gross / n_there if n_there > 0 else 0.0
            set_above_nb(line, -1, weight, weights)
            continue
        weight = gross / top
        floor, n_above = floor_nb(line, top)
        set_above_nb(line, floor, weight, weights)
        for asset in range(line.size):
            if n_above == top:
                break
            if line[asset] == floor:
                weights[asset] = weight
                n_above += 1


@step
def floor_nb(line: np.ndarray, top: int) -> tuple[Any, int]:
    """Return a number that at most `top` scores are above, and how many are.

    Exactly `top`, or as many as there are above the scores equal to it, of which the first fill up. Halves the
    interval of possible numbers; counting needs no branch and runs on several scores at once.
    """
    low, high, n_above = np.int64(-1), np.int64(-1), 0
    for asset in range(line.size):
        high = max(high, line[asset])
    while high - low > 1:
        middle = low + (high - low) // 2
        n = count_above_nb(line, middle)
        if n == top:
            return middle, n
        if n > top:
            low = middle
        else:
            high, n_above = middle, n
    return high, n_above


@step
def count_above_nb(line: np.ndarray, floor: Any) -> int:
    """Return how many scores are above a number."""
    n = 0
    for asset in range(line.size):
        n += line[asset] > floor
    return n


@step
def set_above_nb(line: np.ndarray, floor: Any, weight: float, weights_out: Floats) -> None:
    """Write a weight for the scores above a number and 0 for the others."""
    for asset in range(line.size):
        weights_out[asset] = weight if line[asset] > floor else 0.0
