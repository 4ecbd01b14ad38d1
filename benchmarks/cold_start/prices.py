"""One seeded market for all programs, with NumPy alone."""

import numpy as np

N_BARS = 2_520
FAST, SLOW = 10, 50
UNITS, CASH = 100.0, 1_000_000.0
FEES_BPS, SLIPPAGE_BPS = 5.0, 1.0
PERIODS = 252.0


def prices() -> dict[str, np.ndarray]:
    """Return float64[n_bars] open, high, low, close, volume and datetime64[us][n_bars] bar_end."""
    rng = np.random.default_rng(1)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0003, 0.014, N_BARS))), 5)
    open_ = np.round(np.append(close[0], close[:-1]) * np.exp(rng.normal(0.0, 0.003, N_BARS)), 5)
    return {
        "open": open_,
        "high": np.maximum(open_, close),
        "low": np.minimum(open_, close),
        "close": close,
        "volume": np.full(N_BARS, 1e6),
        "bar_end": np.datetime64("2010-01-04T21:00", "us") + np.arange(N_BARS) * np.timedelta64(1, "D"),
    }


def mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return moving averages of prices of five decimals, exact but for one division."""
    ticks = np.append(0.0, np.cumsum(np.rint(values * 1e5)))
    result = np.full(len(values), np.nan)
    result[window - 1 :] = (ticks[window:] - ticks[:-window]) / window
    return result


def sharpe(equity: np.ndarray) -> float:
    """Return the annual Sharpe ratio of equities, the initial cash being the first."""
    returns = np.diff(equity, prepend=CASH) / np.append(CASH, equity[:-1])
    return float(returns.mean() / returns.std(ddof=1) * PERIODS**0.5)
