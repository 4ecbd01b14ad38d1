"""One history, one source: a run takes along the months that another source supplied, or says what to fetch first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.one_source import spans
from assets.recipes import recipe
from assets.settings import Settings
from lakehouse.calendar import sessions
from lakehouse.rebuilding import Rebuilt, rebuild
from lakehouse.sources.files import FilesSource
from orchestration.definitions import definitions_for
from orchestration.materialize import MaterializeError, materialize
from tests.homes import Home

BARS, ACTIONS = "core/daily_bars", "core/corporate_actions"
NOW = datetime(2024, 1, 1, tzinfo=UTC)
MONTHS = ["2008-01", "2008-02", "2008-03", "2008-04"]


def bring(home: Home, folder: Path, symbol: str, first: date, end: date) -> None:
    """Keep a file of a symbol's bars at 10 dollars, split in two on its second session, as a snapshot."""
    head = "symbol,session,open,high,low,close,volume,split"
    days = sessions("XNYS", first, end)
    lines = [f"{symbol},{day},10,11,9,10,100,{2 if day == days[1] else 1}" for day in days]
    file = folder / f"{symbol} {first}.csv"
    file.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    source = FilesSource(path=str(file), columns={name: name for name in head.split(",")})
    home.lake.snapshots.put(source.fetch([], first, end, as_of=NOW))


def run(home: Home, sources: Sequence[str], first: str, last: str) -> dg.ExecuteInProcessResult:
    """Make the daily tables of some months with these sources in force; of the sample, its raw asset too."""
    graph = definitions_for(Settings(home=home.path, sources=tuple(sources)))
    raw = ["raw/sample"] if "sample" in sources else []
    return materialize(
        home.instance, [*raw, BARS, ACTIONS], partition_range=(first, last), definitions=graph, log_level="CRITICAL"
    )


def made_again(home: Home, sources: Sequence[str], table: str, *, check: bool = True, months: Sequence[str]) -> Rebuilt:
    vendors = definitions_for(Settings(home=home.path, sources=tuple(sources))).resources["vendors"]
    make = recipe(table, home.lake, vendors, start="2008-01", today=NOW.date())
    return rebuild(home.lake, table, make, partitions=months, check=check, now=NOW)


def source_of(home: Home, symbol: str) -> dict[str, set[str]]:
    """Return the sources of a symbol's stored bars by month."""
    found: dict[str, set[str]] = {}
    for row in home.lake.scan(BARS, columns=["month", "source"], where=[("symbol", "=", symbol)]).to_pylist():
        found.setdefault(row["month"], set()).add(row["source"])
    return found


@pytest.mark.slow
def test_a_source_that_takes_a_symbol_over_takes_it_over_in_every_stored_month(home: Home, tmp_path: Path) -> None:
    """Only February is asked for; January, March and April would go on with the files' prices."""
    bring(home, tmp_path, "AAPL", date(2008, 1, 1), date(2008, 5, 1))
    bring(home, tmp_path, "ACME", date(2008, 1, 1), date(2008, 5, 1))
    run(home, ["files"], "2008-01", "2008-04")
    result = run(home, ["files", "sample"], "2008-02", "2008-02")
    assert source_of(home, "AAPL") == {month: {"sample"} for month in MONTHS}
    assert source_of(home, "ACME") == {month: {"files"} for month in MONTHS}
    # The months taken along are written whole: symbols that nobody stored there before are in them, too.
    assert source_of(home, "MSFT") == {month: {"sample"} for month in MONTHS}
    assert {row["symbol"] for row in home.lake.scan(ACTIONS).to_pylist()} == {"ACME", "IBM", "MSFT"}
    for table in (BARS, ACTIONS):
        assert made_again(home, ["files", "sample"], table, months=MONTHS).is_sound
    events = {event.partition: event for event in result.asset_materializations_for_node("normalize")}
    assert set(events) == set(MONTHS)
    told = next(
        event.metadata
        for event in result.asset_materializations_for_node("normalize")
        if event.asset_key == dg.AssetKey(BARS.split("/")) and event.partition == "2008-02"
    )
    assert told["also_written"].value == "2008-01, 2008-03 to 2008-04"
    (changed,) = told["changed_source"].records  # type: ignore[union-attr]
    assert changed.data == {
        "symbol": "AAPL", "was": "files", "is_now": "sample", "first": "2008-01", "last": "2008-04", "months": "3"
    }  # fmt: skip
    restated = home.lake.scan("core/restatements", where=[("table", "=", BARS)]).to_pylist()
    assert [(row["symbol"], row["rows_changed"]) for row in restated] == [("AAPL", 83)]


