"""Tables and files a decision brings along from outside its window are found, wherever it keeps them."""

from __future__ import annotations

import functools
import sys
import types

import numpy as np
import pandas as pd
import pytest

from strategies.evaluation import evaluate
from strategies.lookahead import check
from strategies.panel import Panel
from strategies.registry import strategy
from strategies.side_data import find_side_data
from strategies.window import Window
from tests.strategies.windows import random_window

WINDOW = random_window(600, 4, seed=3, missing=0.01)
SIDE_TABLE = pd.DataFrame({"vix": np.linspace(10.0, 20.0, 600)})


def closes_over_an_array():
    side = np.linspace(0.0, 1.0, 600)
    return lambda window: (window.close * 0.0 + 1.0).fill(0.0) if side is not None else None


def has_a_default(window, vix=SIDE_TABLE):
    return window.close


def reads_a_global(window):
    return window.close if len(SIDE_TABLE) else window.open


def reads_through_another(window):
    return reads_a_global(window)


def reads_a_file(window):
    return window.close if pd.read_csv("vix.csv") is None else window.open


def opens_a_file(window):
    with open("vix.csv") as file:  # noqa: PTH123
        return window.close if file.read() else window.open


def in_a_comprehension(window):
    return [SIDE_TABLE for _ in range(1)] and window.close


class Model:
    def __init__(self):
        self.weights = {"fit": np.ones((40, 2))}

    def __call__(self, window):
        return window.close

    def decide(self, window):
        return window.close


module = types.ModuleType("my_tables")
module.VIX = SIDE_TABLE
sys.modules["my_tables"] = module


def reads_a_module(window):
    return window.close if module.VIX is not None else window.open


@strategy
def leaking_strategy(window: Window, *, n: int = 1) -> Panel:
    return window.close.mean(n) if SIDE_TABLE is not None else window.close


CLOSURES = {
    "closure": closes_over_an_array(),
    "default": has_a_default,
    "global": reads_a_global,
    "through another function": reads_through_another,
    "comprehension": in_a_comprehension,
    "module": reads_a_module,
    "instance": Model(),
    "bound method": Model().decide,
    "partial": functools.partial(lambda window, table: window.close, table=np.zeros(600)),
    "list of numbers": functools.partial(lambda window, table: window.close, table=[0.5] * 600),
    "dates to numbers": functools.partial(lambda window, table: window.close, table=dict.fromkeys(range(50), 1.0)),
    "panel of another window": functools.partial(lambda window, other: window.close, other=WINDOW.close),
    "strategy": leaking_strategy,
    "strategy evaluated": lambda window: evaluate(leaking_strategy, window),
}


@pytest.mark.parametrize("name", CLOSURES)
def test_a_table_the_decision_brings_along_is_flagged(name):
    report = check(CLOSURES[name], WINDOW) if name != "strategy evaluated" else None
    assert find_side_data(CLOSURES[name]) is not None
    if report is not None:
        assert "data from outside its window" in report.leak.description
        assert "as a feature" in report.leak.description


@pytest.mark.parametrize("function", [reads_a_file, opens_a_file])
def test_a_file_the_decision_reads_is_flagged(function):
    assert "reads with" in find_side_data(function)


def test_small_constants_and_lists_of_symbols_are_no_side_data():
    weights, symbols, sectors = (
        np.array([0.5, 0.5]),
        [f"S{i}" for i in range(500)],
        {f"S{i}": "tech" for i in range(99)},
    )
    assert find_side_data(lambda w: (w.close * weights[0], symbols, sectors)) is None
