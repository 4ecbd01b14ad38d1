"""The security master: which security a symbol means on a day, and the bars of one security across its symbols.

    listings = build_listings(bars, as_of=now, histories=[...], companies=[...])
    securities = Securities(listings, as_of=now)
    securities.resolve("FB", date(2020, 1, 2))                       # "cik:1326801"
    securities.resolve("META", date(2023, 1, 3))                     # the same
    securities.symbols_of("cik:1326801", date(2020, 1, 2))           # ("FB",)
    securities.bars_of("cik:1326801", bars)                          # from 2012 on, under both symbols

How the facts become listings is in `lakehouse.listing`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from lakehouse.columns import days, known, numbered
from lakehouse.errors import BadRows, UnknownSymbol
from lakehouse.listing import build_listings, one_spelling

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NO_END", "Range", "Securities", "build_listings"]

_EPOCH = dt.date(1970, 1, 1)
NO_END = 1 << 30
"""The end of a range, in days since 1970, that has none."""


class Range(NamedTuple):
    """A listing's days, [start, end), since 1970, and its security."""

    start: int
    end: int
    security_id: str


class Securities:
    """Symbols and securities as known at a moment: an end that was not known yet is no end.

    A symbol may be written with any separator before its share class: BRK.B, BRK-B, BRK_B or BRK/B.

    Parameters
    ----------
    listings : rows of core/listings
    as_of : the moment of knowledge, with its time zone

    Raises
    ------
    BadRows : a symbol means two securities on one day.
    LakeError : `as_of` has no time zone.
    """

    def __init__(self, listings: pa.Table, *, as_of: dt.datetime) -> None:
        self._by_symbol: defaultdict[str, list[Range]] = defaultdict(list)
        self._by_security: defaultdict[str, list[tuple[str, Range]]] = defaultdict(list)
        for row in known(listings, as_of).to_pylist():
            has_end = row["end"] is not None and row["end_known_at"] <= as_of
            end = (row["end"] - _EPOCH).days if has_end else NO_END
            days_of = Range((row["start"] - _EPOCH).days, end, row["security_id"])
            self._by_symbol[one_spelling(row["symbol"])].append(days_of)
            self._by_security[row["security_id"]].append((row["symbol"], days_of))
        for symbol, ranges in self._by_symbol.items():
            ranges.sort()
            _check_apart(symbol, ranges)

    def __repr__(self) -> str:
        return f"Securities({len(self._by_security)} securities, {len(self._by_symbol)} symbols)"

    def resolve(self, symbol: str, day: dt.date) -> str:
        """Return the security that the symbol meant on the day.

        Raises
        ------
        UnknownSymbol : none; tells when the symbol meant one, or the nearest symbol.
        """
        ranges = self._by_symbol.get(one_spelling(symbol), [])
        number = (day - _EPOCH).days
        for found in ranges:
            if found.start <= number < found.end:
                return found.security_id
        if not ranges:
            raise UnknownSymbol(f"no listing has the symbol {symbol!r}{nearest(symbol, self._by_symbol)}")
        raise UnknownSymbol(f"{symbol} meant no security on {day}; it did over {', '.join(map(_text, ranges))}")

    def ranges_of(self, symbol: str) -> tuple[Range, ...]:
        """Return when the symbol meant which security, in order of time and apart; empty where no listing has it."""
        found: list[Range] = []
        for start, end, security_id in self._by_symbol.get(one_spelling(symbol), ()):
            if found and start <= found[-1].end and security_id == found[-1].security_id:
                found[-1] = found[-1]._replace(end=max(end, found[-1].end))
            else:
                found.append(Range(start, end, security_id))
        return tuple(found)

    def within(self, first: int, after: int) -> list[tuple[str, int, int, str]]:
        """Return symbol, start, end and security of all that is told of days in [first, after), cut to them; sorted."""
        return sorted(
            {
                (symbol, max(found.start, first), min(found.end, after), security_id)
                for security_id, listings in self._by_security.items()
                for symbol, found in listings
                if found.start < after and first < found.end
            }
        )

    def related(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols, and all those of the securities they ever meant; sorted, as listings spell them."""
        own = set(symbols)
        ids = {found.security_id for symbol in own for found in self.ranges_of(symbol)}
        return sorted(own | {symbol for security_id in ids for symbol, _ in self._by_security[security_id]})

    def symbols_of(self, security_id: str, day: dt.date) -> tuple[str, ...]:
        """Return the symbols of a security on the day, sorted: one, where sources spell it alike, or none.

        Raises
        ------
        UnknownSymbol : no such security; names the nearest.
        """
        number = (day - _EPOCH).days
        listings = self._listings(security_id)
        return tuple(sorted({symbol for symbol, found in listings if found.start <= number < found.end}))

    def with_ids(self, rows: pa.Table, *, day: str = "session") -> pa.Table:
        """Return the rows with a column security_id in front.

        Parameters
        ----------
        rows : with a column symbol, such as bars, actions or members of a universe
        day : the column that says when; ex_date for actions

        Raises
        ------
        BadRows : a symbol that no known listing has on its day: the listings are older than the rows.
        """
        import pyarrow as pa

        ids = self._ids(rows, day)
        unknown = np.flatnonzero(ids == None)  # noqa: E711 - element by element
        if unknown.size:
            row = rows.slice(int(unknown[0]), 1).to_pylist()[0]
            raise BadRows(
                f"core/listings knows no security {row['symbol']} on {row[day]}; build it anew from the present bars",
                rule="listed",
                rows=[row],
            )
        return rows.add_column(0, pa.field("security_id", pa.string(), nullable=False), pa.array(ids, pa.string()))

    def bars_of(self, security_id: str, bars: pa.Table) -> pa.Table:
        """Return the bars of one security under all its symbols, by session, with their security_id in front.

        Raises
        ------
        UnknownSymbol : no such security; names the nearest.
        BadRows : two bars of it on one session.
        """
        import pyarrow as pa

        symbols, number = numbered(bars.column("symbol"))
        own_symbols = {one_spelling(symbol) for symbol, _ in self._listings(security_id)}
        wanted = [at for at, symbol in enumerate(symbols.to_pylist()) if one_spelling(symbol) in own_symbols]
        part = bars.filter(pa.array(np.isin(number, wanted)))
        own = self.with_ids(part.filter(pa.array(self._ids(part, "session") == security_id))).sort_by("session")
        sessions = own.column("session").to_numpy()
        twice = np.flatnonzero(sessions[1:] == sessions[:-1])
        if twice.size:
            rows = own.slice(int(twice[0]), 2).to_pylist()
            raise BadRows(
                f"{security_id} has two bars on {rows[0]['session']}, under {rows[0]['symbol']} and "
                f"{rows[1]['symbol']}; keep one source's",
                rule="keys_unique",
                rows=rows,
            )
        return own

    def _listings(self, security_id: str) -> list[tuple[str, Range]]:
        if security_id not in self._by_security:
            raise UnknownSymbol(f"there is no security {security_id!r}{nearest(security_id, self._by_security)}")
        return self._by_security[security_id]

    def _ids(self, rows: pa.Table, day: str) -> NDArray[np.object_]:
        """Return the security of each row, None where there is none."""
        symbols, number = numbered(rows.column("symbol"))
        when = days(rows.column(day))
        answer = np.full(len(number), None, dtype=object)
        order = np.argsort(number, kind="stable")
        edges = np.searchsorted(number[order], np.arange(len(symbols) + 1))
        for at, symbol in enumerate(symbols.to_pylist()):
            part = order[edges[at] : edges[at + 1]]
            for found in self._by_symbol.get(one_spelling(symbol), []):
                answer[part[(when[part] >= found.start) & (when[part] < found.end)]] = found.security_id
        return answer


def _check_apart(symbol: str, ranges: list[Range]) -> None:
    for earlier, later in pairwise(ranges):
        if later.start < earlier.end and later.security_id != earlier.security_id:
            raise BadRows(
                f"core/listings: {symbol} means {earlier.security_id} over {_text(earlier)} and "
                f"{later.security_id} over {_text(later)}",
                rule="one_security_a_symbol",
            )


def _text(days_of: Range) -> str:
    start = _EPOCH + dt.timedelta(days=days_of.start)
    end = "" if days_of.end == NO_END else _EPOCH + dt.timedelta(days=days_of.end)
    return f"[{start}, {end})"
