"""What is one security, and the permanent name it is given.

- `cik:320193`: the one of a company known to the SEC. `cik:1067983.B`: where the symbol names a share class.
  `cik:70858:BAC-PB`: a further security of a company, by its first symbol.
- `sym:FB@2012-05-18`: one of an unknown company, by its first symbol and day. No other security can begin with
  that symbol on that day, so a name is never given twice.
- `figi:BBG00X5FSP48`: one of an unknown company, by its own number, where sources told it.

Where only securities are listed that sources told of, the words told first are what names them: the company, number
and symbol in them, and the day they came instead of the first bar's. No later answer and no earlier bar changes these.

A name once given stays: a security that `previous` names already keeps that name, also when more is known now
(its company, an earlier bar, a renaming). Where two named ones turn out to be one, the older name stays.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lakehouse.listing.facts import CompanyTicker, Words, one_spelling, share_class
from lakehouse.listing.traces import NEAR_DAYS

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Listing:
    """A symbol that meant one security over [start, end); see core/listings.

    last : its last bar, None where there is none
    owner : number of the ticker history that claims it
    cik, figi : numbers of the company and of the security
    words : the first that were told of it
    """

    symbol: str
    start: dt.date
    end: dt.date | None
    known_at: dt.datetime
    end_known_at: dt.datetime | None
    source: str
    name: str | None = None
    exchange: str | None = None
    last: dt.date | None = None
    owner: int | None = None
    cik: int | None = None
    figi: str | None = None
    words: Words | None = None

    def covers(self, day: dt.date) -> bool:
        """Return whether the symbol meant the security on the day."""
        return self.start <= day and (self.end is None or day < self.end)

    def told_by(self, fact: CompanyTicker) -> Listing:
        """Return the row with what a list tells of it; what was told before stays."""
        words = Words(fact.known_at, fact.symbol, fact.cik, fact.figi)
        return replace(
            self,
            name=self.name or fact.name,
            exchange=self.exchange or fact.exchange,
            cik=fact.cik if self.cik is None else self.cik,
            figi=fact.figi if self.figi is None else self.figi,
            words=words if self.words is None else min(self.words, words, key=lambda found: found[:2]),
        )

    def as_row(self) -> dict[str, Any]:
        """Return the columns of core/listings but the security's name."""
        row = asdict(self)
        for name in ("last", "owner", "cik", "figi", "words"):
            del row[name]
        return row


def assign_ids(rows: Sequence[Listing], previous: pa.Table | None) -> list[str]:
    """Return the name of each row's security.

    Rows are one security where one history claims them, or where they are spellings of one symbol at one time.
    Two of one number are, and two of one company, where they follow each other under one symbol, or within a week
    under two. All else stays apart: a company has many securities.
    """
    groups = _joined(_by_history(rows), rows)
    groups.sort(key=lambda group: (rows[group[0]].start, len(rows[group[0]].symbol), rows[group[0]].symbol))
    # Who was told of first is named first: bars that come later cannot change that.
    groups.sort(key=lambda group: _first_words(group, rows) or ())
    kept = _kept_ids(groups, rows, previous)
    taken = set(kept.values()) | set([] if previous is None else previous.column("security_id").to_pylist())
    answer = [""] * len(rows)
    for place, group in enumerate(groups):
        security_id = kept.get(place)
        if security_id is None:
            security_id = _new_id(group, rows, taken)
            taken.add(security_id)
        for row in group:
            answer[row] = security_id
    return answer


def _by_history(rows: Sequence[Listing]) -> list[list[int]]:
    """Return the rows of each history, and the spellings of each other listing, in order of time."""
    groups: defaultdict[Any, list[int]] = defaultdict(list)
    for place in sorted(range(len(rows)), key=lambda place: (rows[place].start, rows[place].symbol)):
        row = rows[place]
        groups[(one_spelling(row.symbol), row.start) if row.owner is None else row.owner].append(place)
    return list(groups.values())


