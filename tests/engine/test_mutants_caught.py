"""Faults that were planted in the kernels and that no other test saw."""

from __future__ import annotations

from engine import Execution, TargetUnits, simulate
from tests.engine.markets import shaped_bars, targets

FLAT = (100.0, 100.0, 100.0, 100.0)


def test_a_run_does_not_see_the_volume_that_the_run_before_has_used():
    # A tenth of 100 units a bar: either run buys all that bar 1 allows, and nothing is left to a third hand.
    bars = shaped_bars([FLAT, FLAT, FLAT], volume=100.0)
    for _ in range(2):
        result = simulate(
            bars,
            TargetUnits(targets(3, 1, {(0, 0): 10.0})),
            execution=Execution(participation_rate=0.1),
        )
        assert [(fill["bar"], fill["quantity"]) for fill in result.fills] == [(1, 10.0)]
