"""Replaying a recorded run from its pins, and saying what differs where the result does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.research.ledger import find_run
from assets.research.market import LISTINGS, load_market
from assets.research.provenance import Provenance, provenance
from assets.research.runs import replay

if TYPE_CHECKING:
    from lakehouse.lake import Lake


@dataclass(frozen=True)
class Reproduction:
    """A replay: the recorded hash, the new one, and what differs in code and environment."""

    run_id: str
    kind: str
    spec: str
    recorded_hash: str
    replayed_hash: str
    differences: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the replay gave the same bits."""
        return self.recorded_hash == self.replayed_hash


def reproduce(lake: Lake, run_id: str) -> Reproduction:
    """Return the replay of a recorded run on the table versions it read.

    Raises
    ------
    ResearchError : no such run; names the nearest.
    UnknownTable : a pinned version is gone.
    """
    from strategies.spec import Spec

    row = find_run(lake, run_id)
    spec = Spec.from_yaml(row["spec_yaml"], row["spec"])
    pins = json.loads(row["pins"])
    recorded = Provenance(
        pins=pins,
        engine_hash=row["engine_hash"],
        strategy_hash=row["strategy_hash"],
        lock_hash=row["lock_hash"],
        python_version=row["python_version"],
    )
    run = replay(load_market(lake, spec, pins), spec, row["kind"], row["test_window"])
    return Reproduction(
        run_id=row["run_id"],
        kind=row["kind"],
        spec=row["spec"],
        recorded_hash=row["result_hash"],
        replayed_hash=run.hash,
        differences=(*_unresolved(pins), *recorded.differences(provenance(spec, pins))),
    )


def _unresolved(pins: Mapping[str, int]) -> tuple[str, ...]:
    if LISTINGS in pins:
        return ()
    return ("columns were tickers then, they are securities now: a ticker that changed hands is two of them",)
