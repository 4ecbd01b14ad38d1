"""backtest, sweep, walkforward, reproduce: research without Dagster, in this process."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from assets.research.recording import Recorded
    from assets.research.workflow import Bench

SpecArgument = Annotated[str, typer.Argument(help="Name of a spec in strategies/specs, or the path of a YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def backtest(spec: SpecArgument, as_json: JsonOption = False) -> None:
    """Run a spec's own parameters over the whole sample."""
    from strategies.spec import load_spec

    started = time.perf_counter()
    loaded = load_spec(spec)
    recorded = _bench().backtest(loaded)
    _show(recorded, as_json, started)


def sweep(
    spec: SpecArgument,
    top: Annotated[int, typer.Option(min=1, help="How many of the best points to print.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Run every point of a spec's search space; each is kept as a trial."""
    from orchestration.cli.console import out, print_json, print_rows, progress
    from strategies.spec import load_spec

    started = time.perf_counter()
    loaded = load_spec(spec)
    with progress(f"sweep {loaded.name}", "trials") as update:
        recorded = _bench().sweep(loaded, update)
    trials = [trial for trial in recorded.run.studies[0].trials if trial.is_complete]
    best = sorted(trials, key=lambda trial: _descending(trial.metrics[loaded.metric]))[:top]
    names = ("sharpe", "cagr", "max_drawdown", "turnover", "n_trades")
    rows = [{**trial.parameters, **{name: trial.metrics[name] for name in names}} for trial in best]
    if as_json:
        print_json({**_summary(recorded), "best": rows})
        return
    shown = [{name: _short(value) for name, value in row.items()} for row in rows]
    print_rows(out, shown, f"best {len(rows)} of {len(trials)} points by {loaded.metric}, in sample")
    _show(recorded, False, started)


def walkforward(spec: SpecArgument, as_json: JsonOption = False) -> None:
    """Search each training window, run the year after it, and stitch the years out of sample."""
    from orchestration.cli.console import number, out, print_json, print_rows, progress
    from strategies.spec import load_spec

    started = time.perf_counter()
    loaded = load_spec(spec)
    bench = _bench()
    with progress(f"walk-forward {loaded.name}", "windows") as update:
        _, windows = bench.windows(loaded, progress=update)
    recorded = bench.report(loaded)
    rows = [
        {
            "test_year": window.run.test_window,
            **window.run.parameters,
            "trials": window.run.n_trials,
            "sharpe_in_sample": window.run.in_sample_sharpe,
            "sharpe": window.run.result.metrics["sharpe"],
            "total_return": window.run.result.metrics["total_return"],
        }
        for window in windows
    ]
    if as_json:
        print_json({**_summary(recorded), "windows": rows})
        return
    headers = {"sharpe_in_sample": "trained", "sharpe": "tested", "total_return": "return"}
    shown = [
        {
            headers.get(name, name): number(value, "{:.1%}") if name == "total_return" else _short(value)
            for name, value in row.items()
        }
        for row in rows
    ]
    print_rows(out, shown, f"{loaded.name}: Sharpe ratio in training and in the test year")
    _show(recorded, False, started)


def reproduce(
    run_id: Annotated[str, typer.Argument(help="Run id, or the beginning of one (six characters or more).")],
    as_json: JsonOption = False,
) -> None:
    """Replay a run on the data versions it read: the same hash, or what differs (exit code 1)."""
    from assets.research.reproduce import reproduce as replayed
    from orchestration.cli.console import out, print_json

    outcome = replayed(_lake(), run_id)
    if as_json:
        print_json({**vars(outcome), "is_equal": outcome.is_equal})
    elif outcome.is_equal:
        out.print(f"[green]equal[/]: {outcome.kind} of {outcome.spec}, run {outcome.run_id}", highlight=False)
        out.print(f"  hash {outcome.replayed_hash}", highlight=False, soft_wrap=True)
        for difference in outcome.differences:
            out.print(f"  (although {difference})", highlight=False, markup=False)
    else:
        out.print(f"[red]different[/]: {outcome.kind} of {outcome.spec}, run {outcome.run_id}", highlight=False)
        for name, value in (("recorded", outcome.recorded_hash), ("replayed", outcome.replayed_hash)):
            out.print(f"  {name} {value}", highlight=False, soft_wrap=True)
        reasons = outcome.differences or (
            "nothing recorded differs: the run is not deterministic, or the record was changed",
        )
        for difference in reasons:
            out.print(f"  {difference}", highlight=False, markup=False)
    if not outcome.is_equal:
        raise typer.Exit(1)


def _lake() -> Any:
    from assets.settings import settings
    from lakehouse.lake import Lake

    return Lake(settings().home)


def _bench() -> Bench:
    from datetime import UTC, datetime

    from assets.research.workflow import Bench
    from assets.settings import settings
    from assets.store_errors import require_sound
    from assets.stores import MLFLOW
    from assets.tracking import Tracking

    tracking = Tracking(settings().home)
    tracking.initialise()
    # Before the work rather than after it.
    require_sound(tracking.home, MLFLOW)
    return Bench(_lake(), tracking, datetime.now(UTC))


def _summary(recorded: Recorded) -> dict[str, Any]:
    validity = recorded.validity
    return {
        "run_id": recorded.run_id,
        "kind": recorded.kind,
        "spec": recorded.spec,
        "parameters": dict(recorded.run.parameters),
        "out_of_sample": recorded.run.is_out_of_sample,
        "metrics": dict(recorded.run.result.metrics),
        "sharpe_error": validity.sharpe_error,
        "deflated_sharpe": validity.deflated_sharpe,
        "trials": validity.n_trials,
        "universe": {
            "is_point_in_time": recorded.coverage.is_point_in_time,
            "member_days": recorded.coverage.member_days,
            "with_bars": recorded.coverage.with_bars,
            "coverage": recorded.coverage.rate,
            "worst_year": recorded.coverage.worst_year,
            "worst_year_coverage": recorded.coverage.worst_rate,
            "assumed_ends": list(recorded.assumed_ends),
            "warnings": recorded.coverage.warnings,
        },
        "costs": dict(recorded.run.result.costs),
        "hash": recorded.hash,
        "pins": dict(recorded.pins),
        "mlflow": recorded.url,
    }


def _show(recorded: Recorded, as_json: bool, started: float) -> None:
    from rich.table import Table

    from orchestration.cli.console import number, out, print_json

    if as_json:
        print_json(_summary(recorded))
        return
    metrics, validity = recorded.run.result.metrics, recorded.validity
    sample = "out of sample" if recorded.run.is_out_of_sample else "in sample"
    title = f"{recorded.spec}: {recorded.kind.replace('_', '-')}, {sample}"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, value in (
        ("Sharpe ratio", f"{number(metrics['sharpe'])} ± {number(validity.sharpe_error)}"),
        (
            "deflated Sharpe ratio",
            f"{number(validity.deflated_sharpe, '{:.1%}')} ({validity.n_trials} trials)",
        ),
        ("annual growth", number(metrics["cagr"], "{:.2%}")),
        ("maximum drawdown", number(metrics["max_drawdown"], "{:.1%}")),
        ("volatility", number(metrics["volatility"], "{:.1%}")),
        ("turnover a year", number(metrics["turnover"])),
        ("round trips", f"{metrics['n_trades']:.0f}"),
        ("costs", number(recorded.run.result.costs["total"], "{:,.2f}")),
        ("final equity", number(float(recorded.run.result.equity[-1]), "{:,.2f}")),
        ("members with bars", recorded.coverage.shown),
        ("ends assumed", f"{len(recorded.assumed_ends)}"),
        ("run", recorded.run_id),
        ("time", f"{time.perf_counter() - started:.2f} s"),
    ):
        table.add_row(label, value)
    out.print(table)
    for warning in recorded.coverage.warnings:
        style = "yellow" if recorded.coverage.is_enough else "bold red"
        out.print(textwrap.fill(warning, min(out.width, 80)), style=style, highlight=False)
    out.print(f"replay: quantlake reproduce {recorded.run_id}", highlight=False)


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) and value == value else value


def _descending(value: float) -> float:
    return -value if value == value else float("inf")
