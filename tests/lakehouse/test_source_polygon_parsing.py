"""What Polygon's flat files mean: built from the documented headers, compared with the csv module."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from lakehouse.errors import BadPayload, BadRows, EmptyAnswer
from lakehouse.rows import conform
from lakehouse.schemas import table_schema
from lakehouse.sources import polygon_gzip
from lakehouse.sources.base import Parsed
from lakehouse.sources.polygon import PolygonSource
from lakehouse.sources.polygon_gzip import whole_lines

BAR_HEADER = "ticker,volume,open,close,high,low,window_start,transactions"
TRADE_HEADER = (
    "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size,tape,"
    "trf_id,trf_timestamp"
)
QUOTE_HEADER = (
    "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,conditions,indicators,"
    "participant_timestamp,sequence_number,sip_timestamp,tape,trf_timestamp"
)
HEADERS = {"day": BAR_HEADER, "minute": BAR_HEADER, "trades": TRADE_HEADER, "quotes": QUOTE_HEADER}
SESSION = dt.date(2024, 4, 5)
NEW_YORK = ZoneInfo("America/New_York")


def stamp(clock: str = "00:00:00", day: dt.date = SESSION) -> int:
    """Nanoseconds since 1970 of a time in New York."""
    return int(dt.datetime.combine(day, dt.time.fromisoformat(clock), NEW_YORK).timestamp()) * 10**9


def packed(header: str, rows: Iterable[str]) -> bytes:
    return gzip.compress("\n".join([header, *rows, ""]).encode(), mtime=0)


def parse(dataset: str, content: bytes, session: dt.date = SESSION, **options: Any) -> Parsed:
    request = {"dataset": dataset, "key": f"{session}.csv.gz", "session": session.isoformat()}
    return PolygonSource(**options).parse(content, request)


def bar(ticker: str, prices: str = "10,11,12,9", volume: str = "100", at: int | str | None = None) -> str:
    """One row; prices are open, close, high, low, as the vendor orders them."""
    return f"{ticker},{volume},{prices},{stamp() if at is None else at},5"


def day(*rows: str, header: str = BAR_HEADER, **options: Any) -> Parsed:
    return parse("day", packed(header, rows), **options)


def minutes(parsed: Parsed) -> pd.DataFrame:
    return parsed.tables["core/minute_bars"]


GOOD = [bar(f"X{n}") for n in range(300)]
"""Enough good rows for one or two bad ones to be few."""


def test_a_day_file_is_read_by_names_and_not_by_places() -> None:
    (row,) = day(bar("AAPL", prices="10,11,12,9", volume="1234.567")).bars.to_dict("records")
    expected = {"symbol": "AAPL", "session": pd.Timestamp(SESSION), "volume": 1234.567}
    assert row == expected | {"open": 10.0, "close": 11.0, "high": 12.0, "low": 9.0}
    other = day(
        f"9,5,{stamp()},12,11,10,AAPL,1234.567", header="low,transactions,window_start,high,close,open,ticker,volume"
    )
    assert other.bars.to_dict("records") == [row]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (BAR_HEADER.replace("close", "last"), "lacks 'close' and has the new 'last'"),
        (BAR_HEADER.replace("open", "opem"), "lacks 'open' and has the new 'opem'; did you mean 'opem'"),
        (BAR_HEADER.replace(",transactions", ""), "lacks 'transactions'"),
        (f"{BAR_HEADER},vwap", "has the new 'vwap'"),
        (BAR_HEADER.replace("close", "open"), "lacks 'close' and has twice 'open'"),
    ],
)
@pytest.mark.parametrize("dataset", ["day", "minute"])
def test_a_changed_header_is_refused_with_the_difference(dataset: str, header: str, said: str) -> None:
    with pytest.raises(BadPayload, match=rf"the header of 2024-04-05\.csv\.gz is not the documented one, it {said}"):
        parse(dataset, packed(header, [bar("AAPL")]))


@pytest.mark.parametrize("dataset", HEADERS)
def test_each_documented_column_is_needed(dataset: str) -> None:
    for name in HEADERS[dataset].split(","):
        with pytest.raises(BadPayload, match=f"lacks '{name}'"):
            parse(
                dataset,
                packed(
                    HEADERS[dataset].replace(name, "x", 1) if name != "id" else TRADE_HEADER.replace(",id,", ",x,"),
                    ["a"],
                ),
            )


def test_tickers_are_text_whatever_they_spell() -> None:
    names = ["NA", "NULL", "TRUE", "NAN", "NONE", "1E5", "INF", "ON", "0123", "BRK.B", "700"]
    assert day(*map(bar, names)).bars["symbol"].tolist() == sorted(names)


def test_unusual_tickers_are_counted_and_the_others_read() -> None:
    """BApA is a preferred share of BA; in upper case it would be another symbol."""
    odd = ["BApA", "BCATrw", "../x", "A/B", "A B", "", "A" * 33, "\u202eB", "'; DROP"]
    parsed = day(bar("BAPA"), *map(bar, odd), bar("AAPL"))
    assert parsed.bars["symbol"].tolist() == ["AAPL", "BAPA"]
    assert parsed.counts == {"rows of unusual tickers": len(odd)}


def test_a_ticker_that_is_not_utf8_does_not_refuse_the_others() -> None:
    content = "\n".join([BAR_HEADER, bar("AAPL"), ""]).encode() + bar("?").encode().replace(b"?", b"\xff\xfe")
    parsed = parse("day", content)
    assert parsed.bars["symbol"].tolist() == ["AAPL"]
    assert parsed.counts == {"rows of unusual tickers": 1}


def test_a_minute_bar_ends_sixty_seconds_after_its_window_begins() -> None:
    clocks = ["04:00:00", "09:30:00", "15:59:00", "19:59:00"]
    parsed = parse("minute", packed(BAR_HEADER, [bar("AAPL", at=stamp(clock)) for clock in clocks]))
    table = minutes(parsed)
    local = table["bar_end"].dt.tz_convert(NEW_YORK).dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
    assert local == [f"2024-04-05 {clock}" for clock in ("04:01:00", "09:31:00", "16:00:00", "20:00:00")]
    assert table["known_at"].tolist() == table["bar_end"].tolist()
    assert parsed.bars.empty
    assert parsed.counts == {}


def test_recorded_minutes_are_when_they_were() -> None:
    """Stamps of the vendor's own file of 2026-10-02, which begins at 04:00 New York."""
    rows = [bar("AAPL", at=1790928000000000000), bar("AAPL", at=1790928060000000000)]
    table = minutes(parse("minute", packed(BAR_HEADER, rows), dt.date(2026, 10, 2)))
    assert [str(end) for end in table["bar_end"]] == ["2026-10-02 08:01:00+00:00", "2026-10-02 08:02:00+00:00"]
    parsed = parse("day", packed(BAR_HEADER, [bar("AAPL", at=1790913600000000000)]), dt.date(2026, 10, 2))
    assert len(parsed.bars) == 1


