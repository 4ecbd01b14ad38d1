"""backtesting.py's program; slippage of exits is left out, as it pays its spread on entries alone."""

import pandas as pd
from backtesting import Backtest, Strategy
from prices import CASH, FAST, FEES_BPS, SLIPPAGE_BPS, SLOW, UNITS, mean, prices, sharpe


class Crossing(Strategy):
    """100 units while the fast average is above the slow one."""

    def init(self) -> None:
        """Compute the averages."""
        close = self.data.Close
        self.is_above = self.I(lambda: mean(close, FAST) > mean(close, SLOW), plot=False)

    def next(self) -> None:
        """Trade where they have crossed."""
        if self.is_above[-1] and not self.position:
            self.buy(size=UNITS)
        elif not self.is_above[-1] and self.position:
            self.position.close()


columns = prices()
frame = pd.DataFrame({name.capitalize(): columns[name] for name in ("open", "high", "low", "close", "volume")})
frame.index = pd.DatetimeIndex(columns["bar_end"])
found = Backtest(frame, Crossing, cash=CASH, commission=FEES_BPS / 1e4, spread=SLIPPAGE_BPS / 1e4).run()
print(sharpe(found["_equity_curve"]["Equity"].to_numpy()))