def _joined(groups: list[list[int]], rows: Sequence[Listing]) -> list[list[int]]:
    """Join the groups of each security and company that follow each other."""
    answer: list[list[int]] = []
    by_number: defaultdict[int | str, set[int]] = defaultdict(set)
    for group in sorted(groups, key=lambda group: rows[group[0]].start):
        first = rows[group[0]]
        likely = {place for number in _numbers(first) for place in by_number[number]}
        found = next((place for place in sorted(likely) if _is_one(rows[answer[place][-1]], first)), len(answer))
        if found == len(answer):
            answer.append([])
        answer[found] += group
        for row in group:
            for number in _numbers(rows[row]):
                by_number[number].add(found)
    return answer


def _numbers(row: Listing) -> list[int | str]:
    return [number for number in (row.cik, row.figi) if number is not None]


def _is_one(earlier: Listing, later: Listing) -> bool:
    if earlier.figi is not None and later.figi is not None:
        return earlier.figi == later.figi
    return _follows(earlier, later)


def _follows(earlier: Listing, later: Listing) -> bool:
    if earlier.cik is None or earlier.cik != later.cik or earlier.end is None or later.start < earlier.end:
        return False
    is_same_symbol = one_spelling(earlier.symbol) == one_spelling(later.symbol)
    is_same_class = share_class(earlier.symbol) == share_class(later.symbol)
    return is_same_symbol or (is_same_class and (later.start - earlier.end).days <= NEAR_DAYS)


def _new_id(group: Sequence[int], rows: Sequence[Listing], taken: set[str]) -> str:
    words = _first_words(group, rows)
    if words is not None:
        told_at, symbol = words
        told = next(row.words for row in (rows[at] for at in group) if row.words and row.words[:2] == words)
        if told.cik is None:
            return f"figi:{told.figi}" if told.figi else f"sym:{one_spelling(symbol)}@{told_at.date()}"
        return _of_company(told.cik, symbol, told_at.date(), taken)
    first = rows[group[0]]
    cik = next((rows[row].cik for row in group if rows[row].cik is not None), None)
    if cik is None:
        return f"sym:{one_spelling(first.symbol)}@{first.start}"
    return _of_company(cik, first.symbol, first.start, taken)


def _of_company(cik: int, symbol: str, day: dt.date, taken: set[str]) -> str:
    letter = share_class(symbol)
    plain = f"cik:{cik}" if letter is None else f"cik:{cik}.{letter}"
    further = f"cik:{cik}:{one_spelling(symbol)}"
    return next(name for name in (plain, further, f"{further}@{day}") if name not in taken)


def _first_words(group: Sequence[int], rows: Sequence[Listing]) -> tuple[dt.datetime, str] | None:
    """Return when and under which symbol a source first told of a security."""
    return min((row.words[:2] for row in (rows[at] for at in group) if row.words is not None), default=None)


def _kept_ids(groups: Sequence[Sequence[int]], rows: Sequence[Listing], previous: pa.Table | None) -> dict[int, str]:
    """Return the names that groups have in `previous`: by a symbol at a common time, the oldest first."""
    known: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in [] if previous is None else previous.to_pylist():
        known[one_spelling(row["symbol"])].append(row)
    found = []
    for place, group in enumerate(groups):
        for row in (rows[at] for at in group):
            for other in known[one_spelling(row.symbol)]:
                if _meet((row.start, row.end), (other["start"], other["end"])):
                    found.append((other["start"], other["security_id"], row.start, place))
    kept: dict[int, str] = {}
    for _, security_id, _, place in sorted(found):
        if place not in kept and security_id not in kept.values():
            kept[place] = security_id
    return kept


def _meet(one: tuple[dt.date, dt.date | None], other: tuple[dt.date, dt.date | None]) -> bool:
    """Return whether two half-open ranges have a day in common; None is no end."""
    return (one[1] is None or other[0] < one[1]) and (other[1] is None or one[0] < other[1])
