"""Bars from files: strict reading, and an error that names the line."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lakehouse.errors import (
    BadName,
    BadPayload,
    BadRows,
    EmptyAnswer,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.sources.files import FilesSource

AS_OF = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
RANGE = (dt.date(2000, 1, 1), dt.date(2026, 1, 1))
COLUMNS = {
    "symbol": "ticker",
    "session": "date",
    **{name: name for name in ("open", "high", "low", "close", "volume")},
}
HEADER = "ticker,date,open,high,low,close,volume\n"
GOOD = "AAPL,2020-01-02,10,12,9,11,1000\n"


def read(folder: Path, text: str | bytes, name: str = "prices.csv", **options: Any) -> Any:
    """Write the file, fetch it and parse the answer back."""
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    source = FilesSource(path=str(file), **{"columns": COLUMNS, **options})
    (answer,) = source.fetch([], *RANGE, as_of=AS_OF)
    return source.parse(answer.content, answer.request)


def rows(parsed: Any) -> list[tuple[Any, ...]]:
    return [
        (row.symbol, f"{row.session:%Y-%m-%d}", row.close)
        for row in parsed.bars.sort_values(["symbol", "session"]).itertuples()
    ]


def test_without_files_it_reads_snapshots_and_has_nothing_to_fetch(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(HEADER + GOOD, encoding="utf-8")
    with_files = FilesSource(path=str(file), columns=COLUMNS)
    (answer,) = with_files.fetch([], *RANGE, as_of=AS_OF)
    reader = FilesSource()
    ours, theirs = (source.parse(answer.content, answer.request) for source in (reader, with_files))
    assert ours.bars.equals(theirs.bars) and len(ours.bars) == 1
    with pytest.raises(SourceError, match="it reads snapshots, there is nothing to fetch"):
        list(reader.fetch([], *RANGE, as_of=AS_OF))


@pytest.mark.parametrize(
    ("options", "missing"), [({"path": "prices.csv"}, "'columns' beside 'path'"), ({"columns": {}}, "'path' beside")]
)
def test_files_need_their_mapping_and_a_mapping_its_files(options: dict[str, Any], missing: str) -> None:
    with pytest.raises(SourceError, match=missing):
        FilesSource(**options)


def test_a_file_is_kept_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(HEADER + GOOD + "MSFT,2020-01-03,10,12,9,11.5,1000\n")
    (answer,) = FilesSource(path=str(file), columns=COLUMNS).fetch([], *RANGE, as_of=AS_OF)
    assert answer.content == file.read_bytes()
    assert (answer.first_session, answer.last_session) == (dt.date(2020, 1, 2), dt.date(2020, 1, 3))
    assert (answer.symbol, answer.media_type, answer.known_at) == (None, "text/csv", AS_OF)


@pytest.mark.parametrize("symbol", ["NA", "ON", "NO", "TRUE", "NULL", "NAN", "NONE", "1E5", "INF", "BRK.B", "007"])
def test_symbols_that_break_readers_stay_symbols(tmp_path: Path, symbol: str) -> None:
    parsed = read(tmp_path, HEADER + GOOD.replace("AAPL", symbol))
    assert parsed.bars["symbol"].tolist() == [symbol]


@pytest.mark.parametrize("symbol", ["../x", "A/B", "", " ", "aapl", "=AAPL", "A\u202eB"])
def test_what_is_no_symbol_is_refused_with_its_line(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(BadRows, match="first at line 3") as caught:
        read(tmp_path, HEADER + GOOD + GOOD.replace("AAPL", symbol))
    assert caught.value.rule == "usable_symbols"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("AAPL,2020-01-03,10,9,9,10,1", "ohlc_order"),  # close above the high
        ("AAPL,2020-01-03,10,12,11,11,1", "ohlc_order"),  # open below the low
        ("AAPL,2020-01-03,10,8,12,10,1", "ohlc_order"),  # high below low
        ("AAPL,2020-01-03,10,12,0,11,1", "positive_prices"),
        ("AAPL,2020-01-03,-10,12,9,11,1", "positive_prices"),
        ("AAPL,2020-01-03,10,12,9,11,-1", "volume_not_negative"),
        ("AAPL,2020-01-03,ten,12,9,11,1", "numbers"),
        ("AAPL,2020-01-03,,12,9,11,1", "numbers"),
        ("AAPL,2020-01-03,nan,12,9,11,1", "numbers"),
        ("AAPL,2020-01-03,10,inf,9,11,1", "numbers"),
        ("AAPL,2020-01-03,10,1e999,9,11,1", "numbers"),
        ('AAPL,2020-01-03,"10,5",12,9,11,1', "numbers"),
        ("AAPL,2020-01-03,0x10,12,9,11,1", "numbers"),
        ("AAPL,2020-01-03,10,12,9,11,", "numbers"),
        ("AAPL,2020-01-03 09:30:00,10,12,9,11,1", "plain_dates"),
        ("AAPL,2020-01-03T00:00:00Z,10,12,9,11,1", "plain_dates"),  # mixed with a plain date
        ("AAPL,01/03/2020,10,12,9,11,1", "plain_dates"),
        ("AAPL,2020-1-3,10,12,9,11,1", "plain_dates"),
        ("AAPL,2020-02-30,10,12,9,11,1", "plain_dates"),
        ("AAPL,,10,12,9,11,1", "plain_dates"),
        ("AAPL,1577923200,10,12,9,11,1", "plain_dates"),
        ("AAPL,2026-02-02,10,12,9,11,1", "not_in_the_future"),
        ("AAPL,2020-01-02,10,12,9,11.5,1000", "keys_unique"),
    ],
)
def test_a_bad_row_refuses_the_file_and_is_named(tmp_path: Path, row: str, rule: str) -> None:
    second = GOOD.replace("2020-01-02", "2020-01-06")
    with pytest.raises(BadRows, match=r"prices\.csv") as caught:
        read(tmp_path, HEADER + GOOD + row + "\n" + second)
    assert caught.value.rule == rule
    lines = [bad["line"] for bad in caught.value.rows]
    assert lines == ([2, 3] if rule == "keys_unique" else [3])
    assert f"line {lines[0]}" in str(caught.value)


def test_a_row_given_twice_with_equal_values_is_one_row(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER + GOOD + GOOD)
    assert len(parsed.bars) == 1
    assert parsed.counts == {"rows given twice": 1}


def test_the_order_of_rows_and_columns_does_not_matter(tmp_path: Path) -> None:
    text = "close,volume,note,date,low,high,open,ticker\n11,1,x,2020-01-03,9,12,10,B\n11,1,,2020-01-02,9,12,10,B\n"
    expected = [("A", "2020-01-02", 11.0), ("B", "2020-01-02", 11.0), ("B", "2020-01-03", 11.0)]
    assert rows(read(tmp_path, text + "11,1,,2020-01-02,9,12,10,A\n")) == expected


def test_dividends_and_splits_become_actions(tmp_path: Path) -> None:
    columns = {**COLUMNS, "dividend": "div", "split": "ratio"}
    text = (
        "ticker,date,open,high,low,close,volume,div,ratio\n"
        "A,2020-01-02,10,12,9,11,1,0.0,1.0\n"
        "A,2020-01-03,10,12,9,11,1,0.25,1\n"
        "A,2020-01-06,10,12,9,11,1,,\n"
        "A,2020-01-07,10,12,9,11,1,0.5,2\n"
        "A,2020-01-08,10,12,9,11,1,0,0\n"
    )
    actions = read(tmp_path, text, columns=columns).actions
    assert [(f"{row.ex_date:%m-%d}", row.kind, row.value) for row in actions.itertuples()] == [
        ("01-03", "dividend", 0.25),
        ("01-07", "dividend", 0.5),
        ("01-07", "split", 2.0),
    ]


@pytest.mark.parametrize(
    ("div", "ratio", "rule"), [("-1", "1", "dividend_not_negative"), ("0", "-2", "split_not_negative")]
)
def test_a_negative_action_is_refused(tmp_path: Path, div: str, ratio: str, rule: str) -> None:
    text = f"ticker,date,open,high,low,close,volume,div,ratio\nA,2020-01-02,10,12,9,11,1,{div},{ratio}\n"
    with pytest.raises(BadRows) as caught:
        read(tmp_path, text, columns={**COLUMNS, "dividend": "div", "split": "ratio"})
    assert caught.value.rule == rule


def test_a_literal_symbol_serves_a_file_of_one(tmp_path: Path) -> None:
    text = "date,open,high,low,close,volume\n2020-01-02,10,12,9,11,1\n"
    parsed = read(tmp_path, text, columns={**COLUMNS, "symbol": "=BRK.B"})
    assert parsed.bars["symbol"].tolist() == ["BRK.B"]
    parsed = read(tmp_path, text, name="MSFT.us.csv", columns={**COLUMNS, "symbol": "={stem}"})
    assert parsed.bars["symbol"].tolist() == ["MSFT"]
    with pytest.raises(BadName, match=r"\.\./X"):
        read(tmp_path, text, columns={**COLUMNS, "symbol": "=../X"})


def test_a_pattern_reads_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("B", "A"):
        (tmp_path / f"{name}.csv").write_text("date,open,high,low,close,volume\n2020-01-02,10,12,9,11,1\n")
    source = FilesSource(path=str(tmp_path / "*.csv"), columns={**COLUMNS, "symbol": "={stem}"})
    assert [answer.symbol for answer in source.fetch(["B", "A"], *RANGE, as_of=AS_OF)] == ["A", "B"]
    with pytest.raises(UnknownSymbol, match="holds the symbol 'C'"):
        list(source.fetch(["A", "C"], *RANGE, as_of=AS_OF))


def test_timestamps_with_a_zone_become_the_exchanges_dates(tmp_path: Path) -> None:
    stamps = ["2020-01-02T21:00:00Z", "2020-01-03T16:00:00-05:00", "2020-01-07T02:00:00+00:00"]
    text = HEADER + "".join(GOOD.replace("2020-01-02", stamp) for stamp in stamps)
    parsed = read(tmp_path, text, time_zone="America/New_York")
    assert [f"{day:%Y-%m-%d}" for day in parsed.bars["session"]] == ["2020-01-02", "2020-01-03", "2020-01-06"]
    with pytest.raises(SourceError, match="name the exchange's zone in time_zone"):
        read(tmp_path, text)
    with pytest.raises(SourceError, match="did you mean 'America/New_York'"):
        read(tmp_path, text, time_zone="America/NewYork")


def test_dates_in_another_form_are_read_where_it_is_named(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER + GOOD.replace("2020-01-02", "02.01.2020"), date_format="%d.%m.%Y")
    assert rows(parsed) == [("AAPL", "2020-01-02", 11.0)]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({**COLUMNS, "clsoe": "close"}, "unknown name 'clsoe'; did you mean 'close'"),
        ({name: COLUMNS[name] for name in COLUMNS if name != "low"}, "lacks 'low'"),
        ({**COLUMNS, "symbol": True}, "gives 'symbol' no column name, was True"),
        ({**COLUMNS, "close": "adj_close"}, "no column 'adj_close' for 'close'; did you mean 'close'"),
        ({**COLUMNS, "session": "Date"}, "no column 'Date' for 'session'; did you mean 'date'"),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_nearest(tmp_path: Path, columns: Any, text: str) -> None:
    with pytest.raises(SourceError, match=text):
        read(tmp_path, HEADER + GOOD, columns=columns)


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (HEADER, EmptyAnswer, "no rows"),
        (b"", SourceError, "no column 'ticker'"),
        (HEADER + "AAPL,2020-01-02,10,12,9,11,1000,7,8,9\n", BadPayload, "not a readable CSV"),
        (HEADER + 'AAPL,"2020-01-02,10,12,9,11,1000\n', BadPayload, "not a readable CSV"),
        (HEADER.encode() + b"\xff\xfe\n", BadPayload, "UTF-8"),
        ("ticker,ticker,date,open,high,low,close,volume\n", BadPayload, "2 columns named 'ticker'"),
        (gzip.compress(HEADER.encode())[:-6], BadPayload, "gzip"),
        (gzip.compress(HEADER.encode() + b"\0" * 30_000_000), BadPayload, "unpacks to more than"),
        (b"PAR1 but no more", BadPayload, "not a readable Parquet"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        read(tmp_path, content)


def test_a_short_row_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadRows, match="line 3"):
        read(tmp_path, HEADER + GOOD + "AAPL,2020-01-03,10\n")


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER + GOOD + "\n" + GOOD.replace("AAPL", "MSFT") + "\n\n")
    assert len(parsed.bars) == 2
    with pytest.raises(BadRows, match="first at line 4"):
        read(tmp_path, HEADER + GOOD + "\n" + GOOD.replace("10,12", "x,12"))


def test_limits_are_kept(tmp_path: Path) -> None:
    text = HEADER + "".join(GOOD.replace("2020-01-02", f"2020-01-{day:02d}") for day in range(1, 20))
    with pytest.raises(BadPayload, match="more than 18 rows"):
        read(tmp_path, text, max_rows=18)
    assert len(read(tmp_path, text, max_rows=19).bars) == 19
    with pytest.raises(SourceError, match="the limit is 100"):
        read(tmp_path, text, max_bytes=100)


def test_byte_order_marks_other_delimiters_and_gzip_are_read(tmp_path: Path) -> None:
    text = (HEADER + GOOD).replace(",", ";")
    expected = [("AAPL", "2020-01-02", 11.0)]
    assert rows(read(tmp_path, b"\xef\xbb\xbf" + text.encode(), delimiter=";")) == expected
    assert rows(read(tmp_path, gzip.compress(text.encode()), name="p.csv.gz", delimiter=";")) == expected


def parquet(**columns: Any) -> bytes:
    good = {
        "ticker": ["AAPL", "NA"],
        "date": [dt.date(2020, 1, 2)] * 2,
        **{name: [10.0, 20.0] for name in ("open", "high", "low", "close")},
        "volume": [1, 2],
    }
    out = io.BytesIO()
    pd.DataFrame({**good, **columns}).to_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"date": pd.to_datetime(["2020-01-02"] * 2)},
        {"date": ["2020-01-02"] * 2},
        {"ticker": pd.Categorical(["AAPL", "NA"])},
        {"close": ["10", "20.0"]},
    ],
)
def test_parquet_is_read_whatever_holds_its_dates_and_numbers(tmp_path: Path, columns: Any) -> None:
    parsed = read(tmp_path, parquet(**columns), name="p.parquet")
    assert rows(parsed) == [("AAPL", "2020-01-02", 10.0), ("NA", "2020-01-02", 20.0)]


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"ticker": ["AAPL", None]}, "usable_symbols"),
        ({"ticker": [1, 2]}, "usable_symbols"),
        ({"ticker": [True, False]}, "usable_symbols"),
        ({"date": pd.to_datetime(["2020-01-02 00:00", "2020-01-02 16:00"])}, "plain_dates"),
        ({"date": pd.to_datetime(["2020-01-02", None])}, "plain_dates"),
        ({"date": [dt.date(2020, 1, 2), None]}, "plain_dates"),
        ({"date": [20200102, 20200103]}, "plain_dates"),
        ({"close": [10.0, None]}, "numbers"),
        ({"volume": [1, -1]}, "volume_not_negative"),
    ],
)
def test_bad_rows_of_parquet_are_refused_and_named(tmp_path: Path, columns: Any, rule: str) -> None:
    with pytest.raises(BadRows, match=r"rows of p\.parquet") as caught:
        read(tmp_path, parquet(**columns), name="p.parquet")
    assert caught.value.rule == rule


def test_zoned_parquet_stamps_become_the_exchanges_dates(tmp_path: Path) -> None:
    stamps = pd.to_datetime(["2020-01-03T02:00Z", "2020-01-02T21:00Z"])
    parsed = read(tmp_path, parquet(date=stamps), name="p.parquet", time_zone="America/New_York")
    assert [f"{day:%Y-%m-%d}" for day in parsed.bars["session"]] == ["2020-01-02", "2020-01-02"]


def test_a_missing_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(HEADER + GOOD)
    with pytest.raises(SourceUnavailable, match=r"no file at .*price\.csv; did you mean 'prices\.csv'"):
        list(FilesSource(path=str(tmp_path / "price.csv"), columns=COLUMNS).fetch([], *RANGE, as_of=AS_OF))
    (tmp_path / "price.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceUnavailable, match=r"no file at .*price\.csv; did you mean 'prices\.csv'"):
        list(FilesSource(path=str(tmp_path / "price.csv"), columns=COLUMNS).fetch([], *RANGE, as_of=AS_OF))


def test_a_folder_stands_for_its_tables_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "pri[c]es"
    (folder / "deeper.csv").mkdir(parents=True)
    (folder / "b.CSV").write_text(HEADER + GOOD)
    (folder / "c.csv.gz").write_bytes(gzip.compress((HEADER + GOOD).encode()))
    (folder / "a.parquet").write_bytes(parquet())
    (folder / "notes.txt").write_text("none")
    (folder / "deeper.csv" / "d.csv").write_text("none")
    answers = FilesSource(path=str(folder), columns=COLUMNS).fetch([], *RANGE, as_of=AS_OF)
    assert [answer.request["file"] for answer in answers] == ["a.parquet", "b.CSV", "c.csv.gz"]
    with pytest.raises(SourceUnavailable, match=r"the folder .*deeper holds no CSV or Parquet file \(\.csv, \.csv\.gz"):
        (tmp_path / "deeper").mkdir()
        list(FilesSource(path=str(tmp_path / "deeper"), columns=COLUMNS).fetch([], *RANGE, as_of=AS_OF))


@pytest.mark.parametrize("text", ["%q", "%Y-%m", "%d.%m", "%", "", "Y-m-d", "%Y-%Y-%d", "ISO8601", 5, None])
def test_a_date_format_that_tells_no_day_is_refused(text: Any) -> None:
    with pytest.raises(SourceError, match="a date format is written in strptime's letters with year, month and day"):
        FilesSource(path="prices.csv", columns=COLUMNS, date_format=text)


@pytest.mark.parametrize(
    "text", ["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%m/%d/%y", "%d %b %Y", "%Y-%m-%d %H:%M:%S", "%Y-%j"]
)
def test_a_date_format_that_tells_the_day_is_taken(text: str) -> None:
    assert FilesSource(path="prices.csv", columns=COLUMNS, date_format=text).symbols(["A"]) == ["A"]


def test_a_snapshot_is_read_as_its_request_says(tmp_path: Path) -> None:
    """The settings may have changed since: what was stored keeps its meaning."""
    file = tmp_path / "prices.csv"
    file.write_text((HEADER + GOOD).replace("ticker", "sym"))
    then = FilesSource(path=str(file), columns={**COLUMNS, "symbol": "sym"})
    (answer,) = then.fetch([], *RANGE, as_of=AS_OF)
    now = FilesSource(path="elsewhere.csv", columns=COLUMNS, delimiter=";", date_format="%d.%m.%Y")
    assert rows(now.parse(answer.content, answer.request)) == [("AAPL", "2020-01-02", 11.0)]


QUANDL = {
    **{name: name.title() for name in ("open", "high", "low", "close", "volume")},
    **{"session": "Date", "dividend": "Ex-Dividend", "split": "Split Ratio"},
}


def test_quandls_tables_are_read(shared_data: Path) -> None:
    folder = shared_data / "quandl_wiki_samples"
    source = FilesSource(path=str(folder / "WIKI-ORCL-2000-quandl.csv"), columns={**QUANDL, "symbol": "=ORCL"})
    (answer,) = source.fetch(["ORCL"], *RANGE, as_of=AS_OF)
    parsed = source.parse(answer.content, answer.request)
    assert len(parsed.bars) == 252
    assert [(f"{row.ex_date:%Y-%m-%d}", row.value) for row in parsed.actions.itertuples()] == [
        ("2000-01-19", 2.0),
        ("2000-10-13", 2.0),
    ]


def test_a_table_of_several_symbols_is_read(shared_data: Path, tmp_path: Path) -> None:
    archive = zipfile.ZipFile(shared_data / "quandl_wiki_samples" / "QUANDL_ARCHIVE_sample.zip")
    columns = {**COLUMNS, "dividend": "ex-dividend", "split": "split_ratio"}
    parsed = read(tmp_path, archive.read("QUANDL_SAMPLE_TABLE.csv"), columns=columns)
    apple = parsed.actions[(parsed.actions["symbol"] == "AAPL") & (parsed.actions["kind"] == "split")]
    assert [(f"{row.ex_date:%Y-%m-%d}", row.value) for row in apple.itertuples()] == [("2014-06-09", 7.0)]


def test_half_a_million_rows_of_real_bars_are_read(shared_data: Path) -> None:
    columns = {**COLUMNS, "dividend": "dividend_amount", "split": "split_coefficient"}
    source = FilesSource(path=str(shared_data / "av_daily" / "daily_120_1999_2019.parquet"), columns=columns)
    (answer,) = source.fetch(["AAPL", "NVDA"], *RANGE, as_of=AS_OF)
    parsed = source.parse(answer.content, answer.request)
    assert len(parsed.bars) == 538_975
    assert parsed.bars["symbol"].nunique() == 119
    assert parsed.actions["kind"].value_counts().to_dict() == {"dividend": 6544, "split": 110}
