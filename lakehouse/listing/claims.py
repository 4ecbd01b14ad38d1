"""Which days of a symbol the ticker histories claim for their securities."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lakehouse.errors import BadRows
from lakehouse.listing.facts import TickerHistory, one_spelling
from lakehouse.listing.traces import NEAR_DAYS, Trace


@dataclass(frozen=True)
class Claim:
    """A history's word that a symbol is its security over [start, end).

    owner : number of the history
    symbol : as the history spells it
    end : None for the last symbol: then it holds for bars that began before the history was told
    known_at, end_known_at : when the renaming to the symbol was known, and the one away from it
    is_joined : the security had another symbol before, so that no bar alone could tell
    """

    owner: int
    history: TickerHistory
    symbol: str
    start: dt.date
    end: dt.date | None
    known_at: dt.datetime
    end_known_at: dt.datetime | None
    is_joined: bool

    def covers(self, day: dt.date) -> bool:
        """Return whether bars that begin on the day are the security's."""
        return self.start <= day and (day < self.end if self.end else day <= self.history.told_at.date())

    def outlasts(self, day: dt.date) -> bool:
        """Return whether the security is known to have kept the symbol beyond the day."""
        return self.end is not None and self.start < day < self.end


def claims_of(
    histories: Sequence[TickerHistory], traces: Mapping[str, Trace], max_gap_days: int
) -> dict[str, list[Claim]]:
    """Return the claims by symbol in its one spelling, each list in order of time.

    Raises
    ------
    BadRows : two histories claim a symbol for the same day.
    """
    claims: defaultdict[str, list[Claim]] = defaultdict(list)
    for owner, history in enumerate(histories):
        for claim in _of_history(owner, history, traces, max_gap_days):
            claims[one_spelling(claim.symbol)].append(claim)
    for symbol, found in claims.items():
        found.sort(key=lambda claim: claim.start)
        for earlier, later in pairwise(found):
            if earlier.covers(later.start):
                raise BadRows(
                    f"two ticker histories claim {symbol} on {later.start}: {earlier.history.name!r} and "
                    f"{later.history.name!r}; give the later answer of their vendor",
                    rule="one_security_a_symbol",
                )
    return dict(claims)


def _of_history(owner: int, history: TickerHistory, traces: Mapping[str, Trace], max_gap_days: int) -> Iterator[Claim]:
    renamings = history.renamings
    own = [traces.get(one_spelling(renaming.symbol)) for renaming in renamings]
    starts = [
        renaming.day if trace is None else trace.beginning_near(renaming.day)
        for renaming, trace in zip(renamings, own, strict=True)
    ]
    for place, (renaming, trace) in enumerate(zip(renamings, own, strict=True)):
        following = place + 1 if place + 1 < len(renamings) else None
        relabelled = None
        if place and trace is not None:
            earlier = [other for other in own[:place] if other is not None]
            relabelled = _relabelled_from(trace, starts[place], starts[0], earlier, max_gap_days)
        yield Claim(
            owner=owner,
            history=history,
            symbol=renaming.symbol,
            start=starts[place] if relabelled is None else relabelled,
            end=None if following is None else starts[following],
            known_at=renaming.known_at,
            end_known_at=None if following is None else renamings[following].known_at,
            is_joined=place > 0 and relabelled is None,
        )


def _relabelled_from(
    trace: Trace, start: dt.date, first: dt.date, earlier: Sequence[Trace], max_gap_days: int
) -> dt.date | None:
    """Return from when on a source has a renamed security's earlier bars under its later symbol, too.

    Yahoo and others write history anew so. It shows by bars that run on across the renaming without a gap, back
    to no earlier than the security's own beginning, while its earlier symbols have none in that time.
    """
    bar = trace.before(start)
    if not 0 < bar < len(trace.day) or (trace.gap(bar) or 0) > NEAR_DAYS:
        return None
    since = trace.date(max((after for after in trace.gaps(max_gap_days) if after < bar), default=0))
    has_others = any(other.before(since) < other.before(start) for other in earlier)
    return None if has_others or since < first - dt.timedelta(days=NEAR_DAYS) else since
