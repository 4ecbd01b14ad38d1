"""A vendor that changes history, and one that sends bad bars, through a real Dagster instance and MLflow store."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from assets.restated import TAG, affected
from assets.tracking import Tracking
from lakehouse.calendar import month_range, sessions
from lakehouse.restating import replace_and_tell
from lakehouse.schemas import table_schema
from lakehouse.sources import base
from orchestration.materialize import MaterializeError
from tests.homes import Home, as_json
from tests.lakehouse.plain_source import PLAIN, answer, bar
from tests.orchestration.command_line import Command

MONTHS = ("2004-07", "2004-09")
DAYS = [str(day) for day in sessions("XNYS", month_range(MONTHS[0])[0], month_range(MONTHS[1])[1])]
CORE = ("core/daily_bars", "core/corporate_actions")
BARS, TOLD, QUARANTINE = "core/daily_bars", "core/restatements", "core/quarantine"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample's answers are those the tests put into the lake."""
    monkeypatch.setitem(base.SOURCES, "sample", PLAIN)  # type: ignore[arg-type]


def history(**changes: float) -> list[list[Any]]:
    """Bars of two symbols over all days; closes changed by "SYMBOL_DAY"."""
    rows = []
    for place, day in enumerate(DAYS):
        for symbol in ("AAA", "BBB"):
            close = changes.get(f"{symbol}_{day}", 10.0 + place * 0.01 + (symbol == "BBB"))
            rows.append(bar(symbol, day, close))
    return rows


def tell(home: Home, rows: list[list[Any]], known: str, actions: list[Any] | None = None) -> None:
    home.lake.snapshots.put([answer(rows, actions or [], known=known)])
    home.materialize(*CORE, partition_range=MONTHS)


def metadata(home: Home, table: str) -> dict[str, Any]:
    event = home.instance.get_latest_materialization_event(dg.AssetKey(table.split("/")))
    assert event is not None and event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


@pytest.mark.slow
def test_restated_history_is_told_and_marks_the_runs_that_used_it(home: Home, command: Command) -> None:
    tell(home, history(), "2004-10-01", [("AAA", DAYS[5], "dividend", 0.1)])
    home.materialize("core/universe", "features/daily", partition_range=MONTHS)
    assert "no stored row was ever changed" in command("restatements").stdout
    old = as_json(command("backtest", "equal_weight", "--json"))["run_id"]
    # The same values again, in another order and so in other bytes.
    tell(home, history()[::-1], "2004-10-02", [("AAA", DAYS[5], "dividend", 0.1)])
    assert not home.lake.exists(TOLD) and home.lake.version(BARS) == 2
    tell(home, history(**{f"AAA_{DAYS[30]}": 11.33}), "2004-10-03", [("AAA", DAYS[5], "dividend", 0.2)])
    rows = {row["table"]: row for row in home.lake.scan(TOLD).to_pylist()}
    assert set(rows) == {BARS, "core/corporate_actions"}
    was = 10.0 + 30 * 0.01
    assert rows[BARS]["greatest_change"] == pytest.approx(11.33 / was - 1, rel=1e-12)
    assert (str(rows[BARS]["first_session"]), rows[BARS]["rows_changed"]) == (DAYS[30], 1)
    assert rows["core/corporate_actions"]["greatest_change"] == pytest.approx(1.0, rel=1e-12)
    shown = metadata(home, BARS)
    assert (shown["restated_symbols"], shown["restated_rows"], shown["runs_on_the_old_rows"]) == (1, 1, 1)
    new = as_json(command("backtest", "equal_weight", "--json"))["run_id"]
    listed = as_json(command("restatements", "--json"))
    assert [run["run_id"] for run in listed["runs"]] == [old]
    tracking = Tracking(home.path)
    assert tracking.find(old).tags[TAG] == "core/corporate_actions: AAA; core/daily_bars: AAA"
    assert TAG not in tracking.find(new).tags
    assert as_json(command("reproduce", old, "--json"))["is_equal"]
    before = home.lake.pins([BARS, TOLD])
    home.materialize(*CORE, partition_range=MONTHS)
    assert home.lake.pins([BARS, TOLD]) == before and "restated_symbols" not in metadata(home, BARS)
    text = command("restatements", "--tag").stdout
    assert "10.00%" in text and old[:12] in text and "quantlake reproduce RUN" in text
    first = home.lake.scan("core/universe")
    for universe, end, expected in (("all", 20, []), ("sample", len(DAYS), []), ("sample", 20, [old, new])):
        told = shortened(home, first, universe, end)
        assert told["symbol"].to_pylist() == ["AAA"]
        assert [run.run_id for run in affected(home.lake, told)] == expected, (universe, end)


