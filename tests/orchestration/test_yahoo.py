"""A live vendor end to end: Yahoo's client against a loopback server, through a real Dagster instance into the lake."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pytest_httpserver import HTTPServer

from orchestration.materialize import MaterializeError, materialize
from tests.homes import REPOSITORY, Home, open_home
from tests.orchestration.yahoo_server import (
    DATA,
    DIVIDENDS,
    SPLITS,
    SYMBOLS,
    TABLES,
    YahooServer,
    between,
    copy_of,
    stored,
    traded,
    yahoo_definitions,
)

NOT_FOUND = (
    b'{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}'
)
NO_RESULT = b'{"chart":{"result":[],"error":null}}'


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def refresh(home: Home, yahoo: YahooServer, months: tuple[str, str], **options: Any) -> dg.ExecuteInProcessResult:
    graph = yahoo_definitions(home, yahoo, **options)
    return materialize(home.instance, DATA, partition_range=months, definitions=graph)


@pytest.fixture
def yahoo(httpserver: HTTPServer) -> YahooServer:
    return YahooServer(httpserver)


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, YahooServer]]:
    """May and June 2024, asked for in one run after the split of 10 June: every price before it told as a quarter."""
    with HTTPServer() as server:
        yahoo = YahooServer(server, now=at("2024-06-28T22:30"))
        for home in open_home(tmp_path_factory.mktemp("spring")):
            result = refresh(home, yahoo, ("2024-05", "2024-06"))
            assert all(check.passed for check in result.get_asset_check_evaluations())
            yield home, yahoo


@pytest.fixture(scope="module")
def thursday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """May 2024 up to Thursday the 30th."""
    with HTTPServer() as server:
        for home in open_home(tmp_path_factory.mktemp("thursday")):
            refresh(home, YahooServer(server, now=at("2024-05-30T22:30")), ("2024-05", "2024-05"))
            yield home


def rows(home: Home, table: str) -> list[dict[str, Any]]:
    return home.lake.scan(table).to_pylist()


def test_bars_and_actions_are_as_traded_and_the_snapshots_as_sent(spring: tuple[Home, YahooServer]) -> None:
    home, yahoo = spring
    for symbol in SYMBOLS:
        bars = [row for row in rows(home, "core/daily_bars") if row["symbol"] == symbol]
        assert [row["session"] for row in bars] == between("2024-05-01", "2024-06-28")
        for row in bars:
            bar = traded(symbol, row["session"])
            found = tuple(row[name] for name in ("open", "high", "low", "close", "volume"))
            assert found == (bar.open, bar.high, bar.low, bar.close, bar.volume), row
            assert row["bar_end"] == row["known_at"] == at(f"{row['session']}T20:00")
            assert row["source"] == "yahoo"
    assert {
        (row["symbol"], row["ex_date"], row["kind"], row["value"]) for row in rows(home, "core/corporate_actions")
    } == {
        *((symbol, day, "split", float(ratio)) for symbol, known in SPLITS.items() for day, ratio in known.items()),
        *((symbol, day, "dividend", cash) for symbol, known in DIVIDENDS.items() for day, cash in known.items()),
    }
    snapshots = {row["symbol"]: row["snapshot_id"] for row in rows(home, "raw/snapshots")}
    assert {symbol: [home.lake.snapshots.read(snapshots[symbol])] for symbol in SYMBOLS} == yahoo.sent
    assert home.lake.verify() == []


def test_features_count_the_split_and_the_dividend_as_returns(spring: tuple[Home, YahooServer]) -> None:
    home, _ = spring
    found = {(row["symbol"], row["session"]): row["total_return"] for row in rows(home, "features/daily")}
    sessions = between("2024-05-01", "2024-06-28")
    assert set(found) == {(symbol, day) for symbol in SYMBOLS for day in sessions}
    for symbol in SYMBOLS:
        for before, day in itertools.pairwise(sessions):
            worth = traded(symbol, day).close * SPLITS[symbol].get(day, 1) + DIVIDENDS[symbol].get(day, 0.0)
            assert found[symbol, day] == pytest.approx(worth / traded(symbol, before).close - 1.0, rel=1e-12)


@pytest.mark.slow
def test_each_night_adds_its_session_whether_or_not_the_month_changes(
    thursday: Home, yahoo: YahooServer, tmp_path: Path
) -> None:
    for home in copy_of(thursday, tmp_path):
        for night, months in (("2024-05-31", ("2024-05", "2024-05")), ("2024-06-03", ("2024-05", "2024-06"))):
            yahoo.now = at(f"{night}T22:30")
            refresh(home, yahoo, months)
            for symbol in SYMBOLS:
                assert stored(home, symbol) == between("2024-05-01", night)
        actions = [(row["symbol"], row["ex_date"]) for row in rows(home, "core/corporate_actions")]
        assert actions == [("ACME", date(2024, 5, 8)), ("BOLT", date(2024, 6, 3))]


@pytest.mark.slow
def test_nights_one_by_one_across_a_split_give_the_bars_of_one_run_over_all_of_them(
    home: Home, yahoo: YahooServer, tmp_path: Path
) -> None:
    """The answers of Friday tell other prices than Monday's, after the split; what was traded stays what it was."""
    names = ["symbol", "session", "open", "high", "low", "close", "volume", "known_at"]
    for night in ("2024-06-07", "2024-06-10"):
        yahoo.now = at(f"{night}T22:30")
        refresh(home, yahoo, ("2024-06", "2024-06"))
    for other in open_home(tmp_path / "other"):
        refresh(other, yahoo, ("2024-06", "2024-06"))
        for table, columns in (("core/daily_bars", names), ("features/daily", None)):
            assert home.lake.scan(table, columns=columns) == other.lake.scan(table, columns=columns)
    assert traded("ACME", date(2024, 6, 7)).close > 3 * traded("ACME", date(2024, 6, 10)).close


