"""Total returns from as-traded prices and the corporate actions known at each bar.

Between two closes of an asset, one share held becomes `split` shares, and each dividend is paid on the shares
held when it is due: `growth = (close[t] * shares + cash) / close[previous]`. With one action that is
`(close[t] * split + dividend) / close[t-1]`, the dividend being per share before a split of the same day, as
in the engine. Actions on bars the asset did not trade are kept until its next close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def last_bar(has_bar: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return for each bar and asset the number of the latest bar before it at which the asset traded, -1 for
    none."""
    bars = np.arange(len(has_bar), dtype=np.intp)[:, None]
    latest = np.full((len(has_bar) + 1, has_bar.shape[1]), -1, dtype=np.intp)
    latest[1:] = np.maximum.accumulate(np.where(has_bar, bars, -1), axis=0)
    return latest[:-1]


def growth(close: Floats, split: Floats, dividend: Floats, delisting: Floats) -> Floats:
    """Return close-to-close growth with dividends: 1.01 for a total return of 1 %.

    NaN on bars without a price and on an asset's first one. At a delisting it is 1 + the delisting return,
    whether or not there is a price, since the engine closes the position at the last one.

    Parameters
    ----------
    close, split, dividend, delisting : float64[n_bars, n_assets], as in `engine.Bars` and `engine.Actions`
    """
    previous = last_bar(~np.isnan(close))
    is_first = previous < 0
    anchor = np.maximum(previous, 0)
    shares = np.multiply.accumulate(split, axis=0)
    shares_before = np.ones_like(shares)
    shares_before[1:] = shares[:-1]
    paid = np.add.accumulate(dividend * shares_before, axis=0)
    then_close, then_shares, then_paid = (
        np.take_along_axis(values, anchor, axis=0) for values in (close, shares, paid)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        result = (close * (shares / then_shares) + (paid - then_paid) / then_shares) / then_close
    result = np.where(np.isnan(delisting), result, 1.0 + delisting)
    return np.where(is_first, np.nan, result)


def forward_index(close: Floats, growth: Floats) -> Floats:
    """Return the index that starts at each asset's first price and grows with its total return.

    It is carried over missing bars and NaN before the first one. Later bars and actions never change it.
    """
    is_first = ~np.isnan(close) & (last_bar(~np.isnan(close)) < 0)
    steps = np.where(is_first, close, np.where(np.isnan(growth), 1.0, growth))
    has_begun = np.logical_or.accumulate(is_first, axis=0)
    return np.where(has_begun, np.multiply.accumulate(steps, axis=0), np.nan)