@pytest.mark.parametrize("day", [dt.date(2024, 3, 8), dt.date(2024, 3, 11), dt.date(2024, 11, 1), dt.date(2024, 11, 4)])
def test_a_session_lasts_from_midnight_to_midnight_in_new_york_in_summer_and_in_winter(day: dt.date) -> None:
    inside = [stamp("00:00:00", day), stamp("23:59:00", day)]
    outside = [inside[0] - 60 * 10**9, inside[1] + 60 * 10**9]
    content = packed(BAR_HEADER, [bar("AAPL", at=at) for at in inside + outside])
    parsed = parse("minute", content, day, max_bad_share=0.5)
    ends = [(at + 60 * 10**9) // 10**9 for at in inside]
    assert [int(end.timestamp()) for end in minutes(parsed)["bar_end"]] == ends
    assert parsed.counts == {"rows of another session": 2}


@pytest.mark.parametrize("divisor", [10**9, 10**6, 10**3])
def test_another_unit_of_time_refuses_the_file(divisor: int) -> None:
    rows = [bar(f"X{n}", at=stamp() // divisor) for n in range(3)]
    with pytest.raises(BadRows, match=r"3 of 3 rows .* are unusable .*: 3 rows of another session"):
        day(*rows)


def test_a_window_off_the_minute_is_left_out() -> None:
    rows = [bar(f"X{n}", at=stamp("09:30:00")) for n in range(300)] + [bar("AAPL", at=stamp("09:30:00") + 1)]
    parsed = parse("minute", packed(BAR_HEADER, rows))
    assert len(minutes(parsed)) == 300
    assert parsed.counts == {"windows that do not begin on a minute": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (bar("AAPL", prices="10,x,12,9"), "rows with unreadable numbers"),
        (bar("AAPL", prices='"10,5",11,12,9'), "rows with unreadable numbers"),
        (bar("AAPL", prices="ten,11,12,9"), "rows with unreadable numbers"),
        (bar("AAPL", at=""), "rows with unreadable numbers"),
        (bar("AAPL", at="99999999999999999999"), "rows with unreadable numbers"),
        (bar("AAPL", at="1.7e18"), "rows with unreadable numbers"),
        (bar("AAPL") + ",1", "lines of another length"),
        ("AAPL,1", "lines of another length"),
        (bar("AAPL", at=0), "rows of another session"),
        (bar("AAPL", prices=",11,12,9"), "rows without prices"),
        (bar("AAPL", prices="nan,11,12,9"), "rows without prices"),
        (bar("AAPL", prices="inf,11,12,9"), "rows with impossible prices"),
        (bar("AAPL", prices="10,11,9,12"), "rows with impossible prices"),
        (bar("AAPL", prices="0,11,12,9"), "rows with impossible prices"),
        (bar("AAPL", prices="10,-11,12,9"), "rows with impossible prices"),
        (bar("AAPL", volume="-1"), "rows with impossible prices"),
        (bar("AAPL", prices="10,13,12,9"), "rows out of order"),
    ],
)
def test_a_bad_row_is_left_out_and_many_refuse_the_file(row: str, reason: str) -> None:
    parsed = day(*GOOD, row)
    assert parsed.bars["symbol"].tolist() == sorted(f"X{n}" for n in range(300))
    assert parsed.counts == {reason: 1}
    if reason != "rows without prices":
        with pytest.raises(BadRows, match=r"2024-04-05\.csv\.gz are unusable"):
            day(*GOOD[:50], row)
        assert len(day(*GOOD[:50], row, max_bad_share=0.1).bars) == 50


def test_a_close_a_little_above_the_high_widens_the_range() -> None:
    parsed = day(bar("AAPL", prices="10,12.01,12,9"))
    assert parsed.bars["high"].tolist() == [12.01]
    assert parsed.counts == {"ranges widened to open and close": 1}


def test_a_row_given_twice_is_one_row() -> None:
    parsed = day(*GOOD, bar("AAPL"), GOOD[7], bar("AAPL"))
    assert parsed.bars["symbol"].tolist().count("AAPL") == 1
    assert len(parsed.bars) == 301
    assert parsed.counts == {"rows given twice": 2}


def test_rows_of_one_key_that_differ_are_all_left_out() -> None:
    parsed = day(*GOOD, bar("AAPL"), bar("AAPL", volume="101"), bar("AAPL"))
    assert "AAPL" not in parsed.bars["symbol"].tolist()
    assert parsed.counts == {"rows given twice": 1, "rows that share a key and differ": 2}
    with pytest.raises(BadRows, match="2 rows that share a key and differ"):
        day(*GOOD[:50], bar("AAPL"), bar("AAPL", volume="101"))


def test_bars_come_sorted_whatever_the_order_of_the_file() -> None:
    shuffled = GOOD.copy()
    random.Random(1).shuffle(shuffled)
    pd.testing.assert_frame_equal(day(*shuffled).bars, day(*GOOD).bars)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", EmptyAnswer, "is empty"),
        (gzip.compress(b""), EmptyAnswer, "is empty"),
        (packed(BAR_HEADER, []), EmptyAnswer, "no rows below its header"),
        (b"<!DOCTYPE html>", BadPayload, "web page"),
        (packed(BAR_HEADER, GOOD)[:-9], BadPayload, "cut short"),
        (packed(BAR_HEADER, GOOD)[:200], BadPayload, "cut short"),
        (gzip.compress(b"\0" * 50_000_000), BadPayload, "to 1|line of more than"),
        (gzip.compress((BAR_HEADER + "\n" + "0\n" * 30_000_000).encode()), BadPayload, "the limit is 100 to 1"),
        ((BAR_HEADER + "\n" + "A" * 9_000_000).encode(), BadPayload, "a line of more than 1,048,576 bytes"),
        (packed(BAR_HEADER, ['"' + bar("AAPL"), *GOOD]), BadPayload, "quotation mark that runs over 301 lines"),
        (
            packed(BAR_HEADER, ['"' + bar("A"), '"' + bar("B"), *GOOD]),
            BadPayload,
            "quotation mark that runs over 2 lines",
        ),
    ],
)
def test_what_is_no_file_of_bars_is_refused(content: bytes, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        parse("day", content)


def test_damaged_gzip_is_refused() -> None:
    content = bytearray(packed(BAR_HEADER, GOOD))
    content[-6] ^= 1  # in the checksum
    with pytest.raises(BadPayload, match="damaged gzip"):
        parse("day", bytes(content))


def test_a_byte_order_mark_line_ends_of_windows_and_plain_text_are_read() -> None:
    text = "\ufeff" + "\r\n".join([BAR_HEADER, bar("AAPL"), "", bar("MSFT")])
    assert parse("day", text.encode()).bars["symbol"].tolist() == ["AAPL", "MSFT"]


def many_rows(n_rows: int, seed: int) -> list[str]:
    pick = random.Random(seed)
    begin = stamp("04:00:00")
    rows = []
    for n in range(n_rows):
        low = pick.uniform(1.0, 90.0)
        high = low + pick.uniform(0.0, 10.0)
        open_, close = pick.uniform(low, high), pick.uniform(low, high)
        at = begin + (n // 40) * 60 * 10**9
        rows.append(f"T{n % 40},{pick.uniform(0, 1e6):.6f},{open_!r},{close!r},{high!r},{low!r},{at},{n}")
    return rows


@pytest.mark.parametrize("sizes", [(64, 16), (1000, 100), (8 << 20, 1 << 20)])
def test_blocks_of_any_size_give_what_the_csv_module_reads(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]
) -> None:
    monkeypatch.setattr(polygon_gzip, "BLOCK_BYTES", sizes[0])
    monkeypatch.setattr(polygon_gzip, "_PACKED_BYTES", sizes[1])
    rows = many_rows(400, seed=3)
    # Two members, as parallel compressors write them.
    text = "\n".join([BAR_HEADER, *rows, ""]).encode()
    content = gzip.compress(text[:9_000]) + gzip.compress(text[9_000:]) + b"\0" * 40
    table = minutes(parse("minute", content))
    expected = sorted(
        (
            row["ticker"],
            int(row["window_start"]) // 10**9 + 60,
            *(float(row[name]) for name in ("open", "high", "low", "close", "volume")),
        )
        for row in csv.DictReader(io.StringIO(text.decode()))
    )
    found = [
        (row.symbol, int(row.bar_end.timestamp()), row.open, row.high, row.low, row.close, row.volume)
        for row in table.itertuples()
    ]
    assert found == expected


@pytest.mark.parametrize("n_bytes", [1, 3, 7, 1 << 20])
def test_lines_are_never_torn(monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    monkeypatch.setattr(polygon_gzip, "BLOCK_BYTES", n_bytes)
    text = b"header\n1,2\n\n3,4\n5"
    for content in (text, gzip.compress(text)):
        blocks = list(whole_lines(content, what="x"))
        assert blocks[0] == b"header"
        assert all(block.endswith(b"\n") for block in blocks[1:-1])
        assert b"".join(blocks[1:]) == b"1,2\n\n3,4\n5"


def trade(sequence: int, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "ticker": "A",
        "conditions": '"12,37"',
        "correction": 0,
        "exchange": 11,
        "id": 52983525035312,
        "participant_timestamp": 1712306654208705342,
        "price": 142.99,
        "sequence_number": sequence,
        "sip_timestamp": 1712306654208740096,
        "size": 5,
        "tape": 1,
        "trf_id": 0,
        "trf_timestamp": 0,
    }
    return ",".join(str(value) for value in (fields | changes).values())


def trades(*rows: str, **options: Any) -> tuple[pd.DataFrame, dict[str, int]]:
    parsed = parse("trades", packed(TRADE_HEADER, rows), **options)
    return parsed.tables["core/trades"], dict(parsed.counts)


def test_a_trade_is_what_the_tape_says_and_known_when_the_tape_has_it() -> None:
    table, counts = trades(trade(3807), trade(3808, exchange=4, trf_id=202, size="0.7118", conditions="", tape=3))
    first, second = table.to_dict("records")
    assert first == {
        "symbol": "A",
        "time": pd.Timestamp("2024-04-05T08:44:14.208740Z"),
        "sequence": 3807,
        "made_at": pd.Timestamp("2024-04-05T08:44:14.208705Z"),
        "known_at": pd.Timestamp("2024-04-05T08:44:14.208741Z"),
        "trade_id": "52983525035312",
        "price": 142.99,
        "size": 5.0,
        "exchange": "11",
        "conditions": "12,37",
        "correction": 0,
        "tape": "A",
        "facility": "",
    }
    assert (second["size"], second["facility"], second["conditions"], second["tape"]) == (0.7118, "202", "", "C")
    assert counts == {}


def test_what_a_trade_does_not_say_is_empty() -> None:
    table, counts = trades(trade(1, correction="", exchange="", id="", participant_timestamp="", tape="", trf_id=""))
    (row,) = table.to_dict("records")
    assert (row["exchange"], row["trade_id"], row["tape"], row["facility"], row["correction"]) == ("", "", "", "", 0)
    assert pd.isna(row["made_at"])
    assert counts == {}


def test_trade_names_are_text() -> None:
    table, _ = trades(trade(1, id="NA"), trade(2, id="0012"), trade(3, id="1E5"))
    assert table["trade_id"].tolist() == ["NA", "0012", "1E5"]


def test_trades_of_one_report_share_a_sequence_and_are_all_kept() -> None:
    table, counts = trades(trade(130924, id="00220725"), trade(130924, id="00220726"), trade(130924, id="00220726"))
    assert table["trade_id"].tolist() == ["00220725", "00220726"]
    assert counts == {"rows given twice": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"price": 0},
        {"price": -1},
        {"price": ""},
        {"price": "inf"},
        {"size": -1},
        {"size": ""},
        {"sequence_number": ""},
    ],
)
def test_an_impossible_trade_is_left_out(changes: dict[str, Any]) -> None:
    good = [trade(n) for n in range(300)]
    table, counts = trades(*good, trade(999, **changes))
    assert len(table) == 300
    assert counts == {"rows with impossible prices or no sequence": 1}
    with pytest.raises(BadRows, match="1 of 11 rows"):
        trades(*good[:10], trade(999, **changes))


