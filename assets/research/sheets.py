"""The tear sheet of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from assets.reports.tear_sheet import TearSheet, WindowRow, render
from assets.research.validity import Validity, validity_rows

if TYPE_CHECKING:
    from assets.research.market import Market
    from assets.research.provenance import Provenance
    from assets.research.runs import Run
    from strategies.walk_forward import WalkForwardWindow

TITLES = {
    "backtest": "backtest",
    "sweep": "parameter sweep, best point",
    "window": "walk-forward window",
    "walk_forward": "walk-forward, out of sample",
}


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
            windows=windows,
            n_trials=validity.n_trials,
            validity=validity_rows(
                validity,
                market.coverage,
                in_sample_sharpe=run.in_sample_sharpe,
                n_cuts=n_cuts,
                assumed_ends=market.assumed_ends,
            ),
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
            warnings=market.coverage.warnings,
        )
    )


def window_rows(market: Market, runs: Sequence[Run]) -> list[WindowRow]:
    """Return the rows of the tear sheet's table of windows from their runs."""
    return [
        window_row(
            market,
            run.windows[0].window,
            run.parameters,
            train_sharpe=run.in_sample_sharpe,
            test_sharpe=run.result.metrics["sharpe"],
            test_return=run.result.metrics["total_return"],
        )
        for run in runs
    ]


def window_row(
    market: Market, window: WalkForwardWindow, parameters: Mapping[str, object], **figures: float
) -> WindowRow:
    """Return one row of the tear sheet's table of windows, with the first and last day of each part."""
    days = market.bars.bar_end.astype("datetime64[D]")
    train, test = (f"{days[part.start]} to {days[part.stop - 1]}" for part in (window.train, window.test))
    return WindowRow(key=window.key, train=train, test=test, parameters=dict(parameters), **figures)


def _inference(validity: Validity) -> dict[str, float]:
    return {
        "sharpe_error": validity.sharpe_error,
        "probabilistic_sharpe": validity.probabilistic_sharpe,
        "deflated_sharpe": validity.deflated_sharpe,
        "minimum_years": validity.minimum_years,
    }


def _benchmark(market: Market, run: Run) -> np.ndarray | None:
    from strategies.panel import values_of

    symbol = run.spec.benchmark
    if symbol is None:
        return None
    rows = np.searchsorted(market.bars.bar_end, run.result.bar_end)
    index = values_of(market.window.index)[rows, market.bars.symbols.index(symbol)]
    if not math.isfinite(index[0]):
        return None
    scaled: np.ndarray = index / index[0] * run.result.initial_cash
    return scaled
