"""backtesting.py's side: W1, W2 and W7, one Python call a bar.

Its spread is paid by entries alone: where exits pay slippage too, both are charged as part of the commission.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks.cases import UNITS, Case
from benchmarks.runs import Figures, Run, figures, wanted


class Charges:
    """Commission and slippage of an order, by the side that was ordered last; only one order is ever open."""

    def __init__(self, fees: float, slippage: float) -> None:
        self.fees, self.slippage, self.side = fees, slippage, 1.0

    def __call__(self, size: float, price: float) -> float:
        """Return what buying at price x (1 + slippage), or selling at x (1 - slippage), costs beyond the price."""
        return abs(size) * price * ((1.0 + self.side * self.slippage) * self.fees + self.slippage)


def crossing(case: Case) -> Run:
    """W1, W2: two averages, computed as indicators of the strategy."""
    ((fast, slow),) = case.pairs

    def run() -> Figures:
        return _run(case, _crossing(fast, slow), commission=Charges(case.fees, case.slippage))

    return run


def guarded(case: Case) -> Run:
    """W7: entries at signals, a stop and a limit set once the entry's price is known."""
    entries = ~np.isnan(wanted(case.units)[:, 0])
    strategy = _guarded(entries, case.stop_rate, case.profit_rate)
    return lambda: _run(case, strategy, commission=case.fees, spread=case.slippage)


def _run(case: Case, strategy: Any, **costs: Any) -> Figures:
    import pandas as pd
    from backtesting import Backtest

    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame(
        {name.capitalize(): getattr(case, name)[:, 0] for name in names}, index=pd.DatetimeIndex(case.bar_end)
    )
    with warnings.catch_warnings():
        # It says that a trade is still open at the end, as it is in every contender.
        warnings.simplefilter("ignore")
        found = Backtest(frame, strategy, cash=case.cash, **costs).run()
    equity = found["_equity_curve"]["Equity"].to_numpy()
    n_closed = len(found["_trades"])
    is_open = len(found["_strategy"].trades) > 0
    return figures(case, equity, 2 * n_closed + is_open)


def _crossing(fast: int, slow: int) -> Any:
    from backtesting import Strategy

    class Crossing(Strategy):
        def init(self) -> None:
            close = np.asarray(self.data.Close)
            self.is_above = self.I(lambda: _mean(close, fast) > _mean(close, slow), plot=False)

        def next(self) -> None:
            charges = self._broker._commission
            if self.is_above[-1]:
                if not self.position:
                    charges.side = 1.0
                    self.buy(size=UNITS)
            elif self.position:
                charges.side = -1.0
                self.position.close()

    return Crossing


def _guarded(entries: Any, stop_rate: float, profit_rate: float) -> Any:
    from backtesting import Strategy

    class Guarded(Strategy):
        def init(self) -> None:
            self.entries = self.I(lambda: entries, plot=False)

        def next(self) -> None:
            if self.trades:
                trade = self.trades[0]
                if trade.sl is None:
                    trade.sl = trade.entry_price * (1.0 - stop_rate)
                    trade.tp = trade.entry_price * (1.0 + profit_rate)
            elif self.entries[-1]:
                self.buy(size=UNITS)

    return Guarded


def _mean(values: Any, window: int) -> Any:
    """Return moving averages of prices of five decimals, exact but for one division."""
    ticks = np.zeros(len(values) + 1)
    np.cumsum(np.rint(values * 1e5), out=ticks[1:])
    result = np.full(len(values), np.nan)
    result[window - 1 :] = (ticks[window:] - ticks[:-window]) / window
    return result
