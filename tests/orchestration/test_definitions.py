"""The graph as Dagster loads it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import orchestration
from orchestration.definitions import defs

HEAVY = [
    *("mlflow", "pandas", "numba", "sklearn", "vectorbt", "matplotlib"),
    *("pyarrow", "deltalake", "duckdb", "yfinance", "optuna", "scipy"),
]


def test_the_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = f"import sys, orchestration.definitions; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_table_asset_has_the_key_of_its_table() -> None:
    from lakehouse.schemas import TABLES

    keys = {"/".join(key.path) for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert {
        "core/daily_bars",
        "core/corporate_actions",
        "core/universe",
        "features/daily",
        "raw/sample",
        "research/backtest",
        "research/sweep",
        "research/walk_forward",
        "research/report",
    } <= keys
    assert {key for key in keys if key.startswith(("core/", "features/"))} <= set(TABLES)


def test_every_asset_says_who_owns_it_what_it_is_and_which_code_it_is() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description and node.owners and node.code_version and node.group_name, key
        assert node.kinds, key


def test_table_assets_show_their_columns() -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(["core", "daily_bars"]))
    names = [column.name for column in node.metadata["dagster/column_schema"].columns]
    assert names[:6] == ["symbol", "session", "open", "high", "low", "close"]


def test_each_spec_is_a_partition_of_the_research_assets() -> None:
    from strategies.spec import spec_names

    node = defs.resolve_asset_graph().get(dg.AssetKey(["research", "backtest"]))
    assert node.partitions_def is not None
    assert list(node.partitions_def.get_partition_keys()) == spec_names()


def test_raw_core_and_features_share_their_months_so_that_a_night_is_one_run() -> None:
    job = defs.resolve_job_def("refresh")
    assert job.partitions_def is not None
    assert job.partitions_def.get_first_partition_key() == "2000-01"


def test_no_module_of_ours_pickles() -> None:
    root = Path(orchestration.__path__[0]).parent
    sources = [path for name in ("assets", "orchestration", "lakehouse") for path in (root / name).rglob("*.py")]
    assert sources
    for path in sources:
        assert not re.search(r"\b(pickle|joblib|cloudpickle|dill)\b", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("check", ["keys_unique", "positive_prices", "ohlc_order", "sessions_on_calendar"])
def test_checks_that_mean_wrong_numbers_stop_what_reads_the_bars(check: str) -> None:
    key = dg.AssetCheckKey(dg.AssetKey(["core", "daily_bars"]), check)
    assert defs.resolve_asset_graph().get_check_spec(key).blocking
