"""Portfolio backtests: decisions and bars in; fills, equity, trades and figures out.

Pure and deterministic: NumPy and Numba only, no clock, no randomness, no files but the cache of compiled kernels.
A name is imported when it is first used, so that settings (`Account`, `Costs`, ...) do not cost Numba's start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.account import Account
    from engine.actions import Actions
    from engine.bars import Bars
    from engine.costs import Costs
    from engine.decisions import TargetUnits, TargetWeights
    from engine.errors import InputError, QuantlakeError
    from engine.execution import Execution
    from engine.hashing import ENGINE_HASH
    from engine.inference import (
        bootstrap_sharpe,
        deflated_sharpe,
        effective_trials,
        expected_maximum_sharpe,
        minimum_backtest_length,
        minimum_track_record,
        probabilistic_sharpe,
        sharpe_error,
    )
    from engine.orders import Orders
    from engine.overfitting import pbo
    from engine.policy import Policy
    from engine.records import CASH_FLOW, DRAWDOWN, FILL, ORDER, REJECTION, TRADE
    from engine.result import Result
    from engine.risk import Risk
    from engine.rules import Crossing, Ranking, Rule, Threshold
    from engine.simulation import simulate
    from engine.trials import Trials, sweep

_HOMES = {
    "account": ("Account",),
    "actions": ("Actions",),
    "bars": ("Bars",),
    "costs": ("Costs",),
    "decisions": ("TargetUnits", "TargetWeights"),
    "errors": ("InputError", "QuantlakeError"),
    "execution": ("Execution",),
    "hashing": ("ENGINE_HASH",),
    "inference": (
        "bootstrap_sharpe",
        "deflated_sharpe",
        "effective_trials",
        "expected_maximum_sharpe",
        "minimum_backtest_length",
        "minimum_track_record",
        "probabilistic_sharpe",
        "sharpe_error",
    ),
    "orders": ("Orders",),
    "overfitting": ("pbo",),
    "policy": ("Policy",),
    "records": ("CASH_FLOW", "DRAWDOWN", "FILL", "ORDER", "REJECTION", "TRADE"),
    "result": ("Result",),
    "risk": ("Risk",),
    "rules": ("Crossing", "Ranking", "Rule", "Threshold"),
    "simulation": ("simulate",),
    "trials": ("Trials", "sweep"),
}

__all__ = [
    "CASH_FLOW",
    "DRAWDOWN",
    "ENGINE_HASH",
    "FILL",
    "ORDER",
    "REJECTION",
    "TRADE",
    "Account",
    "Actions",
    "Bars",
    "Costs",
    "Crossing",
    "Execution",
    "InputError",
    "Orders",
    "Policy",
    "QuantlakeError",
    "Ranking",
    "Result",
    "Risk",
    "Rule",
    "TargetUnits",
    "TargetWeights",
    "Threshold",
    "Trials",
    "bootstrap_sharpe",
    "deflated_sharpe",
    "effective_trials",
    "expected_maximum_sharpe",
    "minimum_backtest_length",
    "minimum_track_record",
    "pbo",
    "probabilistic_sharpe",
    "sharpe_error",
    "simulate",
    "sweep",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"engine.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
