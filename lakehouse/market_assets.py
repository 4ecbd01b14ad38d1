"""Which securities the columns of bars are: a ticker given away is two, a company with a new ticker is one.

    bars, assets = by_security(bars, day, securities=securities)

Where `core/listings` tells of a symbol, its ranges decide. What it does not tell of is cut at a silence longer than
`MAX_GAP_DAYS`, and where bars come back after a delisting: what follows is another security, as in
`lakehouse.listing`.

A column has its security's last ticker. Of several with the same one, the one that traded last keeps it plain; an
earlier one has the month of its last bar behind it, as XYZ~2007-06. No ticker holds a tilde.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import Bars
from lakehouse.columns import Ints, days, numbered
from lakehouse.errors import BadRows
from lakehouse.listing import MAX_GAP_DAYS, silences
from lakehouse.listing.traces import NEAR_DAYS
from lakehouse.securities import NO_END, Securities

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NO_ASSET = -1
_PANELS = ("open", "high", "low", "close", "volume")
_EPOCH = dt.date(1970, 1, 1)
_Key = tuple[str, int]


class Stretch(NamedTuple):
    """A symbol means an asset over [start, end), days since 1970; an asset without bars is NO_ASSET."""

    start: int
    end: int
    asset: int


@dataclass(frozen=True)
class MarketAssets:
    """The securities that are the columns of bars.

    Attributes
    ----------
    labels : one a column, sorted
    stretches : by symbol, in order of time, apart from each other
    first_day, last_day : int64[n_assets], of the bars, since 1970
    securities : what else is known of symbols, those without bars too
    """

    labels: tuple[str, ...]
    stretches: Mapping[str, Sequence[Stretch]]
    first_day: Ints
    last_day: Ints
    securities: Securities | None
    numbers: Mapping[_Key, int]

    def of(self, symbol: str) -> Sequence[Stretch]:
        """Return what a symbol meant when; also one that has no bars of its own, where listings tell of it."""
        found = self.stretches.get(symbol)
        if found is not None or self.securities is None:
            return found or ()
        return [
            Stretch(start, end, self.numbers.get((security_id, 0), NO_ASSET))
            for start, end, security_id in self.securities.ranges_of(symbol)
        ]

    def only(self, columns: Sequence[int]) -> MarketAssets:
        """Return some of the assets, by number in increasing order; symbols keep what they mean of them."""
        place = {column: number for number, column in enumerate(columns)}
        return MarketAssets(
            labels=tuple(self.labels[column] for column in columns),
            stretches={
                symbol: [stretch._replace(asset=place.get(stretch.asset, NO_ASSET)) for stretch in found]
                for symbol, found in self.stretches.items()
            },
            first_day=self.first_day[list(columns)],
            last_day=self.last_day[list(columns)],
            securities=self.securities,
            numbers={key: place[number] for key, number in self.numbers.items() if number in place},
        )

    def is_whole(self, symbol: str) -> bool:
        """Return whether all bars of a symbol are one security's."""
        return len({stretch.asset for stretch in self.of(symbol)}) == 1

    def on(self, symbols: pa.ChunkedArray, day: Ints) -> Ints:
        """Return the asset that each row's symbol meant on its day, NO_ASSET where it meant none with bars."""
        names, number = numbered(symbols)
        order = np.argsort(number, kind="stable")
        edges = np.searchsorted(number[order], np.arange(len(names) + 1))
        answer = np.full(len(number), NO_ASSET, dtype=np.int64)
        for at, symbol in enumerate(names.to_pylist()):
            own = order[edges[at] : edges[at + 1]]
            for start, end, asset in self.of(symbol):
                answer[own[(day[own] >= start) & (day[own] < end)]] = asset
        return answer

    @cached_property
    def tickers(self) -> Mapping[int, Sequence[tuple[int, int, str]]]:
        """The symbols of each asset that have bars, each over [start, end), in order of time."""
        found: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
        for symbol, stretches in self.stretches.items():
            for start, end, asset in stretches:
                found[asset].append((start, end, symbol))
        return {asset: sorted(own) for asset, own in found.items()}

    def ticker(self, asset: int, day: int) -> str:
        """Return the symbol under which an asset has the bar of a day."""
        return next(symbol for start, end, symbol in self.tickers[asset] if start <= day < end)

    def held(self, symbol: str, day: int, *, is_end: bool) -> int:
        """Return the asset whose holders an action under the symbol is about.

        It is the one that the symbol means on the ex-date, at a delisting the day before; else the one it meant last
        before, since sources tell of a renamed or ended security under its old ticker, too.
        """
        found = NO_ASSET
        for start, end, asset in self.of(symbol):
            # An asset cannot end before its first bar: that was an earlier holder, whose bars are not among these.
            if is_end and asset != NO_ASSET and self.first_day[asset] >= day:
                continue
            if start <= day - is_end < end:
                return asset
            if start < day:
                found = asset
        return found

    def named_actions(self, actions: pa.Table) -> pd.DataFrame:
        """Return the actions with the column's label as symbol; those of securities without bars are left out.

        What is told of a security under two symbols for the same day counts once, as the symbol of that day has it.

        Parameters
        ----------
        actions : symbol, ex_date, kind and value of core/corporate_actions
        """
        frame = actions.select(["symbol", "ex_date", "kind", "value"]).to_pandas()
        on_day = days(actions.column("ex_date")).tolist()
        columns = (frame["symbol"], on_day, frame["kind"])
        asset = [self.held(symbol, day, is_end=kind == "delisting") for symbol, day, kind in zip(*columns, strict=True)]
        direct = self.on(actions.column("symbol"), np.array(on_day, dtype=np.int64))
        frame = frame.assign(asset=asset, is_direct=direct == np.array(asset, dtype=np.int64))
        frame = frame[frame["asset"] != NO_ASSET]
        preferred = frame.sort_values("is_direct", ascending=False, kind="stable")
        kept = preferred.drop_duplicates(["asset", "ex_date", "kind"]).index
        frame = frame[frame.index.isin(kept)]
        labels = [self.labels[number] for number in frame["asset"]]
        return frame.assign(symbol=labels)[["symbol", "ex_date", "kind", "value"]].reset_index(drop=True)


