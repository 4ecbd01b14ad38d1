"""Coarser bars: real minutes by hand, the calendar's odd days, laws of resampling, nothing seen before it closed."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import BadRows, LakeError, UnknownColumn
from lakehouse.intraday import EXTENDED, REGULAR, Hours, bar_grid, coarser, latest_closed, with_latest_closed

UTC = dt.UTC
INSTANT = pa.timestamp("us", tz="UTC")
VALUES = ("open", "high", "low", "close", "volume")
FINER = {"5min": "1min", "30min": "5min", "1h": "30min", "session": "1h", "week": "session", "month": "session"}


def at(text: str) -> dt.datetime:
    """A time in New York."""
    return pd.Timestamp(text, tz="America/New_York").tz_convert("UTC").to_pydatetime()


def minutes(ends, symbol: str = "AAA", *, seed: int = 0) -> pa.Table:
    """Minute bars that end at the times, with prices in cents and whole volumes."""
    ends = list(ends)
    rng = np.random.default_rng(seed)
    prices = np.round(rng.uniform(90.0, 110.0, (4, len(ends))), 2)
    return pa.table(
        {
            "symbol": pa.array([symbol] * len(ends), pa.string()),
            "bar_end": pa.array(ends, INSTANT),
            "open": prices[0],
            "high": prices.max(axis=0),
            "low": prices.min(axis=0),
            "close": prices[3],
            "volume": np.floor(rng.exponential(500.0, len(ends))),
        }
    )


def every_minute(start: str, end: str, *, step: int = 1) -> list[dt.datetime]:
    """The ends of the minutes from one time to another, New York time."""
    return list(pd.date_range(at(start), at(end), freq=f"{step}min", inclusive="right").to_pydatetime())


def local(bars: pa.Table, name: str = "bar_end") -> list[str]:
    """A column of times as New York's clock shows them."""
    return bars.column(name).to_pandas().dt.tz_convert("America/New_York").dt.strftime("%m-%d %H:%M").tolist()


@pytest.fixture(scope="module")
def spy(shared_data: Path) -> pd.DataFrame:
    """SPY of January 2011 as the file has it: UTC stamps at bar end, extended hours."""
    content = gzip.decompress((shared_data / "minute" / "nt-spy-minute-2011.csv.gz").read_bytes())
    frame = pd.read_csv(io.BytesIO(content), sep=";", header=None, names=["stamp", *VALUES])
    frame["bar_end"] = pd.to_datetime(frame["stamp"], format="%Y%m%d %H%M%S").dt.tz_localize("UTC").dt.as_unit("us")
    frame["new_york"] = frame["bar_end"].dt.tz_convert("America/New_York")
    return frame.astype(dict.fromkeys(VALUES, "float64")).assign(symbol="SPY")


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame[["symbol", "bar_end", *VALUES]], preserve_index=False)


HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def assert_bars_equal(found: pa.Table, expected: pd.DataFrame) -> None:
    """Compare values and, where the expected bars have them, the ends on New York's clock."""
    assert found.num_rows == len(expected) > 0
    for name in VALUES:
        np.testing.assert_array_equal(found.column(name).to_numpy(), expected[name], err_msg=name)


def test_daily_bars_of_real_minutes_are_those_made_by_hand(spy):
    clock = spy["new_york"].dt.strftime("%H:%M")
    regular = spy[(clock > "09:30") & (clock <= "16:00")]
    by_day = regular.groupby(regular["new_york"].dt.date)
    expected = by_day.agg(HOW)
    found = coarser(table_of(spy), "session")
    assert_bars_equal(found, expected)
    assert local(found) == [f"{day:%m-%d} 16:00" for day in expected.index]
    assert local(found, "bar_start") == [f"{day:%m-%d} 09:30" for day in expected.index]
    assert found.column("n_minutes").to_pylist() == by_day.size().tolist()
    assert len(expected) == 20 and expected.index[0] == dt.date(2011, 1, 3)
    first = found.slice(0, 1).to_pylist()[0]
    # The first regular minute's open and the last one's close, read off the file.
    assert (first["open"], first["close"]) == (126.71, 127.05)


