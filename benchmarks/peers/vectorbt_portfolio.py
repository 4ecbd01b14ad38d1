"""vectorbt's side by `Portfolio.from_signals` and `Portfolio.from_orders`, with Numba or with its Rust engine.

Three figures are taken of each run by the Portfolio's methods (final equity, Sharpe ratio, maximum drawdown), and its
orders are counted. Frames are made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import UNITS, Case, Floats
from benchmarks.runs import Figures, Run, later, wanted

# Wide enough to spread pandas' overhead, narrow enough for the cache: the fastest of 50, 100, 250 and 1,000.
CHUNK = 250


def signals(engine: str) -> Callable[[Case], Run]:
    """W1, W2, W3: compiled averages, `from_signals` over chunks of pairs."""

    def prepare(case: Case) -> Run:
        close, price = _line(case.close), _line(case.open).to_numpy()
        single = len(case.pairs) == 1

        def run() -> Figures:
            means = averages(case, engine)
            parts = []
            for start in range(0, len(case.pairs), CHUNK):
                is_above, is_changed = crossed(case, means, start, CHUNK)
                entries, exits = is_above & is_changed, ~is_above & is_changed
                portfolio = _portfolio().from_signals(
                    close,
                    entries[:, 0] if single else entries,
                    exits[:, 0] if single else exits,
                    size=UNITS,
                    price=price if single else price[:, None],
                    # Room for the orders there will be, instead of one a bar: no pages are touched in vain.
                    max_orders=max(int(np.count_nonzero(is_changed)), 1),
                    **_terms(case, engine),
                )
                parts.append(portfolio_figures(portfolio, case))
            return joined(parts)

        return run

    return prepare


def guarded(engine: str) -> Callable[[Case], Run]:
    """W7: entries by `from_signals`, exits by its stops, measured from the fill and free of slippage."""

    def prepare(case: Case) -> Run:
        import vectorbt as vbt

        close = _line(case.close)
        entries = ~np.isnan(later(wanted(case.units))[:, 0])
        bars = {name: getattr(case, name)[:, 0] for name in ("open", "high", "low")}
        room = 2 * int(np.count_nonzero(entries))

        def run() -> Figures:
            portfolio = _portfolio().from_signals(
                close,
                entries,
                False,
                size=UNITS,
                price=bars["open"],
                **bars,
                sl_stop=case.stop_rate,
                tp_stop=case.profit_rate,
                stop_entry_price=vbt.portfolio.enums.StopEntryPrice.FillPrice,
                stop_exit_price=vbt.portfolio.enums.StopExitPrice.StopLimit,
                max_orders=room,
                **_terms(case, engine),
            )
            return portfolio_figures(portfolio, case)

        return run

    return prepare


def crossing_orders(engine: str) -> Callable[[Case], Run]:
    """W1, W2 by `from_orders`: target amounts on the rows where the averages have crossed."""

    def prepare(case: Case) -> Run:
        close, price = _line(case.close), _line(case.open).to_numpy()

        def run() -> Figures:
            is_above, is_changed = crossed(case, averages(case, engine), 0, 1)
            size = np.where(is_changed[:, 0], np.where(is_above[:, 0], UNITS, 0.0), np.nan)
            n_orders = int(np.count_nonzero(is_changed))
            return _ordered(case, engine, close, size, price, n_orders)

        return run

    return prepare


def unit_orders(engine: str) -> Callable[[Case], Run]:
    """W5 by `from_orders`: a target amount a row."""

    def prepare(case: Case) -> Run:
        close, price = _line(case.close), _line(case.open).to_numpy()
        size = later(wanted(case.units))[:, 0]
        n_orders = int(np.count_nonzero(~np.isnan(size)))
        return lambda: _ordered(case, engine, close, size, price, n_orders)

    return prepare


def weight_orders(engine: str) -> Callable[[Case], Run]:
    """W4 as its documentation suggests: `from_orders`, sells first by `call_seq="auto"`."""

    def prepare(case: Case) -> Run:
        import pandas as pd

        close, size = pd.DataFrame(case.close), later(wanted(case.weights))
        before = np.vstack([case.close[:1], case.close[:-1]])

        def run() -> Figures:
            portfolio = _portfolio().from_orders(
                close,
                size,
                size_type="targetpercent",
                price=case.open,
                val_price=before,
                cash_sharing=True,
                group_by=True,
                call_seq="auto",
                max_orders=int(np.count_nonzero(~np.isnan(size))),
                **_terms(case, engine),
            )
            return portfolio_figures(portfolio, case)

        return run

    return prepare


def averages(case: Case, engine: str) -> dict[int, Floats]:
    """Return the averages of all windows, each computed once, by its compiled functions."""
    from vectorbt.generic.dispatch import rolling_mean_1d

    close = np.ascontiguousarray(case.close[:, 0])
    return {window: rolling_mean_1d(close, window, window, engine=engine) for window in case.windows}


def crossed(
    case: Case, means: dict[int, Floats], start: int, width: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether the fast average is above and whether that is new, bool[n_bars, width], a row later."""
    pairs = case.pairs[start : start + width]
    is_above = np.zeros((case.n_bars + 1, len(pairs)), dtype=np.bool_)
    for column, (fast, slow) in enumerate(pairs):
        np.greater(means[fast], means[slow], out=is_above[1:, column])
    now = is_above[:-1]
    is_changed = np.zeros_like(now)
    np.not_equal(now[1:], now[:-1], out=is_changed[1:])
    return now, is_changed


def joined(parts: list[Figures]) -> Figures:
    """Return the figures of several chunks of runs as one."""
    return Figures(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _portfolio() -> Any:
    import vectorbt as vbt

    return vbt.Portfolio


def _line(values: Floats) -> Any:
    import pandas as pd

    return pd.Series(np.ascontiguousarray(values[:, 0]))


def _terms(case: Case, engine: str) -> dict[str, Any]:
    return {"fees": case.fees, "slippage": case.slippage, "init_cash": case.cash, "freq": "1D", "engine": engine}


def _ordered(case: Case, engine: str, close: Any, size: Floats, price: Floats, n_orders: int) -> Figures:
    portfolio = _portfolio().from_orders(
        close, size, size_type="targetamount", price=price, max_orders=n_orders, **_terms(case, engine)
    )
    return portfolio_figures(portfolio, case)


def portfolio_figures(portfolio: Any, case: Case) -> Figures:
    """Return the figures of a Portfolio by its own methods."""
    portfolio.max_drawdown()
    sharpe = portfolio.sharpe_ratio(year_freq=f"{case.periods:.0f} days")
    equity, n_orders, sharpe = (
        np.atleast_1d(np.asarray(values)) for values in (portfolio.final_value(), portfolio.orders.count(), sharpe)
    )
    return Figures(equity, n_orders, sharpe)
