"""The tear sheet of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from assets.reports.tear_sheet import TearSheet, WindowRow, render
from assets.research.validity import Validity, validity_rows

if TYPE_CHECKING:
    from assets.research.market import Market
    from assets.research.provenance import Provenance
    from assets.research.runs import Run

TITLES = {
    "backtest": "backtest",
    "sweep": "parameter sweep, best point",
    "window": "walk-forward window",
    "walk_forward": "walk-forward, out of sample",
}
SURVIVORSHIP = (
    "Survivorship biased: the universe holds the symbols its source still knows today, chosen in hindsight."
)


def tear_sheet(
    market: Market,
    run: Run,
    origin: Provenance,
    *,
    run_id: str,
    validity: Validity,
    n_cuts: int,
    windows: Sequence[WindowRow],
) -> str:
    """Return the run's tear sheet, one self-contained HTML page."""
    result, spec = run.result, run.spec
    title = f"{spec.name}: {TITLES[run.kind]}" + (f" {run.test_window}" if run.test_window else "")
    days = result.bar_end.astype("datetime64[D]")
    return render(
        TearSheet(
            title=title,
            subtitle=spec.description,
            period=f"{days[0]} to {days[-1]}",
            currency="USD",
            bar_end=result.bar_end,
            equity=result.equity,
            initial_cash=result.initial_cash,
            is_oos=run.is_out_of_sample,
            benchmark=_benchmark(market, run),
            benchmark_name=spec.benchmark or "",
            metrics={**result.metrics, **_inference(validity)},
            costs=result.costs,
            trades=_trades(run),
            windows=windows,
            n_trials=validity.n_trials,
            validity=validity_rows(validity, in_sample_sharpe=run.in_sample_sharpe, n_cuts=n_cuts),
            provenance={
                "run": run_id,
                "result hash": run.hash,
                "spec hash": spec.hash,
                "parameters": "chosen in each window" if run.kind == "walk_forward" else dict(run.parameters),
                "data versions": ", ".join(f"{table} v{version}" for table, version in origin.pins.items()),
                "engine": origin.engine_hash,
                "strategy": origin.strategy_hash,
                "packages": origin.lock_hash,
                "Python": origin.python_version,
                "replay": f"quantlake reproduce {run_id}",
            },
            warnings=[SURVIVORSHIP],
        )
    )


def window_rows(runs: Sequence[Run]) -> list[WindowRow]:
    """Return the rows of the tear sheet's table of windows."""
    rows = []
    for run in runs:
        window = run.windows[0]
        train, test = window.in_sample, window.out_of_sample
        rows.append(
            WindowRow(
                key=str(run.test_window),
                train=_span(train.bar_end),
                test=_span(test.bar_end),
                parameters=dict(run.parameters),
                train_sharpe=train.metrics["sharpe"],
                test_sharpe=test.metrics["sharpe"],
                test_return=test.metrics["total_return"],
            )
        )
    return rows


def _inference(validity: Validity) -> dict[str, float]:
    return {
        "sharpe_error": validity.sharpe_error,
        "probabilistic_sharpe": validity.probabilistic_sharpe,
        "deflated_sharpe": validity.deflated_sharpe,
        "minimum_years": validity.minimum_years,
    }


def _span(bar_end: np.ndarray) -> str:
    days = bar_end.astype("datetime64[D]")
    return f"{days[0]} to {days[-1]}"


def _benchmark(market: Market, run: Run) -> np.ndarray | None:
    from strategies.panel import values_of

    symbol = run.spec.benchmark
    if symbol is None or symbol not in market.bars.symbols:
        return None
    rows = np.searchsorted(market.bars.bar_end, run.result.bar_end)
    index = values_of(market.window.index)[rows, market.bars.symbols.index(symbol)]
    if not math.isfinite(index[0]):
        return None
    scaled: np.ndarray = index / index[0] * run.result.initial_cash
    return scaled


def _trades(run: Run) -> dict[str, object]:
    metrics = run.result.metrics
    still_open = int(run.result.trades["is_open"].sum())
    return {
        "round trips": int(metrics["n_trades"]),
        "still open": still_open,
        "fills": int(metrics["n_fills"]),
        "win rate": metrics["win_rate"],
        "profit factor": metrics["profit_factor"],
    }