def test_days_with_extended_hours_do_not_end_at_midnight_utc(spy):
    frame = spy.assign(day=(spy["new_york"] - pd.Timedelta("1min")).dt.date)
    assert (frame["bar_end"].dt.date != frame["day"]).any(), "some late trades are on the next UTC day"
    expected = frame.groupby("day").agg(HOW)
    found = coarser(table_of(spy), "session", hours=EXTENDED, until=at("2011-02-01"))
    assert_bars_equal(found, expected)
    assert {text[6:] for text in local(found)} == {"20:00"}
    assert found.column("volume").to_numpy().sum() == spy["volume"].sum()


def test_hours_of_real_minutes_begin_at_the_open(spy):
    clock = spy["new_york"].dt.strftime("%H:%M")
    regular = spy[(clock > "09:30") & (clock <= "16:00")].copy()
    ended = regular["new_york"].dt.hour * 60 + regular["new_york"].dt.minute - 9 * 60 - 30
    regular["hour"] = (ended - 1) // 60
    expected = regular.groupby([regular["new_york"].dt.date, "hour"]).agg(HOW)
    found = coarser(table_of(spy), "1h")
    assert_bars_equal(found, expected)
    first_day = [text[6:] for text in local(found)[:7]]
    assert first_day == ["10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00"]


def test_a_session_has_the_same_bars_with_extended_hours_and_without(spy):
    regular, extended = (coarser(table_of(spy), "30min", hours=hours).to_pandas() for hours in (REGULAR, EXTENDED))
    both = extended[extended["bar_end"].isin(regular["bar_end"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, regular)
    clock = extended["bar_start"].dt.tz_convert("America/New_York").dt.strftime("%H:%M")
    assert {"04:00", "09:00", "09:30", "15:30", "16:00", "19:30"} <= set(clock)


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2024-03-08", "14:30", "21:00"),
        ("2024-03-11", "13:30", "20:00"),
        ("2024-11-01", "13:30", "20:00"),
        ("2024-11-04", "14:30", "21:00"),
        ("2024-11-29", "14:30", "18:00"),
    ],
)
def test_sessions_open_and_close_as_they_did_on_clock_changes_and_half_days(day, opens, closes):
    start = dt.datetime.fromisoformat(day).replace(tzinfo=UTC)
    grid = bar_grid("session", REGULAR, start, start + dt.timedelta(days=1))
    times = [str(np.datetime64(int(time), "us"))[:16] for time in (*grid.start, *grid.end)]
    assert times == [f"{day}T{opens}", f"{day}T{closes}"]
    hours = bar_grid("1h", REGULAR, start, start + dt.timedelta(days=1))
    assert hours.start[0] == grid.start[0] and hours.end[-1] == grid.end[-1]
    assert hours.start.size == (4 if day == "2024-11-29" else 7)


@pytest.mark.parametrize("day", ["2012-10-29", "2012-10-30", "2025-01-09", "2024-03-10", "2024-11-03"])
def test_a_day_without_a_session_has_no_bars_of_any_size_below_a_week(day):
    start = dt.datetime.fromisoformat(day).replace(tzinfo=UTC)
    for size in ("1min", "5min", "1h", "session"):
        assert bar_grid(size, EXTENDED, start + dt.timedelta(hours=5), start + dt.timedelta(hours=24)).end.size == 0
    traded = minutes(every_minute(f"{day} 10:00", f"{day} 11:00"))
    assert coarser(traded, "5min", hours=EXTENDED, until=at(f"{day} 23:00")).num_rows == 0


def test_late_trading_of_a_half_day_ends_at_five():
    day = at("2024-11-29 00:00")
    grid = bar_grid("session", EXTENDED, day, day + dt.timedelta(days=1))
    ends = pa.table({"bar_end": pa.array(grid.end).view(INSTANT), "bar_start": pa.array(grid.start).view(INSTANT)})
    assert local(ends) == ["11-29 17:00"] and local(ends, "bar_start") == ["11-29 04:00"]


