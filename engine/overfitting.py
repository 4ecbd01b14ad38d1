"""The probability of backtest overfitting: does the best trial of a search stay good on bars it was not chosen on?

Combinatorially symmetric cross-validation (CSCV): Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of
backtest overfitting, Journal of Computational Finance 20:4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.bounds import MOST
from engine.errors import InputError
from engine.panels import Floats, numbers
from engine.settings import choice, whole

METRICS = ("sharpe", "mean")
_MOST_SPLITS = 20

# Cells of one matrix [combinations, trials] held at a time: the memory stays within some ten of these.
_CELLS = 1 << 20
# As in the figures of a run: a spread below this share of the mean is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Overfitting:
    """How the trial that was best on one half of the bars does on the other half, over all ways to halve them.

    Attributes
    ----------
    logits : float64[n_combinations]
        ln(w / (1 - w)), w = rank of the chosen trial out of sample / (n_trials + 1), 1 being the worst.
    chosen : int64[n_combinations]
        The best trial in sample, the first of equals.
    in_sample, out_of_sample : float64[n_combinations]
        Its performance on both halves, per bar.
    """

    logits: Floats
    chosen: NDArray[np.int64]
    in_sample: Floats
    out_of_sample: Floats

    @property
    def pbo(self) -> float:
        """Share of combinations whose chosen trial is no better than the median out of sample (logit <= 0).

        1/2 where no trial is better than another, near 0 where one is. It is itself uncertain: for pure noise, 1,000
        bars and 100 trials it spreads by 0.14 from one sample to the next. Look at the logits too.
        """
        return float(np.mean(self.logits <= 0.0))

    @property
    def loss_probability(self) -> float:
        """Share of combinations whose chosen trial performs below 0 out of sample."""
        return float(np.mean(self.out_of_sample < 0.0))

    @property
    def slope(self) -> float:
        """Slope of the chosen trials' performance out of sample on that in sample; NaN where that does not vary."""
        distance = self.in_sample - self.in_sample.mean()
        squares = float(distance @ distance)
        return float(distance @ self.out_of_sample) / squares if squares > 0.0 else math.nan


