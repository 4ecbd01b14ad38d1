"""Daily bars as a reader wants them: as traded, or adjusted with the actions known at a moment.

Storage holds prices as traded. Adjusted ones are made here, each time they are read:

- as_traded     what was paid on the day.
- split         in the shares of the last bar: prices over, and volume times, the ratios of all later splits.
- total_return  as split, and prices times the factor of each later dividend by a vendor's convention
                (`lakehouse.adjusting.conventions`), so that the close grows with the total return.
- forward       the forward total-return index: begins at the first close and grows with each total return. Prices
                times the shares that one share of the first bar has become with all dividends put back into it;
                volume in shares of the first bar.

The last bar of `split` and `total_return` is as traded, so their past changes with every new action: levels are
comparable within one reading only. The past of `forward` never changes: an action counts at the first bar, on or
after its ex-date, that was known no earlier than the action. That is the ex-date's own bar unless a vendor was
late, and then the index moves when a reader could know, not when it should have.

Rows known after `as_of`, bars or actions, are left out. Delistings change no price: there is no bar after them.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from lakehouse.adjusting.conventions import Convention, factors, is_on_previous_close
from lakehouse.adjusting.events import Events, Floats, History, Moves, changes, cumulative, history, moves
from lakehouse.columns import Ints, known
from lakehouse.errors import BadRows, LakeError

if TYPE_CHECKING:
    import pyarrow as pa

How = Literal["as_traded", "split", "total_return", "forward"]
PRICES = ("open", "high", "low", "close")


def adjust_bars(
    bars: pa.Table,
    actions: pa.Table,
    *,
    how: How,
    as_of: dt.datetime,
    convention: Convention = "crsp",
    by: str = "symbol",
) -> pa.Table:
    """Return the bars known at `as_of`, in the order given, with adjusted prices and volume.

    Parameters
    ----------
    bars : columns of core/daily_bars, at least session, open, high, low, close, volume, known_at and `by`; all
        of a symbol's bars that later actions are to be measured by. Other columns are kept.
    actions : columns of core/corporate_actions: ex_date, kind, value, known_at and `by`; dividends in cash per
        share held at the previous close. Those of other symbols and other kinds are left alone.
    how : one of the four above
    as_of : the moment of knowledge, with its time zone
    convention : whose dividend factor `total_return` uses; the index has no choice
    by : the column that says which rows belong together: symbol, or security_id of
        `lakehouse.securities.Securities.with_ids`, which goes on where a symbol changes

    Raises
    ------
    LakeError : an unknown `how` or convention, or an `as_of` without time zone.
    BadRows : a session twice, an action that is not positive, or under yahoo a dividend that is not below the
        previous close.
    """
    if how not in get_args(How):
        raise LakeError(f"bars are read {', '.join(get_args(How))}; was {how!r}{nearest(str(how), get_args(How))}")
    is_on_previous_close(convention)
    bars, actions = known(bars, as_of), known(actions, as_of)
    if how == "as_traded":
        return bars
    ordered = history(bars, by=by)
    between = moves(ordered, actions, by=by)
    if how == "forward":
        price, units = _forward(ordered, between)
    else:
        found = between.merged()
        units = cumulative(ordered, found.bar, found.shares, direction="later")
        if how == "split":
            price = 1.0 / units
        else:
            price = cumulative(ordered, found.bar, _factors(ordered, found, convention), direction="later")
    return _scaled(bars, ordered.as_stored(price), ordered.as_stored(units))


def _factors(bars: History, found: Events, convention: str) -> Floats:
    previous = bars.close[found.bar - 1]
    answer = factors(previous, bars.close[found.bar], found.shares, found.cash, convention)
    bad = np.flatnonzero(~(answer > 0.0))
    if bad.size:
        at = int(bad[0])
        raise BadRows(
            f"under {convention} a dividend must be below the previous close of {previous[at]}, was "
            f"{found.cash[at]} for {bars.place(int(found.bar[at]))}; use the convention crsp",
            rule="dividend_below_price",
        )
    return answer


def _forward(bars: History, found: Moves) -> tuple[Floats, Floats]:
    """Return the factor on prices and that on volume of the forward index."""
    seen, is_there = _seen_at(bars, found)
    found, seen = found.part(is_there), seen[is_there]
    group = np.cumsum(changes(found.bar), dtype=np.int64)
    is_late = np.isin(group, group[seen > found.bar])
    on_time = found.part(~is_late).merged()
    growth = on_time.shares + on_time.cash / bars.close[on_time.bar]
    at, bar, shares = on_time.bar, on_time.bar, on_time.shares
    if is_late.any():
        edges = np.flatnonzero(changes(group[is_late]))[1:]
        parts = np.split(np.flatnonzero(is_late), edges)
        waves = np.concatenate([_in_waves(bars, found.part(rows), seen[rows]) for rows in parts])
        at, bar = (np.append(one, waves[:, place].astype(np.int64)) for one, place in ((at, 0), (bar, 1)))
        growth, shares = (np.append(one, waves[:, place]) for one, place in ((growth, 2), (shares, 3)))
    order = np.lexsort((bar, at))
    at, growth, shares = at[order], growth[order], shares[order]
    first = np.flatnonzero(changes(at))
    if len(at):
        growth, shares = (np.multiply.reduceat(values, first) for values in (growth, shares))
    price, held = (cumulative(bars, at[first], values, direction="so far") for values in (growth, shares))
    return price, 1.0 / held


def _in_waves(bars: History, found: Moves, seen: Ints) -> NDArray[np.float64]:
    """Return what the moves of one bar add each time more of them are known.

    float64[n_waves, 4]: the bar that sees it, the bar they belong to, the growth and the shares it adds.
    """
    close = float(bars.close[found.bar[0]])
    waves, before, held = [], 1.0, 1.0
    for at in np.unique(seen):
        so_far = found.part(seen <= at).merged()
        shares, cash = float(so_far.shares[0]), float(so_far.cash[0])
        worth = shares + cash / close
        waves.append((float(at), float(found.bar[0]), worth / before, shares / held))
        before, held = worth, shares
    return np.array(waves)


def _seen_at(bars: History, found: Moves) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the first bar known no earlier than each move, and whether there is one yet."""
    at, is_there = found.bar.copy(), np.ones(len(found.bar), dtype=bool)
    late = np.flatnonzero(found.known_at > bars.known_at[at])
    symbol = np.searchsorted(bars.starts, at[late], side="right") - 1
    for number in np.unique(symbol):
        rows = late[symbol == number]
        start, end = int(bars.starts[number]), int(bars.ends[number])
        known_so_far = np.maximum.accumulate(bars.known_at[start:end])
        seen = start + np.searchsorted(known_so_far, found.known_at[rows])
        is_there[rows] = seen < end
        at[rows] = np.maximum(seen, at[rows])
    return at, is_there


def _scaled(bars: pa.Table, price: Floats, units: Floats) -> pa.Table:
    """Return the bars with prices and volume times their factors, row by row."""
    import pyarrow as pa

    for name, factor in [*((name, price) for name in PRICES), ("volume", units)]:
        place = bars.schema.get_field_index(name)
        values = pa.array(bars.column(name).to_numpy() * factor)
        bars = bars.set_column(place, bars.schema.field(name), values)
    return bars