@pytest.mark.slow
def test_a_source_that_told_nothing_of_a_stored_month_must_be_asked_first(home: Home, tmp_path: Path) -> None:
    run(home, ["sample"], "2008-01", "2008-03")
    before = home.lake.pins([BARS, ACTIONS])
    bring(home, tmp_path, "AAPL", date(2008, 2, 1), date(2008, 3, 1))
    with pytest.raises(MaterializeError, match="AAPL: supplied by files now") as caught:
        run(home, ["sample", "files"], "2008-02", "2008-02")
    assert "2008-01 to 2008-03 that the lake holds from sample" in str(caught.value)
    assert f"`quantlake rebuild {BARS} --where month=2008-01..2008-03`, and the same of {ACTIONS}" in str(caught.value)
    assert home.lake.pins([BARS, ACTIONS]) == before
    # Either the months are fetched, ...
    bring(home, tmp_path, "AAPL", date(2008, 3, 3), date(2008, 4, 1))
    bring(home, tmp_path, "AAPL", date(2008, 1, 1), date(2008, 1, 12))
    run(home, ["sample", "files"], "2008-02", "2008-02")
    assert source_of(home, "AAPL") == {month: {"files"} for month in MONTHS[:3]}


def test_sources_that_contradict_each_other_are_told_of(home: Home, tmp_path: Path) -> None:
    """The file has a split of Apple on 3 January 2008 that the sample does not have."""
    bring(home, tmp_path, "AAPL", date(2008, 1, 1), date(2008, 2, 1))
    result = run(home, ["files", "sample"], "2008-01", "2008-01")
    (check,) = [item for item in result.get_asset_check_evaluations() if item.check_name == "sources_agree"]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    (row,) = check.metadata["sample"].records  # type: ignore[union-attr]
    assert row.data == {
        "symbol": "AAPL", "ex_date": "2008-01-03", "kind": "split", "value_a": "2.0", "value_b": "",
        "reason": "missing", "source_a": "files", "source_b": "sample",
    }  # fmt: skip


@pytest.mark.slow
def test_months_can_be_given_up_as_the_refusal_says(home: Home, tmp_path: Path) -> None:
    run(home, ["sample"], "2008-01", "2008-02")
    bring(home, tmp_path, "AAPL", date(2008, 2, 1), date(2008, 3, 1))
    for table in (BARS, ACTIONS):
        made_again(home, ["sample", "files"], table, check=False, months=["2008-01"])
    run(home, ["sample", "files"], "2008-02", "2008-02")
    assert source_of(home, "AAPL") == {"2008-02": {"files"}}
    again = run(home, ["sample", "files"], "2008-02", "2008-02")
    assert all("also_written" not in event.metadata for event in again.asset_materializations_for_node("normalize"))
    (check,) = [found for found in again.get_asset_check_evaluations() if found.check_name == "one_source_a_symbol"]
    assert check.passed


def test_months_are_told_as_ranges() -> None:
    assert spans(["2008-01"]) == "2008-01"
    assert spans(["2007-11", "2007-12", "2008-01", "2008-03"]) == "2007-11 to 2008-01, 2008-03"