def pbo(returns: ArrayLike, *, n_splits: int = 16, metric: str = "sharpe") -> Overfitting:
    """Return the outcome of CSCV over the returns of all trials of a search.

    The bars are cut into `n_splits` blocks in time order, as even as can be; each half of the blocks in turn is the
    sample the best trial is chosen on, and the other half the one it is ranked on: 12,870 combinations of 16. Trials
    that tie share their ranks.

    Parameters
    ----------
    returns : float64[n_bars, n_trials]
        Of every trial that was made, not of the good ones alone.
    n_splits : even, 2 to 20
    metric : sharpe or mean
        Per bar. A trial without variance on a half (one that never trades) has a Sharpe ratio of 0 there.

    Raises
    ------
    InputError
        Returns are not finite, or there are fewer than two trials or two bars a block; or a setting is wrong.
    """
    choice("metric", metric, METRICS)
    n_splits = whole("n_splits", n_splits, low=0)
    panel = np.ascontiguousarray(numbers("returns", returns))
    _check(panel, n_splits)
    center = panel.mean(axis=0) if metric == "sharpe" else np.zeros(panel.shape[1])
    edges = np.arange(n_splits) * panel.shape[0] // n_splits
    distance = panel - center
    sizes = np.diff(edges, append=panel.shape[0]).astype(np.float64)
    blocks = _Blocks(
        center=center,
        sizes=_Sums(sizes[:, np.newaxis]),
        sums=_Sums(np.add.reduceat(distance, edges, axis=0)),
        squares=_Sums(np.add.reduceat(distance**2, edges, axis=0)) if metric == "sharpe" else None,
    )
    forward, backward = [], []
    for masks in _halves(n_splits, max(1, _CELLS // panel.shape[1])):
        one, other = blocks.performance(masks), blocks.performance(masks ^ (2**n_splits - 1))
        forward.append(_choice(one, other))
        backward.append(_choice(other, one))
    return Overfitting(*(np.concatenate(parts) for parts in zip(*forward, *backward, strict=True)))


class _Sums:
    """Sums of any subset of blocks, from two tables of the subsets of either half: no product with a 0-1 matrix.

    The order of additions is that of the blocks, so a subset has one sum to the last bit on every machine.
    """

    def __init__(self, values: Floats) -> None:
        self._width = values.shape[0] // 2
        self._low, self._high = self._table(values[: self._width]), self._table(values[self._width :])

    def of(self, masks: NDArray[np.int64]) -> Floats:
        """Return float64[n_masks, n_trials] sums over the blocks whose bits are set."""
        sums: Floats = self._low[masks & ((1 << self._width) - 1)]
        sums += self._high[masks >> self._width]
        return sums

    @staticmethod
    def _table(values: Floats) -> Floats:
        table = np.zeros((1, values.shape[1]))
        for block in values:
            table = np.concatenate([table, table + block])
        return table


@dataclass(frozen=True)
class _Blocks:
    """What the performance on any blocks needs: sums and squares of the distances from each trial's mean."""

    center: Floats
    sizes: _Sums
    sums: _Sums
    squares: _Sums | None

    def performance(self, masks: NDArray[np.int64]) -> Floats:
        n = self.sizes.of(masks)
        sums = self.sums.of(masks)
        mean = self.center + sums / n
        if self.squares is None:
            return mean
        variance = self.squares.of(masks)
        variance -= sums * sums / n
        variance /= n - 1.0
        deviation = np.sqrt(np.maximum(variance, 0.0))
        is_flat = deviation < _ROUNDING * np.maximum(1.0, np.abs(mean))
        return np.where(is_flat, 0.0, mean / np.where(is_flat, 1.0, deviation))


def _halves(n_splits: int, n_at_once: int) -> Iterator[NDArray[np.int64]]:
    """Yield the halves of the blocks that hold the first one, as bit masks; the others are their complements."""
    masks = np.arange(1, 2**n_splits, 2, dtype=np.int64)
    masks = masks[np.bitwise_count(masks) == n_splits // 2]
    for first in range(0, masks.size, n_at_once):
        yield masks[first : first + n_at_once]


def _choice(one: Floats, other: Floats) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Return logits, the trials chosen on one half, and their performance on it and on the other half."""
    chosen = one.argmax(axis=1)
    rows = np.arange(chosen.size)
    out = other[rows, chosen]
    n_below = np.count_nonzero(other < out[:, np.newaxis], axis=1)
    n_equal = np.count_nonzero(other == out[:, np.newaxis], axis=1)
    rank = n_below + (n_equal + 1) / 2.0
    return np.log(rank / (one.shape[1] + 1 - rank)), chosen, one[rows, chosen], out


def _check(panel: Floats, n_splits: int) -> None:
    if n_splits % 2 or not 2 <= n_splits <= _MOST_SPLITS:
        raise InputError(f"n_splits must be even and between 2 and {_MOST_SPLITS}, was {n_splits}")
    if panel.ndim != 2 or panel.shape[1] < 2:
        raise InputError(f"returns must have two axes [n_bars, n_trials] and two trials, had shape {panel.shape}")
    if panel.shape[0] < 2 * n_splits:
        raise InputError(f"returns must have two bars a block ({2 * n_splits}), had {panel.shape[0]}")
    is_right = np.abs(panel) <= MOST
    if not is_right.all():
        bar, trial = np.unravel_index(int(np.argmin(is_right)), panel.shape)
        rule = f"at most {MOST:g} in size" if np.isfinite(panel[bar, trial]) else "finite"
        raise InputError(f"returns must be {rule}, was {panel[bar, trial]} at bar {bar}, trial {trial}")
