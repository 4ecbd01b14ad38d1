"""SQL: every table at its version, and nothing else within reach."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import duckdb
import pytest

from lakehouse import TABLES, Lake, connect
from lakehouse.errors import CorruptTable, LakeError, QueryError, UnknownColumn, UnknownTable
from tests.lakehouse.stored import BARS, bars, data_file


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("it's a [lake]*"))
    for price in (1.0, 2.0):
        lake.replace(BARS, bars("2024-01", price=price), partitions=["2024-01"], batch_id=str(price))
    return lake


def test_a_query_equals_a_scan(lake: Lake) -> None:
    found = lake.sql("SELECT * FROM core.daily_bars ORDER BY month, symbol, session")
    assert found.to_pylist() == lake.scan(BARS).to_pylist()
    assert found.schema.types == lake.scan(BARS).schema.types


def test_a_pinned_query_reads_the_pinned_version(lake: Lake) -> None:
    text = "SELECT DISTINCT close FROM core.daily_bars"
    assert lake.sql(text)["close"].to_pylist() == [2.0]
    assert lake.sql(text, pins={BARS: 1})["close"].to_pylist() == [1.0]
    with pytest.raises(UnknownTable, match="asked for 9"):
        lake.sql(text, pins={BARS: 9})
    with pytest.raises(UnknownTable, match="did you mean 'core/daily_bars'"):
        lake.sql(text, pins={"core/daily_bar": 1})


def test_a_connection_keeps_its_versions_while_the_lake_moves_on(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars("2024-01", price=1.0), partitions=["2024-01"], batch_id="a")
    with lake.connect() as connection:
        lake.replace(BARS, bars("2024-01", price=2.0), partitions=["2024-01"], batch_id="b")
        assert connection.cursor().execute("SELECT max(close) FROM core.daily_bars").fetchone() == (1.0,)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_has_its_columns_before_its_first_row(lake: Lake, table: str) -> None:
    found = lake.sql(f"SELECT * FROM {TABLES[table].sql_name} WHERE false")
    assert found.column_names == list(TABLES[table].column_names)
    assert found.schema.types == TABLES[table].schema.types


def test_values_are_bound_and_never_become_sql(lake: Lake) -> None:
    text = "SELECT symbol, session FROM core.daily_bars WHERE symbol = ? AND session >= ? ORDER BY session"
    assert lake.sql(text, parameters=["AAA", dt.date(2024, 1, 30)]).num_rows == 2
    evil = "AAA' UNION SELECT content, NULL FROM read_text('/etc/hostname') --"
    assert lake.sql(text, parameters=[evil, dt.date(2024, 1, 30)]).num_rows == 0
    assert lake.sql("SELECT $a AS a", parameters={"a": evil})["a"].to_pylist() == [evil]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('{data}')",
        "COPY (SELECT 1) TO '{home}/tables/stolen.csv'",
        "COPY (SELECT 1) TO '{data}'",
        "EXPORT DATABASE '{home}/copy'",
        "ATTACH '{home}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET memory_limit = '100GB'",
        "SELECT * FROM secret_of_the_caller",
    ],
)
def test_nothing_but_the_tables_is_within_reach(lake: Lake, text: str) -> None:
    secret_of_the_caller = bars("2024-01")
    assert secret_of_the_caller.num_rows
    data = data_file_of_last_version(lake)
    before = (data.read_bytes(), sorted(lake.home.rglob("*")))
    with pytest.raises(LakeError):
        lake.sql(text.format(home=str(lake.home).replace("'", "''"), data=str(data).replace("'", "''")))
    with lake.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute(text.format(home=str(lake.home).replace("'", "''"), data=str(data).replace("'", "''")))
    assert before == (data.read_bytes(), sorted(lake.home.rglob("*")))


def data_file_of_last_version(lake: Lake) -> Path:
    return lake.home / "tables" / BARS / next(iter(lake.history(BARS)[0]["files"]))


def test_a_wrong_name_gets_the_nearest(lake: Lake) -> None:
    with pytest.raises(UnknownTable, match=r"did you mean 'core\.daily_bars'"):
        lake.sql("SELECT * FROM core.dayly_bars")
    with pytest.raises(UnknownTable, match=r"did you mean 'core\.daily_bars'"):
        lake.sql("SELECT * FROM daily_bars")
    with pytest.raises(UnknownTable, match=r"known: core\.corporate_actions, core\.daily_bars"):
        lake.sql("SELECT * FROM zzz")
    with pytest.raises(UnknownColumn, match="close"):
        lake.sql("SELECT clsoe FROM core.daily_bars")
    with pytest.raises(QueryError, match="syntax error"):
        lake.sql("SELEC 1")
    with pytest.raises(QueryError, match="no result"):
        lake.sql("-- nothing")


def test_a_damaged_file_is_an_error_in_sql_too(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a")
    file = data_file(lake, "2024-01")
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptTable, match="missing or damaged"):
        lake.sql("SELECT * FROM core.daily_bars")


def test_a_moment_tells_the_versions_of_all_tables(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    text = "SELECT max(close) AS close FROM core.daily_bars"
    begun = dt.datetime.now(dt.UTC)
    moments = []
    for price in (1.0, 2.0):
        lake.replace(BARS, bars("2024-01", price=price), partitions=["2024-01"], batch_id=str(price))
        time.sleep(0.01)
        moments.append(dt.datetime.now(dt.UTC))
        time.sleep(0.01)
    assert [lake.sql(text, at=at)["close"][0].as_py() for at in (begun, *moments)] == [None, 1.0, 2.0]
    assert lake.pins([BARS, "core/universe"], at=begun) == {BARS: -1, "core/universe": -1}
    assert lake.pins([BARS], at=moments[0].astimezone(dt.timezone(dt.timedelta(hours=-5)))) == {BARS: 1}
    with lake.connect(at=moments[0]) as connection:
        assert connection.execute(text).fetchone() == (1.0,)
    with lake.connect({BARS: 2}, at=moments[0]) as connection:
        assert connection.execute(text).fetchone() == (2.0,)
    with pytest.raises(LakeError, match="needs a time zone"):
        lake.pins([BARS], at=dt.datetime(2024, 1, 1))


def test_a_clock_that_was_set_back_takes_no_version_back(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    stamps = []
    for price in (1.0, 2.0, 3.0):
        commit = lake.replace(BARS, bars("2024-01", price=price), partitions=["2024-01"], batch_id=str(price))
        file = tmp_path / "tables" / BARS / "_delta_log" / f"{commit.version:020d}.json"
        (info,) = (json.loads(line) for line in file.read_text().splitlines() if "commitInfo" in line)
        stamps.append(info["commitInfo"]["timestamp"])
    # The second commit's clock was an hour behind.
    file = tmp_path / "tables" / BARS / "_delta_log" / f"{2:020d}.json"
    file.write_text(file.read_text().replace(str(stamps[1]), str(stamps[1] - 3_600_000)))
    (tmp_path / "tables" / BARS / "_quantlake" / "commits").unlink()  # the hash it was really written with
    moment = dt.datetime.fromtimestamp(stamps[0] / 1000.0, dt.UTC)
    assert lake.pins([BARS], at=moment) == {BARS: 2}
    assert lake.pins([BARS], at=moment - dt.timedelta(hours=1)) == {BARS: -1}


def test_connect_opens_the_lake_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Lake(tmp_path).replace(BARS, bars("2024-01", price=1.0), partitions=["2024-01"], batch_id="a")
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path))
    with connect() as connection:
        assert connection.execute("SELECT max(close) FROM core.daily_bars").fetchone() == (1.0,)
    with connect({BARS: -1}, home=tmp_path) as connection:
        assert connection.execute("SELECT max(close) FROM core.daily_bars").fetchone() == (None,)
    with pytest.raises(LakeError, match="there is no lake in"):
        connect(home=tmp_path / "nowhere")
