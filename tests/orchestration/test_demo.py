"""The demo as a newcomer runs it, and everything it promises afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from assets.research.reproduce import reproduce
from assets.tracking import Tracking
from tests.homes import as_json, open_home


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_run_of_the_demo_is_tracked_whole_and_replays(
    tmp_path: Path, quantlake: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = tmp_path / "home"
    report = as_json(quantlake("demo", "--json", home=path))
    assert [run["spec"] for run in report["runs"]] == ["equal_weight", "ma_cross", "momentum"]
    tracking = Tracking(path)
    for home in open_home(path):
        for key in ("core/daily_bars", "features/daily", "research/backtest", "research/walk_forward"):
            assert home.instance.get_materialized_partitions(dg.AssetKey(key.split("/"))), key
        runs = home.lake.scan("research/runs").to_pylist()
        assert sorted({run["kind"] for run in runs}) == ["backtest", "sweep", "walk_forward", "window"]
        assert len(runs) == 3 * (1 + 1 + 10 + 1)
        for run in runs:
            stored = tracking.find(run["run_id"])
            assert stored.status == "FINISHED"
            assert stored.params["spec"] == run["spec"]
            assert stored.metrics and stored.datasets
            assert stored.tags["hash/result"] == run["result_hash"]
            sheet = (stored.artifacts / "tear_sheet.html").read_text(encoding="utf-8")
            assert run["run_id"] in sheet and "<script" not in sheet and "http" not in sheet.replace("www.w3.org", "")
        bars = home.lake.scan("core/daily_bars", where=[("month", "=", "2010-01")])
        home.lake.replace("core/daily_bars", bars.slice(1), partitions=["2010-01"], batch_id="a restatement")
        for run in runs:
            assert reproduce(home.lake, run["run_id"]).is_equal, run["run_id"]
