"""Members of an index in time: strict reading of the file, and who was in it on a day."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lakehouse.errors import BadName, BadPayload, BadRows, EmptyAnswer, SourceError, SourceUnavailable
from lakehouse.schemas import table_schema
from lakehouse.sources.membership import TABLE, MembershipSource
from lakehouse.universe import members

AS_OF = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
RANGE = (dt.date(2000, 1, 1), dt.date(2026, 1, 1))
HEADER = "ticker,start_date,end_date\n"
REAL = Path("sp500_membership") / "sp500_ticker_start_end.csv"


def fetched(
    folder: Path, text: str | bytes, name: str = "sp500.csv", as_of: dt.datetime = AS_OF, **options: Any
) -> Any:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    source = MembershipSource(path=str(file), **options)
    (answer,) = source.fetch([], *RANGE, as_of=as_of)
    return answer, source.parse(answer.content, answer.request)


def read(folder: Path, text: str | bytes, **options: Any) -> Any:
    return fetched(folder, text, **options)[1]


def rows(parsed: Any) -> list[tuple[str, str, str]]:
    return [
        (row.symbol, f"{row.start:%Y-%m-%d}", "" if pd.isna(row.end) else f"{row.end:%Y-%m-%d}")
        for row in parsed.tables[TABLE].itertuples()
    ]


def test_a_file_gives_the_rows_of_the_universe_table(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER + "NA,2001-02-03,\nAAPL,1996-01-02,1999-05-06\nAAPL,2003-01-02,\n")
    assert rows(parsed) == [
        ("AAPL", "1996-01-02", "1999-05-06"),
        ("AAPL", "2003-01-02", ""),
        ("NA", "2001-02-03", ""),
    ]
    table = parsed.tables[TABLE]
    assert list(table.columns) == [name for name in table_schema(TABLE).column_names if name != "source"]
    assert table["universe"].unique().tolist() == ["sp500"]
    assert parsed.counts == {}
    assert len(parsed.bars) == len(parsed.actions) == 0


def test_a_membership_is_known_from_the_midnight_it_begins(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "AAPL,1996-01-02,\nMSFT,2024-03-11,\n").tables[TABLE]
    assert table["known_at"].dt.tz == dt.UTC
    assert [stamp.isoformat() for stamp in table["known_at"]] == [
        "1996-01-02T00:00:00+00:00",
        "2024-03-11T00:00:00+00:00",
    ]


def test_an_answer_is_the_file_and_states_the_days_it_covers(tmp_path: Path) -> None:
    text = HEADER + "AAPL,1996-01-02,2001-01-05\nMSFT,1999-01-04,2002-01-07\n"
    answer, _ = fetched(tmp_path, text)
    assert answer.content == text.encode()
    assert (answer.source, answer.dataset, answer.symbol) == ("membership", "universe", None)
    assert (answer.first_session, answer.last_session) == (dt.date(1996, 1, 2), dt.date(2002, 1, 6))
    answer, _ = fetched(tmp_path, text + "IBM,1998-01-05,\n")
    assert (answer.first_session, answer.last_session) == (dt.date(1996, 1, 2), None)


@pytest.mark.parametrize(
    ("lines", "rule", "line"),
    [
        (["AAPL,2001-01-03,2001-01-02"], "end_after_start", 2),
        (["AAPL,2001-01-03,2001-01-03"], "end_after_start", 2),
        (["MSFT,2001-01-03,", "AAPL,2001-01-03,2005-01-03", "AAPL,2005-01-02,"], "no_overlap", 3),
        (["AAPL,2001-01-03,", "AAPL,2005-01-02,"], "no_overlap", 2),
        (["AAPL,2005-01-02,", "AAPL,2001-01-03,"], "no_overlap", 3),
        (["AAPL,2001-01-03,2002-01-03", "AAPL,2001-01-03,2003-01-03"], "no_overlap", 2),
        (["AAPL,2001-01-03,2009-01-02", "AAPL,2003-01-03,2004-01-02"], "no_overlap", 2),
        (["AAPL,2001-1-3,"], "plain_dates", 2),
        (["AAPL,2001-02-30,"], "plain_dates", 2),
        (["AAPL,01/03/2001,"], "plain_dates", 2),
        (["AAPL,2001-01-03T00:00:00,"], "plain_dates", 2),
        (["AAPL,2001-01-03 ,"], "plain_dates", 2),
        (["AAPL,,2001-01-03"], "plain_dates", 2),
        (["AAPL,20010103,"], "plain_dates", 2),
        (["AAPL,2001-01-03,never"], "plain_dates", 2),
        (["AAPL,2001-01-03,NaT"], "plain_dates", 2),
        (["AAPL,2001-01-03, "], "plain_dates", 2),
        (["AAPL,2001-01-03,", "MSFT,2026-01-05,"], "not_in_the_future", 3),
        (["AAPL,2001-01-03,2205-01-03"], "not_in_the_future", 2),
        (["BRK/B,2001-01-03,"], "usable_symbols", 2),
        (["aapl,2001-01-03,"], "usable_symbols", 2),
        ([",2001-01-03,"], "usable_symbols", 2),
        (["../x,2001-01-03,"], "usable_symbols", 2),
        (["MSFT,2001-01-03,", "BRK.B,2001-01-03,2002-01-03", "BRK-B,2005-01-03,"], "one_spelling", 3),
        (["AAPL,2001-01-03,", "MSFT,2001-01-03"], "whole_rows", 3),
        (["AAPL,2001-01-03,", "MSFT"], "whole_rows", 3),
    ],
)
def test_a_bad_row_refuses_the_file_and_is_named(tmp_path: Path, lines: list[str], rule: str, line: int) -> None:
    with pytest.raises(BadRows, match=r"sp500\.csv") as caught:
        read(tmp_path, HEADER + "\n".join([*lines, "ZZZ,1990-01-02,1991-01-02"]) + "\n")
    assert caught.value.rule == rule
    assert caught.value.rows[0]["line"] == line
    assert f"line {line}" in str(caught.value)


def test_overlapping_memberships_are_shown_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(BadRows, match="must not overlap") as caught:
        read(tmp_path, HEADER + "AAPL,2001-01-03,2005-01-03\nMSFT,2001-01-03,\nAAPL,2004-01-02,\n")
    assert [row["line"] for row in caught.value.rows] == [2, 4]


def test_memberships_that_follow_on_are_kept_apart_and_counted(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER + "AAPL,2001-01-03,2002-01-03\nAAPL,2002-01-03,\nMSFT,2002-01-03,\n")
    assert rows(parsed)[:2] == [("AAPL", "2001-01-03", "2002-01-03"), ("AAPL", "2002-01-03", "")]
    assert parsed.counts == {"memberships that follow on at once": 1}
    for day in ("2002-01-02", "2002-01-03", "2002-01-04"):
        assert members(parsed.tables[TABLE], "sp500", dt.date.fromisoformat(day)).count("AAPL") == 1


def test_a_row_given_twice_is_one_row_and_counted(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER + "AAPL,2001-01-03,\nMSFT,2001-01-03,2002-01-03\n" * 2)
    assert rows(parsed) == [("AAPL", "2001-01-03", ""), ("MSFT", "2001-01-03", "2002-01-03")]
    assert parsed.counts == {"rows given twice": 2}


def test_classes_of_shares_are_written_as_asked_and_counted(tmp_path: Path) -> None:
    text = HEADER + "BRK.B,2010-02-16,\nBF-B,1996-01-02,\nBTC-USD,2001-01-02,\nA,2000-06-05,\n"
    assert [row[0] for row in rows(read(tmp_path, text))] == ["A", "BF-B", "BRK.B", "BTC-USD"]
    dotted = read(tmp_path, text, class_separator=".")
    assert [row[0] for row in rows(dotted)] == ["A", "BF.B", "BRK.B", "BTC-USD"]
    assert dotted.counts == {"symbols rewritten": 1}
    assert [row[0] for row in rows(read(tmp_path, text, class_separator="-"))] == ["A", "BF-B", "BRK-B", "BTC-USD"]


def test_spellings_made_one_are_one_member(tmp_path: Path) -> None:
    parted = HEADER + "BRK.B,2001-01-03,2002-01-03\nBRK-B,2005-01-03,\n"
    assert [row[0] for row in rows(read(tmp_path, parted, class_separator="."))] == ["BRK.B", "BRK.B"]
    with pytest.raises(BadRows, match="must not overlap"):
        read(tmp_path, parted.replace("2002-01-03", ""), class_separator=".")


@pytest.mark.parametrize("text", [HEADER + "AAPL,2001-01-03,\nMSFT,2001-01-03,", HEADER + "AAPL,2001-01-03,"])
def test_a_file_that_may_be_cut_short_is_no_membership_for_ever(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadRows, match="it may be cut short; end it with a line break"):
        read(tmp_path, text)
    read(tmp_path, text + "\n")
    read(tmp_path, text + "2024-01-02")


def test_other_columns_dates_delimiters_and_gzip_are_read(tmp_path: Path) -> None:
    text = "to;note;from;sym\n;x;03.01.2001;AAPL\n04.01.2005;;03.01.2001;MSFT\n"
    options: dict[str, Any] = {
        "columns": {"symbol": "sym", "start": "from", "end": "to"},
        "date_format": "%d.%m.%Y",
        "delimiter": ";",
        "universe": "Dow 30",
    }
    expected = [("AAPL", "2001-01-03", ""), ("MSFT", "2001-01-03", "2005-01-04")]
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode(), gzip.compress(text.encode())):
        parsed = read(tmp_path, content, **options)
        assert rows(parsed) == expected
        assert parsed.tables[TABLE]["universe"].unique().tolist() == ["Dow 30"]


def test_parquet_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    frame = pd.DataFrame(
        {
            "ticker": ["NA", "AAPL"],
            "start_date": [dt.date(2001, 1, 3), dt.date(2002, 1, 3)],
            "end_date": [None, dt.date(2003, 1, 3)],
        }
    )
    frame.to_parquet(out)
    expected = [("AAPL", "2002-01-03", "2003-01-03"), ("NA", "2001-01-03", "")]
    assert rows(read(tmp_path, out.getvalue(), name="sp500.parquet")) == expected
    stamps = frame.assign(start_date=pd.to_datetime(frame["start_date"]), end_date=pd.to_datetime(frame["end_date"]))
    out = io.BytesIO()
    stamps.to_parquet(out)
    assert rows(read(tmp_path, out.getvalue(), name="sp500.parquet")) == expected
    out = io.BytesIO()
    stamps.assign(start_date=stamps["start_date"] + pd.Timedelta(hours=1)).to_parquet(out)
    with pytest.raises(BadRows, match="start must be a day without a time"):
        read(tmp_path, out.getvalue(), name="sp500.parquet")


def test_a_folder_of_files_is_a_universe_each(tmp_path: Path) -> None:
    for name, symbol in (("sp500.csv", "AAPL"), ("ndx.us.csv", "MSFT")):
        (tmp_path / name).write_text(HEADER + f"{symbol},2001-01-03,\n")
    source = MembershipSource(path=str(tmp_path / "*.csv"), universe="={stem}")
    found = [
        source.parse(answer.content, answer.request).tables[TABLE] for answer in source.fetch([], *RANGE, as_of=AS_OF)
    ]
    assert [(table["universe"].item(), table["symbol"].item()) for table in found] == [
        ("ndx", "MSFT"),
        ("sp500", "AAPL"),
    ]
    with pytest.raises(SourceError, match=r"is 2 files \(ndx\.us\.csv, sp500\.csv, \.\.\.\) and one universe 'sp500'"):
        list(MembershipSource(path=str(tmp_path / "*.csv")).fetch([], *RANGE, as_of=AS_OF))


def test_a_snapshot_is_read_as_its_request_says(tmp_path: Path) -> None:
    answer, then = fetched(tmp_path, HEADER + "BRK-B,2001-01-03,\n", universe="then", class_separator=".")
    now = MembershipSource(universe="now", delimiter=";", date_format="%d.%m.%Y")
    table = now.parse(answer.content, answer.request).tables[TABLE]
    assert table.equals(then.tables[TABLE])
    assert (table["universe"].item(), table["symbol"].item()) == ("then", "BRK.B")
    with pytest.raises(SourceError, match="it reads snapshots, there is nothing to fetch"):
        list(now.fetch([], *RANGE, as_of=AS_OF))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"universe": "all"}, "universe 'all' is made of the bars"),
        ({"universe": "yahoo"}, "universe 'yahoo' is made of the bars"),
        ({"universe": "../x"}, "a universe is named with"),
        ({"universe": ""}, "a universe is named with"),
        ({"class_separator": "/"}, "class_separator is '.' or '-'"),
        ({"columns": {"symbol": "ticker", "start": "start_date"}}, "lacks 'end'"),
        ({"columns": {"symbol": "ticker", "strat": "start_date"}}, "unknown name 'strat'; did you mean 'start'"),
        ({"columns": {}}, "lacks 'symbol'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(SourceError, match=text):
        MembershipSource(**options)


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (HEADER, EmptyAnswer, "no rows"),
        (b"", SourceError, "no column 'ticker'"),
        ("ticker,start,end_date\nA,2001-01-03,\n", SourceError, "no column 'start_date' for 'start'"),
        (HEADER + "A,2001-01-03,2002-01-03,x\n", BadPayload, "not a readable CSV"),
        (HEADER.encode() + b"A\xff,2001-01-03,\n", BadPayload, "UTF-8"),
        (gzip.compress((HEADER + "A,2001-01-03,\n").encode())[:-6], BadPayload, "gzip"),
        (b"PAR1 but no more", BadPayload, "not a readable Parquet"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        read(tmp_path, content)


def test_a_missing_or_too_large_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "sp500.csv").write_text(HEADER + "A,2001-01-03,\n")
    with pytest.raises(SourceUnavailable, match=r"did you mean 'sp500\.csv'"):
        list(MembershipSource(path=str(tmp_path / "sp50.csv")).fetch([], *RANGE, as_of=AS_OF))
    with pytest.raises(SourceError, match="the limit is 10"):
        list(MembershipSource(path=str(tmp_path / "sp500.csv"), max_bytes=10).fetch([], *RANGE, as_of=AS_OF))


def counted(file: Path, day: str) -> int:
    """How many rows of the file hold the day, read with nothing but the standard library."""
    with file.open(newline="") as opened:
        lines = list(csv.DictReader(opened))
    return sum(row["start_date"] <= day and (not row["end_date"] or day < row["end_date"]) for row in lines)


@pytest.mark.parametrize(
    ("day", "n_members"),
    [
        ("1996-01-01", 0),
        ("1996-01-02", 487),
        ("2000-01-03", 491),
        ("2008-09-15", 498),
        ("2019-12-23", 505),
        ("2020-01-02", 505),
        ("2025-01-02", 503),
    ],
)
def test_the_members_of_the_sp500_on_a_day_are_those_of_the_file(shared_data: Path, day: str, n_members: int) -> None:
    source = MembershipSource(path=str(shared_data / REAL))
    (answer,) = source.fetch([], *RANGE, as_of=AS_OF)
    table = source.parse(answer.content, answer.request).tables[TABLE]
    found = members(table, "sp500", dt.date.fromisoformat(day))
    assert len(found) == counted(shared_data / REAL, day) == n_members
    assert ("AAL" in found) == ("2015-03-23" <= day < "2024-09-23" or "1996-01-02" <= day < "1997-01-15")


def test_the_sp500_has_about_500_members_on_every_day(shared_data: Path) -> None:
    """Several classes of a company's shares count each; of the early years the file lacks up to thirteen."""
    source = MembershipSource(path=str(shared_data / REAL))
    (answer,) = source.fetch([], *RANGE, as_of=AS_OF)
    parsed = source.parse(answer.content, answer.request)
    table = parsed.tables[TABLE]
    assert (len(table), table["symbol"].nunique(), parsed.counts) == (1230, 1181, {})
    changes = sorted({*table["start"], *table["end"].dropna()})
    numbers = {day: len(members(table, "sp500", day.date())) for day in changes}
    assert len(changes) > 600
    assert set(numbers.values()) <= set(range(487, 508))
    for limit, last in ((490, "1998-09-30"), (495, "2004-04-01")):
        assert max(day for day, n_members in numbers.items() if n_members < limit) == pd.Timestamp(last)


