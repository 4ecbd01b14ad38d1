"""quantlake's program."""

from prices import CASH, FAST, FEES_BPS, SLIPPAGE_BPS, SLOW, UNITS, prices

from engine import Account, Bars, Costs, simulate
from engine.rules import Crossing

columns = prices()
bar_end = columns.pop("bar_end")
bars = Bars(**{name: values[:, None] for name, values in columns.items()}, bar_end=bar_end, symbols=("A",))
costs = Costs(commission_bps=FEES_BPS, slippage_bps=SLIPPAGE_BPS)
result = simulate(bars, Crossing(fast=FAST, slow=SLOW, units=UNITS), account=Account(cash=CASH), costs=costs)
print(result.metrics["sharpe"])