def quote(sequence: int, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "ticker": "A",
        "ask_exchange": 8,
        "ask_price": 180.0,
        "ask_size": 100,
        "bid_exchange": 11,
        "bid_price": 164.28,
        "bid_size": 200,
        "conditions": '"1,81"',
        "indicators": "",
        "participant_timestamp": 1712306654001245000,
        "sequence_number": sequence,
        "sip_timestamp": 1712306654044243000,
        "tape": 2,
        "trf_timestamp": 0,
    }
    return ",".join(str(value) for value in (fields | changes).values())


def quotes(*rows: str, **options: Any) -> tuple[pd.DataFrame, dict[str, int]]:
    parsed = parse("quotes", packed(QUOTE_HEADER, rows), **options)
    return parsed.tables["core/quotes"], dict(parsed.counts)


def test_a_quote_has_both_sides_where_they_are() -> None:
    table, counts = quotes(quote(79497))
    assert table.to_dict("records") == [
        {
            "symbol": "A",
            "time": pd.Timestamp("2024-04-05T08:44:14.044243Z"),
            "sequence": 79497,
            "made_at": pd.Timestamp("2024-04-05T08:44:14.001245Z"),
            "known_at": pd.Timestamp("2024-04-05T08:44:14.044243Z"),
            "bid_price": 164.28,
            "bid_size": 200.0,
            "bid_exchange": "11",
            "ask_price": 180.0,
            "ask_size": 100.0,
            "ask_exchange": "8",
            "conditions": "1,81",
            "indicators": "",
            "tape": "B",
        }
    ]
    assert counts == {}