def test_changes_of_the_sp500_since_2019_are_those_of_the_other_file(shared_data: Path) -> None:
    """Two files of one collection, made apart: additions and removals by day against intervals by symbol."""
    source = MembershipSource(path=str(shared_data / REAL))
    (answer,) = source.fetch([], *RANGE, as_of=AS_OF)
    table = source.parse(answer.content, answer.request).tables[TABLE]
    with (shared_data / "sp500_membership" / "sp500_changes_since_2019.csv").open(newline="") as opened:
        changes = list(csv.DictReader(opened))
    unequal = []
    compared = [change for change in changes if change["date"] < "2025-07-18"]  # where the intervals' file ends
    for change in compared:
        day = dt.date.fromisoformat(change["date"])
        before, after = (set(members(table, "sp500", at)) for at in (day - dt.timedelta(days=1), day))
        added, removed = (set(filter(None, change[name].split(","))) for name in ("add", "remove"))
        if (after - before, before - after) != (added, removed):
            unequal.append((change["date"], added, removed))
    assert len(compared) == 96
    # Two companies that merely took another symbol are one membership in the intervals.
    assert unequal == [("2022-01-10", {"WTW"}, {"WLTW"}), ("2023-07-10", {"EG"}, {"RE"})]


def universe(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "universe": ["x", "x", "y"],
            "symbol": ["B", "A", "C"],
            "start": [dt.date(2001, 1, 3)] * 3,
            "end": [dt.date(2002, 1, 3), None, None],
            **columns,
        }
    )


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2001-01-02", []),
        ("2001-01-03", ["A", "B"]),
        ("2002-01-02", ["A", "B"]),
        ("2002-01-03", ["A"]),
        ("2030-01-01", ["A"]),
    ],
)
def test_members_hold_from_their_start_to_before_their_end(day: str, expected: list[str]) -> None:
    frame = universe()
    at = dt.date.fromisoformat(day)
    assert members(frame, "x", at) == expected
    stamps = frame.assign(start=pd.to_datetime(frame["start"]), end=pd.to_datetime(frame["end"]))
    assert members(stamps, "x", at) == expected


def test_an_end_that_comes_later_changes_no_earlier_day() -> None:
    day = dt.date(2001, 6, 1)
    assert members(universe(), "x", day) == members(universe(end=[None, None, None]), "x", day) == ["A", "B"]


def test_an_unknown_universe_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadName, match="no universe 'sp50'; did you mean 'sp500'"):
        members(universe(universe="sp500"), "sp50", dt.date(2001, 6, 1))
