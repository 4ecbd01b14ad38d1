"""Tables beside daily bars, from loopback vendors through real Dagster runs into SQL: filings, series, members and
listings; a second night changes nothing, a later answer does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pytest_httpserver import HTTPServer

from orchestration.materialize import MaterializeError, materialize
from tests.orchestration.nights import DAYS, World, nights, publish

ENTRIES = ("polygon", "polygon/tickers", "polygon/ticker_events", "edgar", "membership", "alternative")
TABLES = ("core/universe", "core/fundamentals", "core/series", "core/listings")
EVENTS = "vX__reference__tickers__META__events_and_types=ticker_change.json"
MEMBERS = "ticker,start_date,end_date\nMETA,2024-01-02,\nRE,2024-01-03,2024-01-05\n"
SERIES = "time,score\n2024-01-03T12:00:00Z,1.5\n2024-01-04T12:00:00Z,2.5\n"
FACT = {
    "end": "2023-09-30",
    "val": 5.0,
    "accn": "0-23-1",
    "fy": 2023,
    "fp": "Q3",
    "form": "10-Q",
    "filed": "2023-10-26",
}


def ticker(figi: str, cik: int, **more: Any) -> dict[str, Any]:
    row = {"ticker": "RE", "name": f"RE {cik}", "active": True, "composite_figi": figi, "cik": f"{cik:010d}"}
    return {"status": "OK", "results": [{**row, **more}]}


def facts(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"cik": 1326801, "entityName": "X", "facts": {"us-gaap": {"Cash": {"units": {"USD": list(rows)}}}}}


@pytest.fixture(scope="module")
def world(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, make_httpserver: HTTPServer) -> Iterator[World]:
    """Three nights: the first fills the tables, in the second nothing is new, before the third much has changed."""
    folder = tmp_path_factory.mktemp("gathered")
    with nights(folder, make_httpserver, ENTRIES, TABLES) as made:
        pages = made.pages
        for day in DAYS[:3]:
            publish(made.files, day)
        (folder / "members.csv").write_text(MEMBERS)
        (folder / "series.csv").write_text(SERIES)
        pages.bodies = {
            "vX/reference/tickers/META/events": (shared_data / "polygon_rest" / EVENTS).read_bytes(),
            "v3/reference/tickers?active=true&ticker=RE": ticker("FIGI1", 111),
            "files/company_tickers.json": {
                "0": {"cik_str": 1326801, "ticker": "META", "title": "Meta"},
                "1": {"cik_str": 111, "ticker": "RE", "title": "Re"},
            },
            "api/xbrl/companyfacts/CIK0001326801.json": facts(FACT),
            "api/xbrl/companyfacts/CIK0000000111.json": {**facts(FACT), "cik": 111},
        }
        made.night()
        made.now = "2024-01-05T13:00:00+00:00"
        made.night()
        for day in DAYS[3:]:
            publish(made.files, day)
        gone = ticker("FIGI1", 111, active=False, delisted_utc="2024-01-04T05:00:00Z")
        pages.bodies["v3/reference/tickers?active=false&ticker=RE"] = gone
        pages.bodies["v3/reference/tickers?active=true&ticker=RE"] = ticker("FIGI2", 222)
        restated = {**FACT, "val": 6.0, "filed": "2024-01-08", "accn": "0-24-1"}
        pages.bodies["api/xbrl/companyfacts/CIK0001326801.json"] = facts(FACT, restated)
        (folder / "series.csv").write_text(SERIES + "2024-01-08T12:00:00Z,9.5\n")
        (folder / "members.csv").write_text(MEMBERS + "NEW,2024-01-08,\n")
        made.now = "2024-01-09T13:00:00+00:00"
        made.night()
        yield made


def test_every_table_is_filled_and_a_second_night_changes_none(world: World) -> None:
    assert [world.rows[0][table].num_rows for table in TABLES] == [6, 2, 2, 3]
    assert world.versions[1] == world.versions[0]
    assert all(after.equals(world.rows[0][table]) for table, after in world.rows[1].items())
    assert all(world.versions[2][table] > version for table, version in world.versions[0].items())


def test_a_revision_is_a_row_known_later(world: World) -> None:
    filed = world.sql(
        "select value, filed::varchar filed, known_at from core.fundamentals where cik = 1326801 order by filed"
    )
    assert [(row["value"], row["filed"]) for row in filed] == [(5.0, "2023-10-26"), (6.0, "2024-01-08")]
    assert filed[0]["known_at"] < filed[1]["known_at"]
    series = world.sql("select value, known_at from core.series order by known_at")
    assert [row["value"] for row in series] == [1.5, 2.5, 9.5]
    members = world.sql("select symbol, \"end\"::varchar e from core.universe where universe = 'sp500' order by symbol")
    assert [(row["symbol"], row["e"]) for row in members] == [("META", None), ("NEW", None), ("RE", "2024-01-05")]


def test_what_a_night_took_away_of_the_stored_history_is_recorded(world: World) -> None:
    """RE was delisted and its symbol given away; filings, values and members were added only."""
    told = world.sql('select "table", symbol, first_session::varchar d, rows_changed from core.restatements')
    found = [(row["table"], row["symbol"], row["d"], row["rows_changed"]) for row in told]
    assert found == [("core/listings", "RE", "2024-01-05", 1)]


def listed(rows: pa.Table) -> list[tuple[str, ...]]:
    names = ("security_id", "symbol", "start", "end")
    return [tuple(str(row[name]) for name in names) for row in rows.to_pylist()]


def test_a_symbol_that_was_given_away_or_changed_is_listed_by_company(world: World) -> None:
    meta = [
        ("cik:1326801", "FB", "2012-05-18", "2022-06-11"),
        ("cik:1326801", "META", "2022-06-11", "None"),
    ]
    assert listed(world.rows[0]["core/listings"]) == [("cik:111", "RE", "2024-01-02", "None"), *meta]
    assert listed(world.rows[2]["core/listings"]) == [
        ("cik:111", "RE", "2024-01-02", "2024-01-05"),
        *meta,
        ("cik:222", "RE", "2024-01-05", "None"),
    ]
    joined = world.sql(
        "select l.security_id, count(*) n from core.daily_bars b join core.listings l on b.symbol = l.symbol "
        'and b.session >= l.start and (l."end" is null or b.session < l."end") group by all order by all'
    )
    assert [tuple(row.values()) for row in joined] == [("cik:111", 3), ("cik:1326801", 5), ("cik:222", 2)]


@pytest.mark.parametrize("table", TABLES)
def test_the_snapshots_make_the_table_again(world: World, table: str) -> None:
    assert world.is_made_again(table)


def test_a_lost_table_of_listings_comes_back_with_the_same_names(world: World) -> None:
    lake = world.home.lake
    shutil.rmtree(lake.home / "tables" / "core" / "listings")
    with pytest.raises(MaterializeError, match="all of the log is gone .*`quantlake rebuild core/listings`"):
        materialize(world.home.instance, ["core/listings"], definitions=world.graph)
    (lake.home / "heads" / "core.listings").unlink()  # as in a new home of the same snapshots
    materialize(world.home.instance, ["core/listings"], definitions=world.graph)
    assert lake.scan("core/listings").equals(world.rows[-1]["core/listings"])
