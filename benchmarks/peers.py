"""vectorbt's side of each workload, in the fastest form found.

It executes a row at its own prices, so decisions stand one row later, priced at that row's open. Three figures are
taken of each run (final equity, Sharpe ratio, maximum drawdown) by its compiled functions, since its accessors
wrap them in milliseconds of objects; numbers of orders are counted.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import CASH, COSTS, UNITS, Case, Figures, Floats, Run, momentum_weights

FEES, SLIPPAGE = COSTS.commission_bps / 1e4, COSTS.slippage_bps / 1e4
PERIODS = 252.0
# Wide enough to spread pandas' overhead, narrow enough for the cache: the fastest of 50, 100, 250 and 1,000.
CHUNK = 250


def one_crossing(case: Case) -> Run:
    """vectorbt's side of W1: compiled averages, `from_orders` of one asset."""
    import pandas as pd
    import vectorbt as vbt

    close = pd.Series(case.close[:, 0])

    def run() -> Figures:
        entries, exits = _signals(case, _averages(case), 0)
        size = np.where(entries, UNITS, np.where(exits, 0.0, np.nan))
        portfolio = vbt.Portfolio.from_orders(
            close,
            size,
            size_type="targetamount",
            price=case.open,
            fees=FEES,
            slippage=SLIPPAGE,
            init_cash=CASH,
            freq="1D",
        )
        return _figures(portfolio)

    return run


