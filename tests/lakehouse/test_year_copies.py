"""Copies of whole years say what the table's own files say, and nothing once a year was written to."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse import Lake
from lakehouse.daily_panels import daily_panels
from lakehouse.errors import LakeError
from tests.lakehouse.stored import BARS, bars

MONTHS = [f"{year}-{month:02d}" for year in (2022, 2023) for month in range(1, 13)] + ["2024-01", "2024-02"]
CONDITIONS = [
    [("symbol", "=", "BBB")],
    [("symbol", "in", ["AAA", "CCC", "none"])],
    [("symbol", "=", "AAA"), ("session", ">=", dt.date(2022, 3, 5)), ("session", "<", dt.date(2023, 11, 1))],
    [("symbol", "=", "AAA"), ("month", "=", "2023-05")],
    [("symbol", "=", "AAA"), ("month", "in", ["2022-02", "2023-05"])],
    [("symbol", "=", "nobody")],
    [("symbol", "!=", "AAA")],
    [("close", ">", 1.0)],
    None,
]


def rows_of(months, scale=1.0):
    return pa.concat_tables(
        [bars(month, symbols=("AAA", "BBB", "CCC"), price=scale * (n + 1.0)) for n, month in enumerate(months)]
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A table of two whole years and two months of a third, with copies of the whole ones."""
    lake = Lake(tmp_path)
    lake.replace(BARS, rows_of(MONTHS), partitions=MONTHS, batch_id="a")
    assert lake.arrange(BARS) == ["2022", "2023"]
    return lake


def without_copies(lake: Lake, tmp_path: Path) -> Lake:
    bare = tmp_path / "bare"
    shutil.copytree(lake.home / "tables", bare / "tables")
    return Lake(bare)


def copies(lake: Lake) -> list[Path]:
    return sorted((lake.home / "copies" / BARS).glob("*.parquet"))


@pytest.mark.parametrize("where", CONDITIONS, ids=str)
def test_rows_are_those_of_the_tables_own_files(lake: Lake, where, tmp_path: Path) -> None:
    own = without_copies(lake, tmp_path)
    expected = own.scan(BARS, where=where)
    assert lake.scan(BARS, where=where).equals(expected)
    columns = ["close", "symbol", "session"]
    order = [("symbol", "ascending"), ("session", "ascending")]
    found = lake.scan(BARS, columns=columns, where=where, is_ordered=False)
    assert found.sort_by(order).equals(expected.select(columns).sort_by(order))


def test_copies_are_read_where_they_help_and_only_there(lake: Lake, tmp_path: Path) -> None:
    # The table's own files of 2022 are gone: whoever still gets rows has them from the copy.
    for folder in (lake.home / "tables" / BARS).glob("month=2022-*"):
        shutil.rmtree(folder)
    whole = [("symbol", "=", "AAA"), ("session", "<", dt.date(2023, 1, 1))]
    assert lake.scan(BARS, where=whole).num_rows == 251
    with pytest.raises(LakeError, match="cannot be read"):
        lake.scan(BARS, where=[("symbol", "=", "AAA"), ("month", "<=", "2022-03")])


def test_a_year_that_was_written_to_has_no_copy_until_one_is_made(lake: Lake) -> None:
    before = copies(lake)
    commit = lake.replace(BARS, rows_of(["2023-07"], scale=50.0), partitions=["2023-07"], batch_id="b")
    where = [("symbol", "=", "AAA"), ("session", ">=", dt.date(2023, 1, 1))]

    def highest(version: int | None = None) -> float:
        return pc.max(lake.scan(BARS, version=version, where=where).column("close")).as_py()

    assert highest() == 50.0
    assert lake.arrange(BARS) == ["2023"]
    assert highest() == 50.0
    assert highest(commit.version - 1) == 26.0
    assert len(copies(lake)) == 2 and len(set(copies(lake)) & set(before)) == 1
    assert lake.arrange(BARS) == []
    lake.replace(BARS, rows_of(["2023-07"])[:0], partitions=MONTHS[12:], batch_id="c")
    assert lake.arrange(BARS) == []
    assert len(copies(lake)) == 1


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[200] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        lambda file: file.write_bytes(file.read_bytes()[:-9]),
        lambda file: file.write_bytes(b""),
        Path.unlink,
        lambda file: (file.parent / "index.json").write_text('{"format": 1, "years": {"2022": {"key": 3}}}'),
        lambda file: (file.parent / "index.json").write_bytes(b"\xff\x00"),
        lambda file: (file.parent / "index.json").write_text("[]"),
    ],
    ids=["flipped", "cut", "empty", "gone", "index of other fields", "index of bytes", "index of a list"],
)
def test_a_damaged_copy_costs_nothing_but_time(lake: Lake, damage, tmp_path: Path) -> None:
    where = [("symbol", "=", "AAA")]
    expected = without_copies(lake, tmp_path).scan(BARS, where=where)
    for file in copies(lake):
        file.chmod(0o644)
        damage(file)
    assert lake.scan(BARS, where=where).equals(expected)
    assert lake.scan(BARS, is_ordered=False).num_rows == lake.scan(BARS).num_rows
    lake.arrange(BARS)
    assert lake.scan(BARS, where=where).equals(expected)
    assert not lake.verify()


def test_the_index_of_another_lake_is_not_believed(lake: Lake, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    other.replace(BARS, rows_of(MONTHS, scale=7.0), partitions=MONTHS, batch_id="a")
    shutil.copytree(lake.home / "copies", other.home / "copies")
    assert pc.max(other.scan(BARS, where=[("symbol", "=", "AAA")]).column("close")).as_py() == 7.0 * len(MONTHS)


def test_only_tables_in_months_of_days_have_copies(lake: Lake) -> None:
    for table in ("core/universe", "core/minute_bars", "research/runs"):
        with pytest.raises(LakeError, match="nothing to arrange"):
            lake.arrange(table)
    assert lake.arrange("core/corporate_actions") == []
    assert json.loads((lake.home / "copies" / BARS / "index.json").read_text())["format"] == 1


def test_panels_are_the_rows(lake: Lake) -> None:
    found = daily_panels(lake, ["CCC", "AAA"], start=dt.date(2022, 5, 3), end=dt.date(2023, 2, 2))
    frame = lake.scan(BARS).to_pandas()
    wanted = frame["symbol"].isin(["AAA", "CCC"]) & frame["session"].between(dt.date(2022, 5, 3), dt.date(2023, 2, 1))
    wide = frame[wanted].pivot(index="session", columns="symbol", values="close")
    assert found.bars.symbols == ("AAA", "CCC")
    np.testing.assert_array_equal(found.bars.close, wide.to_numpy())
    assert found.sessions.astype(object).tolist() == wide.index.tolist()
    ends = frame[wanted].groupby("session")["bar_end"].first()
    np.testing.assert_array_equal(found.bars.bar_end, ends.dt.tz_convert(None).to_numpy().astype("datetime64[us]"))
    with pytest.raises(LakeError, match="has no bars of these symbols"):
        daily_panels(lake, ["nobody"])
