"""Splits and dividends: found in an adjusted close, and undone in vendor-adjusted prices.

Words used below. The *ex-date* is the first session on which the share trades without the right. A split
`ratio` is new shares per old one (2.0: two for one; 0.1: one for ten). A dividend is cash per share *as
traded on the ex-date*, that is after a split of the same day; `per_share_held` converts it to the share held
at the previous close, which is what `core/corporate_actions` stores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lakehouse.errors import BadRows

if TYPE_CHECKING:
    import pandas as pd

_WHOLE = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0)
_FORWARD = (
    *_WHOLE,
    *(3 / 2, 4 / 3, 5 / 3, 5 / 4, 5 / 2, 6 / 5, 7 / 4, 7 / 5, 7 / 2, 8 / 5, 9 / 2, 11 / 10, 21 / 20),
)
SPLIT_RATIOS: tuple[float, ...] = tuple(sorted({*_FORWARD, *(1.0 / ratio for ratio in _FORWARD)}))
"""The ratios companies use: small whole numbers, a few fractions, and their reciprocals."""

COMMON_SPLITS: tuple[float, ...] = tuple(sorted({1.5, *_WHOLE, *(1.0 / ratio for ratio in _WHOLE)}))
"""Those looked for where a match is only approximate: near one of the rarer ratios lies almost any number."""

SPLIT_ROUNDING = 1e-5
"""How far vendors round ratios such as 1.499999; no dividend beside a split is that small."""

LARGEST_PLAIN_YIELD = 0.25
"""A day's factor worth a dividend of up to this part of the price is read as a dividend alone."""

LARGEST_YIELD_WITH_SPLIT = 0.05
"""The largest dividend looked for beside a split on the same day."""


def derive_actions(
    sessions: ArrayLike, close: ArrayLike, adjusted: ArrayLike, *, tolerance: float = 1e-9, symbol: str = ""
) -> pd.DataFrame:
    """Return the splits and dividends that explain an adjusted close.

    With a[t] = adjusted[t] / close[t], the day's factor is k[t] = a[t-1] / a[t]. The convention is that of
    Quandl and Alpha Vantage: k = close / (close + dividend) / split. A factor within `tolerance` of 1 is no
    event, within `SPLIT_ROUNDING` of 1 / ratio a split, else a dividend = close * (1 / (k * split) - 1),
    rounded to six decimals. Yahoo's convention (1 - dividend / previous close) is another one and must not be
    read so.

    Parameters
    ----------
    sessions : datetime64[n_sessions], strictly increasing
    close : float64[n_sessions], as traded
    adjusted : float64[n_sessions], the same adjusted for splits and dividends
    tolerance : the relative noise of `adjusted` from its rounding; well below the smallest yield to be found
    symbol : named in errors

    Returns
    -------
    Frame of ex_date (datetime64), kind ("split" or "dividend"), value; sorted. The first session has no
    predecessor and can show no event.

    Raises
    ------
    BadRows : prices are not positive, or a factor is neither split nor dividend nor both.
    """
    import pandas as pd

    days = np.asarray(sessions, dtype="datetime64[D]")
    price = np.asarray(close, dtype=np.float64)
    level = np.asarray(adjusted, dtype=np.float64)
    bad = ~(np.isfinite(price) & np.isfinite(level) & (price > 0.0) & (level > 0.0))
    if bad.any():
        at = int(np.argmax(bad))
        row = {
            "symbol": symbol,
            "session": str(days[at]),
            "close": float(price[at]),
            "adjusted": float(level[at]),
        }
        raise BadRows(
            f"close and adjusted close must be positive, were {price[at]} and {level[at]} for {symbol} at {days[at]}",
            rows=[row],
            rule="positive_prices",
        )
    share = level / price
    factor = share[:-1] / share[1:]
    found: list[tuple[np.datetime64, str, float]] = []
    for at in np.flatnonzero(np.abs(factor - 1.0) > tolerance).tolist():
        day = days[at + 1]
        split, cash = _explain(float(factor[at]), float(price[at + 1]), tolerance, f"{symbol} at {day}")
        if split != 1.0:
            found.append((day, "split", split))
        if cash > 0.0:
            found.append((day, "dividend", cash))
    return pd.DataFrame(
        {
            "ex_date": np.array([row[0] for row in found], dtype="datetime64[s]"),
            "kind": pd.Series([row[1] for row in found], dtype="str"),
            "value": np.array([row[2] for row in found], dtype=np.float64),
        }
    )


def _explain(factor: float, close: float, tolerance: float, place: str) -> tuple[float, float]:
    """Return (split ratio, dividend) of one day's factor; 1.0 and 0.0 where there is none."""
    ratios = np.array(SPLIT_RATIOS)
    leftover = 1.0 / (factor * ratios) - 1.0
    nearest = int(np.argmin(np.abs(leftover)))
    if abs(leftover[nearest]) <= max(tolerance, SPLIT_ROUNDING):
        return float(ratios[nearest]), 0.0
    plain = 1.0 / factor - 1.0
    if 0.0 < plain <= LARGEST_PLAIN_YIELD:
        return 1.0, round(close * plain, 6)
    common = np.array(COMMON_SPLITS)
    beside = 1.0 / (factor * common) - 1.0
    candidates = np.flatnonzero((beside > 0.0) & (beside <= LARGEST_YIELD_WITH_SPLIT))
    if candidates.size:
        best = candidates[np.argmin(beside[candidates])]
        return float(common[best]), round(close * float(beside[best]), 6)
    raise BadRows(
        f"the adjusted close moves by a factor of {factor:.6g} beside the close for {place}; that is neither "
        "a known split ratio nor a dividend: give splits and dividends as columns of their own",
        rows=[{"place": place, "factor": factor, "close": close}],
        rule="explained_adjustment",
    )


def later_splits(sessions: ArrayLike, ex_dates: ArrayLike, ratios: ArrayLike) -> NDArray[np.float64]:
    """Return, for each session, the product of the ratios of all splits with a later ex-date.

    Split-adjusted prices times this are as-traded prices; split-adjusted volume divided by it is as-traded
    volume. A split on the session itself is already in the session's traded price, hence later ones only.
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    when = np.asarray(ex_dates, dtype="datetime64[D]")
    value = np.asarray(ratios, dtype=np.float64)
    order = np.argsort(when, kind="stable")
    # products[i] multiplies the splits from the i-th on, so it is the answer where i splits are not later.
    products = np.append(np.cumprod(value[order][::-1])[::-1], 1.0)
    answer: NDArray[np.float64] = products[np.searchsorted(when[order], days, side="right")]
    return answer


def per_share_held(actions: pd.DataFrame) -> pd.DataFrame:
    """Return the actions with dividends per share held at the previous close.

    Where a split has the same symbol and ex-date, a dividend of D per new share is worth D * ratio per old
    one; the number of shares that receive it is the number before the split.
    """
    key = ["symbol", "ex_date"]
    splits = actions.loc[actions["kind"] == "split"].groupby(key)["value"].prod()
    if splits.empty:
        return actions.copy()
    import pandas as pd

    ratio = splits.reindex(pd.MultiIndex.from_frame(actions[key])).fillna(1.0).to_numpy()
    is_dividend = (actions["kind"] == "dividend").to_numpy()
    return actions.assign(value=np.where(is_dividend, actions["value"] * ratio, actions["value"]))
