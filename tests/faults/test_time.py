"""Clocks that step, days on which they change, and stamps in another unit: nothing is ordered or dated by accident."""

from __future__ import annotations

import collections
import datetime as dt
import json
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine

from lakehouse import Lake
from lakehouse.calendar import session_close, session_open
from lakehouse.errors import LockTimeout, QuantlakeError
from lakehouse.sources import get_source
from tests.faults.ingesting import content, errors, ingest
from tests.lakehouse.stored import BARS, MONTHS, closes
from tests.lakehouse.writers import hold_the_lock, replace_two_months, start

NEW_YORK = ZoneInfo("America/New_York")
NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("month", "minutes"),
    [
        # The Friday before the clocks change, the Monday after; a half day; days without a session.
        ("2024-03", {"2024-03-08": ("14:31", "21:00", 390), "2024-03-11": ("13:31", "20:00", 390), "2024-03-10": None}),
        ("2024-11", {"2024-11-01": ("13:31", "20:00", 390), "2024-11-04": ("14:31", "21:00", 390), "2024-11-03": None}),
        ("2024-11", {"2024-11-27": ("14:31", "21:00", 390), "2024-11-29": ("14:31", "18:00", 210), "2024-11-28": None}),
        ("2012-10", {"2012-10-26": ("13:31", "20:00", 390), "2012-10-29": None, "2012-10-30": None}),
        ("2025-01", {"2025-01-08": ("14:31", "21:00", 390), "2025-01-09": None, "2025-01-10": ("14:31", "21:00", 390)}),
    ],
)
def test_minutes_of_odd_days_are_as_many_and_end_when_the_exchange_says(
    month: str, minutes: dict[str, tuple[str, str, int] | None]
) -> None:
    """Written down by hand; the market is made up, its hours are not."""
    options = {"dataset": "minute", "n_symbols": 1, "begin": f"{month}-01", "delisting_rate": 0.0, "missing_rate": 0.0}
    source = get_source("synthetic", options)
    year, number = map(int, month.split("-"))
    days = dt.date(year, number, 1), dt.date(year + number // 12, number % 12 + 1, 1)
    as_of = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    ends: dict[str, list[str]] = collections.defaultdict(list)
    for answer in source.fetch(source.symbols([]), *days, as_of=as_of):
        bars = source.parse(answer.content, answer.request).tables["core/minute_bars"]
        for end in bars["bar_end"].dt.to_pydatetime():
            ends[end.astimezone(NEW_YORK).date().isoformat()].append(end.strftime("%H:%M"))
    for day, expected in minutes.items():
        if expected is None:
            assert day not in ends
            continue
        first, last, n_minutes = expected
        # A minute without a trade has no bar; those of the opening and the closing always have one.
        assert (ends[day][0], ends[day][-1]) == (first, last), day
        assert n_minutes // 2 < len(set(ends[day])) == len(ends[day]) <= n_minutes, day
        opened = session_open("XNYS", [dt.date.fromisoformat(day)])[0]
        closed = session_close("XNYS", [dt.date.fromisoformat(day)])[0]
        assert (closed - opened).total_seconds() == n_minutes * 60


def test_clocks_that_step_during_a_night_change_no_row_and_no_order(tmp_path: Path) -> None:
    steady, stepped = Lake(tmp_path / "steady"), Lake(tmp_path / "stepped")
    for night in (1, 2, 3):
        ingest(steady, night)
    with time_machine.travel(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)) as clock:
        for night, hours in ((1, -1), (2, 2), (3, -26)):
            ingest(stepped, night, lambda what, hours=hours: clock.shift(dt.timedelta(hours=hours)))  # type: ignore[misc]
    assert content(stepped) == content(steady)
    assert [entry["batch_id"] for entry in stepped.history(BARS)] == ["night 3", "night 2", "night 1"]
    assert errors(stepped) == []


def test_waiting_for_a_lock_ends_though_the_clock_is_set_back(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout=0.3)
    holder = start(hold_the_lock, lake.home, 20.0)
    lock = tmp_path / "lake" / "locks" / BARS.replace("/", ".")
    while not (lock.exists() and lock.read_text()):
        time.sleep(0.01)
    began = time.perf_counter()
    # The wall clock stands still, so that only a clock that cannot be set ends the waiting.
    with (
        time_machine.travel(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), tick=False),
        pytest.raises(LockTimeout, match=f"process {holder.pid}"),
    ):
        replace_two_months(lake, 1.0)
    holder.kill()
    holder.join()
    assert time.perf_counter() - began < 5.0
    replace_two_months(lake, 1.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 1.0)


STAMPS = {
    "seconds": "1704205800",
    "milliseconds": "1704205800000",
    "nothing": "0",
    "a leap second": "2024-01-02T23:59:60Z",
    "without a zone": "2024-01-02T16:00:00",
    "with a zone nobody named": "2024-01-02T16:00:00-05:00",
    "the American way": "01/02/2024",
    "two digits of a year": "24-01-02",
    "a day that is none": "2023-02-29",
    "a day to come": "2031-01-02",
    "words": "yesterday",
}


@pytest.mark.parametrize("name", STAMPS)
def test_a_stamp_of_another_kind_refuses_the_file_and_names_the_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "prices.csv"
    row = "AAPL,{},10,12,9,11,1000\n"
    file.write_text("symbol,session,open,high,low,close,volume\n" + row.format("2024-01-03") + row.format(STAMPS[name]))
    columns = {name: name for name in ("symbol", "session", "open", "high", "low", "close", "volume")}
    source = get_source("files", {"path": str(file), "columns": columns})
    with pytest.raises(QuantlakeError) as caught:
        for answer in source.fetch((), dt.date(1900, 1, 1), dt.date(2040, 1, 1), as_of=NOON):
            source.parse(answer.content, json.loads(json.dumps(dict(answer.request))))
    assert "line 3" in str(caught.value) or any(row.get("line") == 3 for row in getattr(caught.value, "rows", []))
