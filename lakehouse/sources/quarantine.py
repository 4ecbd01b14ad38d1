"""What happens to a vendor's bad bars: mended where the harm is nil, left out where not, counted and kept as answered.

Rules, in this order, each row under the first that fits:

1. a row with a missing price is left out (`rows without prices`): vendors write them for sessions without
   trades;
2. a price that is not positive and finite, a negative volume, or a high below the low leaves the row out
   (`rows with impossible prices`);
3. an open or close outside [low, high] by at most `widen_rate` of its size (rounding, an auction price
   printed late) widens the range to hold it (`ranges widened to open and close`): open and close are what is
   traded and marked;
4. one further outside leaves the row out (`rows out of order`).

A missing volume becomes 0. `bad_bars` are the rows left out under 2 and 4, `set_aside` those left out under 1 and those
mended, all with their values as answered: each goes to core/quarantine.

More than `max_bad_share` of the rows left out under 2 and 4 is no glitch but a broken series: it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadRows
from lakehouse.price_rules import price_rules

if TYPE_CHECKING:
    import pandas as pd

WIDEN_RATE = 0.005
MAX_BAD_SHARE = 0.01
NO_PRICES = "no_prices"
MENDED = "mended:"
RANGE_WIDENED, VOLUME_MISSING = f"{MENDED}range_widened", f"{MENDED}volume_missing"
DAILY, MINUTES = "core/daily_bars", "core/minute_bars"
_PRICES = ["open", "high", "low", "close"]


def quarantine(
    bars: pd.DataFrame,
    *,
    what: str,
    widen_rate: float = WIDEN_RATE,
    max_bad_share: float = MAX_BAD_SHARE,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the usable bars, in their order, and the counts of what was mended or left out.

    Missing volume becomes 0.

    Parameters
    ----------
    bars : symbol, session, open, high, low, close, volume
    what : named in errors
    widen_rate : fraction of the price by which open or close may lie outside [low, high]
    max_bad_share : fraction of the rows that may be unusable

    Raises
    ------
    BadRows : more rows than that are unusable.
    """
    found = _judged(bars, widen_rate)
    missing, impossible, far, bad = found.missing, found.impossible, found.far, found.bad
    if bad.sum() > max_bad_share * len(bars):
        rows = bars[bad].head(10)
        first = rows.iloc[0]
        values = ", ".join(f"{name} {first[name]:.10g}" for name in (*_PRICES, "volume"))
        raise BadRows(
            f"{int(bad.sum())} of {len(bars)} rows of {what} are unusable (more than {max_bad_share:.2%}), "
            f"first {first['session']:%Y-%m-%d}: {values}; use another source for it, or raise max_bad_share",
            rule="few_bad_rows",
            rows=rows.to_dict("records"),
        )
    mended = bars.assign(high=found.highest, low=found.lowest, volume=found.volume)
    counts = {
        "rows without prices": int(missing.sum()),
        "rows with impossible prices": int(impossible.sum()),
        "ranges widened to open and close": int(found.near.sum()),
        "rows out of order": int(far.sum()),
    }
    kept = mended[~(missing | bad)].reset_index(drop=True)
    return kept, {reason: n_rows for reason, n_rows in counts.items() if n_rows}


def bad_bars(bars: pd.DataFrame, *, widen_rate: float = WIDEN_RATE) -> pd.DataFrame:
    """Return the bars that `quarantine` leaves out because they break a rule; missing prices break none."""
    found = _judged(bars, widen_rate)
    return bars.assign(volume=found.volume)[found.bad].reset_index(drop=True)


def set_aside(bars: pd.DataFrame, *, widen_rate: float = WIDEN_RATE) -> pd.DataFrame:
    """Return the bars, as answered and with a `reason`, that `quarantine` mends, or leaves out without a broken rule.

    Reasons are `no_prices`, `mended:range_widened` and `mended:volume_missing`; a bar mended in both ways is there
    twice.
    """
    import pandas as pd

    found = _judged(bars, widen_rate)
    is_kept = ~(found.missing | found.bad)
    reasons = {
        NO_PRICES: found.missing,
        RANGE_WIDENED: found.near,
        VOLUME_MISSING: is_kept & bars["volume"].isna().to_numpy(),
    }
    rows = [bars[mask].assign(reason=reason) for reason, mask in reasons.items() if mask.any()]
    return pd.concat(rows, ignore_index=True) if rows else bars.iloc[:0].assign(reason=pd.Series(dtype="str"))


def minutes_set_aside(bars: pd.DataFrame, *, widen_rate: float = WIDEN_RATE) -> pd.DataFrame:
    """Return the minute bars that `quarantine` leaves out or mends, as answered, with `bar_end` and `reason`.

    Beside the reasons of `set_aside` there is, for bars that break a rule, the first one of `price_rules`.

    Parameters
    ----------
    bars : symbol, session (the minute's end, datetime64 in UTC), open, high, low, close, volume
    """
    import pandas as pd

    bad = bars[_judged(bars, widen_rate).bad]
    reasons = pd.DataFrame(price_rules(bad), index=bad.index).idxmax(axis=1) if len(bad) else ""
    parts = [bad.assign(reason=reasons), set_aside(bars, widen_rate=widen_rate)]
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    ends = rows["session"].astype("datetime64[us]").dt.tz_localize("UTC")
    return rows.drop(columns="session").assign(bar_end=ends)


class _Judged(NamedTuple):
    """Which rows fall under which rule (bool[n_rows]), and what the mended ones become (float64[n_rows])."""

    missing: NDArray[np.bool_]
    impossible: NDArray[np.bool_]
    near: NDArray[np.bool_]
    far: NDArray[np.bool_]
    highest: NDArray[np.float64]
    lowest: NDArray[np.float64]
    volume: NDArray[np.float64]

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Rows that are left out although they have prices."""
        return self.impossible | self.far


def _judged(bars: pd.DataFrame, widen_rate: float) -> _Judged:
    open_, high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in _PRICES)
    volume = np.nan_to_num(bars["volume"].to_numpy(dtype=np.float64), nan=0.0, posinf=np.inf)
    prices = np.column_stack([open_, high, low, close])
    missing = np.isnan(prices).any(axis=1)
    usable = (np.isfinite(prices) & (prices > 0.0)).all(axis=1) & (high >= low)
    impossible = ~missing & ~(usable & np.isfinite(volume) & (volume >= 0.0))
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = np.maximum(top / high - 1.0, 1.0 - bottom / low)
    disorder = ~missing & ~impossible & (outside > 0.0)
    far = disorder & (outside > widen_rate)
    return _Judged(missing, impossible, disorder & ~far, far, np.maximum(high, top), np.minimum(low, bottom), volume)