def test_hours_before_the_open_are_counted_back_from_it_and_those_after_the_close_from_there():
    grid = bar_grid("1h", EXTENDED, at("2024-11-26 00:00"), at("2024-11-27 00:00"))
    bars = pa.table({"bar_end": pa.array(grid.end).view(INSTANT), "bar_start": pa.array(grid.start).view(INSTANT)})
    early = ["04:30", "05:30", "06:30", "07:30", "08:30", "09:30"]
    regular = ["10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00"]
    late = ["17:00", "18:00", "19:00", "20:00"]
    assert [text[6:] for text in local(bars)] == early + regular + late
    assert [text[6:] for text in local(bars, "bar_start")] == ["04:00", *early, *regular, *late[:-1]]


def test_weeks_and_months_end_with_the_last_session_there_was():
    week = bar_grid("week", REGULAR, at("2012-10-29 09:30"), at("2012-11-02 16:00"))
    # Closed on Monday and Tuesday for a storm.
    assert [str(np.datetime64(int(t), "us")) for t in (*week.start, *week.end)] == [
        "2012-10-31T13:30:00.000000",
        "2012-11-02T20:00:00.000000",
    ]
    good_friday = bar_grid("week", REGULAR, at("2024-03-25 10:00"), at("2024-03-25 11:00"))
    assert np.datetime64(int(good_friday.end[0]), "us") == np.datetime64("2024-03-28T20:00")
    november = bar_grid("month", REGULAR, at("2024-11-15 00:00"), at("2024-11-16 00:00"))
    assert [str(np.datetime64(int(t), "us"))[:16] for t in (*november.start, *november.end)] == [
        "2024-11-01T13:30",
        "2024-11-29T18:00",
    ]


def test_a_minute_that_ends_at_an_edge_belongs_to_the_bar_before_it():
    bars = minutes([at("2024-11-29 09:30"), at("2024-11-29 09:31"), at("2024-11-29 09:35"), at("2024-11-29 09:36")])
    found = coarser(bars, "5min", until=at("2024-11-29 13:00"))
    assert local(found) == ["11-29 09:35", "11-29 09:40"]
    assert found.column("n_minutes").to_pylist() == [2, 1]
    early = coarser(bars, "5min", hours=EXTENDED, since=at("2024-11-29 09:25"), until=at("2024-11-29 13:00"))
    assert local(early) == ["11-29 09:30", "11-29 09:35", "11-29 09:40"]


def test_only_bars_that_lie_within_the_known_range_are_made():
    bars = minutes(every_minute("2024-11-25 09:30", "2024-11-27 11:10"))
    assert local(coarser(bars, "session")) == ["11-25 16:00", "11-26 16:00"]
    assert local(coarser(bars, "1h"))[-1] == "11-27 10:30"
    assert local(coarser(bars, "session", until=at("2024-11-26 16:00") - dt.timedelta(microseconds=1))) == [
        "11-25 16:00"
    ]
    assert local(coarser(bars, "session", since=at("2024-11-26 09:30"))) == ["11-26 16:00"]
    assert coarser(bars, "week").num_rows == 0
    assert local(coarser(bars, "week", until=at("2024-11-29 13:00"))) == ["11-29 13:00"]
    assert coarser(bars, "week", since=at("2024-11-25 09:31"), until=at("2024-12-01 00:00")).num_rows == 0
    assert local(coarser(bars, "session", since=at("2024-11-25 09:31"))) == ["11-26 16:00"]


def test_a_first_bar_whose_begin_is_not_there_is_left_out_like_a_last_one_whose_end_is_not():
    bars = minutes(every_minute("2024-11-25 10:00", "2024-12-03 16:00"))
    days = ["11-26", "11-27", "11-29", "12-02", "12-03"]
    assert [text[:5] for text in local(coarser(bars, "session"))] == days
    assert local(coarser(bars, "week")) == []
    assert local(coarser(bars, "1h"))[:2] == ["11-25 11:30", "11-25 12:30"]
    assert local(coarser(bars, "30min"))[0] == "11-25 10:30"
    assert local(coarser(bars, "session", since=at("2024-11-25 09:30")))[0] == "11-25 16:00"
    assert coarser(coarser(bars, "30min"), "session").equals(coarser(bars, "session"))
    # A minute before the open tells that the session's first minutes are all there.
    early = pa.concat_tables([minutes([at("2024-11-25 08:00")], "BBB"), bars])
    assert local(coarser(early, "session"))[0] == "11-25 16:00"


