"""What earlier nights left undone, read from the lake and from Dagster's own records of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from lakehouse.sources.catalogue import BARS, MINUTES, QUOTES, TRADES, filling

if TYPE_CHECKING:
    import dagster as dg

    from lakehouse.lake import Lake

NIGHTLY = "nightly"
# How far back a night looks for a symbol that fell behind the others, and for days of minutes, trades or quotes that
# were never answered. What is older was delisted, or takes a backfill that somebody decides on.
LOOK_BACK = timedelta(days=60)
# Nights looked through for the last one that succeeded.
_MOST_NIGHTS = 250


@dataclass(frozen=True)
class Stored:
    """Until when a lake is filled.

    newest : the last session that every table has
    oldest : the last session of the configured symbol that is furthest behind; `newest` where none is
    """

    newest: date
    oldest: date


def stored_bars(lake: Lake, sources: Sequence[str], symbols: Sequence[str]) -> Stored | None:
    """Return until when the daily bars of these sources are filled; None where there are none.

    A symbol counts as behind while its last bar is at most `LOOK_BACK` older than the newest of all. Without symbols in
    the settings, sources answer for a whole market at once, in which no symbol can fail alone.
    """
    import pyarrow.compute as pc

    of_sources = ("source", "in", list(sources))
    bars = lake.scan(BARS, columns=["session"], where=[of_sources], is_ordered=False)
    newest: date | None = pc.max(bars.column("session")).as_py()
    if newest is None:
        return None
    recent = [of_sources, ("symbol", "in", list(symbols)), ("session", ">=", newest - LOOK_BACK)]
    rows = lake.scan(BARS, columns=["symbol", "session"], where=recent, is_ordered=False) if symbols else bars
    last = rows.group_by("symbol").aggregate([("session", "max")]).column("session_max") if symbols else None
    return Stored(newest, newest if last is None or not len(last) else pc.min(last).as_py())


def answered_days(lake: Lake, entries: Sequence[str], last_closed: date) -> date | None:
    """Return the last session up to which all live entries of minutes, trades and quotes have answers; None for none.

    An entry without any answer is not counted: somebody has to say from when on it is wanted.
    """
    found = []
    for entry in dict.fromkeys(named for table in (MINUTES, TRADES, QUOTES) for named in filling(table, entries)):
        if entry.vendor.is_live:
            answers = lake.snapshots.find(entry.source, entry.dataset)
            found += [max((row["last_session"] for row in answers if row["last_session"]), default=None)]
    days = [day for day in found if day is not None]
    return min(max(min(days), last_closed - LOOK_BACK), last_closed) if days else None


def failed_since(instance: dg.DagsterInstance, job: str) -> date | None:
    """Return the first day that the nights since the last successful one asked for; None where none failed."""
    import dagster as dg
    from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG, SCHEDULE_NAME_TAG

    from lakehouse.calendar import month_range

    nights = dg.RunsFilter(job_name=job, tags={SCHEDULE_NAME_TAG: NIGHTLY})
    first: date | None = None
    for record in instance.get_run_records(nights, limit=_MOST_NIGHTS):
        run = record.dagster_run
        if run.is_success:
            break
        if run.is_finished and ASSET_PARTITION_RANGE_START_TAG in run.tags:
            start = month_range(run.tags[ASSET_PARTITION_RANGE_START_TAG])[0]
            first = start if first is None else min(first, start)
    return first
