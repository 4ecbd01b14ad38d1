"""vectorbt's program; its argument is the engine."""

import sys

import numpy as np
import pandas as pd
import vectorbt as vbt
from prices import CASH, FAST, FEES_BPS, PERIODS, SLIPPAGE_BPS, SLOW, UNITS, prices
from vectorbt.generic.dispatch import rolling_mean_1d
from vectorbt.returns.dispatch import sharpe_ratio

engine = sys.argv[1]
columns = prices()
close = columns["close"]
is_above = np.zeros(len(close) + 1, dtype=np.bool_)
means = [rolling_mean_1d(close, window, window, engine=engine) for window in (FAST, SLOW)]
np.greater(*means, out=is_above[1:])
is_new = np.append(False, is_above[1:-1] != is_above[:-2])
portfolio = vbt.Portfolio.from_orders(
    pd.Series(close),
    np.where(is_new, np.where(is_above[:-1], UNITS, 0.0), np.nan),
    size_type="targetamount",
    price=columns["open"],
    fees=FEES_BPS / 1e4,
    slippage=SLIPPAGE_BPS / 1e4,
    init_cash=CASH,
    freq="1D",
    engine=engine,
)
value = portfolio.value().to_numpy()
returns = np.diff(value, prepend=CASH) / np.append(CASH, value[:-1])
print(sharpe_ratio(returns[:, None], PERIODS, engine=engine)[0])
