"""The application: its commands, and one place where errors become a line and an exit code.

Nothing heavy is imported before a command runs: `--help` must not wait for Dagster, MLflow or Numba.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import typer

from assets.memory import SMALLER, held, lack_of_memory
from engine.errors import QuantlakeError
from orchestration.cli import care, data, demo, query, rebuild, research, ui

INTERRUPTED = 130
_interrupts: list[int] = []

app = typer.Typer(
    name="quantlake",
    help="Point-in-time market data, a Numba backtest engine and honest statistics, run by Dagster, logged to MLflow.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 the answer is no, 2 wrong usage or unusable input, 3 internal error,"
    " 130 interrupted.",
)
app.command()(demo.demo)
app.command()(ui.ui)
app.command("import")(data.import_files)
app.command()(research.backtest)
app.command()(research.sweep)
app.command()(research.walkforward)
app.command()(research.reproduce)
app.command()(query.sql)
app.command()(data.verify)
app.command()(rebuild.rebuild)
app.command()(rebuild.restatements)
app.command()(care.upkeep)
app.command()(care.doctor)
app.command()(care.clean)


def main() -> NoReturn:
    """Run a command; an error meant for the user is one text on stderr, without a traceback."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note_interrupt)
    _leave(_run())


def _run() -> int:
    try:
        app(standalone_mode=True)
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
        return _interrupted() if code == INTERRUPTED else code
    except KeyboardInterrupt:
        return _interrupted()
    except QuantlakeError as error:
        if _is_interruption(error):
            return _interrupted()
        _explain(error)
        return 2
    except Exception as error:
        if _is_interruption(error):
            return _interrupted()
        if os.environ.get("QUANTLAKE_DEBUG"):
            raise
        if lack_of_memory(error) is not None:
            print(f"error: out of memory ({held()}): {SMALLER} (QUANTLAKE_DEBUG=1 shows where)", file=sys.stderr)
            return 2
        if isinstance(error, OSError) and error.filename is not None:
            print(f"error: {error.filename}: {error.strerror} (QUANTLAKE_DEBUG=1 shows where)", file=sys.stderr)
            return 2
        import traceback

        traceback.print_exc()
        print("this is an error of quantlake itself; please report it with the text above", file=sys.stderr)
        return 3
    return 0


def _note_interrupt(number: int, frame: object) -> NoReturn:
    _interrupts.append(number)
    raise KeyboardInterrupt


def _is_interruption(error: Exception) -> bool:
    """Return whether Ctrl-C is behind an error: DuckDB and Dagster turn it into errors of their own."""
    return bool(_interrupts) or "DagsterExecutionInterruptedError" in str(error)


def _interrupted() -> int:
    print("\ninterrupted; what was committed stays, the same command goes on from there", file=sys.stderr)
    return INTERRUPTED


def _leave(code: int) -> NoReturn:
    """End the process without taking its modules apart, which costs a second once MLflow and Arrow are loaded."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _explain(error: QuantlakeError) -> None:
    from orchestration.cli.console import err, print_rows

    err.print("[bold red]error:[/] ", end="")
    err.print(str(error), markup=False, highlight=False, soft_wrap=True)
    rows = getattr(error, "rows", None)
    if rows:
        print_rows(err, [_line_first(row) for row in rows], "the first offending rows")


def _line_first(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**({"line": row["line"]} if "line" in row else {}), **row}