def test_a_side_nobody_quotes_has_no_price() -> None:
    table, counts = quotes(quote(1, bid_price="0.0", bid_size=0), quote(2, ask_price="", ask_size=""))
    assert table["bid_price"].isna().tolist() == [True, False]
    assert table["ask_price"].isna().tolist() == [False, True]
    assert table["ask_size"].tolist() == [100.0, 0.0]
    assert counts == {}


def test_crossed_quotes_are_kept_and_impossible_ones_are_not() -> None:
    table, _ = quotes(quote(1, bid_price=181.0))
    assert len(table) == 1
    good = [quote(n) for n in range(300)]
    for changes in ({"bid_price": -1}, {"ask_price": "inf"}, {"bid_size": -5}, {"sequence_number": ""}):
        table, counts = quotes(*good, quote(999, **changes))
        assert len(table) == 300
        assert counts == {"rows with impossible prices or no sequence": 1}


@pytest.mark.parametrize(
    ("dataset", "rows"),
    [
        ("minute", [bar("MSFT", at=stamp("09:30:00")), bar("AAPL", at=stamp("09:30:00"))]),
        ("trades", [trade(2, participant_timestamp="", exchange=""), trade(1)]),
        ("quotes", [quote(2, bid_price=0, tape=""), quote(1)]),
    ],
)
def test_rows_are_those_of_their_table(dataset: str, rows: list[str]) -> None:
    parsed = parse(dataset, packed(HEADERS[dataset], rows))
    ((name, frame),) = parsed.tables.items()
    schema = table_schema(name)
    assert {*frame.columns, "source", "snapshot_id", "month"} == set(schema.column_names)
    assert not frame.duplicated(list(schema.key)).any()
    assert (frame["known_at"] >= frame[schema.key[1]]).all()
    table = conform(frame.assign(source="polygon", snapshot_id="0" * 64, month="2024-04"), schema)
    assert table.num_rows == len(rows)


