"""Flat files through real Dagster runs into tables: bars, minutes and ticks; only what is new or has changed is
downloaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from orchestration.materialize import materialize
from tests.orchestration.nights import DAYS, World, nights, publish

ENTRIES = ("polygon", "polygon/minute", "polygon/trades", "polygon/quotes")
TABLES = ("core/daily_bars", "core/minute_bars", "core/trades", "core/quotes")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, make_httpserver: HTTPServer) -> Iterator[World]:
    """Three nights: the first fills the tables, in the second nothing is new, before the third a file of each dataset
    is replaced and two days come."""
    with nights(tmp_path_factory.mktemp("flat"), make_httpserver, ENTRIES, TABLES) as made:
        for day in DAYS[:3]:
            publish(made.files, day)
        made.night()
        made.now = "2024-01-05T13:00:00+00:00"
        made.night()
        for day in DAYS[3:]:
            publish(made.files, day)
        publish(made.files, DAYS[2], shift=5.0)
        made.now = "2024-01-09T13:00:00+00:00"
        made.night()
        yield made


def test_every_table_is_filled_and_a_second_night_changes_none(world: World) -> None:
    assert [world.rows[0][table].num_rows for table in TABLES] == [6, 12, 6, 6]
    assert world.versions[1] == world.versions[0]
    assert all(after.equals(world.rows[0][table]) for table, after in world.rows[1].items())
    assert all(world.versions[2][table] > version for table, version in world.versions[0].items())


def test_a_night_downloads_only_flat_files_that_are_new_or_have_changed(world: World) -> None:
    first, second, third = ({method: asked.count(method) for method in ("GET", "HEAD")} for asked in world.asked)
    assert first == {"GET": 12, "HEAD": 0}
    assert second == {"GET": 0, "HEAD": 12}
    # Two new days and a replaced one of four datasets; what was there is only looked at.
    assert third == {"GET": 12, "HEAD": 12}
    assert world.sql("select count(*) n from raw.snapshots where source = 'polygon' and dataset = 'trades'") == [
        {"n": 6}
    ]


def test_ticks_and_minutes_read_by_sql_are_what_the_vendor_gave_last(world: World) -> None:
    trades = world.sql(
        "select symbol, time::varchar as time, price, size, sequence from core.trades where symbol = 'RE' order by time"
    )
    assert [(row["price"], row["size"], row["sequence"]) for row in trades] == [
        (101.0, 5.0, 7), (101.0, 5.0, 7), (106.0, 5.0, 7), (101.0, 5.0, 7), (101.0, 5.0, 7),
    ]  # fmt: skip
    assert trades[0]["time"].startswith("2024-01-02 15:00:00.000001")
    (spread,) = world.sql("select min(ask_price - bid_price) low, max(ask_price - bid_price) high from core.quotes")
    assert spread == {"low": 0.5, "high": 0.5}
    (volume,) = world.sql("select sum(volume) v, count(distinct bar_end) n, max(close) m from core.minute_bars")
    assert volume == {"v": 20 * 50.0, "n": 10, "m": 106.0}
    (late,) = world.sql("select count(*) n from core.minute_bars where known_at < bar_end")
    assert late == {"n": 0}


@pytest.mark.parametrize("table", TABLES)
def test_the_snapshots_make_the_table_again(world: World, table: str) -> None:
    assert world.is_made_again(table)


def test_a_file_lost_from_the_disk_is_downloaded_again(world: World) -> None:
    lake = world.home.lake
    row = next(row for row in lake.snapshots.find("polygon", "trades") if row["first_session"] == DAYS[0])
    lost = lake.snapshots.path(row["snapshot_id"])
    content = lost.read_bytes()
    lost.unlink()
    world.files.asked.clear()
    materialize(world.home.instance, ["raw/polygon_trades"], definitions=world.graph, partition="2024-01")
    assert lost.read_bytes() == content
    assert "GET" in [method for method, _ in world.files.asked]
