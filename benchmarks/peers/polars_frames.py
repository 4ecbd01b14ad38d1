"""polars_bt's and polars_backtest's sides of W4: engines over Polars frames that compound returns, not units.

Fees and slippage become one rate a side. They size by the price of the fill, so a weight is handed over as what
its units are worth at the fill's open. Frames are made beforehand; the figures are NumPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.cases import Case, Floats
from benchmarks.runs import Run, figures, later, wanted

MOSAIC_DIFFERS = "sizes by the equity at the fill"
WIDE_DIFFERS = "sizes and marks at opens, by returns"


def mosaic(case: Case) -> Run:
    """W4 by polars_bt's `mosaic`: dense panels, overnight and intraday returns."""
    import polars as pl
    import polars_bt

    weights = later(wanted(case.weights))
    before = np.vstack([case.close[:1], case.close[:-1]])
    is_decided = ~np.isnan(weights).all(axis=1)
    size = case.close.size
    frame = pl.DataFrame(
        {
            "date": np.repeat(case.bar_end.astype("datetime64[D]"), case.n_assets),
            "weight": np.nan_to_num(weights * case.open / before).ravel(),
            "ovn_ret": (case.open / before - 1.0).ravel(),
            "ind_ret": (case.close / case.open - 1.0).ravel(),
            "buyable": np.ones(size, dtype=np.bool_),
            "sellable": np.ones(size, dtype=np.bool_),
            "prev_close": before.ravel(),
            "vwap": case.open.ravel(),
            "is_rebalance": np.repeat(is_decided, case.n_assets),
        }
    ).with_columns(pl.col("date").cast(pl.String))
    columns = {name: name for name in frame.columns}
    buying, selling = _rates(case)
    daily = polars_bt.mosaic(**columns, asset_num=case.n_assets, lg_fee=buying, st_fee=selling).alias("daily")

    def run() -> Any:
        nav = frame.select(daily).unnest("daily")["nav"].to_numpy()
        return figures(case, nav * case.cash, None)

    return run


def wide(case: Case) -> Run:
    """W4 by polars_backtest's wide frames: one of prices, one of the weights of the rebalancing rows alone."""
    import polars as pl
    from polars_backtest.wide import backtest_wide

    weights = wanted(case.weights)
    rows = np.flatnonzero(~np.isnan(weights).all(axis=1))
    rows = rows[rows < case.n_bars - 1]
    worth = weights[rows] * case.open[rows + 1] / case.close[rows]
    days = case.bar_end.astype("datetime64[D]")
    prices = pl.DataFrame({"date": days} | _by_symbol(case.open))
    position = pl.DataFrame({"date": days[rows]} | _by_symbol(worth))
    buying, _ = _rates(case)
    at = rows.tolist()

    def run() -> Any:
        found = backtest_wide(prices, position, resample="D", rebalance_indices=at, fee_ratio=buying, tax_ratio=0.0)
        grown = found["creturn"].to_numpy()
        return figures(case, np.concatenate([np.ones(case.n_bars - len(grown)), grown]) * case.cash, None)

    return run


def _rates(case: Case) -> tuple[float, float]:
    """Return what buying and selling cost as fractions of the value at the market's price."""
    buying = (1.0 + case.slippage) * (1.0 + case.fees) - 1.0
    return buying, 1.0 - (1.0 - case.slippage) * (1.0 - case.fees)


def _by_symbol(values: Floats) -> dict[str, Floats]:
    return {f"A{asset:04d}": np.ascontiguousarray(values[:, asset]) for asset in range(values.shape[1])}
