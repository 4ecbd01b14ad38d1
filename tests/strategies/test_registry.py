"""Strategies are found by their file, and declare their parameters in their signature."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import strategies
from strategies.errors import StrategyError
from strategies.registry import LIBRARY, get_strategy, source_hash, strategy, strategy_names

NEW_STRATEGY = '''
from strategies import Panel, Window, strategy


@strategy
def buy_the_dip(window: Window, *, lookback: int = 5, depth: float = 0.0) -> Panel:
    """Hold what fell."""
    return (window.index.change(lookback) < -depth).equal_weight()
'''
NEW_SPEC = "strategy: buy_the_dip\nuniverse: sample\nsearch: {lookback: {low: 2, high: 10}}\n"
USE_IT = """
from strategies import evaluate, get_strategy, load_spec, source_hash, spec_names, strategy_names
from strategies.lookahead import check
from tests.strategies.windows import random_window

assert "buy_the_dip" in strategy_names() and "dip" in spec_names()
assert get_strategy("buy_the_dip").defaults == {"lookback": 5, "depth": 0.0}
assert get_strategy("buy_the_dip").description == "Hold what fell."
assert check(lambda window: evaluate(load_spec("dip"), window), random_window(200, 3)).is_clean
print(source_hash("buy_the_dip"))
"""


def test_a_strategy_is_one_new_file_and_a_study_one_new_spec(tmp_path):
    root = Path(strategies.__file__).resolve().parent.parent
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("engine", "strategies", "tests/strategies"):
        shutil.copytree(root / package, tmp_path / package, ignore=ignored)
    (tmp_path / "tests" / "__init__.py").write_text("")
    (tmp_path / "strategies" / "library" / "buy_the_dip.py").write_text(NEW_STRATEGY)
    (tmp_path / "strategies" / "specs" / "dip.yaml").write_text(NEW_SPEC)
    done = subprocess.run(
        [sys.executable, "-c", USE_IT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hashlib.sha256(NEW_STRATEGY.encode()).hexdigest()


def test_the_built_in_strategies_are_there():
    assert strategy_names() == ["equal_weight", "ma_cross", "momentum"]
    assert get_strategy("ma_cross").defaults == {"fast": 20, "slow": 100}
    assert all(get_strategy(name).description for name in strategy_names())


@pytest.mark.parametrize("function", [get_strategy, source_hash])
def test_an_unknown_strategy_is_answered_with_the_nearest(function):
    with pytest.raises(StrategyError, match="there is no strategy 'ma_cros'; did you mean 'ma_cross'"):
        function("ma_cros")
    with pytest.raises(StrategyError, match="there is no strategy"):
        function("../spec")
    with pytest.raises(StrategyError, match="there is no strategy '__init__'"):
        function("__init__")


def test_the_source_hash_does_not_depend_on_line_ends(tmp_path, monkeypatch):
    source = (LIBRARY / "ma_cross.py").read_bytes()
    (tmp_path / "ma_cross.py").write_bytes(source.replace(b"\n", b"\r\n"))
    expected = source_hash("ma_cross")
    monkeypatch.setattr("strategies.registry.LIBRARY", tmp_path)
    assert source_hash("ma_cross") == expected
    (tmp_path / "ma_cross.py").write_bytes(source + b"# more\n")
    assert source_hash("ma_cross") != expected


def test_a_file_without_a_strategy_of_its_name_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "strategies.library.ma_cross", types.ModuleType("empty"))
    with pytest.raises(StrategyError, match=r"ma_cross.py must hold a @strategy function named ma_cross"):
        get_strategy("ma_cross")


def takes_no_window(*, n: int = 1): ...


def has_positional(window, n: int = 1): ...


def has_no_kind(window, *, n=1): ...


def has_odd_kind(window, *, n: list = ()): ...


def has_no_default(window, *, n: int): ...


def has_wrong_default(window, *, n: int = 1.5): ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (takes_no_window, "must take the window first"),
        (has_positional, "'n' of strategy has_positional must be keyword-only"),
        (has_no_kind, "must be declared as int, float, bool or str"),
        (has_odd_kind, "must be declared as int, float, bool or str"),
        (has_no_default, "must have a default"),
        (has_wrong_default, "n must be int, was 1.5"),
        (lambda: None, "must take the window first"),
    ],
)
def test_a_signature_that_declares_no_parameters_is_refused(function, says):
    with pytest.raises(StrategyError, match=says):
        strategy(function)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fsat": 3}, "ma_cross has no parameter 'fsat'; did you mean 'fast'"),
        ({"fast": 3.0}, "fast must be int, was 3.0"),
        ({"fast": True}, "fast must be int, was True"),
        ({"fast": "3"}, "fast must be int, was '3'"),
    ],
)
def test_parameters_are_checked_against_the_declaration(values, says):
    with pytest.raises(StrategyError, match=says):
        get_strategy("ma_cross").complete(values)


def test_a_whole_number_is_a_float_but_infinity_is_not():
    @strategy
    def one(window, *, x: float = 0.5): ...

    assert one.complete({"x": 2}) == {"x": 2.0}
    assert type(one.complete({"x": 2})["x"]) is float
    with pytest.raises(StrategyError, match="x must be finite"):
        one.complete({"x": float("inf")})
