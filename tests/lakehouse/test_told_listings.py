"""Listings made of what sources tell night after night: who has a symbol, and names that stay."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.listing import build_listings, told_by
from lakehouse.schemas import table_schema
from lakehouse.securities import Securities
from lakehouse.sources.polygon import PolygonSource
from tests.lakehouse.listed import FB, META_EVENTS, NEW, rows_of
from tests.lakehouse.priced import LATER, bars_table, day, moment, traded

Part = tuple[dict[str, Any], Any]


def answer(dataset: str, body: Any, at: str) -> Part:
    """What the source makes of a body that came at a moment, with its manifest row."""
    moment_of = moment(at)
    request = {"dataset": dataset, "what": dataset, "symbol": None, "as_of": moment_of.isoformat()}
    content = json.dumps(body).encode()
    parsed = PolygonSource(dataset=dataset, max_bad_share=1.0).parse(content, request)
    return {"source": "polygon", "snapshot_id": "0", "known_at": moment_of}, parsed


def ticker(symbol: str, cik: int | None = None, figi: str | None = None, gone: str | None = None) -> dict[str, Any]:
    """A row of the vendor's list; `gone` is the last day traded of a delisted one."""
    row: dict[str, Any] = {"ticker": symbol, "name": f"{symbol} Inc.", "active": gone is None}
    row |= {} if cik is None else {"cik": f"{cik:010d}"}
    row |= {} if figi is None else {"composite_figi": figi}
    return row if gone is None else {**row, "delisted_utc": f"{gone}T05:00:00Z"}


def listed(at: str, *rows: dict[str, Any]) -> Part:
    return answer("tickers", {"status": "OK", "results": list(rows)}, at)


def made(bars: Sequence[tuple[Any, ...]], *parts: Part) -> pa.Table:
    told = told_by(parts, exchange="XNYS")
    schema = table_schema("core/corporate_actions").schema
    columns = pa.schema([schema.field(name) for name in ("symbol", "ex_date", "kind", "known_at")])
    return build_listings(
        bars_table(bars),
        as_of=LATER,
        histories=told.histories,
        companies=told.companies,
        delistings=pa.Table.from_pylist(told.delistings, schema=columns),
        only_told=True,
    )


def test_recorded_answers_make_rows_without_any_bar(shared_data: Path) -> None:
    folder = shared_data / "polygon_rest"
    pages = [
        answer("tickers", json.loads((folder / f"v3__reference__{name}.json").read_bytes()), "2022-04-27 12:00")
        for name in ("tickers", "tickers_page2")
    ]
    events = json.loads((folder / "vX__reference__tickers__META__events_and_types=ticker_change.json").read_bytes())
    listings = made([], *pages, answer("ticker_events", events, "2022-07-01"))
    assert rows_of(listings) == [
        ("cik:1090872", "A", "2022-04-27", None),
        ("cik:1326801", "FB", "2012-05-18", "2022-06-11"),
        ("cik:1326801", "META", "2022-06-11", None),
        ("cik:1675149", "AA", "2022-04-27", None),
        ("cik:1708646", "AAAU", "2022-04-27", None),
        ("figi:BBG00X5FSP48", "AAA", "2022-04-27", None),
    ]
    row = listings.to_pylist()[0]
    assert (row["name"], row["exchange"], row["source"]) == ("Agilent Technologies Inc.", "XNYS", "polygon")
    assert row["known_at"] == moment("2022-04-27 12:00")


def test_bars_say_since_when_and_a_symbol_nobody_told_of_has_no_row() -> None:
    bars = [*traded("S", "2010-01-04", "2013-07-09"), *traded("S", "2018-01-02", "2018-12-31")]
    bars += traded("NOBODY", "2010-01-04", "2018-12-31")
    told = listed("2018-12-31 23:00", ticker("S", 8))
    assert rows_of(made(bars, told)) == [("cik:8", "S", "2018-01-02", None)]
    delisted = listed("2018-12-31 23:00", ticker("S", 7, gone="2013-07-09"))
    assert rows_of(made(bars, told, delisted)) == [
        ("cik:7", "S", "2010-01-04", "2013-07-10"),
        ("cik:8", "S", "2018-01-02", None),
    ]


@pytest.mark.parametrize("first_bar", ["2018-06-05", "2018-06-25"])
def test_a_symbol_given_to_another_company_between_two_lists_does_not_join_them(first_bar: str) -> None:
    """Without a word on a delisting: the change is at the silence, if there was one, else with the later list."""
    bars = [*traded("X", "2018-01-02", "2018-06-04"), *traded("X", first_bar, "2018-12-31")]
    listings = made(
        bars, listed("2018-05-31 23:00", ticker("X", 1, "F1")), listed("2018-06-30 23:00", ticker("X", 2, "F2"))
    )
    change = "2018-06-30" if first_bar == "2018-06-05" else first_bar
    assert rows_of(listings) == [("cik:1", "X", "2018-01-02", change), ("cik:2", "X", change, None)]
    # What the later list told was not known before it.
    before = Securities(listings, as_of=moment("2018-06-29"))
    assert before.resolve("X", day("2018-06-29")) == "cik:1"


def test_a_renaming_that_only_the_numbers_tell_keeps_one_security() -> None:
    nights = (
        listed("2022-06-08 23:00", ticker("FB", 1326801, "F")),
        listed("2022-06-09 23:00", ticker("META", None, "F")),
    )
    listings = made([*FB, *NEW], *nights)
    assert {row[0] for row in rows_of(listings)} == {"cik:1326801"}
    assert {(row[1], row[3]) for row in rows_of(listings)} == {("FB", "2022-06-09"), ("META", None)}


