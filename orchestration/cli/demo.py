"""demo: the whole platform on the embedded real data."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Materialize everything on real market data embedded in a package: no account, no network."""
    from orchestration.cli.console import err, number, out, print_json, print_rows
    from orchestration.demo import run_demo

    def announce(text: str, seconds: float | None) -> None:
        if seconds is None:
            err.print(f"  {text} ...", end="", highlight=False)
        else:
            err.print(f" {seconds:.1f} s", highlight=False)

    report = run_demo(announce)
    if as_json:
        print_json(report)
        return
    rows = [
        {
            "strategy": row["spec"],
            "Sharpe": f"{number(row['sharpe'])} ± {number(row['sharpe_error'])}",
            "deflated": number(row["deflated_sharpe"], "{:.1%}"),
            "drawdown": number(row["max_drawdown"], "{:.1%}"),
            "trials": row["trials"],
            "run": row["run_id"][:12],
        }
        for row in report["runs"]
    ]
    print_rows(out, rows, "out of sample: stitched walk-forwards, after costs")
    out.print("deflated: chance that the true Sharpe ratio is above what so many trials give by luck")
    out.print("Survivorship biased: five companies chosen in hindsight. No investment advice.")
    out.print(f"done in {report['seconds']:.0f} s; state is in {report['home']}", highlight=False, soft_wrap=True)
    first = report["runs"][0]["run_id"][:12]
    out.print("\nnext:", highlight=False)
    for command, what in (
        ("make ui", "Dagster and MLflow, filled by this run"),
        (f"quantlake reproduce {first}", "replay a run: the same hash"),
        (
            "quantlake sql 'SELECT spec, kind, sharpe FROM research.runs ORDER BY sharpe DESC'",
            "query everything",
        ),
        ("quantlake import prices.csv --map symbol=ticker --map session=date", "your own data"),
    ):
        out.print(f"  {command}\n      {what}", highlight=False, soft_wrap=True, markup=False)
    if not _on_path():
        out.print("(quantlake is in .venv/bin: `source .venv/bin/activate` first)", highlight=False)


def _on_path() -> bool:
    import shutil

    return shutil.which("quantlake") is not None