TIMES = every_minute("2024-10-30 03:00", "2024-11-06 21:00", step=7) + every_minute(
    "2024-11-27 04:00", "2024-12-03 20:00", step=11
)


@st.composite
def drawn_minutes(draw) -> pa.Table:
    """Minutes of up to three symbols, around a clock change, a month's end and a half day."""
    tables = []
    for symbol in draw(st.lists(st.sampled_from(["AAA", "BBB", "a b"]), min_size=1, max_size=3, unique=True)):
        chosen = draw(st.lists(st.sampled_from(TIMES), unique=True, max_size=40))
        tables.append(minutes(chosen, symbol, seed=draw(st.integers(0, 9))))
    return pa.concat_tables(tables)


ALL = {"since": at("2024-01-01 00:00"), "until": at("2025-01-01 00:00")}


@settings(max_examples=60, deadline=None)
@given(drawn_minutes(), st.sampled_from(list(FINER)), st.sampled_from([REGULAR, EXTENDED]))
def test_bars_made_in_steps_are_those_made_at_once(bars, size, hours):
    direct = coarser(bars, size, hours=hours, **ALL)
    stepwise, path = bars, [size]
    while path[-1] != "1min":
        path.append(FINER[path[-1]])
    for finer in reversed(path):
        stepwise = coarser(stepwise, finer, hours=hours, **ALL)
        assert coarser(stepwise, finer, hours=hours, **ALL).equals(stepwise)
    assert stepwise.equals(direct)


@settings(max_examples=60, deadline=None)
@given(drawn_minutes(), st.sampled_from(list(FINER)), st.sampled_from([REGULAR, EXTENDED]), st.randoms())
def test_bars_follow_the_rules_of_bars_and_the_order_of_the_rows_does_not_matter(bars, size, hours, random):
    found = coarser(bars, size, hours=hours, **ALL)
    shuffled = list(range(bars.num_rows))
    random.shuffle(shuffled)
    assert coarser(bars.take(pa.array(shuffled, pa.int64())), size, hours=hours, **ALL).equals(found)
    frame = found.to_pandas()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["bar_start"] < frame["bar_end"]).all()
    assert not frame.duplicated(["symbol", "bar_end"]).any()
    inside = bars.to_pandas()
    sessions = bar_grid("session", hours, TIMES[0] - dt.timedelta(days=3), TIMES[-1] + dt.timedelta(days=3))
    ends = inside["bar_end"].astype("int64").to_numpy()
    counted = ((ends[:, None] > sessions.start) & (ends[:, None] <= sessions.end)).any(axis=1)
    assert frame["volume"].sum() == inside["volume"][counted].sum()
    assert frame["n_minutes"].sum() == counted.sum()
    for name, how in (("high", "max"), ("low", "min")):
        if counted.any():
            assert getattr(frame[name], how)() == getattr(inside[name][counted], how)()


@settings(max_examples=60, deadline=None)
@given(drawn_minutes(), st.sampled_from(list(FINER)), st.sampled_from(TIMES), st.sampled_from([REGULAR, EXTENDED]))
def test_what_comes_later_changes_no_bar_that_ended_before(bars, size, moment, hours):
    now = pa.scalar(moment, INSTANT)
    ended = pa.compute.less_equal
    known = bars.filter(ended(bars.column("bar_end"), now))
    whole = coarser(bars, size, hours=hours, **ALL)
    cut = coarser(known, size, hours=hours, since=ALL["since"], until=moment)
    assert cut.equals(whole.filter(ended(whole.column("bar_end"), now)))


