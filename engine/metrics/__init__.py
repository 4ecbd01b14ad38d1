"""Performance figures, one written definition each.

Rates are fractions. Returns are per bar. A figure that is undefined (no variance, no losses, no trades, a
NaN among the returns) is NaN, never infinite, and knows its reason. Losses are negative: drawdown, VaR and CVaR are
returns. `Metrics` is all figures of a run; `engine.metrics.peers` states them as other libraries do.
"""

from engine.metrics.benchmark import (
    alpha,
    benchmark_metrics,
    beta,
    correlation,
    information_ratio,
    tracking_error,
)
from engine.metrics.figures import metrics
from engine.metrics.mapping import Metrics
from engine.metrics.returns import (
    cagr,
    cagr_of,
    calmar,
    downside_deviation,
    expected_shortfall,
    kurtosis,
    max_drawdown,
    max_drawdown_bars,
    mean_return,
    omega,
    sharpe,
    skew,
    sortino,
    stability,
    tail_ratio,
    total_return,
    value_at_risk,
    volatility,
)
from engine.metrics.series import returns_of, wealth_of
from engine.metrics.trading import mean_exposure, time_in_market, trade_metrics, traded_value, turnover
from engine.metrics.undefined import Undefined

__all__ = [
    "Metrics",
    "Undefined",
    "alpha",
    "benchmark_metrics",
    "beta",
    "cagr",
    "cagr_of",
    "calmar",
    "correlation",
    "downside_deviation",
    "expected_shortfall",
    "information_ratio",
    "kurtosis",
    "max_drawdown",
    "max_drawdown_bars",
    "mean_exposure",
    "mean_return",
    "metrics",
    "omega",
    "returns_of",
    "sharpe",
    "skew",
    "sortino",
    "stability",
    "tail_ratio",
    "time_in_market",
    "total_return",
    "tracking_error",
    "trade_metrics",
    "traded_value",
    "turnover",
    "value_at_risk",
    "volatility",
    "wealth_of",
]
