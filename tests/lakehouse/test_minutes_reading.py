"""Minutes by symbol and range: the right rows, no more of the files than needed, coarser bars and panels beside."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakehouse.intraday
from benchmarks.intraday import day_of
from engine import Bars
from lakehouse import Lake, parquet, staging
from lakehouse.calendar import session_close, session_open, sessions
from lakehouse.errors import BadName, CorruptTable, LakeError, UnknownColumn
from lakehouse.intraday import (
    EXTENDED,
    REGULAR,
    coarser,
    coarser_bars,
    minute_bars,
    minute_panels,
    minute_panels_by_month,
    reading,
    timeframes,
    with_latest_closed,
)
from lakehouse.sorting import in_key_order

MINUTES = "core/minute_bars"
MONTHS = ["2024-10", "2024-11", "2024-12"]
START, END = dt.datetime(2024, 10, 28, tzinfo=dt.UTC), dt.datetime(2024, 12, 4, tzinfo=dt.UTC)
NAMES = [f"S{number:04d}" for number in range(12)]
VALUES = ["open", "high", "low", "close", "volume"]
ROOT = Path(__file__).resolve().parents[2]


def stored_days() -> list[pa.Table]:
    """Minutes of twelve symbols, one in ten missing; S0010 goes in late November, S0011 comes in early November.

    The first three also have a minute that ends with the open and one that ends at midnight UTC: on the last day of
    October it is in the next month.
    """
    days = []
    for day in sessions("XNYS", START.date(), END.date()):
        rows = day_of(day, 12).to_pandas().astype({"symbol": "str", "month": "str"})
        is_there = np.random.default_rng(day.toordinal()).random(len(rows)) >= 0.1
        is_there &= (rows["symbol"] != "S0010") | (day < dt.date(2024, 11, 25))
        is_there &= (rows["symbol"] != "S0011") | (day >= dt.date(2024, 11, 6))
        midnight = pd.Timestamp(day, tz="UTC") + pd.Timedelta("1D")
        extra = [
            rows.groupby("symbol").head(1).assign(bar_end=end, known_at=end, month=f"{end:%Y-%m}")
            for end in (rows["bar_end"].min() - pd.Timedelta("1min"), midnight)
        ]
        some = [more[more["symbol"].isin(NAMES[:3])] for more in extra]
        days.append(pa.Table.from_pandas(pd.concat([rows[is_there], *some]), preserve_index=False))
    return days


def as_stored(rows: pa.Table) -> pa.Table:
    """The rows in the table's types."""
    fields = {"symbol": pa.string(), "month": pa.string(), "source": pa.string(), "snapshot_id": pa.string()}
    instant = pa.timestamp("us", tz="UTC")
    types = fields | {"bar_end": instant, "known_at": instant}
    return rows.cast(pa.schema([pa.field(f.name, types.get(f.name, pa.float64())) for f in rows.schema]))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Everything that is stored, as the days brought it."""
    return pd.concat([as_stored(day).to_pandas() for day in stored_days()], ignore_index=True)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with these minutes, in row groups of 5,000 rows."""
    made = Lake(tmp_path_factory.mktemp("minutes"))
    with pytest.MonkeyPatch.context() as patch:
        for module in (parquet, staging):
            patch.setattr(module, "ROW_GROUP_ROWS", 5000)
        pieces = in_key_order(MINUTES, (as_stored(day) for day in stored_days()))
        made.replace_sorted(MINUTES, pieces, partitions=MONTHS, batch_id="b")
    return made


def assert_same_rows(found: pa.Table, expected: pd.DataFrame) -> None:
    """Compare bars, whatever order they come in."""
    by = ["symbol", "bar_end"]
    columns = [*by, *VALUES]
    left = found.to_pandas()[columns].sort_values(by, ignore_index=True)
    right = expected[columns].sort_values(by, ignore_index=True)
    pd.testing.assert_frame_equal(left, right, check_dtype=False)


