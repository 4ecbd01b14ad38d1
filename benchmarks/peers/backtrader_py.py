"""backtrader's side: W1 and W2, one Python call a bar and line."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.cases import UNITS, Case
from benchmarks.runs import Figures, Run, figures


def crossing(case: Case) -> Run:
    """W1, W2: its own averages, market orders, no observers."""
    ((fast, slow),) = case.pairs
    strategy = _crossing(fast, slow)

    def run() -> Figures:
        import backtrader as bt
        import pandas as pd

        names = ("open", "high", "low", "close", "volume")
        frame = pd.DataFrame({name: getattr(case, name)[:, 0] for name in names}, index=pd.DatetimeIndex(case.bar_end))
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(strategy)
        cerebro.broker.setcash(case.cash)
        cerebro.broker.setcommission(commission=case.fees)
        # slip_out: slippage may leave the bar's range, as it does elsewhere.
        cerebro.broker.set_slippage_perc(case.slippage, slip_open=True, slip_out=True)
        (ran,) = cerebro.run()
        equity = np.array(ran.values)
        return figures(case, np.concatenate([np.full(case.n_bars - len(equity), case.cash), equity]), ran.n_orders)

    return run


def _crossing(fast: int, slow: int) -> Any:
    import backtrader as bt

    class Crossing(bt.Strategy):
        def __init__(self) -> None:
            self.fast = bt.ind.SMA(self.data.close, period=fast)
            self.slow = bt.ind.SMA(self.data.close, period=slow)
            self.values: list[float] = []
            self.n_orders = 0
            self.is_long = False

        def notify_order(self, order: Any) -> None:
            self.n_orders += order.status == order.Completed

        def next(self) -> None:
            self.values.append(self.broker.getvalue())
            is_above = self.fast[0] > self.slow[0]
            if is_above != self.is_long:
                self.is_long = is_above
                if is_above:
                    self.buy(size=UNITS)
                else:
                    self.sell(size=UNITS)

    return Crossing
