"""What a contender is: a function of a case that returns a call without arguments, and the figures the call returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Case, Floats

OURS, VECTORBT, VECTORBT_KERNELS = "quantlake", "vectorbt", "vectorbt kernels"


class Figures(NamedTuple):
    """What contenders must agree on, one value a run; None: the contender does not say.

    equity : float64[n_runs] final equity, ccy
    n_orders : int64[n_runs] orders filled
    sharpe : float64[n_runs] annual Sharpe ratio (ddof 1, no interest)
    """

    equity: Floats
    n_orders: NDArray[np.int64] | None = None
    sharpe: Floats | None = None


Run = Callable[[], Figures]
Prepare = Callable[[Case], Run]


@dataclass(frozen=True)
class Contender:
    """One way to do a workload.

    name : unique in its contest
    prepare : a function of a case; what it does itself (arrays into frames, say) is not timed, the call it
        returns is
    family : whose it is; the ratios of a row are to the fastest of a family
    needs : modules without which it is left out, each with the distribution that brings it
    tolerance : relative difference of final equity and Sharpe ratio from the first contender's that still is
        the same work; above 1e-9 `differs` says why, None: no comparison, `differs` says what is less
    n_threads : threads it may use; 0: as many as it finds processors
    """

    name: str
    prepare: Prepare
    family: str = OURS
    needs: tuple[str, ...] = ()
    tolerance: float | None = 1e-9
    differs: str = ""
    n_threads: int = 1

    def missing(self) -> tuple[str, ...]:
        """Return the modules this process cannot import."""
        return tuple(name for name in self.needs if find_spec(name) is None)


def figures(case: Case, equity: Floats, n_orders: int | NDArray[np.int64] | None) -> Figures:
    """Return the figures of runs whose equity is float64[n_bars] or float64[n_bars, n_runs], by NumPy.

    The maximum drawdown is computed too, for its time.
    """
    value = equity.reshape(len(equity), -1)
    returns = np.empty_like(value)
    returns[0] = value[0] / case.cash - 1.0
    np.divide(value[1:], value[:-1], out=returns[1:])
    returns[1:] -= 1.0
    sharpe = returns.mean(axis=0) / returns.std(axis=0, ddof=1) * np.sqrt(case.periods)
    (value / np.maximum.accumulate(value, axis=0)).min(axis=0)
    return Figures(value[-1].copy(), None if n_orders is None else np.atleast_1d(n_orders), sharpe)


def later(values: Floats) -> Floats:
    """Return the rows one bar later: the row of a fill at the next open."""
    return np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])


def wanted(values: Floats | None) -> Floats:
    """Return the decisions of a case that must have them."""
    if values is None:
        raise ValueError("this workload needs a case with decisions")
    return values
