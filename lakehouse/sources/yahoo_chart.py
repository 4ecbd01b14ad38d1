"""Reading Yahoo's chart answer: JSON with split-adjusted prices, back to as-traded bars and actions.

Yahoo's close is adjusted for splits and not for dividends; its dividends are split-adjusted too (its
`adjclose` is not used). The adjustment is undone with the splits of the same answer, which must therefore
reach from the first bar to the moment of the request.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.actions import later_splits
from lakehouse.errors import BadPayload
from lakehouse.sources.base import Parsed, stack_actions
from lakehouse.sources.limits import MAX_ROWS
from lakehouse.sources.quarantine import DAILY, MAX_BAD_SHARE, bad_bars, quarantine, set_aside
from lakehouse.sources.yahoo_answer import FIELDS, local_dates, one_row_a_time, price_rows, read_chart, read_events

if TYPE_CHECKING:
    import pandas as pd

SETTLED_AFTER = dt.timedelta(minutes=30)
"""How long after the session's end a bar may still change; Yahoo's slowest delayed feeds lag 20 minutes."""


def parse_chart(
    content: bytes,
    *,
    symbol: str,
    as_of: dt.datetime,
    max_bad_share: float = MAX_BAD_SHARE,
    max_rows: int = MAX_ROWS,
) -> Parsed:
    """Return the as-traded daily bars, the splits and the dividends of one chart answer.

    A session is the exchange's local date of a row's time stamp (its open). The bar of a session that had not
    ended when the answer was given (`as_of`, with `meta.regularMarketTime` before the session's end) is left
    out and counted. Rows with bad prices go the way of `lakehouse.sources.quarantine`.

    Raises
    ------
    Delisted, UnknownSymbol : Yahoo's own error says so.
    EmptyAnswer : no rows; suspect, since the request asked for a range with sessions.
    BadPayload : not a daily chart of this symbol in the known form, or more than `max_rows` rows.
    BadRows : too many unusable rows, or one session twice with different prices.
    """
    chart = read_chart(content, symbol, interval="1d")
    bars = price_rows(chart, symbol, max_rows=max_rows)
    counts: dict[str, int] = {}
    bars, counts["unfinished session"] = _finished(bars, chart["meta"], as_of, symbol)
    bars, counts["session given twice"] = one_row_a_time(bars, symbol)
    told = bars.drop(columns="stamp")
    bars, mended = quarantine(told, what=f"Yahoo's answer for {symbol}", max_bad_share=max_bad_share)
    splits, dividends, counts["capital gains left out"] = read_events(chart, symbol)
    factor = later_splits(bars["session"].to_numpy(), splits["ex_date"], splits["value"])
    for name in FIELDS[:4]:
        bars[name] *= factor
    bars["volume"] /= factor
    dividends["value"] *= later_splits(dividends["ex_date"].to_numpy(), splits["ex_date"], splits["value"])
    counts |= mended
    return Parsed(
        bars=bars,
        actions=stack_actions([splits, dividends]),
        counts={reason: n_rows for reason, n_rows in counts.items() if n_rows},
        bad=bad_bars(told),
        set_aside={DAILY: set_aside(told)},
    )


def _finished(bars: pd.DataFrame, meta: Mapping[str, Any], as_of: dt.datetime, symbol: str) -> tuple[pd.DataFrame, int]:
    """Leave out the bar of a session that had not ended at `as_of`; refuse bars after it."""
    if int(bars["stamp"].iloc[-1]) > as_of.timestamp() + 300:
        raise BadPayload(
            f"Yahoo's answer for {symbol} has a bar of {bars['session'].iloc[-1]:%Y-%m-%d}, after the "
            f"request of {as_of:%Y-%m-%d %H:%M} UTC"
        )
    try:
        period = meta["currentTradingPeriod"]["regular"]
        start, end = int(period["start"]), int(period["end"])
    except (KeyError, TypeError, ValueError):
        return bars, 0
    last_trade = meta.get("regularMarketTime")
    closed = isinstance(last_trade, int) and last_trade >= end
    if closed or as_of.timestamp() >= end + SETTLED_AFTER.total_seconds():
        return bars, 0
    session = local_dates([start], meta, symbol)[0]
    live = (bars["session"] >= session).to_numpy()
    return bars[~live].reset_index(drop=True), int(live.sum())
