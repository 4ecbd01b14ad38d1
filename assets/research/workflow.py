"""From a spec to recorded runs: pin the tables, load, check for look-ahead, compute, record.

The Dagster assets and the command line both call these functions and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assets.memory import memory_errors
from assets.research.market import INPUTS, Market, ResearchError, load_market
from assets.research.provenance import Provenance, provenance, run_key
from assets.research.recording import Origin, Recorded, kind_tags, record, spec_params
from assets.research.runs import (
    Progress,
    Run,
    backtest_run,
    require_no_lookahead,
    sweep_run,
    walk_forward_run,
    window_runs,
)
from assets.research.sheets import window_row, window_rows
from assets.research.walk_forward import plan_windows

if TYPE_CHECKING:
    from assets.reports.tear_sheet import WindowRow
    from assets.tracking import Tracking
    from lakehouse.lake import Lake
    from strategies.spec import Spec


@dataclass(frozen=True)
class Bench:
    """Where runs are made and recorded.

    One that runs out of memory raises `OutOfMemory`, which says what to make smaller.

    Attributes
    ----------
    lake, tracking : the tables and the MLflow store.
    now : time of recording.
    origin : who asked for the run.
    """

    lake: Lake
    tracking: Tracking
    now: datetime
    origin: Origin = Origin()  # noqa: RUF009 - frozen

    def prepare(self, spec: Spec, pins: Mapping[str, int] | None = None) -> tuple[Market, Provenance, int]:
        """Return the market of a spec at pinned versions, what decides its numbers, and the look-ahead cuts passed.

        Raises
        ------
        ResearchError, LookaheadError : the lake lacks the data, or the strategy sees the future.
        """
        fixed = dict(self.lake.pins(INPUTS) if pins is None else pins)
        market = load_market(self.lake, spec, fixed)
        return market, provenance(spec, fixed), require_no_lookahead(market, spec)

    def backtest(self, spec: Spec) -> Recorded:
        """Run the spec's own parameters over the whole sample, and record it."""
        with memory_errors(f"the backtest of spec {spec.name!r}"):
            market, origin, n_cuts = self.prepare(spec)
            return self._record(market, backtest_run(market, spec), origin, n_cuts)

    def sweep(self, spec: Spec, progress: Progress | None = None) -> Recorded:
        """Run every point of the spec's search space, and record all of them."""
        with memory_errors(f"the sweep of spec {spec.name!r}"):
            market, origin, n_cuts = self.prepare(spec)
            return self._record(market, sweep_run(market, spec, progress), origin, n_cuts)

    def windows(
        self, spec: Spec, among: Collection[str] | None = None, progress: Progress | None = None
    ) -> tuple[str, list[Recorded]]:
        """Run walk-forward windows (all, or those whose test year is among some) as children of one MLflow run.

        Returns the parent's run id and the windows.
        """
        with memory_errors(f"the walk-forward of spec {spec.name!r}"):
            market, origin, n_cuts = self.prepare(spec)
            runs = window_runs(market, spec, among, progress)
            parent = self._parent(spec, origin)
            return parent, [
                self._record(market, run, origin, n_cuts, parent_run_id=parent, windows=window_rows(market, [run]))
                for run in runs
            ]

    def report(self, spec: Spec) -> Recorded:
        """Stitch the recorded windows of a spec into its out-of-sample run, and record it.

        Raises
        ------
        ResearchError : windows are missing, or were made from other data or code than is there now.
        """
        with memory_errors(f"the report of spec {spec.name!r}"):
            return self._report(spec)

    def _report(self, spec: Spec) -> Recorded:
        chosen = chosen_windows(self.lake, spec)
        market, origin, n_cuts = self.prepare(spec, chosen.pins)
        runs = chosen.windows(market, spec, origin)
        run = walk_forward_run(
            market,
            spec,
            {key: json.loads(row["parameters"]) for key, row in runs.items()},
            [float("nan") if row["is_sharpe"] is None else row["is_sharpe"] for row in runs.values()],
        )
        return self._record(market, run, origin, n_cuts, windows=_stored_window_rows(market, spec, runs))

    def _record(
        self,
        market: Market,
        run: Run,
        origin: Provenance,
        n_cuts: int,
        **more: Any,
    ) -> Recorded:
        return record(
            self.lake,
            self.tracking,
            market,
            run,
            origin,
            n_cuts=n_cuts,
            now=self.now,
            origin=self.origin,
            **more,
        )

    def _parent(self, spec: Spec, origin: Provenance) -> str:
        from assets.tracking import RunRecord

        parent = RunRecord(
            experiment=spec.strategy,
            run_name=f"{spec.name} walk_forward",
            run_key=run_key("walk_forward", spec, origin),
            params=spec_params(spec),
            tags={**kind_tags("walk_forward", spec), **self.origin.tags()},
            dagster_run_id=self.origin.run_id,
            dagster_url=self.origin.url,
        )
        with self.tracking.open(parent) as opened:
            return opened.run_id


@dataclass(frozen=True)
class ChosenWindows:
    """The windows of a spec that were recorded last, together: same data versions, same code."""

    pins: Mapping[str, int]
    runs: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, Mapping[str, Any]]

    def windows(self, market: Market, spec: Spec, origin: Provenance) -> dict[str, Mapping[str, Any]]:
        """Return the window rows by test year, one for each window the spec's walk-forward has on this market."""
        planned = [window.key for window in plan_windows(market, spec)]
        again = (
            f"materialize research/walk_forward for all windows of {spec.name!r} (`quantlake walkforward {spec.name}`)"
        )
        missing = [key for key in planned if key not in self.rows]
        if missing:
            raise ResearchError(f"walk-forward windows {', '.join(missing)} of {spec.name!r} are missing: {again}")
        for key in planned:
            if self.runs[key]["run_key"] != run_key("window", spec, origin, test_window=key):
                raise ResearchError(
                    f"window {key} of {spec.name!r} was made with another spec or other code than is there now: {again}"
                )
        return {key: self.rows[key] for key in planned}


def chosen_windows(lake: Lake, spec: Spec) -> ChosenWindows:
    """Return the windows of a spec under the walk-forward that was recorded last.

    Raises
    ------
    ResearchError : none was recorded.
    """
    runs = lake.scan("research/runs", where=[("spec", "=", spec.name), ("kind", "=", "window")]).to_pylist()
    if not runs:
        raise ResearchError(
            f"no walk-forward window of {spec.name!r} has been recorded: materialize research/walk_forward,"
            f" or `quantlake walkforward {spec.name}`"
        )
    last = max(runs, key=lambda row: (row["created_at"], row["run_id"]))["parent_run_id"]
    members = {row["test_window"]: row for row in runs if row["parent_run_id"] == last}
    rows = lake.scan("research/windows", where=[("run_id", "=", last)]).to_pylist()
    pins = json.loads(next(iter(members.values()))["pins"])
    return ChosenWindows(pins=pins, runs=members, rows={row["test_window"]: row for row in rows})


def _stored_window_rows(market: Market, spec: Spec, rows: Mapping[str, Mapping[str, Any]]) -> list[WindowRow]:
    def number(value: float | None) -> float:
        return float("nan") if value is None else value

    return [
        window_row(
            market,
            window,
            json.loads(rows[window.key]["parameters"]),
            train_sharpe=number(rows[window.key]["is_sharpe"]),
            test_sharpe=number(rows[window.key]["oos_sharpe"]),
            test_return=number(rows[window.key]["oos_return"]),
        )
        for window in plan_windows(market, spec)
    ]
