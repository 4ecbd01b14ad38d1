"""A strategy is one file and one spec; one that looks ahead is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.lake import Lake
from tests.homes import REPOSITORY, Home, as_json

CLEAN = '''"""Buy what fell."""

from strategies.panel import Panel
from strategies.registry import strategy
from strategies.window import Window


@strategy
def buy_the_dip(window: Window, *, lookback: int = 5) -> Panel:
    """Hold, in equal parts, what fell over the lookback."""
    return (window.index.change(lookback) < 0.0).equal_weight().where(window.week_start)
'''
LEAKING = '''"""Hold what rises tomorrow, by reaching around the panel."""

import numpy as np

from strategies.panel import Panel, values_of
from strategies.registry import strategy
from strategies.window import Window


@strategy
def tomorrow(window: Window, *, days: int = 1) -> Panel:
    """Hold what closes higher at the next close."""
    close = values_of(window.close)
    later = np.roll(close, -days, axis=0)
    return Panel(later > close, window.close._axes).equal_weight()
'''
SPEC = """
strategy: {name}
universe: sample
costs: {{commission_per_share: 0.005, commission_min: 1.0, spread_bps: 2.0}}
search:
  {parameter}: {{low: 2, high: 6, step: 2}}
walk_forward: {{train_years: 3, n_trials: 3}}
"""


@pytest.fixture
def own_strategies(tmp_path: Path) -> Path:
    """A folder to put before the project on the path: the strategies package and two strategies more."""
    folder = tmp_path / "own"
    shutil.copytree(REPOSITORY / "strategies", folder / "strategies", ignore=shutil.ignore_patterns("__pycache__"))
    for name, source, parameter in (("buy_the_dip", CLEAN, "lookback"), ("tomorrow", LEAKING, "days")):
        (folder / "strategies" / "library" / f"{name}.py").write_text(source, encoding="utf-8")
        (folder / "strategies" / "specs" / f"{name}.yaml").write_text(
            SPEC.format(name=name, parameter=parameter), encoding="utf-8"
        )
    return folder


@pytest.mark.slow
def test_one_file_and_one_spec_are_all_a_strategy_needs(
    sample_home: Home, own_strategies: Path, quantlake: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    backtest = as_json(
        quantlake("backtest", "buy_the_dip", "--json", home=sample_home.path, python_path=own_strategies)
    )
    assert backtest["spec"] == "buy_the_dip" and backtest["metrics"]["n_trades"] > 100
    forward = as_json(
        quantlake("walkforward", "buy_the_dip", "--json", home=sample_home.path, python_path=own_strategies)
    )
    assert forward["out_of_sample"] and len(forward["windows"]) == 10
    partitions = subprocess.run(
        ["python", "-c", "from assets.partitions import SPECS; print(SPECS.get_partition_keys())"],
        env={"PYTHONPATH": f"{own_strategies}:{REPOSITORY}", "PATH": _python_path()},
        cwd=own_strategies,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "'buy_the_dip'" in partitions


@pytest.mark.slow
def test_a_strategy_that_uses_the_next_close_is_refused_on_the_command_line(
    sample_home: Home, own_strategies: Path, quantlake: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = quantlake("backtest", "tomorrow", home=sample_home.path, python_path=own_strategies, expect=2)
    assert "looks ahead" in done.stderr
    assert Lake(sample_home.path).scan("research/runs").num_rows == 0


@pytest.mark.slow
def test_a_strategy_that_uses_the_next_close_fails_its_blocking_check_in_dagster(
    sample_home: Home, own_strategies: Path
) -> None:
    code = (
        "from orchestration.instance import open_instance\n"
        "from orchestration.materialize import MaterializeError, materialize\n"
        "from assets.settings import settings\n"
        "import dagster as dg\n"
        "with open_instance(settings().home) as instance:\n"
        "    try:\n"
        "        materialize(instance, ['research/backtest'], partition='tomorrow')\n"
        "    except MaterializeError as error:\n"
        "        print('refused', error)\n"
        "    key = dg.AssetKey(['research', 'backtest'])\n"
        "    check = dg.AssetCheckKey(key, 'no_lookahead')\n"
        "    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]\n"
        "    print('check passed', record.event.asset_check_evaluation.passed)\n"
        "    print('materialized', len(instance.get_materialized_partitions(key)))\n"
    )
    done = subprocess.run(
        ["python", "-c", code],
        env={
            "PYTHONPATH": f"{own_strategies}:{REPOSITORY}",
            "PATH": _python_path(),
            "QUANTLAKE_HOME": str(sample_home.path),
        },
        cwd=own_strategies,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "looks ahead" in done.stdout, done.stdout + done.stderr
    assert "check passed False" in done.stdout
    assert "materialized 0" in done.stdout
    assert Lake(sample_home.path).scan("research/runs").num_rows == 0


def _python_path() -> str:
    import os
    import sys

    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