@pytest.mark.parametrize(
    ("symbols", "start", "end"),
    [
        ("S0003", START, END),
        (["S0007"], dt.datetime(2024, 11, 1, tzinfo=dt.UTC), dt.datetime(2024, 12, 1, tzinfo=dt.UTC)),
        (["S0001", "S0000", "S0011"], dt.datetime(2024, 11, 5, 15, 1, tzinfo=dt.UTC), END),
        (NAMES, dt.datetime(2024, 10, 31, 19, 59, tzinfo=dt.UTC), dt.datetime(2024, 11, 1, 13, 31, tzinfo=dt.UTC)),
        ("S0000", dt.datetime(2024, 10, 31, 23, 59, tzinfo=dt.UTC), dt.datetime(2024, 11, 1, tzinfo=dt.UTC)),
    ],
)
def test_a_read_gives_the_bars_that_lie_in_the_range_and_no_others(lake, frame, symbols, start, end):
    names = [symbols] if isinstance(symbols, str) else symbols
    inside = (frame["bar_end"] > start) & (frame["bar_end"] <= end) & frame["symbol"].isin(names)
    assert inside.any()
    assert_same_rows(minute_bars(lake, symbols, start, end), frame[inside])
    new_york = dt.timezone(dt.timedelta(hours=-5))
    assert_same_rows(minute_bars(lake, symbols, start.astimezone(new_york), end), frame[inside])


def test_a_read_without_rows_is_empty_and_a_wrong_one_refused(lake):
    columns = list(reading.COLUMNS)
    for nothing in (
        minute_bars(lake, "S0011", START, dt.datetime(2024, 11, 2, tzinfo=dt.UTC)),
        minute_bars(lake, [], START, END),
        minute_bars(lake, "S0001", END, START),
    ):
        assert nothing.num_rows == 0 and nothing.column_names == columns
    assert minute_bars(lake, NAMES, END, END + dt.timedelta(days=900)).num_rows == 0
    with pytest.raises(LakeError, match="a time needs a zone"):
        minute_bars(lake, "S0001", dt.datetime(2024, 11, 1), END)
    with pytest.raises(UnknownColumn):
        minute_bars(lake, "S0001", START, END, columns=["price"])


@pytest.mark.parametrize("symbols", ["S001", ["S0001", "S001"]])
@pytest.mark.parametrize(
    "read",
    [
        minute_bars,
        lambda *asked: minute_bars(*asked, columns=["close"]),
        lambda *asked: coarser_bars(*asked, "1h"),
        lambda *asked: timeframes(*asked, sizes=["1h"]),
        minute_panels,
        lambda *asked: next(minute_panels_by_month(*asked)),
    ],
)
def test_a_symbol_that_no_row_has_is_an_error_that_names_the_nearest(lake, read, symbols):
    with pytest.raises(BadName, match="unknown symbol 'S001' in core/minute_bars; did you mean 'S00[01]1'"):
        read(lake, symbols, START, dt.datetime(2024, 11, 12, tzinfo=dt.UTC))
    with pytest.raises(BadName, match="unknown symbol 'S0000' in core/minute_bars, which has no symbols"):
        read(Lake(lake.home / "none"), "S0000", START, END)


def test_one_symbol_may_be_a_text_wherever_several_are_a_list(lake):
    end = dt.datetime(2024, 11, 12, tzinfo=dt.UTC)
    assert minute_bars(lake, "S0011", START, end).equals(minute_bars(lake, ["S0011"], START, end))
    assert coarser_bars(lake, "S0011", START, end, "1h").equals(coarser_bars(lake, ["S0011"], START, end, "1h"))
    assert minute_panels(lake, "S0011", START, end).symbols == ("S0011",)
    assert [part.symbols for part in minute_panels_by_month(lake, "S0011", START, end)] == [("S0011",)]
    assert minute_bars(lake, "S0011", START, end, columns=["close"]).column_names == ["close"]


