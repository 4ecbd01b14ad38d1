"""Any other series: when a value was known decides, so late arrivals and revisions are rows of their own."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lakehouse.errors import BadPayload, BadRows, EmptyAnswer, LakeError, SourceError, SourceUnavailable
from lakehouse.schemas import table_schema
from lakehouse.series import as_of
from lakehouse.sources.alternative import TABLE, AlternativeSource

AS_OF = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
RANGE = (dt.date(2000, 1, 1), dt.date(2026, 1, 1))
COLUMNS = {name: name for name in ("name", "symbol", "about", "known_at", "value")}
HEADER = "name,symbol,about,known_at,value\n"
GOOD = "mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,0.25\n"


def fetched(folder: Path, text: str | bytes, name: str = "series.csv", **options: Any) -> Any:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    source = AlternativeSource(path=str(file), **{"columns": COLUMNS, **options})
    (answer,) = source.fetch([], *RANGE, as_of=AS_OF)
    return answer, source.parse(answer.content, answer.request)


def read(folder: Path, text: str | bytes, **options: Any) -> pd.DataFrame:
    table: pd.DataFrame = fetched(folder, text, **options)[1].tables[TABLE]
    return table


def known(table: pd.DataFrame) -> list[str]:
    return [stamp.isoformat() for stamp in table["known_at"]]


def test_a_file_gives_the_rows_of_the_series_table(tmp_path: Path) -> None:
    text = HEADER + GOOD + "mood,NA,2024-05-01,2024-05-02 09:00:00-04:00,-1\ncpi,,2024-04-30,2024-05-15T12:30Z,3.4\n"
    answer, parsed = fetched(tmp_path, text)
    table = parsed.tables[TABLE]
    assert list(table.columns) == [
        name for name in table_schema(TABLE).column_names if name not in ("source", "snapshot_id")
    ]
    assert [tuple(row) for row in table[["name", "symbol", "value"]].itertuples(index=False)] == [
        ("cpi", "", 3.4),
        ("mood", "AAPL", 0.25),
        ("mood", "NA", -1.0),
    ]
    assert known(table) == [f"2024-05-{time}+00:00" for time in ("15T12:30:00", "01T20:30:00", "02T13:00:00")]
    assert (answer.content, answer.symbol, answer.known_at) == (text.encode(), None, AS_OF)
    assert (answer.first_session, answer.last_session) == (dt.date(2024, 4, 30), dt.date(2024, 5, 1))


def test_an_answer_about_one_symbol_names_it(tmp_path: Path) -> None:
    assert fetched(tmp_path, HEADER + GOOD)[0].symbol == "AAPL"
    assert fetched(tmp_path, HEADER + GOOD.replace("AAPL", ""))[0].symbol is None


LATE = (
    HEADER
    + "sales,ACME,2024-03-31,2024-04-20T21:00:00Z,100\n"  # first published
    + "sales,ACME,2024-03-31,2024-05-10T21:00:00Z,97\n"  # revised
    + "sales,ACME,2024-03-31,2024-08-01T21:00:00Z,99\n"  # and again
    + "sales,ACME,2024-06-30,2024-07-20T21:00:00Z,110\n"
    + "sales,ACME,2023-12-31,2024-06-01T21:00:00Z,90\n"  # arrived late, after the quarter that follows it
    + "sales,BETA,2024-03-31,2024-04-25T21:00:00Z,7\n"
)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2024-04-20T20:59:59.999999Z", {}),
        ("2024-04-20T21:00:00Z", {"ACME 2024-03-31": 100.0}),
        ("2024-04-25T17:00:00-04:00", {"ACME 2024-03-31": 100.0, "BETA 2024-03-31": 7.0}),
        ("2024-05-10T20:00:00Z", {"ACME 2024-03-31": 100.0, "BETA 2024-03-31": 7.0}),
        ("2024-05-10T21:00:00Z", {"ACME 2024-03-31": 97.0, "BETA 2024-03-31": 7.0}),
        (
            "2024-06-30T00:00:00Z",
            {"ACME 2023-12-31": 90.0, "ACME 2024-03-31": 97.0, "BETA 2024-03-31": 7.0},
        ),
        (
            "2025-01-01T00:00:00Z",
            {"ACME 2023-12-31": 90.0, "ACME 2024-03-31": 99.0, "ACME 2024-06-30": 110.0, "BETA 2024-03-31": 7.0},
        ),
    ],
)
def test_a_series_is_read_as_it_was_known(tmp_path: Path, when: str, expected: dict[str, float]) -> None:
    table = read(tmp_path, LATE)
    assert len(table) == 6
    seen = as_of(table, dt.datetime.fromisoformat(when))
    assert {f"{row.symbol} {row.about:%Y-%m-%d}": row.value for row in seen.itertuples()} == expected


def made_up(seed: int = 7, n_rows: int = 400) -> pd.DataFrame:
    """Values about 30 days of 3 symbols, each known 0 to 40 days after, many more than once, in no order."""
    rng = np.random.default_rng(seed)
    about = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 30, n_rows), unit="D")
    lag = pd.to_timedelta(rng.integers(0, 40 * 24 * 60, n_rows), unit="min")
    frame = pd.DataFrame(
        {
            "name": rng.choice(["mood", "rating"], n_rows),
            "symbol": rng.choice(["A", "B", ""], n_rows),
            "about": about.strftime("%Y-%m-%d"),
            "known_at": (about + lag).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": rng.integers(-100, 100, n_rows) / 4.0,
        }
    )
    return frame.drop_duplicates(["name", "symbol", "about", "known_at"])


def test_an_as_of_read_agrees_with_reading_the_rows_one_after_the_other(tmp_path: Path) -> None:
    frame = made_up()
    table = read(tmp_path, frame.to_csv(index=False))
    assert len(table) == len(frame)
    table = table.sample(frac=1.0, random_state=1)  # in no order
    n_revised = 0
    for day in pd.date_range("2023-12-31", "2024-03-15", freq="31h", tz="UTC"):
        state: dict[tuple[str, str, str], float] = {}
        for row in sorted(frame.itertuples(), key=lambda row: row.known_at):
            if dt.datetime.fromisoformat(row.known_at) <= day:
                n_revised += (row.name, row.symbol, row.about) in state
                state[row.name, row.symbol, row.about] = row.value
        seen = as_of(table, day.to_pydatetime())
        assert {(row.name, row.symbol, f"{row.about:%Y-%m-%d}"): row.value for row in seen.itertuples()} == state
    assert n_revised > 100


def test_what_is_known_later_changes_no_earlier_read(tmp_path: Path) -> None:
    table = read(tmp_path, made_up().to_csv(index=False))
    when = dt.datetime(2024, 1, 25, 9, tzinfo=dt.UTC)
    early = table[table["known_at"] <= when]
    assert 0 < len(early) < len(table)
    pd.testing.assert_frame_equal(as_of(table, when), as_of(early, when))


def test_a_read_needs_a_zone(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + GOOD)
    with pytest.raises(LakeError, match="must be timezone-aware, was 2024-05-02"):
        as_of(table, dt.datetime(2024, 5, 2))
    with pytest.raises(LakeError, match="known_at of a series must be timezone-aware"):
        as_of(table.assign(known_at=table["known_at"].dt.tz_localize(None)), AS_OF)


def test_times_of_a_zone_are_converted_daylight_saving_included(tmp_path: Path) -> None:
    text = (
        HEADER
        + GOOD.replace("01T20:30:00Z", "01 16:30")
        + GOOD.replace("2024-05-01", "2024-01-05").replace("20:30:00Z", "16:30")
    )
    table = read(tmp_path, text, time_zone="America/New_York")
    assert known(table) == ["2024-01-05T21:30:00+00:00", "2024-05-01T20:30:00+00:00"]
    with pytest.raises(SourceError, match="known_at of series.csv has no zone: name the publisher's in time_zone"):
        read(tmp_path, text)


def test_a_zone_in_the_file_counts_before_the_option(tmp_path: Path) -> None:
    assert known(read(tmp_path, HEADER + GOOD, time_zone="Asia/Tokyo")) == ["2024-05-01T20:30:00+00:00"]


def test_the_day_a_value_is_about_is_by_default_the_one_it_was_known_on(tmp_path: Path) -> None:
    columns = {"name": "=mood", "known_at": "known_at", "value": "value"}
    text = "known_at,value\n2024-05-02T01:30:00Z,1\n"
    table = read(tmp_path, text, columns=columns)
    assert f"{table['about'].item():%Y-%m-%d}" == "2024-05-02"
    assert (table["name"].item(), table["symbol"].item()) == ("mood", "")
    table = read(tmp_path, text, columns=columns, time_zone="America/New_York")
    assert f"{table['about'].item():%Y-%m-%d}" == "2024-05-01"


def test_a_part_of_a_microsecond_is_never_known_earlier(tmp_path: Path) -> None:
    text = HEADER + GOOD.replace("30:00Z", "30:00.000000001Z") + GOOD.replace("AAPL", "B").replace("00Z", "00.000001Z")
    assert known(read(tmp_path, text)) == ["2024-05-01T20:30:00.000001+00:00"] * 2


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("mood,AAPL,2024-05-01,2024-05-01,1", "times"),  # a day alone
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00,1", "times"),  # no zone, where others have one
        ("mood,AAPL,2024-05-01,1714595400,1", "times"),
        ("mood,AAPL,2024-05-01,,1", "times"),
        ("mood,AAPL,2024-05-01,2024-02-30T20:30:00Z,1", "times"),
        ("mood,AAPL,2024-05-01,2024-05-01T23:59:60Z,1", "times"),
        ("mood,AAPL,2024-05-01,2024-05-01T25:30:00Z,1", "times"),
        ("mood,AAPL,2024-05-01,05/01/2024 20:30Z,1", "times"),
        ("mood,AAPL,2024-05-01,2026-01-02T12:05:01Z,1", "not_in_the_future"),
        ("mood,AAPL,2024-05-01,2206-01-02T12:05:01Z,1", "not_in_the_future"),
        ("mood,AAPL,2024-5-1,2024-05-01T20:30:00Z,1", "plain_dates"),
        ("mood,AAPL,,2024-05-01T20:30:00Z,1", "plain_dates"),
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,", "numbers"),
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,high", "numbers"),
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,nan", "numbers"),
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,1e999", "numbers"),
        ('mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,"1,5"', "numbers"),
        ("mood,aapl,2024-05-01,2024-05-01T20:30:00Z,1", "usable_symbols"),
        ("mood,../x,2024-05-01,2024-05-01T20:30:00Z,1", "usable_symbols"),
        (",AAPL,2024-05-01,2024-05-01T20:30:00Z,1", "names"),
        (" mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,1", "names"),
        ("mo\u202eod,AAPL,2024-05-01,2024-05-01T20:30:00Z,1", "names"),
        (f"{'m' * 101},AAPL,2024-05-01,2024-05-01T20:30:00Z,1", "names"),
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00Z", "whole_rows"),
        ("mood,AAPL,2024-05-01,2024-05-01T20:30:00Z,0.26", "keys_unique"),
        ("mood,AAPL,2024-05-01,2024-05-01T16:30:00-04:00,0.26", "keys_unique"),
    ],
)
def test_a_bad_row_refuses_the_file_and_is_named(tmp_path: Path, row: str, rule: str) -> None:
    with pytest.raises(BadRows, match=r"series\.csv") as caught:
        read(tmp_path, HEADER + GOOD + row + "\n" + GOOD.replace("AAPL", "MSFT"))
    assert caught.value.rule == rule
    lines = [bad["line"] for bad in caught.value.rows]
    assert lines == ([2, 3] if rule == "keys_unique" else [3])
    assert f"line {lines[0]}" in str(caught.value)


def test_a_publishers_clock_may_run_a_little_ahead(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + GOOD.replace("2024-05-01T20:30:00Z", "2026-01-02T12:05:00Z"))
    assert known(table) == ["2026-01-02T12:05:00+00:00"]


@pytest.mark.parametrize("time", ["2024-03-10 02:30:00", "2024-11-03 01:30:00"])
def test_an_hour_that_the_zone_has_not_or_twice_is_refused(tmp_path: Path, time: str) -> None:
    text = HEADER + GOOD.replace("2024-05-01T20:30:00Z", "2024-05-01 20:30:00")
    text += GOOD.replace("AAPL", "B").replace("2024-05-01T20:30:00Z", time)
    with pytest.raises(BadRows, match=r"must be a time that America/New_York has once.*line 3"):
        read(tmp_path, text, time_zone="America/New_York")


def test_a_row_given_twice_is_one_row_and_counted(tmp_path: Path) -> None:
    _, parsed = fetched(tmp_path, HEADER + GOOD + GOOD.replace("20:30:00Z", "22:30:00+02:00"))
    assert len(parsed.tables[TABLE]) == 1
    assert parsed.counts == {"rows given twice": 1}


def test_a_value_may_be_about_a_day_to_come(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + GOOD.replace("AAPL,2024-05-01", "AAPL,2027-12-31"))
    assert f"{table['about'].item():%Y-%m-%d}" == "2027-12-31"


def parquet(**columns: Any) -> bytes:
    good = {
        "name": ["mood", "mood"],
        "symbol": ["AAPL", "NA"],
        "about": [dt.date(2024, 5, 1)] * 2,
        "known_at": pd.to_datetime(["2024-05-01T20:30Z", "2024-05-02T20:30Z"]),
        "value": [1, 2],
    }
    out = io.BytesIO()
    pd.DataFrame({**good, **columns}).to_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"known_at": ["2024-05-01T20:30Z", "2024-05-02T20:30Z"]},
        {"known_at": pd.to_datetime(["2024-05-01T20:30Z", "2024-05-02T20:30Z"]).tz_convert("Asia/Tokyo")},
        {"known_at": pd.to_datetime(["2024-05-01T20:30Z", "2024-05-02T20:30Z"]).as_unit("ns")},
        {"known_at": pd.to_datetime(["2024-05-01T16:30", "2024-05-02T16:30"])},
        {"known_at": pd.to_datetime(["2024-05-01T16:30", "2024-05-02T16:30"]).as_unit("s")},
        {"about": pd.to_datetime(["2024-05-01"] * 2)},
        {"symbol": pd.Categorical(["AAPL", "NA"])},
    ],
)
def test_parquet_is_read_whatever_holds_its_times(tmp_path: Path, columns: Any) -> None:
    table = read(tmp_path, parquet(**columns), name="p.parquet", time_zone="America/New_York")
    assert known(table) == ["2024-05-01T20:30:00+00:00", "2024-05-02T20:30:00+00:00"]
    assert table["symbol"].tolist() == ["AAPL", "NA"]
    assert table["known_at"].dtype == "datetime64[us, UTC]"
    assert [f"{day:%Y-%m-%d}" for day in table["about"]] == ["2024-05-01"] * 2


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"known_at": [dt.date(2024, 5, 1)] * 2}, "times"),
        ({"known_at": [1714595400, 1714595401]}, "times"),
        ({"known_at": pd.to_datetime(["2024-05-01T20:30Z", None])}, "times"),
        ({"known_at": pd.to_datetime(["2026-01-01T20:30Z", "2026-01-02T20:30Z"])}, "not_in_the_future"),
        ({"symbol": ["AAPL", None]}, "usable_symbols"),
        ({"symbol": [1, 2]}, "usable_symbols"),
        ({"name": ["mood", None]}, "names"),
        ({"name": [1, 2]}, "names"),
        ({"about": [dt.date(2024, 5, 1), None]}, "plain_dates"),
        ({"value": [1.0, None]}, "numbers"),
    ],
)
def test_bad_rows_of_parquet_are_refused_and_named(tmp_path: Path, columns: Any, rule: str) -> None:
    with pytest.raises(BadRows, match=r"rows of p\.parquet") as caught:
        read(tmp_path, parquet(**columns), name="p.parquet")
    assert caught.value.rule == rule


def test_a_folder_of_files_names_a_series_each(tmp_path: Path) -> None:
    for name in ("gdp", "cpi.us"):
        (tmp_path / f"{name}.csv").write_text("at,v\n2024-05-01T20:30:00Z,1\n")
    columns = {"name": "={stem}", "known_at": "at", "value": "v"}
    source = AlternativeSource(path=str(tmp_path / "*.csv"), columns=columns)
    found = [
        source.parse(answer.content, answer.request).tables[TABLE] for answer in source.fetch([], *RANGE, as_of=AS_OF)
    ]
    assert [table["name"].item() for table in found] == ["cpi", "gdp"]


def test_gzip_and_other_delimiters_are_read(tmp_path: Path) -> None:
    text = (HEADER + GOOD).replace(",", ";").encode()
    for content in (text, b"\xef\xbb\xbf" + text, gzip.compress(text)):
        assert read(tmp_path, content, delimiter=";")["value"].tolist() == [0.25]


def test_a_snapshot_is_read_as_its_request_says(tmp_path: Path) -> None:
    answer, then = fetched(tmp_path, (HEADER + GOOD).replace("20:30:00Z", "20:30:00"), time_zone="Europe/Berlin")
    for now in (AlternativeSource(), AlternativeSource(path="x", columns=COLUMNS, time_zone="UTC", delimiter=";")):
        assert now.parse(answer.content, answer.request).tables[TABLE].equals(then.tables[TABLE])
    with pytest.raises(SourceError, match="it reads snapshots, nothing to fetch"):
        list(AlternativeSource().fetch([], *RANGE, as_of=AS_OF))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"path": "x.csv"}, "needs the option 'columns' beside 'path'"),
        ({"columns": COLUMNS}, "needs the option 'path' beside 'columns'"),
        ({"path": "x.csv", "columns": {**COLUMNS, "knwon_at": "x"}}, "did you mean 'known_at'"),
        ({"path": "x.csv", "columns": {"name": "=a", "value": "v"}}, "lacks 'known_at'"),
        ({"path": "x.csv", "columns": COLUMNS, "time_zone": "America/NewYork"}, "did you mean 'America/New_York'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(SourceError, match=text):
        AlternativeSource(**options)


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (HEADER, EmptyAnswer, "no rows"),
        (b"", SourceError, "no column 'name'"),
        (HEADER.encode() + b"\xff\xfe\n", BadPayload, "UTF-8"),
        (gzip.compress((HEADER + GOOD).encode())[:-6], BadPayload, "gzip"),
        (b"PAR1 but no more", BadPayload, "not a readable Parquet"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    source = AlternativeSource(path=str(tmp_path / "series.csv"), columns=COLUMNS)
    with pytest.raises(SourceUnavailable, match="there is no file at"):
        list(source.fetch([], *RANGE, as_of=AS_OF))
