"""Splits and dividends: found in an adjusted close, and undone in vendor-adjusted prices.

Words used below. The *ex-date* is the first session on which the share trades without the right. A split
`ratio` is new shares per old one (2.0: two for one; 0.1: one for ten). A dividend is cash per share *as
traded on the ex-date*, that is after a split of the same day; `per_share_held` converts it to the share held
at the previous close, which is what `core/corporate_actions` stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lakehouse.adjusting.conventions import Convention, cash_paid, is_on_previous_close
from lakehouse.errors import BadRows, LakeError

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


Unexplained = Literal["refuse", "keep"]


def derive_actions(
    sessions: ArrayLike,
    close: ArrayLike,
    adjusted: ArrayLike,
    *,
    convention: Convention = "wiki",
    tolerance: float = 1e-9,
    decimals: int | None = None,
    unexplained: Unexplained = "refuse",
    symbol: str = "",
) -> pd.DataFrame:
    """Return the splits and dividends that explain an adjusted close.

    With a[t] = adjusted[t] / close[t], the day's factor is k[t] = a[t-1] / a[t]. A factor as near to 1 as
    rounding allows is no event, one as near to 1 / ratio (or within `SPLIT_ROUNDING`) a split, else a dividend
    by the convention (`lakehouse.adjusting.conventions`; the wrong one is off by the day's price change).

    A dividend is given with the fewest decimals, two to six, that rounding cannot tell from it.

    Parameters
    ----------
    sessions : datetime64[n_sessions], strictly increasing
    close : float64[n_sessions], as traded
    adjusted : float64[n_sessions], the same adjusted for splits and dividends
    convention : the vendor's, with which `adjusted` was made
    tolerance : the relative noise of a day's factor: 2e-11 for twelve significant digits, 5e-7 for Yahoo's
        single precision; well below the smallest yield to be found
    decimals : to which `adjusted` is rounded, where it is; the noise of each day follows from its price
    unexplained : a factor that is neither a known ratio nor an everyday dividend is refused, or kept: below 1 as
        a dividend of any size, above 1 as a reverse split of any ratio. Either explains the prices exactly,
        but a spin-off looks like that too, and so does an error of the vendor's
    symbol : named in errors

    Returns
    -------
    Frame of ex_date (datetime64), kind ("split" or "dividend"), value; sorted. The first session has no
    predecessor and can show no event.

    Raises
    ------
    BadRows : prices are not positive, or a factor is neither split nor dividend nor both.
    LakeError : an unknown convention or way with the unexplained.
    """
    import pandas as pd

    is_on_previous_close(convention)
    if unexplained not in get_args(Unexplained):
        raise LakeError(f"unexplained is 'refuse' or 'keep', was {unexplained!r}")
    days = np.asarray(sessions, dtype="datetime64[D]")
    price, level = _positive_prices(days, close, adjusted, symbol)
    share = level / price
    factor = share[:-1] / share[1:]
    half_unit = 0.0 if decimals is None else 0.5 * 10.0**-decimals
    noise = tolerance + half_unit * (1.0 / level[:-1] + 1.0 / level[1:])
    found: list[tuple[np.datetime64, str, float]] = []
    for at in np.flatnonzero(np.abs(factor - 1.0) > noise).tolist():
        day = days[at + 1]
        move = _Move(float(factor[at]), float(price[at]), float(price[at + 1]), float(noise[at]), convention)
        split, cash = _explain(move, f"{symbol} at {day}", is_kept=unexplained == "keep")
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


@dataclass(frozen=True)
class _Move:
    """One day's factor, the closes before and on it, and the factor's noise."""

    factor: float
    previous: float
    close: float
    noise: float
    convention: str

    def cash(self, split: float) -> float:
        """Return the dividend per share as traded that is left beside a split."""
        return cash_paid(self.factor, self.previous, self.close, split, self.convention) / split

    def rounded_cash(self, split: float) -> float:
        """Return that dividend with the fewest decimals that the noise cannot tell from it."""
        cash = self.cash(split)
        if is_on_previous_close(self.convention):
            blur = self.previous * self.factor * self.noise
        else:
            blur = (self.close + cash) * self.noise
        shortest = (round(cash, digits) for digits in range(2, 6))
        return next((value for value in shortest if value > 0.0 and abs(value - cash) <= blur), round(cash, 6))


def _explain(move: _Move, place: str, *, is_kept: bool) -> tuple[float, float]:
    """Return (split ratio, dividend) of one day's factor; 1.0 and 0.0 where there is none."""
    # near one of the rarer ratios lies almost any number as soon as the prices are rounded
    ratios = np.array(SPLIT_RATIOS if move.noise <= SPLIT_ROUNDING else COMMON_SPLITS)
    leftover = 1.0 / (move.factor * ratios) - 1.0
    nearest = int(np.argmin(np.abs(leftover)))
    if abs(leftover[nearest]) <= max(move.noise, SPLIT_ROUNDING):
        return float(ratios[nearest]), 0.0
    if 0.0 < 1.0 / move.factor - 1.0 <= LARGEST_PLAIN_YIELD:
        return 1.0, move.rounded_cash(1.0)
    common = np.array(COMMON_SPLITS)
    beside = 1.0 / (move.factor * common) - 1.0
    candidates = np.flatnonzero((beside > 0.0) & (beside <= LARGEST_YIELD_WITH_SPLIT))
    if candidates.size and not is_kept:
        best = float(common[candidates[np.argmin(beside[candidates])]])
        return best, move.rounded_cash(best)
    if is_kept:
        return (1.0, move.rounded_cash(1.0)) if move.factor < 1.0 else (1.0 / move.factor, 0.0)
    raise BadRows(
        f"the adjusted close moves by a factor of {move.factor:.6g} beside the close for {place}; that is neither "
        "a known split ratio nor a dividend: give splits and dividends as columns of their own",
        rows=[{"place": place, "factor": move.factor, "close": move.close}],
        rule="explained_adjustment",
    )


def _positive_prices(
    days: NDArray[np.datetime64], close: ArrayLike, adjusted: ArrayLike, symbol: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    price, level = (np.asarray(values, dtype=np.float64) for values in (close, adjusted))
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
    return price, level


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