def test_a_change_inside_a_bar_that_has_not_closed_is_seen_by_no_minute_before_its_end(spy):
    fine = table_of(spy)
    place = int(np.flatnonzero(spy["new_york"].dt.strftime("%m-%d %H:%M") == "01-12 11:07")[0])
    changed = spy.copy()
    changed.loc[place, ["high", "close", "volume"]] = [999.0, 998.0, 1e9]
    changed.loc[place, "low"] = 1.0
    closes = {"5min": "01-12 11:10", "1h": "01-12 11:30", "session": "01-12 16:00", "week": "01-14 16:00"}
    for size, ends in closes.items():
        before, after = (
            with_latest_closed(fine, coarser(rows, size), prefix="coarse_").to_pandas()
            for rows in (fine, table_of(changed))
        )
        own = {"bar_end", "symbol", *VALUES}
        is_same = (
            before.drop(columns=own).astype("object").fillna(0) == after.drop(columns=own).astype("object").fillna(0)
        ).all(axis=1)
        clock = spy["new_york"].dt.strftime("%m-%d %H:%M")
        assert is_same[clock < ends].all(), size
        assert not is_same[clock == ends].any() and (clock == ends).any(), size


def test_each_minute_stands_beside_the_last_bar_that_had_closed(spy):
    fine = table_of(spy)
    coarse = coarser(fine, "30min").to_pandas()
    found = with_latest_closed(fine, pa.Table.from_pandas(coarse, preserve_index=False), prefix="c_").to_pandas()
    expected = pd.merge_asof(
        spy[["bar_end"]], coarse.add_prefix("c_"), left_on="bar_end", right_on="c_bar_end", allow_exact_matches=True
    )
    for name in ("c_bar_end", "c_open", "c_close", "c_volume"):
        pd.testing.assert_series_equal(found[name], expected[name], check_dtype=False)
    assert found["c_close"].isna().sum() > 10
    assert (found["c_bar_end"].dropna() <= found["bar_end"][found["c_bar_end"].notna()]).all()


def test_symbols_do_not_see_each_others_bars_and_rows_keep_their_order():
    fine = pa.concat_tables(
        [minutes(every_minute("2024-11-29 09:30", "2024-11-29 13:00"), s, seed=i) for i, s in enumerate("BAC")]
    )
    coarse = coarser(fine.filter(pa.compute.not_equal(fine.column("symbol"), "C")), "1h")
    mixed = fine.take(pa.array(np.random.default_rng(0).permutation(fine.num_rows)))
    found = with_latest_closed(mixed, coarse.take(pa.array([7, 3, 0, 4, 1, 6, 5, 2])), prefix="h_").to_pandas()
    assert found["bar_end"].tolist() == mixed.column("bar_end").to_pandas().tolist()
    assert found.loc[found["symbol"] == "C", "h_close"].isna().all()
    for symbol in "AB":
        own = coarse.to_pandas().query("symbol == @symbol").set_index("bar_end")
        rows = found[(found["symbol"] == symbol) & found["h_bar_end"].notna()]
        assert len(rows) == 151
        np.testing.assert_array_equal(rows["h_close"], own["close"].reindex(rows["h_bar_end"]))


def test_a_bar_that_was_corrected_later_is_seen_from_then_on():
    noon, step = at("2024-11-26 12:00"), dt.timedelta(minutes=1)
    bars = minutes(every_minute("2024-11-26 11:00", "2024-11-26 12:10"))
    late = [noon + 3 * step if end == noon else end for end in bars.column("bar_end").to_pylist()]
    coarse = coarser(bars.append_column("known_at", pa.array(late, INSTANT)), "30min")
    assert local(coarse, "known_at") == ["11-26 11:30", "11-26 12:03"]
    found = with_latest_closed(bars, coarse, prefix="c_").to_pandas().set_index("bar_end")["c_bar_end"]
    assert found[noon - step] == found[noon] == found[noon + 2 * step] == noon - 30 * step
    assert found[noon + 3 * step] == noon


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=12), st.lists(st.integers(-2, 22), max_size=12))
def test_the_latest_closed_bar_is_the_one_a_search_through_all_finds(known_at, times):
    found = latest_closed(np.array(known_at, dtype=np.int64), np.array(times, dtype=np.int64))
    assert found.tolist() == [max((i for i, known in enumerate(known_at) if known <= at), default=-1) for at in times]