def by_security(
    bars: Bars,
    day: Ints,
    *,
    securities: Securities | None = None,
    delistings: Iterable[tuple[str, int]] = (),
) -> tuple[Bars, MarketAssets]:
    """Return the bars with a column a security instead of a symbol; the same bars where each symbol is one.

    Parameters
    ----------
    bars : a column a symbol
    day : int64[n_bars], the bars' sessions, since 1970
    securities : of core/listings; None where there are none
    delistings : symbol and ex-date, since 1970, of those known

    Raises
    ------
    BadRows : a security has two bars on one session, under two symbols.
    """
    gone: defaultdict[str, list[int]] = defaultdict(list)
    for symbol, ex_date in delistings:
        gone[symbol].append(ex_date)
    # By symbol, since a column of a matrix by bar lies scattered.
    present = np.ascontiguousarray(~np.isnan(bars.close).T)
    pieces: dict[str, list[tuple[int, int, _Key]]] = {}
    seen: dict[_Key, list[tuple[int, int, str, int]]] = defaultdict(list)
    for column, symbol in enumerate(bars.symbols):
        own = day[present[column]]
        ranges = () if securities is None else securities.ranges_of(symbol)
        listed = [(start, end, (security_id, 0)) for start, end, security_id in ranges]
        pieces[symbol] = sorted([*listed, *_untold(symbol, own, listed, sorted(gone[symbol]))])
        for start, end, key in pieces[symbol]:
            first, past = np.searchsorted(own, (start, end)).tolist()
            if first < past:
                seen[key].append((int(own[past - 1]), int(own[first]), symbol, column))
    labels = _labels(seen)
    order = sorted(seen, key=labels.__getitem__)
    numbers = {key: number for number, key in enumerate(order)}
    assets = MarketAssets(
        labels=tuple(labels[key] for key in order),
        stretches={
            symbol: [Stretch(start, end, numbers.get(key, NO_ASSET)) for start, end, key in found]
            for symbol, found in pieces.items()
        },
        first_day=np.array([min(first for _, first, *_ in seen[key]) for key in order], dtype=np.int64),
        last_day=np.array([max(last for last, *_ in seen[key]) for key in order], dtype=np.int64),
        securities=securities,
        numbers=numbers,
    )
    if assets.labels == bars.symbols and all(len(found) == 1 for found in seen.values()):
        return bars, assets
    return _regrouped(bars, day, present, assets), assets


