"""Recording a run: its rows in `research/*`, its MLflow run, its tear sheet, all under one run id.

The MLflow run is found or opened first, by the key of what the run is a run of, and its id names everything else.
Each table takes a run's rows once. Killed anywhere, recording again ends in the same state; recorded twice, nothing
is doubled.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assets.research import ledger
from assets.research.provenance import run_key
from assets.research.sheets import tear_sheet
from assets.research.validity import Validity, assess

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.reports.tear_sheet import WindowRow
    from assets.research.coverage import Coverage
    from assets.research.market import Market
    from assets.research.provenance import Provenance
    from assets.research.runs import Run
    from assets.tracking import RunRecord, Tracking
    from lakehouse.lake import Lake
    from strategies.spec import Spec

HEADLINE = (
    "sharpe",
    "cagr",
    "max_drawdown",
    "volatility",
    "sortino",
    "calmar",
    "total_return",
    "cvar_95",
    "skew",
    "kurtosis",
    "turnover",
    "exposure",
    "time_in_market",
    "win_rate",
    "profit_factor",
    "n_trades",
    "n_fills",
)


@dataclass(frozen=True)
class Origin:
    """Who asked for a run, for the links between Dagster and MLflow; all None on the command line."""

    run_id: str | None = None
    asset: str | None = None
    partition: str | None = None
    url: str | None = None

    def tags(self) -> dict[str, str]:
        """Return the MLflow tags that lead back to Dagster."""
        named = {
            "dagster/asset": self.asset,
            "dagster/partition": self.partition,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Recorded:
    """A recorded run: what a table of results or an asset's metadata shows of it."""

    run_id: str
    kind: str
    spec: str
    hash: str
    url: str
    run: Run
    validity: Validity
    coverage: Coverage
    assumed_ends: tuple[str, ...] = ()
    pins: Mapping[str, int] = field(default_factory=dict)
    n_cuts: int = 0


def record(
    lake: Lake,
    tracking: Tracking,
    market: Market,
    run: Run,
    provenance: Provenance,
    *,
    n_cuts: int,
    now: datetime,
    origin: Origin | None = None,
    parent_run_id: str | None = None,
    windows: Sequence[WindowRow] = (),
) -> Recorded:
    """Record a run and return it with its id.

    Parameters
    ----------
    n_cuts : cuts at which the look-ahead check found the spec's decisions unchanged.
    now : time of recording; the only thing here that is not decided by the inputs.
    parent_run_id : the walk-forward a window belongs to.
    windows : rows of the tear sheet's table of windows.
    """
    spec = run.spec
    origin = origin or Origin()
    studies, n_trials = counted_trials(lake, run)
    validity = assess(run.result, studies, n_trials=n_trials, periods_per_year=run.periods_per_year)
    with tracking.open(
        run_record(lake, market, run, provenance, validity, origin=origin, parent_run_id=parent_run_id)
    ) as opened:
        run_id = opened.run_id
        equity = ledger.equity_table(run_id, spec.name, run.result)
        trades = ledger.trades_table(run_id, spec.name, run.result)
        context = {"run_id": run_id, "kind": run.kind, **origin.tags()}
        tables = {
            "research/equity": equity,
            "research/fills": ledger.fills_table(run_id, spec.name, run.result),
            "research/trades": trades,
            "research/trials": ledger.trials_table(run_id, spec.name, run.studies, run.periods_per_year),
            "research/windows": ledger.windows_table(
                parent_run_id or run_id, spec.name, run.windows, market.bars.bar_end
            ),
            # Last: a run that has this row has all others.
            "research/runs": ledger.runs_table(
                _run_row(run_id, run, provenance, validity, parent_run_id, origin, now, tracking)
            ),
        }
        for table, rows in tables.items():
            if rows.num_rows:
                lake.append_once(table, rows, batch_id=f"{table}:{run_id}", context=context)
        sheet = tear_sheet(
            market,
            run,
            provenance,
            run_id=run_id,
            validity=validity,
            n_cuts=n_cuts,
            windows=windows,
        )
        opened.log(
            artifacts={
                "spec.yaml": spec.to_yaml(),
                "equity.parquet": _parquet(equity),
                "trades.parquet": _parquet(trades),
                "tear_sheet.html": sheet,
            }
        )
    return Recorded(
        run_id=run_id,
        kind=run.kind,
        spec=spec.name,
        hash=run.hash,
        url=tracking.url(run_id),
        run=run,
        validity=validity,
        coverage=market.coverage,
        assumed_ends=market.assumed_ends,
        pins=provenance.pins,
        n_cuts=n_cuts,
    )