def crossings(case: Case) -> Run:
    """vectorbt's side of W3: compiled averages, `from_signals` over chunks of pairs."""
    import pandas as pd
    import vectorbt as vbt

    close, open_ = pd.Series(case.close[:, 0]), case.open[:, :1]

    def run() -> Figures:
        parts = []
        averages = _averages(case)
        for start in range(0, len(case.pairs), CHUNK):
            entries, exits = _signals(case, averages, start)
            portfolio = vbt.Portfolio.from_signals(
                close,
                entries,
                exits,
                size=UNITS,
                price=open_,
                fees=FEES,
                slippage=SLIPPAGE,
                init_cash=CASH,
                freq="1D",
                # Room for the orders there will be, instead of one a bar: no pages are touched in vain.
                max_orders=max(int(entries.sum() + exits.sum()), 1),
            )
            parts.append(_figures(portfolio))
        return Figures(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    return run


def crossing_signals(case: Case) -> Run:
    """The part of W3 that is not vectorbt's simulation: averages, entries and exits."""

    def run() -> Figures:
        averages = _averages(case)
        counts = []
        for start in range(0, len(case.pairs), CHUNK):
            entries, exits = _signals(case, averages, start)
            counts.append(entries.sum(axis=0) + exits.sum(axis=0))
        return Figures(np.empty(0), np.concatenate(counts))

    return run


def rebalancing_from_orders(case: Case) -> Run:
    """vectorbt's side of W4m as its documentation suggests: `from_orders`, sells first by `call_seq="auto"`."""
    import vectorbt as vbt

    close, size, before = _frame(case), _shifted(case), np.vstack([case.close[:1], case.close[:-1]])

    def run() -> Figures:
        portfolio = vbt.Portfolio.from_orders(
            close,
            size,
            size_type="targetpercent",
            price=case.open,
            val_price=before,
            fees=FEES,
            slippage=SLIPPAGE,
            init_cash=CASH,
            cash_sharing=True,
            group_by=True,
            call_seq="auto",
            freq="1D",
            max_orders=int(np.count_nonzero(~np.isnan(size))),
        )
        return _figures(portfolio)

    return run


def rebalancing_from_order_func(case: Case) -> Run:
    """vectorbt's side of W4m, tuned: compiled callbacks that are called on the rebalancing rows only."""
    close, size = _frame(case), _shifted(case)
    return lambda: _ordered(close, case.open, size)


def momentum_from_order_func(case: Case) -> Run:
    """The same, deciding too: the winners of each month by NumPy, on the month's row alone."""
    close = _frame(case)

    def run() -> Figures:
        weights = momentum_weights(case.close, case.bar_end, case.top)
        return _ordered(close, case.open, _later(weights))

    return run


def _ordered(close: Any, open_: Floats, size: Floats) -> Figures:
    import vectorbt as vbt
    from vectorbt.portfolio.enums import Direction, SizeType

    sort_orders, order = _callbacks()
    is_decided = ~np.isnan(size)
    portfolio = vbt.Portfolio.from_order_func(
        close,
        order,
        size,
        open_,
        FEES,
        SLIPPAGE,
        pre_segment_func_nb=sort_orders,
        pre_segment_args=(size, np.array(SizeType.TargetPercent), np.array(Direction.Both), np.empty(size.shape[1])),
        segment_mask=is_decided.any(axis=1, keepdims=True),
        row_wise=True,
        fill_pos_record=False,
        init_cash=CASH,
        cash_sharing=True,
        group_by=True,
        freq="1D",
        max_orders=int(np.count_nonzero(is_decided)),
    )
    return _figures(portfolio)


@cache
def _callbacks() -> tuple[Any, Any]:
    """Return the compiled callbacks: sells before buys, and the order of one asset.

    Where `val_price` is not set vectorbt values a group at the last closes, which are those of the decision.
    """
    from numba import njit
    from vectorbt.portfolio import nb
    from vectorbt.portfolio.enums import SizeType

    kind = SizeType.TargetPercent

    @njit
    def sort_orders_nb(c, size, size_type, direction, order_value):  # type: ignore[no-untyped-def]
        nb.sort_call_seq_nb(c, size, size_type, direction, order_value)
        return ()

    @njit
    def order_nb(c, size, price, fees, slippage):  # type: ignore[no-untyped-def]
        return nb.order_nb(size=size[c.i, c.col], price=price[c.i, c.col], size_type=kind, fees=fees, slippage=slippage)

    return sort_orders_nb, order_nb


def _figures(portfolio: Any) -> Figures:
    """Return final equity and orders of each run; Sharpe ratio and drawdown are computed, for their time."""
    import vectorbt.returns.nb as returns_nb

    value = portfolio.value().to_numpy()
    value = value.reshape(len(value), -1)
    returns = np.empty_like(value)
    returns[0] = value[0] / CASH - 1.0
    returns[1:] = value[1:] / value[:-1] - 1.0
    returns_nb.sharpe_ratio_nb(returns, PERIODS)
    returns_nb.max_drawdown_nb(returns)
    n_runs = value.shape[1]
    # Where cash is shared, orders are one group's, whichever asset they are of.
    column = portfolio.order_records["col"] if portfolio.wrapper.grouper.group_by is None else 0
    column = np.broadcast_to(column, portfolio.order_records.shape)
    return Figures(value[-1], np.bincount(column, minlength=n_runs))


def _averages(case: Case) -> dict[int, Floats]:
    import vectorbt as vbt

    close = case.close[:, 0]
    return {window: vbt.nb.rolling_mean_1d_nb(close, window, window) for window in case.windows}


def _signals(case: Case, averages: dict[int, Floats], start: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return entries and exits bool[n_bars, n_pairs] of a chunk, in the row after the decision's."""
    pairs = case.pairs[start : start + CHUNK]
    is_above = np.zeros((len(case.close) + 1, len(pairs)), dtype=np.bool_)
    for column, (fast, slow) in enumerate(pairs):
        np.greater(averages[fast], averages[slow], out=is_above[1:, column])
    now = is_above[:-1]
    before = np.zeros_like(now)
    before[1:] = now[:-1]
    return now & ~before, ~now & before


def _frame(case: Case) -> Any:
    import pandas as pd

    return pd.DataFrame(case.close)


def _shifted(case: Case) -> Floats:
    if case.weights is None:
        raise ValueError("this workload needs a case with weights")
    return _later(case.weights)


def _later(values: Floats) -> Floats:
    return np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])
