"""Writes: what is accepted, what is refused, and what the table holds after."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse import Lake
from lakehouse.errors import BadName, BadRows, LakeError, UnknownColumn, UnknownTable
from lakehouse.schemas import table_schema
from tests.lakehouse.stored import BARS, UNIVERSE, WINDOWS, bars, closes, data_file, members, windows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", lock_timeout=5)


def test_rows_read_back_as_written_in_the_tables_own_schema(lake: Lake) -> None:
    rows = bars(["2024-01", "2024-02"])
    commit = lake.replace(BARS, rows, partitions=["2024-01", "2024-02"], batch_id="a")
    read = lake.scan(BARS)
    assert (commit.table, commit.n_rows, commit.was_new) == (BARS, rows.num_rows, True)
    assert read.schema == table_schema(BARS).schema
    assert read.equals(rows.sort_by([(name, "ascending") for name in ("month", "symbol", "session")]))


def test_a_replace_changes_its_own_partitions_only(lake: Lake) -> None:
    lake.replace(BARS, bars(["2024-01", "2024-02"], price=1.0), partitions=["2024-01", "2024-02"], batch_id="a")
    lake.replace(BARS, bars("2024-02", price=2.0), partitions="2024-02", batch_id="b")
    assert closes(lake) == {"2024-01": 1.0, "2024-02": 2.0}
    assert closes(lake, version=1) == {"2024-01": 1.0, "2024-02": 1.0}


def test_a_named_partition_without_rows_is_emptied(lake: Lake) -> None:
    lake.replace(BARS, bars(["2024-01", "2024-02"]), partitions=["2024-01", "2024-02"], batch_id="a")
    commit = lake.replace(BARS, bars("2024-01"), partitions=["2024-01", "2024-02"], batch_id="b")
    assert (commit.was_new, set(closes(lake))) == (True, {"2024-01"})
    lake.replace(BARS, bars([]), partitions=["2024-01"], batch_id="c")
    assert lake.scan(BARS).num_rows == 0


def test_writing_the_same_rows_again_is_no_new_version(lake: Lake) -> None:
    first = lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a")
    again = lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a")
    assert (again.version, again.was_new, again.n_rows) == (first.version, False, first.n_rows)
    assert lake.replace(UNIVERSE, members(), batch_id="e").was_new is False


def test_replacing_a_then_b_then_a_restores_a(lake: Lake) -> None:
    for price, batch_id in ((1.0, "a"), (2.0, "b"), (1.0, "a")):
        assert lake.replace(BARS, bars("2024-01", price=price), partitions=["2024-01"], batch_id=batch_id).was_new
    assert closes(lake) == {"2024-01": 1.0}
    assert [closes(lake, version=version)["2024-01"] for version in (1, 2, 3)] == [1.0, 2.0, 1.0]
    assert lake.verify() == []


def test_months_written_one_by_one_or_shuffled_give_the_same_bytes_as_all_at_once(tmp_path: Path) -> None:
    one, all_at_once = Lake(tmp_path / "one"), Lake(tmp_path / "all")
    months = ["2024-01", "2024-02", "2024-03"]
    for month in reversed(months):
        one.replace(BARS, bars(month), partitions=[month], batch_id=month)
    rows = bars(months, symbols=("BBB", "AAA"))
    all_at_once.replace(BARS, rows.take(pa.array(range(rows.num_rows))[::-1]), partitions=months, batch_id="all")
    for month in months:
        assert data_file(one, month).name == data_file(all_at_once, month).name
        assert data_file(one, month).read_bytes() == data_file(all_at_once, month).read_bytes()
    assert one.scan(BARS).equals(all_at_once.scan(BARS))


def test_an_unpartitioned_table_is_replaced_whole(lake: Lake) -> None:
    lake.replace(UNIVERSE, members("AAA", "BBB"), batch_id="a")
    lake.replace(UNIVERSE, members("CCC"), batch_id="b")
    assert lake.scan(UNIVERSE, columns=["symbol"])["symbol"].to_pylist() == ["CCC"]
    with pytest.raises(LakeError, match="not partitioned"):
        lake.replace(UNIVERSE, members("CCC"), partitions=["2024-01"], batch_id="c")


def test_a_batch_is_appended_once(lake: Lake) -> None:
    first = lake.append_once(WINDOWS, windows("r1"), batch_id="r1")
    again = lake.append_once(WINDOWS, windows("r1"), batch_id="r1")
    lake.append_once(WINDOWS, windows("r2", spec="other"), batch_id="r2")
    assert (first.was_new, again.was_new, again.version) == (True, False, first.version)
    assert lake.scan(WINDOWS, columns=["run_id"])["run_id"].to_pylist() == ["r2", "r2", "r1", "r1"]


def test_a_key_of_another_batch_is_refused_by_append(lake: Lake) -> None:
    lake.append_once(WINDOWS, windows("r1"), batch_id="r1")
    with pytest.raises(BadRows, match="in the table already") as caught:
        lake.append_once(WINDOWS, windows("r1", names=["2010", "2011"]), batch_id="other")
    assert [(row["run_id"], row["test_window"]) for row in caught.value.rows] == [("r1", "2010")]
    lake.append_once(WINDOWS, windows("r1", names=["2011"]), batch_id="other")
    assert lake.scan(WINDOWS)["test_window"].to_pylist() == ["2009", "2010", "2011"]


def test_an_empty_batch_is_remembered_too(lake: Lake) -> None:
    assert lake.append_once(WINDOWS, windows("r", names=[]), batch_id="r").was_new
    assert not lake.append_once(WINDOWS, windows("r", names=[]), batch_id="r").was_new
    assert lake.verify() == []


def test_a_key_twice_in_the_rows_is_refused_with_the_rows(lake: Lake) -> None:
    rows = bars("2024-01", symbols=("AAA",))
    with pytest.raises(BadRows, match="occurs more than once; first symbol AAA, session 2024-01-02") as caught:
        lake.replace(BARS, pa.concat_tables([rows, rows.slice(0, 1)]), partitions=["2024-01"], batch_id="a")
    assert caught.value.rule == "unique key"
    assert [row["session"] for row in caught.value.rows] == [dt.date(2024, 1, 2)] * 2
    assert not lake.exists(BARS)


def test_rows_outside_the_named_partitions_are_refused(lake: Lake) -> None:
    with pytest.raises(BadRows, match="outside the partitions written") as caught:
        lake.replace(BARS, bars(["2024-01", "2024-02"]), partitions=["2024-01"], batch_id="a")
    assert {row["month"] for row in caught.value.rows} == {"2024-02"}


def test_a_partition_that_is_not_the_rows_month_is_refused(lake: Lake) -> None:
    rows = bars("2024-01")
    wrong = rows.set_column(rows.schema.get_field_index("month"), "month", pa.array(["2024-02"] * rows.num_rows))
    with pytest.raises(BadRows, match="month is not the month of session"):
        lake.replace(BARS, wrong, partitions=["2024-02"], batch_id="a")


def _with(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, column)


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("bar_end", pa.timestamp("ns", "UTC"), "nanoseconds would be cut silently"),
        ("bar_end", pa.timestamp("us"), "without a zone is ambiguous"),
        ("close", pa.string(), "close is double, was given string"),
        ("session", pa.timestamp("us", "UTC"), "session is date32"),
    ],
)
def test_a_type_that_could_lose_something_is_refused(lake: Lake, name: str, kind: pa.DataType, text: str) -> None:
    rows = bars("2024-01")
    with pytest.raises(BadRows, match=text):
        lake.replace(BARS, _with(rows, name, pa.nulls(rows.num_rows, kind)), partitions=["2024-01"], batch_id="a")


def test_types_that_lose_nothing_are_converted(lake: Lake) -> None:
    rows = bars("2024-01")
    close = rows["bar_end"].cast(pa.timestamp("us", "America/New_York"))
    given = _with(_with(rows, "bar_end", close), "volume", pc.cast(rows["volume"], pa.int64()))
    given = _with(given, "symbol", given["symbol"].combine_chunks().dictionary_encode())
    lake.replace(BARS, given, partitions=["2024-01"], batch_id="a")
    assert lake.scan(BARS).equals(rows)


def test_a_pandas_frame_is_as_good_as_a_table(lake: Lake) -> None:
    rows = members("AAA", "BBB")
    lake.replace(UNIVERSE, rows.to_pandas(), batch_id="a")
    assert lake.scan(UNIVERSE).equals(rows)
    frame = rows.to_pandas()
    frame["known_at"] = pd.DatetimeIndex(frame["known_at"]).tz_localize(None)
    with pytest.raises(BadRows, match="without a zone"):
        lake.replace(UNIVERSE, frame, batch_id="b")


def test_a_null_where_none_is_allowed_is_refused_with_its_row(lake: Lake) -> None:
    rows = bars("2024-01")
    closes_with_null = pa.array([None, *rows["close"].to_pylist()[1:]], pa.float64())
    with pytest.raises(BadRows, match="close must not be null; first symbol AAA, session 2024-01-02"):
        lake.replace(BARS, _with(rows, "close", closes_with_null), partitions=["2024-01"], batch_id="a")


def test_a_column_too_many_or_too_few_is_named(lake: Lake) -> None:
    rows = bars("2024-01")
    with pytest.raises(UnknownColumn, match="no column 'clse'; did you mean 'close'"):
        lake.replace(
            BARS,
            rows.rename_columns([n if n != "close" else "clse" for n in rows.column_names]),
            partitions=["2024-01"],
            batch_id="a",
        )
    with pytest.raises(UnknownColumn, match=r"needs the column\(s\) volume, month"):
        lake.replace(BARS, rows.drop_columns(["volume", "month"]), partitions=["2024-01"], batch_id="a")


@pytest.mark.parametrize("value", ["", "..", "2024/01", "a b", "x' OR '1'='1", "é", "x\n", "-x", "a" * 65, 202401])
def test_a_partition_value_that_could_be_a_path_or_syntax_is_refused(lake: Lake, value: str) -> None:
    with pytest.raises(BadName, match="a partition value is"):
        lake.replace(BARS, bars([]), partitions=[value], batch_id="a")
    if isinstance(value, str):
        with pytest.raises(BadName):
            lake.append_once(WINDOWS, windows("r", spec=value), batch_id="a")


def test_a_partitioned_table_is_never_replaced_whole_by_accident(lake: Lake) -> None:
    with pytest.raises(LakeError, match="name the partitions to replace"):
        lake.replace(BARS, bars("2024-01"), batch_id="a")


def test_an_unknown_table_names_the_nearest(lake: Lake) -> None:
    with pytest.raises(UnknownTable, match="did you mean 'core/daily_bars'"):
        lake.replace("core/daily_bar", bars("2024-01"), partitions=["2024-01"], batch_id="a")


def test_a_commit_keeps_its_batch_context_and_hashes(lake: Lake) -> None:
    lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a", context={"dagster_run_id": "x1"})
    (entry,) = lake.history(BARS)
    file = data_file(lake, "2024-01")
    assert (entry["batch_id"], entry["context"], entry["rows"]) == ("a", {"dagster_run_id": "x1"}, 42)
    assert entry["files"][f"month=2024-01/{file.name}"]["sha256"] in file.name
    with pytest.raises(LakeError, match="JSON values only"):
        lake.replace(BARS, bars("2024-02"), partitions=["2024-02"], batch_id="b", context={"when": dt.date.max})


def test_old_versions_are_kept_by_the_tables_own_properties(lake: Lake) -> None:
    from deltalake import DeltaTable

    lake.replace(BARS, bars("2024-01"), partitions=["2024-01"], batch_id="a")
    configuration = DeltaTable(str(lake.home / "tables" / BARS)).metadata().configuration
    assert configuration["delta.enableExpiredLogCleanup"] == "false"
    assert configuration["delta.deletedFileRetentionDuration"] == "interval 3650 days"


@pytest.mark.slow
def test_versions_survive_a_hundred_commits_and_a_checkpoint(lake: Lake) -> None:
    for price in range(1, 104):
        lake.replace(BARS, bars("2024-02", symbols=("A",), price=price), partitions=["2024-02"], batch_id=str(price))
    log = lake.home / "tables" / BARS / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    assert [closes(lake, version=version)["2024-02"] for version in (1, 50, 103)] == [1.0, 50.0, 103.0]
    assert lake.verify() == []