def run_record(
    lake: Lake,
    market: Market,
    run: Run,
    provenance: Provenance,
    validity: Validity,
    *,
    origin: Origin,
    parent_run_id: str | None,
) -> RunRecord:
    """Return what MLflow is told of a run: out-of-sample figures first."""
    from assets.tracking import Dataset, RunRecord
    from lakehouse.paths import table_path

    prefix = "oos" if run.is_out_of_sample else "is"
    figures = {f"{prefix}/{name}": run.result.metrics[name] for name in HEADLINE}
    figures |= {
        f"{prefix}/sharpe_error": validity.sharpe_error,
        f"{prefix}/probabilistic_sharpe": validity.probabilistic_sharpe,
        f"{prefix}/deflated_sharpe": validity.deflated_sharpe,
        f"{prefix}/cost_total": run.result.costs["total"],
        "trials": float(validity.n_trials),
        "universe/coverage": market.coverage.rate,
        "universe/coverage_worst_year": market.coverage.worst_rate,
        "universe/assumed_ends": float(len(market.assumed_ends)),
    }
    if run.is_out_of_sample:
        figures["is/sharpe"] = run.in_sample_sharpe
    # The windows of a walk-forward have parameters of their own; its run is opened before they are known.
    parameters = {} if run.kind == "walk_forward" else run.parameters
    return RunRecord(
        experiment=run.spec.strategy,
        run_name=" ".join(part for part in (run.spec.name, run.kind, run.test_window) if part),
        run_key=run_key(run.kind, run.spec, provenance, test_window=run.test_window or ""),
        parent_run_id=parent_run_id,
        params={**{f"p.{name}": value for name, value in parameters.items()}, **spec_params(run.spec)},
        metrics=figures,
        tags={
            **kind_tags(run.kind, run.spec),
            "hash/result": run.hash,
            "hash/engine": provenance.engine_hash,
            "hash/strategy": provenance.strategy_hash,
            "hash/packages": provenance.lock_hash,
            "pins": json.dumps(dict(provenance.pins), sort_keys=True),
            "survivorship": market.coverage.survivorship,
            "universe/coverage": market.coverage.shown,
            **origin.tags(),
        },
        dagster_run_id=origin.run_id,
        dagster_url=origin.url,
        datasets=[
            Dataset(table, str(table_path(lake.home, table)), version, run.kind)
            for table, version in provenance.pins.items()
            if version >= 0
        ],
    )


def kind_tags(kind: str, spec: Spec) -> dict[str, str]:
    """Return the MLflow tags that say what a run is a run of."""
    return {"kind": kind, "spec": spec.name, "hash/spec": spec.hash}


def spec_params(spec: Spec) -> dict[str, Any]:
    """Return the spec's settings as MLflow parameters; those at a default that has no effect are left out."""
    from engine import Account, Costs, Execution, Risk

    params: dict[str, Any] = {"spec": spec.name, "universe": spec.universe, "seed": spec.seed}
    for group, value, plain in (
        ("account", spec.account, Account()),
        ("costs", spec.costs, Costs()),
        ("execution", spec.execution, Execution()),
        ("risk", spec.risk, Risk()),
    ):
        for name, setting in vars(value).items():
            if setting != getattr(plain, name):
                params[f"{group}.{name}"] = setting
    params["account.cash"] = spec.account.cash
    params["walk_forward.train_years"] = spec.walk_forward.train_years
    params["walk_forward.n_trials"] = spec.walk_forward.n_trials
    return params


def counted_trials(lake: Lake, run: Run) -> tuple[dict[str, list[float]], int]:
    """Return the per-bar Sharpe ratios, by study, of all trials ever made for the run's spec, and the trials' number.

    This run's are included. A parameter set tried again in the same study is the same trial.
    """
    rows = lake.scan(
        "research/trials",
        columns=["study", "parameters", "sharpe_per_bar"],
        where=[("spec", "=", run.spec.name)],
    )
    new = ledger.trials_table("", run.spec.name, run.studies, run.periods_per_year)
    distinct: dict[tuple[str, str], float | None] = {}
    for table in (rows, new):
        columns = (table.column(name).to_pylist() for name in ("study", "parameters", "sharpe_per_bar"))
        for study, parameters, sharpe in zip(*columns, strict=True):
            distinct[study, parameters] = sharpe
    studies: dict[str, list[float]] = {}
    for (study, _), sharpe in sorted(distinct.items()):
        if sharpe is not None:
            studies.setdefault(study, []).append(sharpe)
    return studies, max(len(distinct), 1)


def _run_row(
    run_id: str,
    run: Run,
    provenance: Provenance,
    validity: Validity,
    parent_run_id: str | None,
    origin: Origin,
    now: datetime,
    tracking: Tracking,
) -> dict[str, Any]:
    spec, result = run.spec, run.result
    return {
        "run_id": run_id,
        "spec": spec.name,
        "kind": run.kind,
        "parent_run_id": parent_run_id,
        "test_window": run.test_window,
        "run_key": run_key(run.kind, spec, provenance, test_window=run.test_window or ""),
        "strategy": spec.strategy,
        "spec_hash": spec.hash,
        "spec_yaml": spec.to_yaml(),
        "parameters": json.dumps(run.parameters, sort_keys=True),
        "pins": json.dumps(dict(provenance.pins), sort_keys=True),
        "seed": spec.seed,
        "engine_hash": provenance.engine_hash,
        "strategy_hash": provenance.strategy_hash,
        "lock_hash": provenance.lock_hash,
        "python_version": provenance.python_version,
        "result_hash": run.hash,
        "created_at": now,
        "first_bar_end": result.bar_end[0].item(),
        "last_bar_end": result.bar_end[-1].item(),
        "n_bars": len(result.equity),
        "n_assets": len(result.symbols),
        "n_trials": validity.n_trials,
        "sharpe": ledger.defined(result.metrics["sharpe"]),
        "sharpe_error": ledger.defined(validity.sharpe_error),
        "deflated_sharpe": ledger.defined(validity.deflated_sharpe),
        "max_drawdown": ledger.defined(result.metrics["max_drawdown"]),
        "metrics": ledger.metrics_json(result.metrics),
        "mlflow_experiment": spec.strategy,
        "dagster_run_id": origin.run_id,
    }


def _parquet(rows: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()
