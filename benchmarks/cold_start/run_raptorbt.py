"""raptorbt's program; half a lot more than a lot is bought as one, see the package of peers."""

import numpy as np
import raptorbt
from prices import CASH, FAST, FEES_BPS, PERIODS, SLIPPAGE_BPS, SLOW, UNITS, prices

columns = prices()
times = columns.pop("bar_end").astype("datetime64[ns]").astype(np.int64)
close = columns["close"]
is_above = raptorbt.sma(close, FAST) > raptorbt.sma(close, SLOW)
is_new = np.append(False, is_above[1:] != is_above[:-1])
config = raptorbt.BacktestConfig(
    initial_capital=CASH,
    fees=FEES_BPS / 1e4,
    slippage=SLIPPAGE_BPS / 1e4,
    fill_timing="next_bar_open",
    periods_per_year=PERIODS,
)
result = raptorbt.run_single_backtest(
    times,
    *columns.values(),
    is_above & is_new,
    ~is_above & is_new,
    1,
    1.0,
    "A",
    config,
    position_sizes=close * (1.5 * UNITS / CASH),
    instrument_config=raptorbt.InstrumentConfig(lot_size=UNITS),
)
print(result.metrics.sharpe_ratio)
