"""The rules that the values of every bar keep, daily or of a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

VALUES = ("open", "high", "low", "close", "volume")


def price_rules(bars: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return, for each rule, which bars break it; a bar may break several.

    non_finite : a price or the volume is missing or infinite
    positive_prices : a price is not above zero (or not finite)
    volume_not_negative : the volume is below zero (or not finite)
    ohlc_order : open or close lies outside low and high

    Parameters
    ----------
    bars : open, high, low, close, volume
    """
    open_, high, low, close, volume = (bars[name].to_numpy(dtype=np.float64) for name in VALUES)
    prices = np.column_stack([open_, high, low, close])
    finite = np.isfinite(prices)
    return {
        "non_finite": ~(finite.all(axis=1) & np.isfinite(volume)),
        "positive_prices": ~(finite & (prices > 0.0)).all(axis=1),
        "volume_not_negative": ~(np.isfinite(volume) & (volume >= 0.0)),
        "ohlc_order": (high < np.maximum(open_, close)) | (low > np.minimum(open_, close)),
    }