def test_bars_that_are_not_part_of_one_coarser_bar_are_refused():
    bars = minutes(every_minute("2024-11-25 09:30", "2024-12-06 16:00", step=30))
    weeks, sessions = coarser(bars, "week", **ALL), coarser(bars, "session", hours=EXTENDED, **ALL)
    with pytest.raises(
        LakeError, match="AAA at 2024-11-29 18:00:00 UTC begins at 2024-11-25 14:30.*, before the one of"
    ):
        coarser(weeks, "session")
    thirty = coarser(bars, "30min", **ALL)
    with pytest.raises(LakeError, match="take finer ones"):
        coarser(thirty, "20min")
    with pytest.raises(LakeError, match="begins within the hours of XNYS and ends after them"):
        coarser(sessions, "week")
    assert coarser(sessions, "week", hours=EXTENDED, **ALL).num_rows == 2


def test_rows_that_are_no_bars_are_refused():
    bars = minutes(every_minute("2024-11-29 09:30", "2024-11-29 09:40"))
    with pytest.raises(BadRows, match="a bar must stand once, AAA at 2024-11-29 14:33:00 UTC stands twice"):
        coarser(pa.concat_tables([bars, bars.slice(2, 1)]), "5min")
    with pytest.raises(UnknownColumn, match="bars need the column 'volume'"):
        coarser(bars.drop_columns(["volume"]), "5min")
    with pytest.raises(BadRows, match="bar_end must be times with a zone"):
        coarser(bars.set_column(1, "bar_end", bars.column("bar_end").cast(pa.timestamp("us"))), "5min")
    holed = bars.set_column(5, "close", pa.array([1.0] * 9 + [None]))
    with pytest.raises(BadRows, match="close must be a float64 in every row, was nan for AAA at 2024-11-29 14:40"):
        coarser(holed, "5min")
    with pytest.raises(LakeError, match="the finer bars have a column 'c_low' already"):
        with_latest_closed(bars.append_column("c_low", bars.column("low")), coarser(bars, "5min"), prefix="c_")


@pytest.mark.parametrize("size", ["5 min", "0min", "min", "day", "weeks", "", None, 5])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(LakeError, match="a size of bars is like 1min, 5min"):
        bar_grid(size, REGULAR, at("2024-01-02"), at("2024-01-03"))


def test_times_and_hours_without_meaning_are_refused():
    with pytest.raises(LakeError, match="a time needs a zone, was 2024-01-02T00:00:00"):
        bar_grid("5min", REGULAR, dt.datetime(2024, 1, 2), at("2024-01-03"))
    with pytest.raises(LakeError, match="before is a time of zero up to a day, was -1 day"):
        Hours(before=dt.timedelta(hours=-1))
    with pytest.raises(LakeError, match="the hours of XNYS on 2024-01-02 reach into the next session's"):
        bar_grid(
            "1h", Hours(before=dt.timedelta(hours=10), after=dt.timedelta(hours=10)), at("2024-01-03"), at("2024-01-04")
        )


def test_other_exchanges_have_bars_of_their_own():
    around = Hours("24/7")
    grid = bar_grid("week", around, dt.datetime(2024, 2, 29, tzinfo=UTC), dt.datetime(2024, 3, 1, tzinfo=UTC))
    assert [str(np.datetime64(int(t), "us"))[:10] for t in (*grid.start, *grid.end)] == ["2024-02-26", "2024-03-04"]
    hours = bar_grid("1h", around, dt.datetime(2024, 2, 29, tzinfo=UTC), dt.datetime(2024, 3, 1, tzinfo=UTC))
    assert hours.end.size == 24
    # Sydney's session begins on the UTC day before.
    sydney = bar_grid(
        "session", Hours("XASX"), dt.datetime(2024, 1, 2, tzinfo=UTC), dt.datetime(2024, 1, 2, 6, tzinfo=UTC)
    )
    assert np.datetime64(int(sydney.start[0]), "us") == np.datetime64("2024-01-01T23:00")


def test_no_rows_make_no_bars():
    nothing = minutes([])
    made = coarser(nothing, "1h")
    assert made.num_rows == 0 and made.schema.equals(
        coarser(minutes(every_minute("2024-11-29 09:30", "2024-11-29 13:00")), "1h").schema
    )
    assert with_latest_closed(nothing, made, prefix="c_").num_rows == 0
