"""What counts as restated history, and that it is told once and never lost."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse import Lake
from lakehouse.errors import LakeError
from lakehouse.restating import replace_and_tell, restatements
from lakehouse.schemas import table_schema
from tests.lakehouse.stored import BARS, MONTHS, bars, closes
from tests.lakehouse.writers import die_at, run_to_the_end

NOW = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)
ACTIONS = "core/corporate_actions"
TOLD = "core/restatements"


def changed(rows: pa.Table, where: Any, **values: Any) -> pa.Table:
    """The rows with values changed where a function of the frame says so."""
    frame = rows.to_pandas()
    for name, value in values.items():
        frame.loc[where(frame), name] = value
    return pa.Table.from_pandas(frame, schema=rows.schema, preserve_index=False)


def told(before: pa.Table, after: pa.Table, table: str = BARS) -> list[dict[str, Any]]:
    return restatements(before, after, table=table, versions=(4, 5), detected_at=NOW).to_pylist()


def actions(*rows: tuple[str, str, str, float, str | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "symbol": symbol,
                "ex_date": dt.date.fromisoformat(day),
                "kind": kind,
                "value": value,
                "pay_date": dt.date.fromisoformat(paid) if paid else None,
                "known_at": NOW,
                "source": "sample",
                "snapshot_id": "0" * 64,
                "month": day[:7],
            }
            for symbol, day, kind, value, paid in rows
        ],
        schema=table_schema(ACTIONS).schema,
    )


def test_what_is_new_or_only_answered_again_is_no_restatement() -> None:
    january = bars("2024-01")
    assert told(january.slice(0, 0), january) == []  # a month filled for the first time
    assert told(bars("2024-01", symbols=["AAA"]).slice(0, 9), january) == []  # sessions appended, a symbol added
    again = changed(january, lambda frame: frame["symbol"] == "AAA", snapshot_id="1" * 64, source="yahoo")
    assert told(january, again) == []
    assert told(january, january.sort_by([("session", "descending")])) == []


def test_a_changed_value_is_told_by_symbol_with_its_days_and_its_greatest_change() -> None:
    january = bars("2024-01", symbols=["AAA", "BBB", "CCC"])
    days = [dt.date(2024, 1, 5), dt.date(2024, 1, 10)]
    after = changed(january, lambda f: (f["symbol"] == "AAA") & f["session"].isin(days), close=10.5, volume=101.0)
    after = changed(after, lambda f: (f["symbol"] == "BBB") & (f["session"] == days[0]), low=8.0)
    frame = after.to_pandas()
    gone = frame[~((frame["symbol"] == "BBB") & (frame["session"] == dt.date(2024, 1, 31)))]
    after = pa.Table.from_pandas(gone, schema=january.schema, preserve_index=False)
    first, second = told(january, after)
    assert (first["symbol"], first["rows_changed"], first["rows_removed"], first["rows_added"]) == ("AAA", 2, 0, 0)
    assert (first["first_session"], first["last_session"]) == tuple(days)
    assert first["greatest_column"] == "close" and first["greatest_change"] == pytest.approx(0.05, rel=1e-12)
    assert (second["symbol"], second["rows_changed"], second["rows_removed"]) == ("BBB", 1, 1)
    assert (second["first_session"], second["last_session"]) == (days[0], dt.date(2024, 1, 31))
    assert second["greatest_column"] == "low" and second["greatest_change"] == pytest.approx(0.2, rel=1e-12)
    assert (first["table"], first["from_version"], first["to_version"], first["month"]) == (BARS, 4, 5, "2024-03")


def test_the_figures_equal_those_of_a_slow_comparison_row_by_row() -> None:
    chance = random.Random(3)
    before = bars(MONTHS, symbols=["AAA", "BBB", "CCC", "DDD"]).to_pandas()
    after = before.drop(index=chance.sample(range(len(before)), 5)).copy()
    for row in chance.sample(list(after.index), 40):
        after.loc[row, chance.choice(["open", "high", "low", "close", "volume"])] *= 1 + chance.uniform(-0.1, 0.1)
    expected: dict[str, list[Any]] = {}
    new = {(row.symbol, row.session): row for row in after.itertuples()}
    for row in before.itertuples():
        other = new.get((row.symbol, row.session))
        names = ("open", "high", "low", "close", "volume")
        moves = [] if other is None else [abs(getattr(other, n) / getattr(row, n) - 1) for n in names]
        if other is None or any(moves):
            entry = expected.setdefault(row.symbol, [0, 0, row.session, row.session, 0.0])
            entry[0 if other is not None else 1] += 1
            entry[2:] = [min(entry[2], row.session), max(entry[3], row.session), max([entry[4], *moves])]
    schema = table_schema(BARS).schema
    found = told(*(pa.Table.from_pandas(frame, schema=schema, preserve_index=False) for frame in (before, after)))
    assert {row["symbol"] for row in found} == set(expected)
    for row in found:
        n_changed, n_removed, first, last, greatest = expected[row["symbol"]]
        assert (row["rows_changed"], row["rows_removed"]) == (n_changed, n_removed)
        assert (row["first_session"], row["last_session"]) == (first, last)
        assert row["greatest_change"] == pytest.approx(greatest, rel=1e-9)


def test_actions_are_compared_by_value_and_pay_date_and_a_withdrawn_one_is_told() -> None:
    split, other = ("A", "2024-01-09", "split", 2.0, None), ("B", "2024-01-05", "split", 3.0, None)
    before = actions(("A", "2024-01-05", "dividend", 0.5, None), split, other)
    after = actions(("A", "2024-01-05", "dividend", 0.6, "2024-02-01"), other)
    (row,) = told(before, after, ACTIONS)
    assert (row["rows_changed"], row["rows_removed"], row["greatest_column"]) == (1, 1, "value")
    assert row["greatest_change"] == pytest.approx(0.2, rel=1e-12)
    unpaid = actions(("A", "2024-01-05", "dividend", 0.6, None), other)
    (paid,) = told(after, unpaid, ACTIONS)
    assert (paid["rows_changed"], paid["greatest_column"], paid["greatest_change"]) == (1, "pay_date", None)
    assert told(unpaid, after.slice(0, 1), ACTIONS)[1]["rows_removed"] == 1
    assert told(after, actions(*[("A", "2024-01-05", "dividend", 0.6, "2024-02-01"), split, other]), ACTIONS) == []


def test_a_change_from_zero_has_no_size() -> None:
    january = bars("2024-01", symbols=["AAA"])
    still = changed(january, lambda frame: frame["session"] == dt.date(2024, 1, 5), volume=0.0)
    (row,) = told(still, january)
    assert (row["greatest_column"], row["greatest_change"]) == ("volume", None)


def test_a_table_nobody_watches_is_refused() -> None:
    with pytest.raises(LakeError, match="looked for in core/daily_bars"):
        restatements(bars("2024-01"), bars("2024-01"), table="features/daily", versions=(0, 1), detected_at=NOW)


def write(lake: Lake, price: float, months: list[str] | None = None) -> pa.Table:
    names = months or MONTHS
    rows = bars(names, price=price)
    return replace_and_tell(lake, BARS, rows, partitions=names, batch_id=f"{price}", now=NOW).restatements


def test_a_write_records_what_it_restated_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert write(lake, 1.0).num_rows == 0 and not lake.exists(TOLD)
    assert write(lake, 2.0).num_rows == 2
    assert write(lake, 2.0).num_rows == 0  # the same again
    rows = lake.scan(TOLD).to_pylist()
    assert [(row["symbol"], row["from_version"], row["to_version"]) for row in rows] == [("AAA", 1, 2), ("BBB", 1, 2)]
    assert {row["detected_at"].astimezone(dt.UTC) for row in rows} == {NOW}
    assert {row["rows_changed"] for row in rows} == {41}
    assert write(lake, 1.0, ["2024-02"]).num_rows == 2  # going back is a change too
    assert lake.scan(TOLD).num_rows == 4


def restate(lake: Lake) -> None:
    write(lake, 2.0)


@pytest.mark.parametrize(
    ("step", "occurrence"), [("files_stored", 1), ("committed", 1), ("synced", 1), ("committed", 2)]
)
def test_a_write_killed_before_it_told_is_told_by_the_next(tmp_path: Path, step: str, occurrence: int) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout=1)
    write(lake, 1.0)
    assert run_to_the_end(die_at, lake.home, restate, (), step, occurrence) == -9
    write(lake, 2.0)
    write(lake, 2.0)
    rows = lake.scan(TOLD).to_pylist()
    assert [(row["symbol"], row["from_version"], row["to_version"]) for row in rows] == [("AAA", 1, 2), ("BBB", 1, 2)]
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0)


def test_damaged_rows_are_mended_and_the_write_says_that_nothing_was_compared(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    write(lake, 1.0)
    (name,) = lake.contents(BARS)["2024-01"]
    (tmp_path / "tables" / BARS / "month=2024-01" / name).write_bytes(b"x")
    done = replace_and_tell(lake, BARS, bars(MONTHS, price=2.0), partitions=MONTHS, batch_id="2", now=NOW)
    assert done.unread is not None and "2024-01" in done.unread and done.restatements.num_rows == 0
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0) and not lake.exists(TOLD)
