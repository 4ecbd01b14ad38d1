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


def growth(close: Floats, split: Floats, dividend: Floats, delisting: Floats) -> Floats:
    """Return close-to-close growth with dividends: 1.01 for a total return of 1 %.

    NaN on bars without a price and on an asset's first one. At a delisting it is 1 + the delisting return,
    whether or not there is a price, since the engine closes the position at the last one.

    Parameters
    ----------
    close, split, dividend, delisting : float64[n_bars, n_assets], as in `engine.Bars` and `engine.Actions`
    """
    from strategies.kernels import growth_nb

    result = np.empty(close.shape)
    growth_nb(close, split, dividend, delisting, np.empty((5, close.shape[1])), result)
    return result


def forward_index(close: Floats, growth: Floats) -> Floats:
    """Return the index that starts at each asset's first price and grows with its total return.

    It is carried over missing bars and NaN before the first one. Later bars and actions never change it.
    """
    from strategies.kernels import forward_index_nb

    result = np.empty(close.shape)
    forward_index_nb(close, growth, np.zeros(close.shape[1], dtype=np.bool_), result)
    return result
