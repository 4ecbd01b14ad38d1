"""raptorbt's side: W1, W2, W3 and W7.

It sizes by fractions of equity and cuts to lots. A fraction worth about one and a half lots of 100 units buys
100 units at every price and equity near the initial one, so that its runs are those of the others, order by order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import UNITS, Case, Floats
from benchmarks.runs import Figures, Run, wanted

SHARE_OF_LOT = 1.5


def crossing(case: Case) -> Run:
    """W1, W2: averages and one run."""
    prices = _prices(case)

    def run() -> Figures:
        entries, exits = _signals(_averages(prices["close"], case), *case.pairs[0])
        return _single(case, prices, entries, exits)

    return run


def crossings(case: Case) -> Run:
    """W3: averages, each once, and one batch of all pairs; it runs on all processors."""
    import raptorbt

    prices = _prices(case)

    def run() -> Figures:
        averages = _averages(prices["close"], case)
        sizes, lots = _sizes(case, prices["close"]), raptorbt.InstrumentConfig(lot_size=UNITS)
        items = []
        for number, (fast, slow) in enumerate(case.pairs):
            entries, exits = _signals(averages, fast, slow)
            items.append(
                raptorbt.BatchSingleItem(
                    str(number), entries, exits, 1, 1.0, "A", position_sizes=sizes, instrument_config=lots
                )
            )
        results = raptorbt.batch_single_backtest(*prices.values(), items, _config(case))
        return _figures([result for _, result in sorted(results, key=lambda found: int(found[0]))])

    return run


def guarded(case: Case) -> Run:
    """W7: entries by signals, exits at its fixed stop and target."""
    prices = _prices(case)
    entries = ~np.isnan(wanted(case.units)[:, 0])
    never = np.zeros_like(entries)
    return lambda: _single(case, prices, entries, never)


def _single(case: Case, prices: dict[str, Any], entries: NDArray[np.bool_], exits: NDArray[np.bool_]) -> Figures:
    import raptorbt

    result = raptorbt.run_single_backtest(
        *prices.values(),
        entries,
        exits,
        1,
        1.0,
        "A",
        _config(case),
        position_sizes=_sizes(case, prices["close"]),
        instrument_config=raptorbt.InstrumentConfig(lot_size=UNITS),
    )
    return _figures([result])


def _prices(case: Case) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "volume")
    times = case.bar_end.astype("datetime64[ns]").astype(np.int64)
    return {"timestamps": times, **{name: np.ascontiguousarray(getattr(case, name)[:, 0]) for name in names}}


def _config(case: Case) -> Any:
    import raptorbt

    config = raptorbt.BacktestConfig(
        initial_capital=case.cash,
        fees=case.fees,
        slippage=case.slippage,
        fill_timing="next_bar_open",
        periods_per_year=case.periods,
    )
    if case.stop_rate:
        config.set_fixed_stop(case.stop_rate)
    if case.profit_rate:
        config.set_fixed_target(case.profit_rate)
    return config


def _sizes(case: Case, close: Floats) -> Floats:
    return close * (SHARE_OF_LOT * UNITS / case.cash)


def _averages(close: Floats, case: Case) -> dict[int, Floats]:
    import raptorbt

    return {window: raptorbt.sma(close, window) for window in case.windows}


def _signals(averages: dict[int, Floats], fast: int, slow: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    is_above = averages[fast] > averages[slow]
    is_changed = np.zeros_like(is_above)
    np.not_equal(is_above[1:], is_above[:-1], out=is_changed[1:])
    return is_above & is_changed, ~is_above & is_changed


def _figures(results: list[Any]) -> Figures:
    metrics = [result.metrics for result in results]
    equity = np.array([found.end_value for found in metrics])
    n_orders = np.array([found.total_trades + found.total_closed_trades for found in metrics])
    return Figures(equity, n_orders, np.array([found.sharpe_ratio for found in metrics]))
