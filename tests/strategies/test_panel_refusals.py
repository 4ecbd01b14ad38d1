"""Panels and windows refuse whatever could show the future, and say what to use instead."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from strategies.errors import ClosedPanelError, StrategyError
from tests.strategies.windows import random_window

WINDOW = random_window(30, 3)
PANEL = WINDOW.close


@pytest.mark.parametrize(
    ("peek", "says"),
    [
        (lambda: PANEL[5], "cannot be indexed.*lag"),
        (lambda: PANEL[::-1], "cannot be indexed"),
        (lambda: list(PANEL), "iterated over"),
        (lambda: len(PANEL), "measured"),
        (lambda: np.asarray(PANEL), "turned into an array.*rolling"),
        (lambda: np.median(PANEL), "turned into an array"),
        (lambda: np.ones((30, 3)) * PANEL, "not with ndarray: an array could hold the future"),
        (lambda: PANEL + np.ones((30, 3)), "feature"),
        (lambda: PANEL > [1.0, 2.0, 3.0], "not with list"),
        (lambda: float(PANEL), "one number"),
        (lambda: bool(PANEL > 1), "& | ~ instead of and, or, not"),
        (lambda: 1.0 if PANEL > 0 else 0.0, "where"),
        (lambda: (PANEL > 1) and (PANEL < 2), "instead of and"),
        (lambda: 50.0 in PANEL, "searched"),
        (lambda: PANEL.shift(-1), "has no 'shift'; use lag"),
        (lambda: PANEL.values, "raw values would show the future"),
        (lambda: PANEL.to_array(), "raw values would show the future"),
        (lambda: PANEL.bfill(), "backwards reads the future"),
        (lambda: PANEL.iloc[-1], "positions would show the future"),
        (lambda: PANEL.maen(3), "did you mean 'mean'"),
        (lambda: WINDOW.clsoe, "did you mean 'close'"),
        (lambda: WINDOW[5], "a window cannot be indexed"),
        (lambda: len(WINDOW), "a window cannot be measured"),
        (lambda: PANEL.lag(-1), "negative lag reads the future"),
        (lambda: PANEL.change(-5), "at least 1, was -5"),
        (lambda: PANEL.mean(0), "mean needs a number of at least 1, was 0"),
        (lambda: PANEL.std(1), "std needs a number of at least 2"),
        (lambda: PANEL.mean(2.0), "whole number, was 2.0"),
        (lambda: PANEL.mean(True), "whole number, was True"),
        (lambda: PANEL.top(0), "top needs"),
        (lambda: PANEL.equal_weight(), "bool panel, such as `score > 0`"),
        (lambda: ~PANEL, "bool panel"),
        (lambda: PANEL & (PANEL > 1), "bool panel"),
        (lambda: PANEL.where(1.0), "where needs a bool panel"),
        (lambda: PANEL + random_window(30, 3).close, "panels of two windows do not mix"),
        (lambda: PANEL.where(WINDOW.cut(30).close > 1), "panels of two windows do not mix"),
        (lambda: WINDOW.feature("momentum_252_12"), "did you mean 'momentum_252_21'"),
        (lambda: WINDOW.cut(31), "cut after 1 to all"),
    ],
)
def test_a_look_at_raw_values_or_the_future_is_refused_with_the_way_to_go(peek, says):
    with pytest.raises(StrategyError, match=says):
        peek()


def test_a_panel_cannot_be_changed():
    with pytest.raises(ClosedPanelError, match="cannot be changed"):
        PANEL[0] = 1.0
    with pytest.raises(ClosedPanelError):
        PANEL.anything  # noqa: B018
    assert not PANEL._values.flags.writeable


def test_no_public_name_gives_an_array():
    for owner in (PANEL, WINDOW):
        public = [getattr(owner, name) for name in dir(type(owner)) if not name.startswith("_")]
        assert public
        assert not any(isinstance(value, np.ndarray) for value in public)


def test_a_refused_name_is_no_attribute():
    assert not hasattr(PANEL, "values")
    assert repr(copy.copy(PANEL)) == repr(PANEL) == "Panel(float64, 30 bars x 3 assets)"
    assert repr(WINDOW) == "Window(30 bars x 3 assets)"
