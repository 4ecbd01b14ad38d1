"""Decisions: from what was known at a bar's end to target weights.

A strategy is a function from a `Window`, which cannot show the future, to a `Panel` of target weights,
registered by the name of its file in `strategies/library`. A `Spec` is a YAML file that says what one study
is made of. Everything here is pure: no files but specs and the strategies' own sources, no clock, no
randomness without a seed. Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strategies.errors import LookaheadError, SpecError, StrategyError, WalkForwardError
    from strategies.evaluation import evaluate
    from strategies.panel import Panel
    from strategies.registry import Strategy, get_strategy, source_hash, strategy, strategy_names
    from strategies.search import Choices, Range
    from strategies.spec import Spec, load_spec, spec_names
    from strategies.walk_forward import WalkForwardSettings, WalkForwardWindow
    from strategies.window import Window

_HOMES = {
    "errors": ("LookaheadError", "SpecError", "StrategyError", "WalkForwardError"),
    "evaluation": ("evaluate",),
    "panel": ("Panel",),
    "registry": ("Strategy", "get_strategy", "source_hash", "strategy", "strategy_names"),
    "search": ("Choices", "Range"),
    "spec": ("Spec", "load_spec", "spec_names"),
    "walk_forward": ("WalkForwardSettings", "WalkForwardWindow"),
    "window": ("Window",),
}

__all__ = [
    "Choices",
    "LookaheadError",
    "Panel",
    "Range",
    "Spec",
    "SpecError",
    "Strategy",
    "StrategyError",
    "WalkForwardError",
    "WalkForwardSettings",
    "WalkForwardWindow",
    "Window",
    "evaluate",
    "get_strategy",
    "load_spec",
    "source_hash",
    "spec_names",
    "strategy",
    "strategy_names",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"strategies.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'strategies' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
