"""The research tables: what a finished run leaves in `research/*`, and how it is found again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.research.market import ResearchError
from engine.errors import nearest

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.research.search import Study
    from assets.research.walk_forward import WindowRun
    from engine import Result
    from lakehouse.lake import Lake


def equity_table(run_id: str, spec: str, result: Result) -> pa.Table:
    """Return the rows of `research/equity` of a run."""
    peak = np.maximum.accumulate(np.maximum(result.equity, result.initial_cash))
    return _table(
        "research/equity",
        {
            "run_id": [run_id] * len(result.equity),
            "spec": [spec] * len(result.equity),
            "bar_end": result.bar_end,
            "equity": result.equity,
            "cash": result.cash,
            "period_return": result.returns,
            "drawdown": result.equity / peak - 1.0,
        },
    )


def fills_table(run_id: str, spec: str, result: Result) -> pa.Table:
    """Return the rows of `research/fills` of a run."""
    from engine.records import FILL_KINDS

    fills = result.fills
    return _table(
        "research/fills",
        {
            "run_id": [run_id] * len(fills),
            "spec": [spec] * len(fills),
            "fill": np.arange(len(fills)),
            "bar_end": result.bar_end[fills["bar"]],
            "symbol": [result.symbols[asset] for asset in fills["asset"]],
            "kind": np.array(FILL_KINDS, dtype=object)[fills["kind"]],
            "quantity": fills["quantity"],
            "price": fills["price"],
            "commission": fills["commission"],
            "fees": fills["fees"],
            "spread_cost": fills["spread"],
            "slippage_cost": fills["slippage"],
            "impact_cost": fills["impact"],
        },
    )


def trades_table(run_id: str, spec: str, result: Result) -> pa.Table:
    """Return the rows of `research/trades` of a run; an open trade has no exit."""
    from engine.records import FILL_KINDS
    from engine.trades import exit_kinds

    trades = result.trades
    is_open = trades["is_open"]
    exits = result.bar_end[trades["exit_bar"]].astype(object)
    return _table(
        "research/trades",
        {
            "run_id": [run_id] * len(trades),
            "spec": [spec] * len(trades),
            "trade": np.arange(len(trades)),
            "symbol": [result.symbols[asset] for asset in trades["asset"]],
            "quantity": trades["quantity"],
            "entry_bar_end": result.bar_end[trades["entry_bar"]],
            "entry_price": trades["entry_price"],
            "exit_bar_end": [None if still else end for still, end in zip(is_open, exits, strict=True)],
            "exit_price": [
                None if still else price for still, price in zip(is_open, trades["exit_price"], strict=True)
            ],
            "pnl": trades["pnl"],
            "cost": trades["costs"],
            "mae": trades["mae"],
            "mfe": trades["mfe"],
            "entry_kind": np.array(FILL_KINDS, dtype=object)[trades["entry_kind"]],
            "exit_kind": exit_kinds(trades),
            "is_open": is_open,
        },
    )


def trials_table(run_id: str, spec: str, studies: Sequence[Study], periods_per_year: float) -> pa.Table:
    """Return the rows of `research/trials` of a run: every trial of its studies, failed ones too."""
    rows = []
    for study in studies:
        for trial in study.trials:
            metrics = trial.metrics
            rows.append(
                {
                    "run_id": run_id,
                    "spec": spec,
                    "study": study.name,
                    "trial": trial.number,
                    "parameters": json.dumps(dict(trial.parameters), sort_keys=True),
                    "state": "complete" if trial.is_complete else "failed",
                    "sharpe_per_bar": defined(metrics.get("sharpe", math.nan) / math.sqrt(periods_per_year)),
                    "total_return": defined(metrics.get("total_return", math.nan)),
                    "max_drawdown": defined(metrics.get("max_drawdown", math.nan)),
                    "n_trades": int(metrics["n_trades"]) if "n_trades" in metrics else None,
                    "metrics": metrics_json(metrics) if trial.is_complete else None,
                }
            )
    return _table_of_rows("research/trials", rows)


def windows_table(run_id: str, spec: str, runs: Sequence[WindowRun], bar_end: np.ndarray) -> pa.Table:
    """Return the rows of `research/windows` of a walk-forward."""
    rows = []
    for run in runs:
        train, test = run.window.train, run.window.test
        rows.append(
            {
                "run_id": run_id,
                "spec": spec,
                "test_window": run.window.key,
                "train_start": bar_end[train.start].item(),
                "train_end": bar_end[train.stop].item(),
                "test_start": bar_end[test.start].item(),
                "test_end": bar_end[test.stop].item() if test.stop < len(bar_end) else None,
                "parameters": json.dumps(dict(run.study.best.parameters), sort_keys=True),
                "is_sharpe": defined(run.in_sample.metrics["sharpe"]),
                "oos_sharpe": defined(run.out_of_sample.metrics["sharpe"]),
                "oos_return": defined(run.out_of_sample.metrics["total_return"]),
                "n_trials": len(run.study.trials),
            }
        )
    return _table_of_rows("research/windows", rows)


def runs_table(row: Mapping[str, Any]) -> pa.Table:
    """Return the one row of `research/runs` of a run."""
    return _table_of_rows("research/runs", [row])


def find_run(lake: Lake, run_id: str) -> dict[str, Any]:
    """Return the row of a run.

    A beginning of the id of at least six characters is enough where it names one run only.

    Raises
    ------
    ResearchError : no such run, or several; names the nearest.
    """
    known = lake.scan("research/runs", columns=["run_id"]).column("run_id").to_pylist()
    matches = [run_id] if run_id in known else []
    if not matches and len(run_id) >= 6:
        matches = [name for name in known if name.startswith(run_id)]
    if not matches:
        hint = nearest(run_id, known) if len(known) else "; no run has been recorded in this home yet"
        if hint.startswith("; known"):
            hint = "; list them: quantlake sql 'SELECT run_id, spec, kind FROM research.runs'"
        if len(run_id) < 6:
            hint = "; of an id's beginning at least six characters are needed"
        raise ResearchError(f"unknown run id {run_id!r}{hint}")
    if len(matches) > 1:
        raise ResearchError(f"run id {run_id!r} is the beginning of {len(matches)} runs: {', '.join(matches)}")
    row: dict[str, Any] = lake.scan("research/runs", where=[("run_id", "=", matches[0])]).to_pylist()[0]
    return row


def defined(value: float) -> float | None:
    """Return the value, or None where it is undefined."""
    return float(value) if math.isfinite(value) else None


def metrics_json(metrics: Mapping[str, float]) -> str:
    """Return metrics as a JSON object, undefined ones as null."""
    return json.dumps({name: defined(value) for name, value in metrics.items()}, sort_keys=True)


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    import pyarrow as pa

    from lakehouse.schemas import table_schema

    schema = table_schema(name).schema
    arrays = [_array(columns[field.name], field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: Any, field: pa.Field) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return pa.array(values.astype("datetime64[us]"), type=pa.timestamp("us")).cast(field.type)
    return pa.array(values, type=field.type)


def _table_of_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    from datetime import UTC

    import pyarrow as pa

    from lakehouse.schemas import table_schema

    schema = table_schema(name).schema

    def utc(value: Any) -> Any:
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value

    stamped = [{key: utc(value) for key, value in row.items()} for row in rows]
    return pa.Table.from_pylist(stamped, schema=schema)
