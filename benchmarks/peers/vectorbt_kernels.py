"""vectorbt's side by its compiled functions on bare arrays, by Numba or Rust: no Portfolio object, no pandas.

What `Portfolio.from_orders`, `from_signals` and `value` call for columns of their own cash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import UNITS, Case, Floats
from benchmarks.peers.vectorbt_portfolio import averages, crossed, joined
from benchmarks.runs import Figures, Run, later, wanted

# The fastest of 25, 50, 100 and 250 columns.
CHUNK = 50


def crossings(engine: str) -> Callable[[Case], Run]:
    """W1, W2, W3: averages, target amounts, simulation and values, over chunks of pairs."""

    def prepare(case: Case) -> Run:
        def run() -> Figures:
            means = averages(case, engine)
            parts = []
            for start in range(0, len(case.pairs), CHUNK):
                is_above, is_changed = crossed(case, means, start, CHUNK)
                size = np.where(is_changed, np.where(is_above, UNITS, 0.0), np.nan)
                parts.append(_ordered(case, size, int(np.count_nonzero(is_changed)), engine))
            return joined(parts)

        return run

    return prepare


def units(engine: str) -> Callable[[Case], Run]:
    """W5: a target amount a row."""

    def prepare(case: Case) -> Run:
        size = later(wanted(case.units))
        n_orders = int(np.count_nonzero(~np.isnan(size)))
        return lambda: _ordered(case, size, n_orders, engine)

    return prepare


def guarded(engine: str) -> Callable[[Case], Run]:
    """W7: entries, and exits by stops measured from the fill and free of slippage."""

    def prepare(case: Case) -> Run:
        from vectorbt.portfolio import dispatch
        from vectorbt.portfolio.enums import StopEntryPrice, StopExitPrice

        entries = ~np.isnan(later(wanted(case.units)))
        room = 2 * int(np.count_nonzero(entries))

        def run() -> Figures:
            records, _ = dispatch.simulate_from_signals(
                **_columns(case, case.close.shape),
                entries=entries,
                size=np.asarray(UNITS),
                price=case.open,
                open=case.open,
                high=case.high,
                low=case.low,
                sl_stop=np.asarray(case.stop_rate),
                tp_stop=np.asarray(case.profit_rate),
                stop_entry_price=np.asarray(StopEntryPrice.FillPrice),
                stop_exit_price=np.asarray(StopExitPrice.StopLimit),
                use_stops=True,
                max_orders=room,
                max_logs=1,
                engine=engine,
            )
            return _valued(case, case.close.shape, records, engine)

        return run

    return prepare


def _columns(case: Case, shape: tuple[int, int]) -> dict[str, Any]:
    return {
        "target_shape": shape,
        "group_lens": np.ones(shape[1], dtype=np.int64),
        "init_cash": np.full(shape[1], case.cash),
        "call_seq": np.zeros(shape, dtype=np.int64),
        "fees": np.asarray(case.fees),
        "slippage": np.asarray(case.slippage),
        "close": case.close,
    }


def _ordered(case: Case, size: Floats, n_orders: int, engine: str) -> Figures:
    from vectorbt.portfolio import dispatch
    from vectorbt.portfolio.enums import SizeType

    records, _ = dispatch.simulate_from_orders(
        **_columns(case, size.shape),
        size=size,
        price=case.open,
        size_type=np.asarray(SizeType.TargetAmount),
        max_orders=max(n_orders, 1),
        max_logs=1,
        engine=engine,
    )
    return _valued(case, size.shape, records, engine)


def _valued(case: Case, shape: tuple[int, int], records: NDArray[Any], engine: str) -> Figures:
    """Return the figures of columns from their orders, as `Portfolio.value` does."""
    from vectorbt.portfolio import dispatch
    from vectorbt.portfolio.enums import Direction
    from vectorbt.returns import dispatch as returns_dispatch

    n_orders = np.bincount(records["col"], minlength=shape[1])
    by_column = (np.argsort(records["col"], kind="stable"), n_orders)
    flow = dispatch.asset_flow(shape, records, by_column, direction=Direction.Both, engine=engine)
    value = dispatch.assets(flow, engine=engine)
    value *= case.close
    cash_flow = dispatch.cash_flow(shape, records, by_column, False, engine=engine)
    initial = np.full(shape[1], case.cash)
    value += dispatch.cash(cash_flow, initial, engine=engine)
    returns = returns_dispatch.returns(value, initial, engine=engine)
    sharpe = returns_dispatch.sharpe_ratio(returns, case.periods, engine=engine)
    returns_dispatch.max_drawdown(returns, engine=engine)
    return Figures(value[-1].copy(), n_orders, sharpe)
