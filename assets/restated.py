"""Which recorded runs used rows that were restated since, and the tag that says so in MLflow.

A run keeps its pins: `quantlake reproduce` replays it on the rows it used. What a restatement means is that the same
spec, run today, would see other numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.core_schemas import RESTATEMENTS

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.resources import TrackingResource
    from lakehouse.lake import Lake

TAG = "quantlake.restated"
_RUNS = "research/runs"
_N_SYMBOLS = 20


@dataclass(frozen=True)
class AffectedRun:
    """A run that read rows restated since: which symbols of which tables."""

    run_id: str
    spec: str
    kind: str
    symbols: Mapping[str, tuple[str, ...]]

    @property
    def text(self) -> str:
        """What changed, in words, such as `core/daily_bars: AAPL, IBM`."""
        return "; ".join(f"{table}: {_some(names)}" for table, names in self.symbols.items())


def affected(lake: Lake, restatements: pa.Table) -> list[AffectedRun]:
    """Return the recorded runs that used rows of these restatements, in order of recording.

    A run used a row where it read the table at a version before the change, ended on or after the first session
    touched (what came before its first bar was its warm-up), and the symbol was ever in its universe as it read it. Of
    memberships only those of its own universe count. Tables that runs do not pin, such as core/fundamentals, mark none.

    Parameters
    ----------
    restatements : rows of core/restatements
    """
    told = restatements.to_pylist()
    runs = lake.scan(_RUNS, columns=["run_id", "spec", "kind", "pins", "spec_yaml", "last_bar_end", "created_at"])
    found = []
    members: dict[tuple[int, str], set[str] | None] = {}
    members_lost: dict[tuple[int, str], set[str] | None] = {}
    for run in sorted(runs.to_pylist(), key=lambda row: (row["created_at"], row["run_id"])):
        pins = json.loads(run["pins"])
        touching = [
            row
            for row in told
            if 0 <= pins.get(row["table"], -1) <= row["from_version"]
            and (run["last_bar_end"] is None or row["first_session"] <= run["last_bar_end"].date())
        ]
        if not touching:
            continue
        universe = (pins.get("core/universe", -1), _universe(run))
        if universe not in members:
            members[universe] = _symbols(lake, *universe)
        known = members[universe]
        symbols: dict[str, set[str]] = {}
        for row in touching:
            is_used = known is None or row["symbol"] in known
            if is_used and (row["table"] != "core/universe" or _lost_members(lake, row, universe[1], members_lost)):
                symbols.setdefault(row["table"], set()).add(row["symbol"])
        if symbols:
            ordered = {table: tuple(sorted(symbols[table])) for table in sorted(symbols)}
            found.append(AffectedRun(run["run_id"], run["spec"], run["kind"], ordered))
    return found


def mark(lake: Lake, tracking: TrackingResource, run_ids: Sequence[str]) -> list[str]:
    """Tag these runs in MLflow with all that was restated since they read it, and return the ids of those tagged.

    The tag is made of the tables alone, so that tagging twice is tagging once. Runs MLflow does not know are left out.
    """
    if not run_ids:
        return []
    from mlflow.exceptions import MlflowException

    from assets.tracking.store import client, database_path

    store = tracking.open()
    mlflow = client(database_path(store.home))
    tagged = []
    for run in affected(lake, lake.scan(RESTATEMENTS)):
        if run.run_id not in run_ids:
            continue
        try:
            mlflow.set_tag(run.run_id, TAG, run.text)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            continue
        tagged.append(run.run_id)
    return tagged


def _universe(run: Mapping[str, Any]) -> str:
    from strategies.spec import Spec

    return Spec.from_yaml(run["spec_yaml"], run["spec"]).universe


def _symbols(lake: Lake, version: int, universe: str) -> set[str] | None:
    """Return a universe's symbols as a run read them; None, any symbol, where that version is no longer there."""
    from lakehouse.errors import LakeError

    try:
        rows = lake.scan("core/universe", version=version, columns=["symbol"], where=[("universe", "=", universe)])
    except LakeError:
        return None
    return set(rows.column("symbol").to_pylist())


def _lost_members(
    lake: Lake, row: Mapping[str, Any], universe: str, found: dict[tuple[int, str], set[str] | None]
) -> bool:
    """Return whether a restatement took days of the symbol from this universe; yes where that cannot be told any more.

    Parameters
    ----------
    found : the symbols that lost days, by version and universe; what is missing is looked up and kept here
    """
    from lakehouse.errors import LakeError
    from lakehouse.spans_lost import lost

    key = (row["to_version"], universe)
    if key not in found:
        table, where = row["table"], [("universe", "=", universe)]
        try:
            before, after = (lake.scan(table, version=row[of], where=where) for of in ("from_version", "to_version"))
        except LakeError:
            found[key] = None
        else:
            found[key] = {symbol for _, symbol in lost(before, after, table)}
    symbols = found[key]
    return symbols is None or row["symbol"] in symbols


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_N_SYMBOLS])
    return shown if len(names) <= _N_SYMBOLS else f"{shown} and {len(names) - _N_SYMBOLS} more"