def shortened(home: Home, first: pa.Table, universe: str, last: int) -> pa.Table:
    """Let AAA's membership of a universe end on a day, and return what that restates; the others are as at first."""
    rows = first.to_pylist()
    day = date.fromisoformat(DAYS[last]) if last < len(DAYS) else date.fromisoformat(DAYS[-1]) + timedelta(days=1)
    for row in rows:
        if (row["universe"], row["symbol"]) == (universe, "AAA"):
            row["end"] = day
    table = pa.Table.from_pylist(rows, schema=table_schema("core/universe").schema)
    now = datetime(2024, 3, 4, tzinfo=UTC)
    return replace_and_tell(
        home.lake, "core/universe", table, partitions=[], batch_id=f"{universe} {last}", now=now
    ).restatements


def test_appended_sessions_and_new_symbols_restate_nothing(home: Home) -> None:
    tell(home, [row for row in history() if row[1] < DAYS[40]], "2004-10-01")
    tell(home, [*history(), *(bar("CCC", day, 5.0) for day in DAYS)], "2004-10-02")
    assert home.lake.scan(BARS).num_rows == 3 * len(DAYS)
    assert not home.lake.exists(TOLD)


@pytest.mark.slow
def test_a_bad_bar_is_in_quarantine_and_shown_and_too_many_leave_the_month(home: Home) -> None:
    bad = [row if row[:2] != ["AAA", DAYS[3]] else bar("AAA", DAYS[3], 10.0, low=11.0) for row in history()]
    home.lake.snapshots.put([answer(bad, known="2004-10-01")])
    result = home.materialize(*CORE, QUARANTINE, partition_range=MONTHS)
    (check,) = (item for item in result.get_asset_check_evaluations() if item.check_name == "quarantined_rows")
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == "1 bars are in quarantine: sample/ohlc_order 1"
    assert metadata(home, BARS)["count/quarantined: ohlc_order"] == 1 and metadata(home, QUARANTINE)["rows"] == 1
    assert home.lake.scan(BARS).num_rows == 2 * len(DAYS) - 1
    before = home.lake.pins([BARS, QUARANTINE])
    worse = [bar("BBB", DAYS[number], -1.0) for number in (1, 2, 3)]
    home.lake.snapshots.put([answer([*bad, *worse][-40:], known="2004-10-02"), answer(worse, known="2004-10-03")])
    with pytest.raises(MaterializeError, match=r"2004-07: 4 of 42 bars of sample \(positive_prices 3, ohlc_order 1\)"):
        home.materialize(*CORE, partition_range=MONTHS)
    assert home.lake.pins([BARS, QUARANTINE]) == before
    home.lake.snapshots.put([answer(history(), known="2004-10-04")])  # the vendor corrects all of it
    home.materialize(*CORE, partition_range=MONTHS)
    assert home.lake.scan(BARS).num_rows == 2 * len(DAYS) and home.lake.scan(QUARANTINE).num_rows == 0


def test_a_rebuild_that_changes_stored_rows_is_told_like_any_write(home: Home, command: Command) -> None:
    tell(home, history(), "2004-10-01")
    home.lake.snapshots.put([answer(history(**{f"BBB_{DAYS[0]}": 99.0}), known="2004-10-02")])
    done = as_json(command("rebuild", BARS, "--where", f"month={MONTHS[0]}", "--json"))
    assert [row["symbol"] for row in done["restatements"]] == ["BBB"]
    assert [outcome["state"] for outcome in done["partitions"]] == ["differs"]
    assert home.lake.scan(TOLD)["symbol"].to_pylist() == ["BBB"]
    # The other months' values are the same, but from the newer answer now.
    checked = as_json(command("rebuild", BARS, "--check", "--json", expect=1))
    assert [outcome["state"] for outcome in checked["partitions"]] == ["same", "differs", "differs"]