@pytest.mark.slow
def test_a_session_still_open_gives_no_bar(home: Home, yahoo: YahooServer) -> None:
    yahoo.now = at("2024-06-06T15:00")
    refresh(home, yahoo, ("2024-06", "2024-06"))
    assert stored(home, "ACME") == between("2024-06-03", "2024-06-05")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(
            200, NO_RESULT, "ACME without any result: suspect, not a delisting", id="empty", marks=pytest.mark.slow
        ),
        pytest.param(429, b"Too Many Requests", "refused ACME for too many requests", id="429", marks=pytest.mark.slow),
        pytest.param(200, b"<html>consent</html>", "for ACME is a web page", id="html"),
        pytest.param(404, NOT_FOUND, "ACME: it is misspelt, renamed or delisted", id="delisted"),
    ],
)
def test_one_bad_answer_fails_the_night_and_takes_nothing_away(
    thursday: Home, yahoo: YahooServer, tmp_path: Path, status: int, body: bytes, reason: str
) -> None:
    yahoo.now = at("2024-05-31T22:30")
    yahoo.broken["ACME"] = (status, body)
    # Throttling ends the fetch at once; what came before it is kept all the same.
    symbols = ("BOLT", "ACME")
    for home in copy_of(thursday, tmp_path):
        before = home.lake.pins(TABLES)
        with pytest.raises(MaterializeError, match=reason):
            refresh(home, yahoo, ("2024-05", "2024-05"), symbols=symbols)
        assert home.lake.pins(TABLES) == before
        kept = [row["symbol"] for row in rows(home, "raw/snapshots") if row["known_at"] == yahoo.now]
        assert kept == ["BOLT"]
        (run,) = home.instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert home.instance.get_run_stats(run.run_id).materializations == 0
        yahoo.broken.clear()
        refresh(home, yahoo, ("2024-05", "2024-05"), symbols=symbols)
        for symbol in SYMBOLS:
            assert stored(home, symbol) == between("2024-05-01", "2024-05-31")


def test_a_night_that_broke_off_asks_only_for_the_rest_and_a_whole_one_asks_again(
    home: Home, yahoo: YahooServer
) -> None:
    def raw(minute: int) -> list[str]:
        """Fetch, and return whose answers were asked for."""
        yahoo.now = at(f"2024-05-31T22:{minute}")
        yahoo.sent.clear()
        graph = yahoo_definitions(home, yahoo, symbols=("BOLT", "ACME"))
        materialize(home.instance, ["raw/yahoo"], partition="2024-05", definitions=graph)
        return list(yahoo.sent)

    yahoo.broken["ACME"] = (429, b"Too Many Requests")
    with pytest.raises(MaterializeError, match="refused ACME for too many requests"):
        raw(30)
    yahoo.broken.clear()
    assert raw(40) == ["ACME"]
    assert raw(50) == ["BOLT", "ACME"]
    kept = sorted((row["known_at"].minute, row["symbol"]) for row in rows(home, "raw/snapshots"))
    assert kept == [(30, "BOLT"), (40, "ACME"), (50, "ACME"), (50, "BOLT")]


@pytest.mark.slow
def test_yahoo_beside_imported_files_supplies_its_symbols_whole_in_every_month(home: Home, yahoo: YahooServer) -> None:
    """The month asked for lies before every answer of Yahoo, which supplies the symbol all the same."""
    from assets.answers import daily_snapshots
    from assets.resources import VendorsResource

    yahoo.now = at("2024-06-28T22:30")
    refresh(home, yahoo, ("2024-05", "2024-05"))
    yahoo.now = at("2024-06-28T23:30")
    refresh(home, yahoo, ("2024-06", "2024-06"))
    assert len(rows(home, "raw/snapshots")) == 4
    both = VendorsResource(sources=["files", "yahoo"], symbols=list(SYMBOLS), exchange="XNYS")
    for months, n_answers in ((["2004-08"], 2), (["2024-06"], 4)):
        found = daily_snapshots(home.lake, both, months)
        assert {row["symbol"] for row in found} == set(SYMBOLS) and len(found) == n_answers


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a process whose quantlake.yaml names Yahoo."""
    file = tmp_path / "quantlake.yaml"
    file.write_text("sources: [yahoo]\nsymbols: [ACME]\n", encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("QUANTLAKE_")}
    yield {**inherited, "QUANTLAKE_CONFIG": str(file), "QUANTLAKE_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}


def test_one_line_of_the_settings_puts_yahoo_in_the_place_of_the_sample(configured: dict[str, str]) -> None:
    code = (
        "from orchestration.definitions import defs\n"
        "graph = defs.resolve_asset_graph()\n"
        "print(sorted(key.to_user_string() for key in graph.get_all_asset_keys() if key.path[0] == 'raw'))\n"
        "bars = next(key for key in graph.get_all_asset_keys() if key.path == ['core', 'daily_bars'])\n"
        "print(sorted(key.to_user_string() for key in graph.get(bars).parent_keys))\n"
        "print(defs.resources['vendors'].sources, defs.resources['vendors'].symbols)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=configured, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["['raw/yahoo']", "['raw/yahoo']", "['yahoo'] ['ACME']"], done.stderr