@pytest.mark.parametrize("dataset", ["trades", "quotes"])
def test_ticks_of_other_sessions_and_tickers_are_counted(dataset: str) -> None:
    make = trade if dataset == "trades" else quote
    rows = [make(n) for n in range(300)] + [make(400, sip_timestamp=1712306654), make(401, ticker="BApA")]
    parsed = parse(dataset, packed(HEADERS[dataset], rows))
    assert parsed.counts == {"rows of another session": 1, "rows of unusual tickers": 1}


def test_only_the_wanted_symbols_are_kept_and_judged() -> None:
    bad = [bar("MSFT", prices="x,1,1,1")] * 3
    parsed = day(bar("AAPL"), bar("MSFT"), bar("BApA"), bar("IBM"), only=["AAPL", "IBM"])
    assert parsed.bars["symbol"].tolist() == ["AAPL", "IBM"]
    assert parsed.counts == {}
    assert day(*GOOD, *bad, only=["X1"], max_bad_share=1.0).bars["symbol"].tolist() == ["X1"]


def test_more_rows_than_fit_are_refused_with_the_remedy() -> None:
    with pytest.raises(BadPayload, match=r"more than 299 rows to keep at once: .*option 'only', or raise max_rows"):
        day(*GOOD, max_rows=299)
    assert len(day(*GOOD, max_rows=300).bars) == 300
    assert len(day(*GOOD, max_rows=1, only=["X5"]).bars) == 1