def _untold(
    symbol: str, own: Ints, listed: Sequence[tuple[int, int, _Key]], gone: Sequence[int]
) -> Iterator[tuple[int, int, _Key]]:
    """Yield the stretches of a symbol's bars that no listing tells of: each is a security of its own."""
    free = own.copy()
    for start, end, _ in listed:
        free = free[(free < start) | (free >= end)]
    if not len(free):
        return
    if not listed and not gone and not silences(free, MAX_GAP_DAYS):
        yield -NO_END, NO_END, (symbol, 1)
        return
    begins = np.array([start for start, *_ in listed], dtype=np.int64)
    cuts = {*silences(free, MAX_GAP_DAYS), *_after(free, gone)}
    cuts |= set((np.flatnonzero(np.diff(np.searchsorted(begins, free))) + 1).tolist())
    runs = [(int(free[begin]), symbol_part) for symbol_part, begin in enumerate([0, *sorted(cuts)], start=1)]
    edges = sorted([*(first for first, _ in runs), *begins.tolist()])
    for first, number in runs:
        # Before its first bar a symbol means what its first bar is, as far as nothing tells otherwise.
        start = -NO_END if first == edges[0] else first
        end = next((edge for edge in edges if edge > first), NO_END)
        yield start, end, (symbol, number)


def _after(own: Ints, gone: Sequence[int]) -> list[int]:
    """Return the places at which bars come back after a delisting; bars just after it are the vendor's delay."""
    back = silences(own, NEAR_DAYS)
    return [at for at in back if any(own[at - 1] - NEAR_DAYS <= ex_date <= own[at] for ex_date in gone)]


def _labels(seen: Mapping[_Key, Sequence[tuple[int, int, str, int]]]) -> dict[_Key, str]:
    """Return the name of each column: the last ticker, with the month of the last bar where a later one has it."""
    by_ticker: defaultdict[str, list[tuple[int, _Key]]] = defaultdict(list)
    for key, found in seen.items():
        last, _, symbol, _ = max(found)
        by_ticker[symbol].append((last, key))
    labels: dict[_Key, str] = {}
    for symbol, held in by_ticker.items():
        held.sort(reverse=True)
        labels[held[0][1]] = symbol
        taken = {symbol}
        for last, key in held[1:]:
            day = _EPOCH + dt.timedelta(days=last)
            names = (f"{symbol}~{day:%Y-%m}", f"{symbol}~{day}", f"{symbol}~{day}~{key[0]}")
            labels[key] = next(name for name in names if name not in taken)
            taken.add(labels[key])
    return labels


def _regrouped(bars: Bars, day: Ints, present: NDArray[np.bool_], assets: MarketAssets) -> Bars:
    shape = (bars.n_bars, len(assets.labels))
    panels: dict[str, Any] = {name: np.full(shape, np.nan) for name in _PANELS}
    for column, symbol in enumerate(bars.symbols):
        for start, end, asset in assets.stretches[symbol]:
            rows = np.flatnonzero(present[column] & (day >= start) & (day < end))
            if not len(rows):
                continue
            twice = rows[~np.isnan(panels["close"][rows, asset])]
            if len(twice):
                raise BadRows(
                    f"{assets.labels[asset]} has two bars on {_EPOCH + dt.timedelta(days=int(day[twice[0]]))}, under "
                    f"{_other(bars, assets, asset, int(twice[0]), column)} and {symbol}; keep one source's",
                    rule="keys_unique",
                )
            for name in _PANELS:
                panels[name][rows, asset] = getattr(bars, name)[rows, column]
    return Bars(**panels, bar_end=bars.bar_end, symbols=assets.labels)


def _other(bars: Bars, assets: MarketAssets, asset: int, row: int, column: int) -> str:
    """Return the symbol before a column under which an asset has a bar, too."""
    before = (symbol for at, symbol in enumerate(bars.symbols[:column]) if not np.isnan(bars.close[row, at]))
    return next(symbol for symbol in before if any(found.asset == asset for found in assets.stretches[symbol]))


def delistings_in(actions: pa.Table) -> list[tuple[str, int]]:
    """Return symbol and ex-date, since 1970, of the delistings among rows of core/corporate_actions."""
    rows = zip(
        actions.column("symbol").to_pylist(),
        actions.column("kind").to_pylist(),
        days(actions.column("ex_date")).tolist(),
        strict=True,
    )
    return [(symbol, ex_date) for symbol, kind, ex_date in rows if kind == "delisting"]


__all__ = ["NO_ASSET", "MarketAssets", "Stretch", "by_security", "delistings_in"]