def test_two_classes_of_a_company_stay_two() -> None:
    bars = [*traded("GOOG", "2018-01-02", "2018-12-31"), *traded("GOOGL", "2014-01-02", "2018-12-31")]
    listings = made(bars, listed("2018-12-31 23:00", ticker("GOOG", 9, "C"), ticker("GOOGL", 9, "A")))
    assert {row[:2] for row in rows_of(listings)} == {("cik:9", "GOOG"), ("cik:9:GOOGL", "GOOGL")}


def test_a_name_stays_when_more_is_told_and_when_earlier_bars_come() -> None:
    bars = traded("X", "2018-01-02", "2018-12-31")
    nights = [
        listed("2018-03-01 23:00", ticker("X", None, None)),
        listed("2018-04-01 23:00", ticker("X", None, "F")),
        listed("2018-05-01 23:00", ticker("X", 5, "F")),
    ]
    name = "sym:X@2018-03-01"
    assert [rows_of(made(bars, *nights[:n]))[0][0] for n in (1, 2, 3)] == [name] * 3
    assert rows_of(made([*traded("X", "2011-01-03", "2017-12-29"), *bars], *nights))[0][:3] == (name, "X", "2011-01-03")
    assert rows_of(made(bars, *nights[1:]))[0][0] == "figi:F"
    assert rows_of(made(bars, *nights[2:]))[0][0] == "cik:5"


def test_a_history_told_again_is_the_later_one_under_the_first_name() -> None:
    before = {
        "status": "OK",
        "results": {**META_EVENTS["results"], "composite_figi": "F", "events": META_EVENTS["results"]["events"][1:]},
    }
    after = {"status": "OK", "results": {**META_EVENTS["results"], "composite_figi": "F"}}
    early, late = answer("ticker_events", before, "2021-01-04"), answer("ticker_events", after, "2023-01-03")
    for parts in ((early, late), (late, early)):
        assert rows_of(made([*FB, *NEW], *parts)) == [
            ("cik:1326801", "FB", "2012-05-18", "2022-06-09"),
            ("cik:1326801", "META", "2022-06-09", None),
        ]


def test_a_history_told_again_with_a_company_keeps_its_first_name() -> None:
    plain = {name: told for name, told in META_EVENTS["results"].items() if name != "cik"}
    bodies = [
        {"status": "OK", "results": {**results, "composite_figi": "F"}} for results in (plain, META_EVENTS["results"])
    ]
    early, late = (
        answer("ticker_events", body, at) for body, at in zip(bodies, ("2023-01-03", "2023-01-04"), strict=True)
    )
    assert {row[0] for row in rows_of(made([*FB, *NEW], early, late))} == {"figi:F"}
    assert {row[0] for row in rows_of(made([*FB, *NEW], late))} == {"cik:1326801"}


def test_a_list_that_runs_late_does_not_give_the_next_company_the_name_of_the_last() -> None:
    """It still has X as company 1's, three days after the vendor's own word on its end."""
    bars = traded("X", "2018-01-02", "2018-12-31")
    late = listed("2018-06-07 23:00", ticker("X", 1, "F1"))
    later = listed("2018-06-08 23:00", ticker("X", 2, "F2"), ticker("X", 1, "F1", gone="2018-06-04"))
    assert rows_of(made(bars, late, later)) == [
        ("cik:1", "X", "2018-01-02", "2018-06-05"),
        ("cik:2", "X", "2018-06-05", None),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_symbols_of_a_made_up_market_mean_who_has_them_and_names_stay(seed: int) -> None:
    """Securities are renamed, end, and give their symbols to others; lists come every week, bars every day."""
    rng = random.Random(seed)
    days = [stamp for stamp in (dt.date(2018, 1, 1) + dt.timedelta(days=n) for n in range(500)) if stamp.weekday() < 5]
    holders: list[dict[str, int]] = []  # by day: symbol -> security
    now, n_born, ended = {f"S{n}": n for n in range(6)}, 6, {}
    for at in range(len(days)):
        if at % 10 == 7:  # between two lists
            symbol = rng.choice(sorted(now))
            event = rng.choice(["rename", "end", "reuse", "reuse"])
            if event == "rename":
                now[rng.choice([f"S{n}" for n in range(12) if f"S{n}" not in now])] = now.pop(symbol)
            elif event == "reuse" or len(now) > 4:
                ended[now[symbol]] = (symbol, days[at - 1])
                if event == "reuse":
                    now[symbol] = n_born
                    n_born += 1
                else:
                    del now[symbol]
        holders.append(dict(now))
    bars = [(symbol, str(today), 10.0) for today, held in zip(days, holders, strict=True) for symbol in held]
    numbers = {number: (None if number % 3 == 0 else 100 + number // 2, f"F{number}") for number in range(n_born)}
    parts = []
    for at in range(0, len(days), 5):
        gone = [
            ticker(symbol, *numbers[who], gone=str(last)) for who, (symbol, last) in ended.items() if last < days[at]
        ]
        rows = [ticker(symbol, *numbers[who]) for symbol, who in holders[at].items()]
        parts.append(listed(f"{days[at]} 23:00", *rows, *gone))
    tables = [made(bars, *parts[:n]) for n in (1, 20, 40, len(parts))]
    names: dict[int, str] = {}
    for n, table in zip((1, 20, 40, len(parts)), tables, strict=True):
        securities = Securities(table, as_of=LATER)
        for at in range(0, n * 5, 5):
            for symbol, who in holders[at].items():
                name = securities.resolve(symbol, days[at])
                assert names.setdefault(who, name) == name, (seed, symbol, days[at])
    assert len(set(names.values())) == len(names) >= 10
    shuffled = rng.sample(parts, len(parts))
    assert made(rng.sample(bars, len(bars)), *shuffled).equals(tables[-1])
