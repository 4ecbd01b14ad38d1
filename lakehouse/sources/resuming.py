"""Going on where a fetch broke off: what it stored before is not asked for again.

The manifest says which fetch an answer is of: all answers of one carry its `as_of` as `known_at`. What counts as
there already:

1. An answer to the same question: the same symbol, range and settings, whatever the moment it was asked at. Of an
   answer in several parts the last one is there, which comes after all the others.
2. Given since anything could have changed: no session of the exchange has opened or ended since (half an hour after
   its end, when bars are settled), nor have twelve hours passed.
3. Of a fetch that broke off. Where an earlier fetch got all that is asked for, it was whole: the next one is meant
   to look again, and asks for everything.

So a fetch that fails again and again gets further each time, and one that is repeated on purpose is never answered
from the shelf. Minutes traded between an attempt and the next come with the first whole fetch after them.
"""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from lakehouse.calendar import session_close, session_open, sessions

SETTLED_AFTER = dt.timedelta(minutes=30)
RESUME_WITHIN = dt.timedelta(hours=12).total_seconds()


class Resuming:
    """The part of a source that remembers; it has `name`, and in `__init__` sets `_exchange` and `_resume_within`."""

    name: str
    _exchange: str
    _resume_within: float
    _stored: tuple[Mapping[str, Any], ...] = ()

    def remembering(self, stored: Iterable[Mapping[str, Any]]) -> Self:
        """Return the same source, which leaves out what a fetch that broke off has stored.

        Parameters
        ----------
        stored : rows of raw/snapshots of the source and dataset, of answers whose bytes are there
        """
        other = copy.copy(self)
        other._stored = tuple(stored)
        return other

    def _left_over(
        self,
        questions: Mapping[str, Mapping[str, Any]],
        as_of: dt.datetime,
        progress: Callable[[str], None] | None,
    ) -> list[str]:
        """Return those of the questions' names that are still to be asked, in order, and tell `progress` of the rest.

        Parameters
        ----------
        questions : by symbol, the fields of a request by which its answer is known again, as JSON values; the same
            fields of all
        """
        if not self._stored or not questions:
            return list(questions)
        since = unchanged_since(as_of, exchange=self._exchange, within=self._resume_within)
        left = left_over(self._stored, questions, since=since, as_of=as_of)
        if progress is not None and len(left) < len(questions):
            n_there = len(questions) - len(left)
            progress(f"{self.name}: {n_there} of {len(questions)} symbols are there from a fetch that broke off")
        return left


def unchanged_since(as_of: dt.datetime, *, exchange: str, within: float) -> dt.datetime:
    """Return since when nothing can have changed: a session's opening, its settled end, or `within` seconds ago."""
    today = as_of.astimezone(dt.UTC).date()
    # Sessions of the far east begin on the day before in UTC, those of 24/7 end on the day after.
    days = sessions(exchange, today - dt.timedelta(days=3), today + dt.timedelta(days=2))
    turns = [as_of - dt.timedelta(seconds=within)]
    if days:
        turns += [turn.to_pydatetime() for turn in session_open(exchange, days)]
        turns += [turn.to_pydatetime() + SETTLED_AFTER for turn in session_close(exchange, days)]
    return max(turn for turn in turns if turn <= as_of)


def left_over(
    stored: Iterable[Mapping[str, Any]],
    questions: Mapping[str, Mapping[str, Any]],
    *,
    since: dt.datetime,
    as_of: dt.datetime,
) -> list[str]:
    """Return the names of the questions that no fetch since `since` has answered, all where one answered them all.

    Parameters
    ----------
    stored : rows of raw/snapshots; `request` is a JSON text
    questions : by name, fields of a request; the same fields of all
    """
    fields = list(next(iter(questions.values())))
    named = {name: tuple(_as_text(question[field]) for field in fields) for name, question in questions.items()}
    wanted = set(named.values())
    recent = sorted(
        (row for row in stored if since <= row["known_at"] <= as_of),
        key=lambda row: row["known_at"],
    )
    answered: set[tuple[Any, ...]] = set()
    for _, fetched in itertools.groupby(recent, key=lambda row: row["known_at"]):
        if answered >= wanted:  # the fetch before was whole, this one began anew
            answered = set()
        requests = [json.loads(row["request"]) for row in fetched]
        answered |= wanted & {tuple(_as_text(request.get(field)) for field in fields) for request in requests}
    if answered >= wanted:
        return list(questions)
    return [name for name, question in named.items() if question not in answered]


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