def test_a_file_of_a_large_market_is_read_in_little_memory(tmp_path: Path) -> None:
    """A million trades, 90 MB unpacked, of which one symbol's are kept; measured in a process of its own."""
    lines = "\n".join(trade(n, ticker=f"T{n % 1000}") for n in range(1000))
    file = tmp_path / "trades.csv.gz"
    file.write_bytes(gzip.compress("\n".join([TRADE_HEADER, *[lines] * 1000, ""]).encode(), compresslevel=4))
    code = """
import pathlib, resource, sys
import pandas, pyarrow.csv, pyarrow.compute
from lakehouse.sources.polygon import PolygonSource
def parse(content):
    source = PolygonSource(only=["T7"], max_bad_share=1.0)
    return source.parse(content, {"dataset": "trades", "key": "x", "session": "2024-04-05"})
content = pathlib.Path(sys.argv[1]).read_bytes()
parse(content[:0] + pathlib.Path(sys.argv[2]).read_bytes())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
parsed = parse(content)
print(len(parsed.tables["core/trades"]), dict(parsed.counts))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    small = tmp_path / "small.csv.gz"
    small.write_bytes(packed(TRADE_HEADER, [trade(7, ticker="T7")]))
    run = subprocess.run(
        [sys.executable, "-c", code, str(file), str(small)], capture_output=True, text=True, check=True
    )
    found, grown = run.stdout.splitlines()
    assert found == "1 {'rows given twice': 999}"
    assert int(grown) < 90_000, "KiB"


def test_parsing_is_pure() -> None:
    content = packed(BAR_HEADER, GOOD)
    pd.testing.assert_frame_equal(parse("day", content).bars, parse("day", content).bars)
