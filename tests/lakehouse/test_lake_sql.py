"""SQL: every table at its version, and nothing else within reach."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
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
    with pytest.raises(QueryError, match="syntax error"):
        lake.sql("SELEC 1")
    with pytest.raises(QueryError, match="no result"):
        lake.sql("-- nothing")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT clsoe FROM core.daily_bars",
        "SELECT d.clsoe FROM core.daily_bars AS d",
        "SELECT close FROM core.daily_bars WHERE clsoe > 1",
        "SELECT close FROM core.daily_bars ORDER BY clsoe",
        "SELECT * EXCLUDE (clsoe) FROM core.daily_bars",
        "SELECT * REPLACE (1 AS clsoe) FROM core.daily_bars",
        "SELECT 1 FROM core.daily_bars AS a JOIN core.daily_bars AS b USING (clsoe)",
        "SELECT clsoe FROM (SELECT max(high) AS close FROM core.daily_bars)",
        "SELECT * FROM (SELECT 1 AS close) WHERE clsoe = 1",
    ],
)
def test_a_wrong_column_gets_the_nearest_in_our_words(lake: Lake, text: str) -> None:
    with pytest.raises(UnknownColumn) as caught:
        lake.sql(text)
    assert str(caught.value) == "unknown column 'clsoe'; did you mean 'close'?"


def test_an_error_names_no_part_of_duckdb_where_a_name_is_wrong(lake: Lake) -> None:
    with pytest.raises(UnknownTable, match="the query reads no table 'daly_bars'; did you mean 'daily_bars'"):
        lake.sql("SELECT daly_bars.close FROM core.daily_bars")
    with pytest.raises(UnknownTable, match=r"unknown table 'cor\.daily_bars'; did you mean 'core\.daily_bars'"):
        lake.sql("SELECT * FROM cor.daily_bars")
    with pytest.raises(UnknownColumn, match="unknown column 'zzzzzz'; known: .*adjust|close.*"):
        lake.sql("SELECT zzzzzz FROM core.daily_bars")


def test_several_queries_at_once_are_refused_and_one_that_duckdb_takes_apart_is_not(lake: Lake) -> None:
    with pytest.raises(QueryError, match="one query at a time, these are 2"):
        lake.sql("SELECT 1; SELECT 2")
    assert lake.sql("SELECT 1 AS a; -- the only one").num_rows == 1
    found = lake.sql("PIVOT core.daily_bars ON symbol USING max(close) GROUP BY month")
    assert "AAA" in found.column_names


def test_the_first_rows_of_an_endless_answer_come_at_once(lake: Lake) -> None:
    started = time.monotonic()
    found = lake.sql("SELECT range AS n FROM range(4000000000)", most=70_000)
    assert found["n"].to_pylist() == list(range(70_000)) and time.monotonic() - started < 5.0
    assert lake.sql("SELECT range AS n FROM range(3)", most=3)["n"].to_pylist() == [0, 1, 2]
    assert lake.sql("SELECT range AS n FROM range(3)", most=0).num_rows == 0


def test_an_answer_larger_than_the_memory_allowed_is_refused_with_the_setting(lake: Lake) -> None:
    with pytest.raises(QueryError, match=r"too large.*more than 0\.02 GB.*QUANTLAKE_SQL_MEMORY_GB"):
        lake.sql("SELECT * FROM range(4000000000)", memory_gb=0.02)
    listed = "SELECT max(list_sum(l)) FROM (SELECT list(range) AS l FROM range(40000000))"
    with pytest.raises(QueryError, match=r"ran out of memory.*more than 0\.05 GB"):
        lake.sql(listed, memory_gb=0.05)
    with pytest.raises(QueryError, match="boom"):
        lake.sql("SELECT CASE WHEN range = 150000 THEN error('boom') ELSE range END FROM range(200000)")
    with pytest.raises(QueryError, match="must be above 0 GB"):
        lake.sql("SELECT 1", memory_gb=0.0)


def test_tables_without_a_version_are_named(lake: Lake) -> None:
    text = 'SELECT * FROM core.daily_bars JOIN Core . "Universe" USING (symbol), research.runs'
    assert lake.unwritten(text) == ["core/universe", "research/runs"]
    assert lake.unwritten(text, at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))[0] == BARS
    assert lake.unwritten("SELECT 1 FROM core.daily_bars", pins={BARS: -1}) == [BARS]
    assert lake.unwritten("SELECT 1 FROM core.daily_bars", pins={BARS: 1}) == []


def test_a_damaged_file_is_an_error_in_sql_too(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a")
    file = data_file(lake, "2024-01")
    content = bytearray(file.read_bytes())
    metadata = pq.ParquetFile(file).metadata
    closes = metadata.row_group(0).column(metadata.schema.names.index("close"))
    content[closes.data_page_offset + closes.total_compressed_size - 8] ^= 1  # a value, not the page's header
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
