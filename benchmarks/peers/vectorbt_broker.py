"""vectorbt's side of W4 with a broker's costs: what it does not have itself, written as its compiled callbacks.

Targets become whole shares at the decision's close and are carried until they are filled: at most a share of each bar's
volume is taken, and commission is a rate a share with a minimum for an order over all its fills. Borrowing is not
charged; the case has no short positions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import numpy as np

from benchmarks.cases import Case
from benchmarks.peers.vectorbt_callbacks import Job, Simulate, panel
from benchmarks.runs import Figures, Run, wanted


def carried(simulate: Simulate) -> Callable[[Case], Run]:
    """W4c: sells before buys, rests carried to the next bars."""

    def prepare(case: Case) -> Run:
        given = wanted(case.weights)
        rows = np.flatnonzero(~np.isnan(given).all(axis=1))
        compact = np.ascontiguousarray(given[rows])
        decided = np.full(case.n_bars, -1)
        decided[rows[rows < case.n_bars - 1] + 1] = np.arange(len(rows[rows < case.n_bars - 1]))
        mask = np.ones((case.n_bars, 1), dtype=np.bool_)
        mask[: rows[0] + 1] = False
        close, callbacks = panel(case, simulate), _callbacks()

        def run() -> Figures:
            queue = np.empty(case.n_assets, dtype=np.int64)
            # Of each asset: units wanted, units filled of the present order and its commission so far.
            state = np.zeros((3, case.n_assets))
            n_pending = np.zeros(1, dtype=np.int64)
            terms = (
                case.execution.participation_rate,
                case.costs.commission_per_share,
                case.costs.commission_min,
                case.slippage,
            )
            job = Job(
                close,
                case.close.shape,
                mask,
                # Orders that take several bars are several orders here.
                20 * compact.size,
                callbacks.order_nb,
                (queue, state, case.open, case.volume, terms),
                is_shared=True,
                before=callbacks.plan_nb,
                before_args=(queue, state, n_pending, decided, compact, case.close),
            )
            return simulate(job, case)

        return run

    return prepare


@cache
def _callbacks() -> SimpleNamespace:
    from numba import njit
    from vectorbt.portfolio import nb
    from vectorbt.portfolio.enums import SizeType

    amount = SizeType.Amount

    @njit
    def whole_nb(units):  # type: ignore[no-untyped-def]
        return np.floor(units + 1e-9)

    @njit
    def plan_nb(c, queue, state, n_pending, decided, weights, close):  # type: ignore[no-untyped-def]
        target = state[0]
        row = decided[c.i]
        if row >= 0:
            value = c.last_cash[c.group]
            for col in range(c.from_col, c.to_col):
                if c.last_position[col] != 0.0:
                    value += c.last_position[col] * c.last_val_price[col]
            for col in range(c.from_col, c.to_col):
                target[col] = whole_nb(weights[row, col] * value / close[c.i - 1, col])
                state[1, col] = 0.0
                state[2, col] = 0.0
        elif n_pending[0] == 0:
            return (0,)
        n_orders = 0
        for side in range(2):
            for col in range(c.from_col, c.to_col):
                held = c.last_position[col]
                if target[col] != held and (target[col] < held) == (side == 0):
                    queue[n_orders] = col
                    n_orders += 1
        n_pending[0] = n_orders
        return (n_orders,)

    @njit
    def order_nb(c, n_orders, queue, state, price, volume, terms):  # type: ignore[no-untyped-def]
        if c.call_idx >= n_orders:
            return -1, nb.order_nothing_nb()
        participation, per_share, minimum, slippage = terms
        col = queue[c.call_idx]
        quantity = state[0, col] - c.last_position[col]
        size = min(abs(quantity), whole_nb(participation * volume[c.i, col]))
        filled = state[1, col] + size
        due = max(per_share * filled, minimum)
        order = nb.order_nb(
            size=size if quantity > 0.0 else -size,
            price=price[c.i, col],
            size_type=amount,
            fixed_fees=due - state[2, col],
            slippage=slippage,
        )
        state[1, col] = filled
        state[2, col] = due
        return col, order

    return SimpleNamespace(plan_nb=plan_nb, order_nb=order_nb)
