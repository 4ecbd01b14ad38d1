"""Bars in the order of their history, and the corporate actions that lie between them.

Everything here is arrays over all symbols at once: half a thousand symbols of ten years are adjusted in about
a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lakehouse.columns import Ints, days, microseconds, numbered
from lakehouse.errors import BadRows

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]

_DAY_BITS = 24
"""Days since 1970, shifted to be positive, fit; so a symbol's number and a day make one sortable integer."""
_DAY_ZERO = 1 << (_DAY_BITS - 1)


@dataclass(frozen=True)
class History:
    """Bars by symbol and session.

    names : the symbols
    order : int64[n_bars] or None; the stored row of each bar, None where they are stored in this order
    starts : int64[n_symbols], the first bar of each symbol; ascending
    key : int64[n_bars], symbol and session as one ascending number
    close : float64[n_bars]
    known_at : int64[n_bars], microseconds since 1970
    """

    names: pa.Array
    order: Ints | None
    starts: Ints
    key: Ints
    close: Floats
    known_at: Ints

    @property
    def n_bars(self) -> int:
        """Number of bars."""
        return len(self.key)

    @property
    def ends(self) -> Ints:
        """int64[n_symbols], one past the last bar of each symbol."""
        return np.append(self.starts[1:], self.n_bars)

    def as_stored(self, values: Floats) -> Floats:
        """Return values of the bars in the order of the stored rows."""
        if self.order is None:
            return values
        stored = np.empty_like(values)
        stored[self.order] = values
        return stored

    def place(self, bar: int) -> str:
        """Return symbol and session of a bar, for an error's text."""
        number, day = divmod(int(self.key[bar]), 1 << _DAY_BITS)
        return f"{self.names[number].as_py()} at {np.datetime64(day - _DAY_ZERO, 'D')}"


@dataclass(frozen=True)
class Moves:
    """Splits and dividends between bars, by bar and then in the order they take effect.

    bar : int64[n_moves], the first bar without the entitlement; never the first of a symbol
    is_split : bool[n_moves], else a dividend
    value : float64[n_moves]
    known_at : int64[n_moves], microseconds since 1970
    """

    bar: Ints
    is_split: NDArray[np.bool_]
    value: Floats
    known_at: Ints

    def part(self, rows: NDArray[Any]) -> Moves:
        """Return some of the moves, by number or mask."""
        return Moves(self.bar[rows], self.is_split[rows], self.value[rows], self.known_at[rows])

    def merged(self) -> Events:
        """Return the moves of each bar as one event."""
        first = np.flatnonzero(changes(self.bar))
        size = np.diff(np.append(first, len(self.bar)))
        shares, cash = np.ones(len(first)), np.zeros(len(first))
        for step in range(int(size.max(initial=0))):
            there = np.flatnonzero(size > step)
            row = first[there] + step
            cash[there] += np.where(self.is_split[row], 0.0, self.value[row] * shares[there])
            shares[there] *= np.where(self.is_split[row], self.value[row], 1.0)
        return Events(self.bar[first], shares, cash)


@dataclass(frozen=True)
class Events:
    """What a share becomes on the way to a bar.

    bar : int64[n_events], ascending, each once
    shares : float64[n_events], what one share held at the previous bar has become
    cash : float64[n_events], what that share was paid
    """

    bar: Ints
    shares: Floats
    cash: Floats


def history(bars: pa.Table, *, by: str = "symbol") -> History:
    """Return the bars in the order of their history.

    Raises
    ------
    BadRows : a symbol has a session twice.
    """
    names, codes = numbered(bars.column(by))
    key = (codes << _DAY_BITS) + days(bars.column("session")) + _DAY_ZERO
    close = bars.column("close").to_numpy()
    known_at = microseconds(bars.column("known_at"))
    order = None
    if len(key) > 1 and not (key[1:] > key[:-1]).all():
        order = _order(key)
        key, close, known_at = key[order], close[order], known_at[order]
    starts = np.flatnonzero(changes(key >> _DAY_BITS))
    found = History(names, order, starts, key, close, known_at)
    twice = np.flatnonzero(key[1:] == key[:-1])
    if twice.size:
        place = found.place(int(twice[0]))
        raise BadRows(f"a session must have one bar, two were given for {place}", rule="keys_unique")
    return found


