"""Questions to the tables as they are, as they were, and from Dagster's assets."""

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import assets
from assets.checks import stale_symbols_check
from lakehouse import Lake
from orchestration.definitions import defs
from orchestration.resources import duckdb_over
from tests.lakehouse.stored import BARS, bars
from tests.orchestration.command_line import Command

CLOSE = "SELECT max(close) AS close FROM core.daily_bars"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A table of two versions, the first empty one aside."""
    lake = Lake(tmp_path / "home")
    for price in (1.0, 2.0):
        lake.replace(BARS, bars("2024-01", price=price), partitions=["2024-01"], batch_id=str(price))
    return lake


def closes(command: Command, lake: Lake, *options: str) -> float | None:
    (row,) = json.loads(command("sql", CLOSE, "--json", *options, home=lake.home).stdout)
    return row["close"]


def test_sql_reads_tables_as_they_were(lake: Lake, command: Command) -> None:
    made = dt.datetime.fromtimestamp(lake.history(BARS)[-1]["timestamp"] / 1000.0, dt.UTC)
    assert closes(command, lake) == 2.0
    assert closes(command, lake, "--pin", f"{BARS}=1") == 1.0
    assert closes(command, lake, "--at", made.isoformat()) == 1.0
    assert closes(command, lake, "--at", made.astimezone(dt.timezone(dt.timedelta(hours=9))).isoformat()) == 1.0
    assert closes(command, lake, "--at", made.date().isoformat()) == 2.0
    assert closes(command, lake, "--at", (made.date() - dt.timedelta(days=1)).isoformat()) is None
    assert closes(command, lake, "--at", "2000-01-01", "--pin", f"{BARS}=2") == 2.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--at", "yesterday"), "--at takes 2024-05-31"),
        (("--at", "2024-05-31T16:00"), "--at needs a time zone"),
        (("--pin", BARS), "--pin takes TABLE=VERSION"),
        (("--pin", f"{BARS}=1", "--pin", f"{BARS}=2"), "twice"),
        (("--pin", "core/daily_bar=1"), "did you mean 'core/daily_bars'?"),
        (("--pin", f"{BARS}=9"), "has versions 0 to 2, asked for 9"),
        (("--run", "0123456789"), "unknown run id '0123456789'"),
    ],
)
def test_sql_says_how_a_version_is_named(options: tuple[str, ...], text: str, lake: Lake, command: Command) -> None:
    assert text in command("sql", CLOSE, *options, home=lake.home, expect=2).stderr


def test_sql_shows_the_first_rows_of_an_endless_answer_and_says_so(lake: Lake, command: Command) -> None:
    endless = "SELECT range AS n FROM range(4000000000)"
    shown = command("sql", endless, "--limit", "2", home=lake.home).stdout
    assert "the first 2 rows, there are more: --limit 0 shows all" in shown
    done = command("sql", endless, "--limit", "2", "--json", home=lake.home)
    assert json.loads(done.stdout) == [{"n": 0}, {"n": 1}] and "note: the first 2 rows, there are more" in done.stderr
    assert "the first 50 rows" in command("sql", endless, home=lake.home).stdout
    assert len(json.loads(command("sql", "FROM range(60)", "--json", home=lake.home).stdout)) == 60
    assert "2 rows" in command("sql", "FROM range(2)", "--limit", "2", home=lake.home).stdout
    refused = command("sql", endless, "--limit", "0", home=lake.home, expect=2, QUANTLAKE_SQL_MEMORY_GB="0.02")
    assert "allow more than 0.02 GB" in refused.stderr


def test_sql_says_that_a_table_was_never_written(lake: Lake, command: Command) -> None:
    done = command("sql", "SELECT count(*) AS n FROM core.universe", "--json", home=lake.home)
    assert json.loads(done.stdout) == [{"n": 0}]
    assert f"note: core/universe was never written in {lake.home}: the query sees no row" in done.stderr
    done = command("sql", CLOSE, "--json", "--at", "2020-01-01", home=lake.home)
    assert json.loads(done.stdout) == [{"close": None}] and f"note: {BARS} had no version then" in done.stderr
    assert "note" not in command("sql", CLOSE, home=lake.home).stderr


def test_an_asset_asks_in_sql_through_the_resource(lake: Lake) -> None:
    @dg.asset(required_resource_keys={"duckdb"})
    def highest(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with context.resources.duckdb.get_connection() as connection:
            (now,) = connection.execute(CLOSE).fetchone()
        with context.resources.duckdb.get_connection({BARS: 1}) as connection:
            (before,) = connection.execute(CLOSE).fetchone()
            with pytest.raises(Exception, match="disabled"):
                connection.execute("COPY (SELECT 1) TO 'stolen.csv'")
        return dg.MaterializeResult(metadata={"now": now, "before": before})

    result = dg.materialize(
        [highest], resources={"duckdb": duckdb_over(str(lake.home))}, instance=dg.DagsterInstance.ephemeral()
    )
    (event,) = result.asset_materializations_for_node("highest")
    assert (event.metadata["now"].value, event.metadata["before"].value) == (2.0, 1.0)


def test_the_resource_allows_as_much_memory_as_the_settings(lake: Lake) -> None:
    from assets.sql_resource import LakeDuckDBResource

    with LakeDuckDBResource(home=str(lake.home), memory_gb=0.5).get_connection() as connection:
        assert connection.execute("SELECT current_setting('memory_limit')").fetchone() == ("476.8 MiB",)


def test_the_resource_is_dagster_duckdbs_own() -> None:
    from dagster_duckdb import DuckDBResource

    from assets.sql_resource import LakeDuckDBResource

    assert issubclass(LakeDuckDBResource, DuckDBResource)
    assert "duckdb" in (defs.resources or {})


def test_the_examples_of_the_data_page_run(sample_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_HOME", str(sample_folder))
    page = (Path(assets.__file__).resolve().parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/data.md", "exec"), names)
    resources = {"duckdb": duckdb_over(str(sample_folder))}
    assert dg.materialize([names["listed"]], resources=resources, instance=dg.DagsterInstance.ephemeral()).success


def test_a_symbol_whose_bars_stopped_is_told(lake: Lake) -> None:
    @dg.asset(key=BARS.split("/"))
    def stored() -> None: ...

    def outcome() -> dg.AssetCheckEvaluation:
        result = dg.materialize(
            [stored, stale_symbols_check],
            resources={"duckdb": duckdb_over(str(lake.home))},
            instance=dg.DagsterInstance.ephemeral(),
            raise_on_error=False,
        )
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation

    rows = bars("2024-02", price=3.0)
    assert outcome().passed
    keep = rows.column("symbol").to_pylist()[0]
    lake.replace(
        BARS,
        rows.filter([symbol == keep for symbol in rows.column("symbol").to_pylist()]),
        partitions=["2024-02"],
        batch_id="c",
    )
    found = outcome()
    assert not found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["failed_rows"].value == len(set(rows.column("symbol").to_pylist())) - 1