def test_a_version_is_read_as_it_was(tmp_path):
    lake = Lake(tmp_path)
    for number in range(2):
        rows = as_stored(day_of(dt.date(2024, 11, 5), 2, seed=number))
        lake.replace(MINUTES, rows, partitions="2024-11", batch_id=str(number))
    old, new = (minute_bars(lake, "S0000", START, END, version=version) for version in (1, None))
    assert old.num_rows == new.num_rows == 390 and not old.equals(new)
    for read in (
        lambda version: coarser_bars(lake, "S0000", START, END, "1h", version=version),
        lambda version: timeframes(lake, "S0000", START, END, sizes=["1h"], version=version),
    ):
        assert read(None).equals(read(2)) and not read(1).equals(read(2))
        fine = read(1)
        if "close" in fine.column_names and "1h_close" in fine.column_names:
            assert fine.select(VALUES).equals(old.select(VALUES))
    panels = [minute_panels(lake, ["S0000"], START, END, version=version).close for version in (1, 2, None)]
    assert (panels[1] == panels[2]).all() and (panels[0] != panels[1]).any()


def month_file(lake: Lake, month: str) -> Path:
    (file,) = (lake.home / "tables" / MINUTES / f"month={month}").iterdir()
    return file


def test_row_groups_of_other_symbols_are_not_read(lake):
    """A byte is flipped in each row group in turn: reading a symbol fails for those that hold it, and for no others."""
    path = month_file(lake, "2024-11")
    content, metadata = path.read_bytes(), pq.ParquetFile(path).metadata
    assert metadata.num_row_groups > 15
    touched = []
    try:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            closes = group.column(metadata.schema.names.index("close"))
            names = group.column(0).statistics
            broken = bytearray(content)
            broken[closes.data_page_offset + closes.total_compressed_size // 2] ^= 1
            path.write_bytes(broken)
            holds = names.min <= "S0005" <= names.max
            touched.append(holds)
            if holds:
                with pytest.raises(CorruptTable):
                    minute_bars(lake, "S0005", START, END)
            else:
                assert minute_bars(lake, "S0005", START, END).num_rows > 5000
    finally:
        path.write_bytes(content)
    assert 1 <= sum(touched) <= 4


def test_months_outside_the_range_are_not_opened(lake):
    path = month_file(lake, "2024-10")
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        start = dt.datetime(2024, 11, 4, tzinfo=dt.UTC)
        assert minute_bars(lake, NAMES, start, END).num_rows > 50_000
        with pytest.raises(CorruptTable):
            minute_bars(lake, NAMES, START, END)
    finally:
        away.rename(path)


@pytest.mark.parametrize("size", ["5min", "1h", "session", "week"])
@pytest.mark.parametrize("hours", [REGULAR, EXTENDED])
def test_coarser_bars_of_the_lake_are_those_of_all_its_minutes(lake, size, hours, monkeypatch):
    expected = coarser(minute_bars(lake, NAMES, START, END), size, hours=hours, since=START, until=END)
    monkeypatch.setattr(reading, "_SYMBOL_MONTHS", 6)
    found = coarser_bars(lake, NAMES[::-1], START, END, size, hours=hours)
    assert found.equals(expected) and found.num_rows >= 12 * 4
    assert coarser_bars(lake, [], START, END, size).num_rows == 0


def test_coarser_bars_of_the_lake_are_whole_whether_the_last_minute_traded_or_not(lake, frame):
    own = frame[frame["symbol"] == "S0005"]
    closes = pd.DatetimeIndex(session_close("XNYS", sessions("XNYS", START.date(), END.date())))
    (silent, *_) = closes[~closes.isin(own["bar_end"])]
    start, end = dt.datetime(2024, 10, 28, 15, tzinfo=dt.UTC), silent.to_pydatetime()
    days = coarser_bars(lake, "S0005", start, end, "session")["bar_end"].to_pylist()
    assert days == [close for close in closes[1:] if close <= silent]
    earlier = coarser_bars(lake, "S0005", start, end - dt.timedelta(microseconds=1), "session")
    assert earlier["bar_end"].to_pylist() == days[:-1]


def test_minutes_stand_beside_the_coarser_bars_that_had_closed(lake):
    start, end = dt.datetime(2024, 11, 27, 16, tzinfo=dt.UTC), dt.datetime(2024, 12, 3, 16, tzinfo=dt.UTC)
    found = timeframes(lake, NAMES[:2], start, end, sizes=["30min", "session", "week"])
    expected = minute_bars(lake, NAMES[:2], start, end)
    everything = minute_bars(lake, NAMES[:2], START, END)
    for size in ("30min", "session", "week"):
        expected = with_latest_closed(expected, coarser(everything, size), prefix=f"{size}_")
    assert found.equals(expected)
    shown = found.to_pandas().set_index(["symbol", "bar_end"]).sort_index()
    first = shown.loc["S0001"].iloc[0]
    assert first["session_bar_end"] == pd.Timestamp("2024-11-26 21:00", tz="UTC")
    assert first["week_bar_end"] == pd.Timestamp("2024-11-22 21:00", tz="UTC")
    last = shown.loc["S0001"].iloc[-1]
    assert last["session_bar_end"] == pd.Timestamp("2024-12-02 21:00", tz="UTC")
    assert last["week_bar_end"] == pd.Timestamp("2024-11-29 18:00", tz="UTC")
    assert shown.loc["S0001"].notna().all(axis=None)


def test_a_planted_minute_is_seen_in_no_coarser_bar_before_it_closed(lake, frame, tmp_path):
    """A lake written anew with one minute changed: all that a strategy reads before its bars end stays the same."""
    planted = pd.Timestamp("2024-11-27 17:08", tz="UTC")
    ends = {"30min": "2024-11-27 17:30", "session": "2024-11-27 21:00", "week": "2024-11-29 18:00"}
    changed = frame[frame["symbol"] == "S0002"].copy()
    place = changed["bar_end"] == planted
    assert place.sum() == 1
    changed.loc[place, ["high", "close", "volume"]] = [9999.0, 9998.0, 1e9]
    other = Lake(tmp_path)
    other.replace(MINUTES, changed, partitions=MONTHS, batch_id="b")
    start, end = dt.datetime(2024, 11, 27, tzinfo=dt.UTC), dt.datetime(2024, 12, 3, 16, tzinfo=dt.UTC)
    before, after = (timeframes(read, "S0002", start, end, sizes=list(ends)).to_pandas() for read in (lake, other))
    for size, closes in ends.items():
        columns = [name for name in before if name.startswith(size)]
        same = (before[columns] == after[columns]).all(axis=1)
        seen = before["bar_end"] >= pd.Timestamp(closes, tz="UTC")
        assert same[~seen].all() and not same[seen].iloc[0], size


def test_timeframes_reach_back_as_far_as_asked_and_not_to_nowhere(lake, tmp_path):
    start = dt.datetime(2024, 11, 18, 15, tzinfo=dt.UTC)
    end = start + dt.timedelta(minutes=5)
    near, far = (timeframes(lake, "S0001", start, end, sizes=["week"], n_before=n) for n in (1, 3))
    assert near.equals(far) and near.num_rows >= 3
    # Suspended for a week: its last bar is older than the last week of the calendar.
    rows = [as_stored(day_of(day, 1)) for day in (dt.date(2024, 11, 4), dt.date(2024, 11, 18))]
    suspended = Lake(tmp_path)
    suspended.replace(MINUTES, pa.concat_tables(rows), partitions="2024-11", batch_id="b")
    ends = [
        set(timeframes(suspended, "S0000", start, end, sizes=["week"], n_before=n)["week_bar_end"].to_pylist())
        for n in (1, 2)
    ]
    assert ends == [{None}, {dt.datetime(2024, 11, 8, 21, tzinfo=dt.UTC)}]
    with pytest.raises(LakeError, match="n_before is 1 to .* bars of week before .*, was 0"):
        timeframes(lake, "S0001", start, end, sizes=["week"], n_before=0)
    with pytest.raises(LakeError, match="a size of bars is like"):
        timeframes(lake, "S0001", start, end, sizes=["weekly"])


def test_panels_are_the_bars_of_the_same_rows(lake, frame, monkeypatch):
    monkeypatch.setattr(lakehouse.intraday.panels, "_SYMBOLS_READ", 5)
    expected = Bars.from_frame(frame[(frame["bar_end"] > START) & (frame["bar_end"] <= END)])
    found = minute_panels(lake, NAMES, START, END)
    assert found.symbols == expected.symbols and found.has_gaps
    np.testing.assert_array_equal(found.bar_end, expected.bar_end)
    for name in VALUES:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    backwards = minute_panels(lake, NAMES[::-1], START, END)
    np.testing.assert_array_equal(backwards.close, expected.close[:, ::-1])


def test_panels_month_by_month_are_the_panels_in_parts(lake):
    whole = minute_panels(lake, NAMES, START, END)
    parts = list(minute_panels_by_month(lake, NAMES, START, END))
    assert len(parts) == 3 and all(part.symbols == whole.symbols for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.bar_end for part in parts]), whole.bar_end)
    for name in VALUES:
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    assert np.isnan(parts[0].close[:, -1]).all() and not np.isnan(parts[1].close[:, -1]).all()
    assert list(minute_panels_by_month(lake, NAMES, END, END + dt.timedelta(days=900))) == []


