"""Adjusted bars read from a lake."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lakehouse import Lake
from lakehouse.adjusting import read_bars
from lakehouse.errors import BadName, LakeError
from tests.lakehouse.priced import LATER, actions_table, bars_table, column, day, moment


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    days = [str(stamp.date()) for stamp in pd.bdate_range("2020-01-01", "2020-03-31")]
    rows = [(symbol, text, 50.0 + at) for symbol in ("A", "B") for at, text in enumerate(days)]
    actions = [
        ("A", "2020-02-03", "split", 2.0),
        ("A", "2020-03-02", "dividend", 1.0),
        ("B", "2020-03-16", "split", 5.0),
    ]
    months = ["2020-01", "2020-02", "2020-03"]
    lake.replace("core/daily_bars", bars_table(rows), partitions=months, batch_id="bars")
    lake.replace("core/corporate_actions", actions_table(actions), partitions=months, batch_id="actions")
    return lake


@pytest.mark.parametrize("how", ["as_traded", "split", "total_return", "forward"])
def test_a_range_read_from_the_lake_is_part_of_the_whole(lake: Lake, how: Any) -> None:
    whole = read_bars(lake, how=how, as_of=LATER).to_pandas()
    part = read_bars(
        lake, how=how, as_of=LATER, symbols=["A"], start=day("2020-02-10"), end=day("2020-03-09")
    ).to_pandas()
    inside = whole["session"].between(day("2020-02-10"), day("2020-03-08")) & (whole["symbol"] == "A")
    pd.testing.assert_frame_equal(part, whole[inside].reset_index(drop=True), check_exact=True)
    assert len(part) == 20


def test_a_reading_of_the_lake_is_as_of_its_moment(lake: Lake) -> None:
    seen = read_bars(lake, how="split", as_of=moment("2020-01-31 22:00"), symbols=["A"])
    assert column(seen) == [50.0 + at for at in range(23)]
    assert seen.column("session").to_pylist()[-1] == day("2020-01-31")
    assert column(read_bars(lake, how="split", as_of=moment("2020-02-03 22:00"), symbols=["A"]))[0] == 25.0


def test_a_reading_of_pinned_versions_does_not_change(lake: Lake) -> None:
    pins = lake.pins(["core/daily_bars", "core/corporate_actions"])
    before = read_bars(lake, how="total_return", as_of=LATER, pins=pins)
    lake.replace("core/corporate_actions", actions_table([]), partitions=["2020-02"], batch_id="withdrawn")
    assert read_bars(lake, how="total_return", as_of=LATER, pins=pins).equals(before)
    assert not read_bars(lake, how="total_return", as_of=LATER).equals(before)


def test_a_symbol_that_no_bar_has_is_an_error_and_one_without_bars_in_the_range_is_not(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = [(symbol, "2020-01-02", 50.0) for symbol in ("AAPL", "MSFT")]
    lake.replace("core/daily_bars", bars_table(rows), partitions=["2020-01"], batch_id="bars")
    with pytest.raises(BadName, match="unknown symbol 'APPL' in core/daily_bars; did you mean 'AAPL'"):
        read_bars(lake, how="split", as_of=LATER, symbols=["MSFT", "APPL"])
    one = read_bars(lake, how="split", as_of=LATER, symbols="AAPL")
    assert one.num_rows == 1 and one.equals(read_bars(lake, how="split", as_of=LATER, symbols=["AAPL"]))
    for nothing in ({"start": day("2020-02-01")}, {"end": day("2020-01-02")}, {"as_of": moment("2019-01-01 00:00")}):
        assert read_bars(lake, **{"how": "split", "as_of": LATER, "symbols": ["AAPL"], **nothing}).num_rows == 0
    assert read_bars(lake, how="split", as_of=LATER, symbols=[]).num_rows == 0
    with pytest.raises(BadName, match="unknown symbol 'AAPL' in core/daily_bars, which has no symbols"):
        read_bars(Lake(tmp_path / "other"), how="split", as_of=LATER, symbols="AAPL")


def test_a_lake_never_written_has_no_bars(tmp_path: Path) -> None:
    assert read_bars(Lake(tmp_path), how="forward", as_of=LATER).num_rows == 0
    with pytest.raises(LakeError, match="timezone-aware"):
        read_bars(Lake(tmp_path), how="forward", as_of=dt.datetime(2020, 1, 1))
