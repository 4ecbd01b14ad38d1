"""What the kernels pass to each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Indices into Book.counts and Records.counts.
HELD, PENDING = 0, 1
FILLS, CASH_FLOWS = 0, 1

NEXT_OPEN, SAME_CLOSE = 0, 1
SCALE, REJECT = 0, 1

DONE = -1


class Market(NamedTuple):
    """Prices float64[n_bars, n_assets], NaN where an asset has no bar."""

    open: Floats
    close: Floats
    has_gaps: bool


class Plan(NamedTuple):
    """Decisions: the bars that hold any, and the values float64[n_bars, n_assets] with NaN for "leave alone"."""

    bar: Integers
    values: Floats
    is_weight: bool


class Rules(NamedTuple):
    """Settings of account, costs and execution as plain numbers; rates are fractions."""

    cash: float
    leverage: float
    allow_short: bool
    commission_rate: float
    commission_fixed: float
    commission_per_share: float
    commission_min: float
    commission_max_rate: float
    spread_rate: float  # half the quoted spread
    slippage_rate: float
    timing: int
    lot_size: float
    cash_policy: int


class Book(NamedTuple):
    """The state of a run. Every array is modified in place.

    Positions and pending targets are also kept as lists of assets, so that a bar costs what is held and
    pending, not the number of assets.
    """

    cash: Floats  # [1]
    position: Floats  # [n_assets] units
    mark: Floats  # [n_assets] last price, NaN before an asset's first
    target: Floats  # [n_assets] pending units, NaN: none
    buy: Floats  # [n_assets] scratch: sizes of this bar's buys
    held: Integers  # assets with a position, in no order
    held_at: Integers  # where an asset stands in `held`
    pending: Integers  # assets with a pending target
    buying: Integers  # scratch: assets of this bar's buys
    is_listed: NDArray[np.bool_]
    counts: Integers  # [2] n_held, n_pending


class Records(NamedTuple):
    """What a run writes down."""

    fills: NDArray[Any]
    cash_flows: NDArray[Any]
    counts: Integers  # [2] n_fills, n_cash_flows
    equity: Floats  # [n_bars] ccy at the bar's end, as are the two below
    cash: Floats
    exposure: Floats  # sum of |position x mark|