def moves(bars: History, actions: pa.Table, *, by: str = "symbol") -> Moves:
    """Return the splits and dividends between the first and the last bar of each symbol.

    An action on a day without a bar counts at the next one. Before the first bar and after the last there is
    nothing to adjust. On one ex-date a dividend comes before a split, being cash per share held before it;
    over several days without a bar, a dividend is paid on the shares a split has left.

    Raises
    ------
    BadRows : a value that is not positive.
    """
    import pyarrow.compute as pc

    number = pc.index_in(actions.column(by), value_set=bars.names)
    kinds = pc.is_in(actions.column("kind"), value_set=_kinds())
    actions, number = (part.filter(pc.and_(kinds, pc.is_valid(number))) for part in (actions, number))
    code = number.to_numpy().astype(np.int64)
    day = days(actions.column("ex_date"))
    is_split = pc.equal(actions.column("kind"), "split").to_numpy()
    value = actions.column("value").to_numpy()
    known_at = microseconds(actions.column("known_at"))
    _check_values(value, actions)
    bar = np.searchsorted(bars.key, (code << _DAY_BITS) + day + _DAY_ZERO)
    inside = (bar > bars.starts[code]) & (bar < bars.ends[code]) if len(code) else np.zeros(0, dtype=bool)
    order = np.lexsort((is_split, day, bar))
    order = order[inside[order]]
    return Moves(bar, is_split, value, known_at).part(order)


def cumulative(bars: History, at: Ints, multiplier: Floats, *, direction: Literal["later", "so far"]) -> Floats:
    """Return, for each bar, the product of its symbol's multipliers: float64[n_bars].

    later : of the events after the bar
    so far : of the events up to the bar; the product runs forward in time, so that it is the same to the last
        bit whatever comes later

    Parameters
    ----------
    at : int64[n_events], the events' bars, ascending, each once and no first bar of a symbol
    """
    count = np.searchsorted(at, bars.ends) - np.searchsorted(at, bars.starts)
    stretch = np.arange(int(count.max(initial=0)) + 1)
    # stretch s of a symbol lies between its events s - 1 and s
    table: Floats = np.ones((len(count), len(stretch)))
    if direction == "so far":
        table[(stretch >= 1) & (stretch <= count[:, np.newaxis])] = multiplier
        np.cumprod(table, axis=1, out=table)
    else:
        table[stretch < count[:, np.newaxis]] = multiplier
        np.cumprod(table[:, ::-1], axis=1, out=table[:, ::-1])
    edges = np.sort(np.concatenate([bars.starts, at, [bars.n_bars]]))
    return np.repeat(table[stretch <= count[:, np.newaxis]], np.diff(edges))


def changes(values: Ints) -> NDArray[np.bool_]:
    """Return where a value differs from the one before; the first one does."""
    differs = np.ones(len(values), dtype=bool)
    differs[1:] = values[1:] != values[:-1]
    return differs


def _check_values(value: Floats, actions: pa.Table) -> None:
    bad = np.flatnonzero(~(np.isfinite(value) & (value > 0.0)))
    if bad.size:
        row = actions.slice(int(bad[0]), 1).to_pylist()[0]
        raise BadRows(
            f"a {row['kind']} must be positive, was {row['value']} for {row['symbol']} at {row['ex_date']}",
            rule="positive_actions",
            rows=[row],
        )


def _kinds() -> pa.Array:
    import pyarrow as pa

    return pa.array(["split", "dividend"])


def _order(key: Ints) -> NDArray[Any]:
    """Return the sorting order. 16 bits are sorted in linear time; rows in the order of the lake need one pass."""
    code = _narrow(key >> _DAY_BITS)
    order = np.argsort(code, kind="stable")
    if (np.diff(key[order]) > 0).all():
        return order
    day = key & ((1 << _DAY_BITS) - 1)
    by_day = np.argsort(_narrow(day - day.min()), kind="stable")
    return by_day[np.argsort(code[by_day], kind="stable")]


def _narrow(values: Ints) -> NDArray[Any]:
    return values.astype(np.uint16) if values.max() < 1 << 16 else values
