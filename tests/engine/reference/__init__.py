"""The engine's semantics once more, slow and obvious: plain Python, no arrays of state, nothing of the engine.

Prices and decisions are lists of rows (bars) of columns (assets); None is "no bar", "leave alone" and "no such price".
"""

from tests.engine.reference.inputs import FinerBar, Inputs, OrderInput, Settings
from tests.engine.reference.loop import Outcome, simulate_slowly

__all__ = ["FinerBar", "Inputs", "OrderInput", "Outcome", "Settings", "simulate_slowly"]
