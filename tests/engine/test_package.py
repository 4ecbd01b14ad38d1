"""Public names, cheap import, and how kernels are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.hashing import KERNELS_HASH, source_hash
from engine.jit import cache_folder
from tests.engine.markets import random_market

REPOSITORY = Path(engine.__file__).resolve().parent.parent
SEEDS = range(12)


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_public_names_are_sorted_and_exist():
    assert engine.__all__ == sorted(engine.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert {name for names in engine._HOMES.values() for name in names} == set(engine.__all__)
    for name in engine.__all__:
        assert getattr(engine, name) is not None
    assert set(engine.__all__) <= set(dir(engine))


def test_public_names_are_these():
    assert set(engine.__all__) == {
        "CASH_FLOW", "DRAWDOWN", "ENGINE_HASH", "FILL", "ORDER", "REJECTION", "TRADE", "Account", "Actions",
        "Bars", "Costs", "Crossing", "Execution", "InputError", "Orders", "Policy", "QuantlakeError", "Ranking",
        "Result", "Risk", "Rule", "TargetUnits", "TargetWeights", "Threshold", "Trials", "bootstrap_sharpe",
        "deflated_sharpe", "effective_trials", "expected_maximum_sharpe", "minimum_backtest_length",
        "minimum_track_record", "pbo", "probabilistic_sharpe", "sharpe_error", "simulate", "sweep",
    }  # fmt: skip


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'simulat'"):
        _ = engine.simulat


def test_settings_and_bars_do_not_import_numba_or_pandas():
    loaded = python(
        "import sys, engine\n"
        "from engine import Account, Actions, Bars, Costs, Execution, TargetWeights, deflated_sharpe\n"
        "print(*sorted({'numba', 'pandas', 'scipy'} & set(sys.modules)), '-')"
    )
    assert loaded == ["-"]


def test_runs_do_not_import_pandas():
    loaded = python(
        "import sys\n"
        "from engine import sweep, simulate, Result\n"
        "print(*sorted({'pandas', 'scipy.stats', 'scipy.linalg', 'matplotlib'} & set(sys.modules)), '-')"
    )
    assert loaded == ["-"]


HASHES = (
    "from engine import simulate\n"
    "from tests.engine.markets import random_market\n"
    f"for seed in range({SEEDS.stop}):\n"
    "    market = random_market(seed, n_bars=40)\n"
    "    result = simulate(market.bars, market.decisions, **market.settings)\n"
    "    print(result.hash, repr(sorted(result.metrics.items())).replace(' ', ''), len(result.trades))\n"
)


def expected_hashes():
    words = []
    for seed in SEEDS:
        market = random_market(seed, n_bars=40)
        result = engine.simulate(market.bars, market.decisions, **market.settings)
        figures = repr(sorted(result.metrics.items())).replace(" ", "")
        words += [result.hash, figures, str(len(result.trades))]
    return words


@pytest.mark.parametrize("variable", [pytest.param("NUMBA_BOUNDSCHECK", marks=pytest.mark.slow), "NUMBA_DISABLE_JIT"])
def test_compiled_run_is_the_plain_one_to_the_last_bit(variable):
    assert python(HASHES, **{variable: "1", "PYTHONWARNINGS": "ignore"}) == expected_hashes()


@pytest.mark.skipif(cache_folder() is None, reason="checked or uncompiled kernels are never kept")
def test_kernels_are_kept_under_the_home_in_a_folder_named_by_the_sources(tmp_path):
    code = "import engine.metrics as m\nprint(m.max_drawdown([0.1, -0.5]))"
    assert python(code, QUANTLAKE_HOME=str(tmp_path), QUANTLAKE_KERNELS="") == ["-0.5"]
    assert [path.name for path in (tmp_path / "numba").iterdir()] == [KERNELS_HASH]
    assert list((tmp_path / "numba" / KERNELS_HASH).rglob("*.nbc"))


def test_home_that_cannot_be_written_costs_the_cache_and_nothing_else(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    code = "import engine.metrics as m\nprint(m.max_drawdown([0.1, -0.5]))"
    assert python(code, QUANTLAKE_HOME=str(tmp_path / "home"), QUANTLAKE_KERNELS="") == ["-0.5"]


def test_numbas_own_settings_are_left_alone():
    code = (
        "import numba\nbefore = numba.config.CACHE_DIR\nimport engine.result\nprint(numba.config.CACHE_DIR == before)"
    )
    assert python(code) == ["True"]


def test_hash_of_the_sources_follows_every_file_and_no_line_end(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    (tmp_path / "kernels" / "b.py").write_bytes(b"y = 1\n")
    first = source_hash(tmp_path)
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    assert source_hash(tmp_path) == first
    (tmp_path / "kernels" / "b.py").write_bytes(b"y = 2\n")
    assert source_hash(tmp_path) != first
    assert len(first) == 16
