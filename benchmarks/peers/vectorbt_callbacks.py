"""vectorbt's side by compiled callbacks: `Portfolio.from_order_func`, or the simulation kernel below it.

A callback is called only on rows that hold decisions (`segment_mask`). `by_portfolio` takes its figures from the
Portfolio's value. `by_kernel` leaves out the Portfolio and pandas, and another callback notes each row's return while
the simulation runs, which `Portfolio.value` rebuilds from the orders in several passes over all bars and assets: the
fastest form found, and a statistic of one's own instead of vectorbt's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import UNITS, Case, Floats, rebalancing_bars, winners_weights
from benchmarks.peers.vectorbt_portfolio import averages, crossed, joined, portfolio_figures
from benchmarks.runs import Figures, Run, wanted

CHUNK = 1_000


class Job(NamedTuple):
    """One call of the simulation.

    close : what it marks at: a pandas object for a Portfolio, float64[n_bars, 1 or n_columns] for a kernel
    mask : bool[n_bars, n_groups] rows on which orders are asked for
    order, order_args : callback that returns an order (shared cash: a column and its order), and its arguments
    before, before_args : callback that plans a row's orders where cash is shared, and its arguments
    """

    close: Any
    shape: tuple[int, int]
    mask: NDArray[np.bool_]
    max_orders: int
    order: Any
    order_args: tuple[Any, ...]
    is_shared: bool = False
    before: Any = None
    before_args: tuple[Any, ...] = ()


Simulate = Callable[[Job, Case], Figures]


def crossings(simulate: Simulate) -> Callable[[Case], Run]:
    """W1, W2, W3: target amounts where compiled averages have crossed, over chunks of pairs."""

    def prepare(case: Case) -> Run:
        order = _callbacks().switch_nb
        price = np.ascontiguousarray(case.open[:, 0])
        widths = {min(CHUNK, len(case.pairs)), len(case.pairs) % CHUNK or CHUNK}
        closes = {width: _columns(case, width, simulate) for width in widths}

        def run() -> Figures:
            means = averages(case, "numba")
            parts = []
            for start in range(0, len(case.pairs), CHUNK):
                is_above, is_changed = crossed(case, means, start, CHUNK)
                arguments = (is_above, UNITS, price, case.fees, case.slippage)
                n_orders = max(int(np.count_nonzero(is_changed)), 1)
                job = Job(closes[is_above.shape[1]], is_above.shape, is_changed, n_orders, order, arguments)
                parts.append(simulate(job, case))
            return joined(parts)

        return run

    return prepare


def units(simulate: Simulate) -> Callable[[Case], Run]:
    """W5: a target amount a row."""

    def prepare(case: Case) -> Run:
        size = np.concatenate([[np.nan], wanted(case.units)[:-1, 0]])
        mask = ~np.isnan(size)[:, None]
        arguments = (size, np.ascontiguousarray(case.open[:, 0]), case.fees, case.slippage)
        close = _columns(case, 1, simulate)
        job = Job(close, case.close.shape, mask, int(np.count_nonzero(mask)), _callbacks().units_nb, arguments)
        return lambda: simulate(job, case)

    return prepare


def weights(simulate: Simulate) -> Callable[[Case], Run]:
    """W4: target weights of shared cash, sells before buys."""

    def prepare(case: Case) -> Run:
        given = wanted(case.weights)
        rows = np.flatnonzero(~np.isnan(given).all(axis=1))
        rows = rows[rows < case.n_bars - 1]
        compact = np.ascontiguousarray(given[rows])
        close = panel(case, simulate)
        return lambda: simulate(_weight_job(case, close, rows, compact), case)

    return prepare


def rankings(simulate: Simulate) -> Callable[[Case], Run]:
    """W6: the same once a set of parameters, winners chosen by NumPy on the rebalancing rows alone."""

    def prepare(case: Case) -> Run:
        close = panel(case, simulate)

        def run() -> Figures:
            parts = []
            for parameters in case.rankings:
                rows = rebalancing_bars(case.bar_end[:-1], parameters["lookback"])
                compact = winners_weights(case.close, rows, **parameters)
                parts.append(simulate(_weight_job(case, close, rows, compact), case))
            return joined(parts)

        return run

    return prepare


def by_portfolio(job: Job, case: Case) -> Figures:
    """Simulate by `Portfolio.from_order_func`, and take the figures from the Portfolio."""
    import vectorbt as vbt

    more: dict[str, Any] = {}
    if job.is_shared:
        more = {"pre_segment_func_nb": job.before, "pre_segment_args": job.before_args, "flexible": True}
    portfolio = vbt.Portfolio.from_order_func(
        job.close,
        job.order,
        *job.order_args,
        segment_mask=job.mask,
        row_wise=job.is_shared,
        fill_pos_record=False,
        init_cash=case.cash,
        cash_sharing=job.is_shared,
        group_by=True if job.is_shared else None,
        max_orders=job.max_orders,
        max_logs=1,
        freq="1D",
        **more,
    )
    return portfolio_figures(portfolio, case)


def by_kernel(job: Job, case: Case) -> Figures:
    """Simulate by the kernel that `from_order_func` calls, on bare arrays."""
    from vectorbt.portfolio import nb

    returns, final = _outputs(job)
    n_columns = job.shape[1]
    group_lens = np.array([n_columns]) if job.is_shared else np.ones(n_columns, dtype=np.int64)
    common = {
        "target_shape": job.shape,
        "group_lens": group_lens,
        "init_cash": np.full(len(group_lens), case.cash),
        "cash_sharing": job.is_shared,
        "segment_mask": job.mask,
        "call_post_segment": True,
        "post_segment_func_nb": _callbacks().note_nb,
        "post_segment_args": (returns, final),
        "close": job.close,
        "fill_pos_record": False,
        "max_orders": job.max_orders,
        "max_logs": 1,
    }
    if job.is_shared:
        records, _ = nb.flex_simulate_row_wise_nb(
            **common,
            pre_segment_func_nb=job.before,
            pre_segment_args=job.before_args,
            flex_order_func_nb=job.order,
            flex_order_args=job.order_args,
        )
    else:
        call_seq = nb.build_call_seq(job.shape, group_lens)
        records, _ = nb.simulate_nb(**common, call_seq=call_seq, order_func_nb=job.order, order_args=job.order_args)
    return _figures(job, case, records, returns, final)


def _weight_job(case: Case, close: Any, rows: NDArray[np.int64], compact: Floats) -> Job:
    mask = np.zeros((case.n_bars, 1), dtype=np.bool_)
    mask[rows + 1] = True
    row_of = np.cumsum(mask[:, 0]) - 1
    callbacks = _callbacks()
    queue = np.empty(case.n_assets, dtype=np.int64)
    arguments = (queue, compact, row_of, case.open, case.fees, case.slippage)
    return Job(
        close,
        case.close.shape,
        mask,
        compact.size,
        callbacks.weights_nb,
        arguments,
        is_shared=True,
        before=callbacks.sells_first_nb,
        before_args=(queue, compact, row_of),
    )


def _outputs(job: Job) -> tuple[Floats, Floats]:
    n_groups = job.mask.shape[1]
    return np.empty((job.shape[0], n_groups)), np.empty(n_groups)


def _figures(job: Job, case: Case, records: Any, returns: Floats, final: Floats) -> Figures:
    from vectorbt.returns import nb

    sharpe = nb.sharpe_ratio_nb(returns, case.periods)
    nb.max_drawdown_nb(returns)
    n_orders = np.array([len(records)]) if len(final) == 1 else np.bincount(records["col"], minlength=len(final))
    return Figures(final, n_orders, sharpe)


def _columns(case: Case, width: int, simulate: Simulate) -> Any:
    import pandas as pd

    if simulate is by_kernel:
        return np.ascontiguousarray(case.close)
    return pd.DataFrame(np.repeat(case.close, width, axis=1)) if width > 1 else pd.Series(case.close[:, 0])


def panel(case: Case, simulate: Simulate) -> Any:
    """Return what a simulation of all assets marks at."""
    import pandas as pd

    return case.close if simulate is by_kernel else pd.DataFrame(case.close)


@cache
def _callbacks() -> SimpleNamespace:
    """Return the compiled callbacks.

    Where a callback sets no valuation price, vectorbt values a group at the last closes: those of the decision.
    """
    from numba import njit
    from vectorbt.portfolio import nb
    from vectorbt.portfolio.enums import SizeType

    amount, percent = SizeType.TargetAmount, SizeType.TargetPercent

    @njit
    def note_nb(c, returns_out, final_out):  # type: ignore[no-untyped-def]
        returns_out[c.i, c.group] = c.last_return[c.group]
        if c.i == c.target_shape[0] - 1:
            final_out[c.group] = c.last_value[c.group]

    @njit
    def switch_nb(c, is_on, size, price, fees, slippage):  # type: ignore[no-untyped-def]
        wanted = size if is_on[c.i, c.col] else 0.0
        return nb.order_nb(size=wanted, price=price[c.i], size_type=amount, fees=fees, slippage=slippage)

    @njit
    def units_nb(c, size, price, fees, slippage):  # type: ignore[no-untyped-def]
        return nb.order_nb(size=size[c.i], price=price[c.i], size_type=amount, fees=fees, slippage=slippage)

    @njit
    def sells_first_nb(c, queue, weights, row_of):  # type: ignore[no-untyped-def]
        row = weights[row_of[c.i]]
        value = c.last_cash[c.group]
        for col in range(c.from_col, c.to_col):
            if c.last_position[col] != 0.0:
                value += c.last_position[col] * c.last_val_price[col]
        n_orders = 0
        for side in range(2):
            for col in range(c.from_col, c.to_col):
                held = c.last_position[col]
                if held != 0.0 or row[col] != 0.0:
                    is_sell = held != 0.0 and row[col] * value < held * c.last_val_price[col]
                    if is_sell == (side == 0):
                        queue[n_orders] = col
                        n_orders += 1
        return (n_orders,)

    @njit
    def weights_nb(c, n_orders, queue, weights, row_of, price, fees, slippage):  # type: ignore[no-untyped-def]
        if c.call_idx >= n_orders:
            return -1, nb.order_nothing_nb()
        col = queue[c.call_idx]
        order = nb.order_nb(
            size=weights[row_of[c.i], col],
            price=price[c.i, col],
            size_type=percent,
            fees=fees,
            slippage=slippage,
        )
        return col, order

    return SimpleNamespace(
        note_nb=note_nb, switch_nb=switch_nb, units_nb=units_nb, sells_first_nb=sells_first_nb, weights_nb=weights_nb
    )