def test_panels_keep_the_minutes_of_the_hours_asked_for(lake):
    whole, regular = minute_panels(lake, NAMES, START, END), minute_panels(lake, NAMES, START, END, hours=REGULAR)
    extended = minute_panels(lake, NAMES, START, END, hours=EXTENDED)
    n_sessions = len(sessions("XNYS", START.date(), END.date()))
    opens = session_open("XNYS", sessions("XNYS", START.date(), END.date())).tz_convert(None)
    late = whole.bar_end.astype("datetime64[D]") == whole.bar_end
    early = np.isin(whole.bar_end, opens.to_numpy())
    assert late.sum() == early.sum() == n_sessions and whole.n_bars == regular.n_bars + 2 * n_sessions
    np.testing.assert_array_equal(regular.bar_end, whole.bar_end[~late & ~early])
    np.testing.assert_array_equal(regular.close, whole.close[~late & ~early])
    # Until the clocks change midnight UTC is 20:00 in New York, the last minute, then 19:00; half days end at 17:00.
    assert extended.n_bars == whole.n_bars - 1


def test_panels_that_would_be_too_large_or_empty_are_refused(lake):
    size = 40 * minute_panels(lake, NAMES, START, END).close.size
    assert minute_panels(lake, NAMES, START, END, max_bytes=size).n_assets == 12
    with pytest.raises(
        LakeError, match="the panels of 12 symbols take more than .* MiB from 2024-12-0.* on: take a shorter"
    ):
        minute_panels(lake, NAMES, START, END, max_bytes=size - 1)
    with pytest.raises(LakeError, match=r"no minute bars of S0011 in \["):
        minute_panels(lake, NAMES, START, dt.datetime(2024, 11, 2, tzinfo=dt.UTC))
    with pytest.raises(LakeError, match="symbols are unique and at least one, were S0001"):
        minute_panels(lake, ["S0001", "S0002", "S0001"], START, END)
    with pytest.raises(LakeError, match="symbols are unique and at least one, were none"):
        minute_panels(lake, [], START, END)


def test_the_package_names_what_it_offers_and_imports_nothing_heavy():
    names = lakehouse.intraday.__all__
    assert len(set(names)) == len(names) and all(hasattr(lakehouse.intraday, name) for name in names)
    heavy = "('numba', 'pyarrow', 'pandas', 'deltalake')"
    code = f"import sys, lakehouse.intraday; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_strategy_sees_minutes_and_closed_days_of_a_year_within_a_second(tmp_path):
    lake = Lake(tmp_path)
    for month in MONTHS:
        days = (
            as_stored(day_of(day, 40))
            for day in sessions("XNYS", dt.date(2024, 10, 1), dt.date(2025, 1, 1))
            if f"{day:%Y-%m}" == month
        )
        lake.replace_sorted(MINUTES, in_key_order(MINUTES, days), partitions=month, batch_id=month)
    started = dt.datetime.now()
    found = timeframes(
        lake,
        NAMES[:4],
        dt.datetime(2024, 11, 1, tzinfo=dt.UTC),
        dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
        sizes=["session"],
    )
    assert dt.datetime.now() - started < dt.timedelta(seconds=5)
    assert found.num_rows == 4 * (390 * 41 - 2 * 180) and found.column("session_close").null_count == 0
