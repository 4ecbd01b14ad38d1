"""The command line: help, exit codes, error texts, questions and care."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.homes import REPOSITORY
from tests.orchestration.command_line import Command

COMMANDS = [
    "demo",
    "ui",
    "import",
    "backtest",
    "sweep",
    "walkforward",
    "reproduce",
    "sql",
    "verify",
    "upkeep",
    "doctor",
    "clean",
]
HEAVY = ["dagster", "mlflow", "numba", "numpy", "pandas", "pyarrow", "deltalake", "duckdb", "scipy", "optuna", "yaml"]


@pytest.fixture
def lake_copy(sample_folder: Path, tmp_path: Path) -> Path:
    """The sample's tables and snapshots without their Dagster history, to be damaged."""
    shutil.copytree(sample_folder, tmp_path / "copy", ignore=shutil.ignore_patterns("dagster"))
    return tmp_path / "copy"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import atexit, sys; sys.argv = ['quantlake', '--help']\n"
        f"atexit.register(lambda: print('heavy', [name for name in {HEAVY!r} if name in sys.modules]))\n"
        "from orchestration.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert done.returncode == 0 and "heavy []" in done.stdout
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert "Exit codes: 0 done, 1 the answer is no" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, command: Command) -> None:
    text = command(name, "--help").stdout
    assert text.startswith("Usage:") and "--help" in text and text.count("\n") > 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["backtset"], "Did you mean 'backtest'?"),
        (["sql"], "Missing argument"),
        (["backtest", "ma_cross", "--jsn"], "--json"),
        (["sql", "SELECT 1", "--limit", "-1"], "--limit"),
        (["sweep", "ma_cross", "--top", "0"], "--top"),
        (["ui", "--port", "70000"], "--port"),
        (["ui", "--port", "4000", "--mlflow-port", "4000"], "the two ports must differ"),
        (["import", "x.csv", "--map", "symbol"], "--map takes FIELD=COLUMN"),
        (["import", "x.csv", "--map", "symbol=a", "--map", "symbol=b"], "names 'symbol' twice"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_was_meant(arguments: list[str], text: str, command: Command) -> None:
    assert text in command(*arguments, expect=2).stderr


def test_an_error_of_our_own_ends_with_3_and_keeps_its_traceback(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['quantlake', 'boom']\nfrom orchestration.cli.app import app, main\n"
        "@app.command()\ndef boom(): raise RuntimeError('unforeseen')\nmain()"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 3
    assert "RuntimeError: unforeseen" in done.stderr and "please report it" in done.stderr


def test_an_interrupted_command_ends_with_130_and_says_so(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "QUANTLAKE_HOME": str(tmp_path)}
    endless = "SELECT sum(sqrt(range)) FROM range(1000000000000)"  # hours, and hardly any memory
    child = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "sql", endless], env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        time.sleep(2.5)
        child.send_signal(signal.SIGINT)
        _, text = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 130, text
    assert "interrupted; what was committed stays" in text and "Traceback" not in text


def test_a_home_that_cannot_be_is_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = command("backtest", "ma_cross", home=tmp_path / "file", expect=2).stderr
    assert str(tmp_path / "file") in text and text.count("\n") == 1
    assert "is no folder" in command("clean", home=tmp_path / "file", expect=2).stderr
    assert "is no folder" in command("doctor", home=tmp_path / "file", expect=1).stdout


def test_the_demo_needs_the_sample_among_the_sources(command: Command, tmp_path: Path) -> None:
    text = command("demo", expect=2, QUANTLAKE_SOURCES="yahoo").stderr
    assert "the demo needs the embedded sample among the sources (they are yahoo)" in text
    assert not (tmp_path / "home").exists()


def test_sql_answers_as_a_table_and_as_json(sample_folder: Path, command: Command) -> None:
    def rows(query: str) -> list[dict[str, object]]:
        return json.loads(command("sql", query, "--json", home=sample_folder).stdout)

    counted = "SELECT symbol, count(*) AS n FROM core.daily_bars GROUP BY symbol ORDER BY symbol"
    assert [row["symbol"] for row in rows(counted)] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert rows("SELECT 'nan'::double AS x, 1 AS a, 2 AS a, timestamptz '2020-01-01 00:00Z' AS t") == [
        {"x": None, "a": 1, "a_2": 2, "t": "2020-01-01T00:00:00+00:00"}
    ]
    assert rows("SELECT 1 WHERE false") == []
    table = command("sql", counted, "--limit", "2", home=sample_folder).stdout
    assert "AAPL" in table and "IBM" not in table and "the first 2 rows, there are more: --limit 0" in table
    assert "[red]x" in command("sql", "SELECT '[red]x' AS \"[b]y\"", home=sample_folder).stdout


def test_a_row_wider_than_the_terminal_is_printed_uncut(sample_folder: Path, command: Command) -> None:
    text = command("sql", "SELECT * FROM core.daily_bars", "--limit", "1", home=sample_folder, COLUMNS="80").stdout
    snapshot = next(line for line in text.splitlines() if line.startswith("snapshot_id")).split()[1]
    assert len(snapshot) == 64
    assert "volume       9616100\n" in text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT * FROM core.daily_bar", "did you mean 'core.daily_bars'?"),
        ("SELECT * FROM daily_bars", "did you mean 'core.daily_bars'?"),
        ("SELECT symbo FROM core.daily_bars", "unknown column 'symbo'; did you mean 'symbol'?"),
        ("SELECT 1; SELECT 2", "one query at a time, these are 2"),
        ("SELEC 1", "syntax error"),
        ("", "ask for rows with SELECT"),
        ("COPY (SELECT 1) TO 'stolen.csv'", "a query reads the lake's tables and nothing else"),
        ("SELECT * FROM read_csv('/etc/hosts')", "a query reads the lake's tables and nothing else"),
        ("ATTACH 'other.db'", "a query reads the lake's tables and nothing else"),
        ("SELECT * FROM '/etc/hosts'", "unknown table '/etc/hosts'"),
    ],
)
def test_sql_refuses_what_is_unknown_or_not_its_business(
    query: str, text: str, sample_folder: Path, tmp_path: Path, command: Command
) -> None:
    assert text in command("sql", query, home=sample_folder, expect=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_a_flipped_bit_and_names_file_and_remedy(
    lake_copy: Path, quantlake: Callable[..., subprocess.CompletedProcess[str]], command: Command
) -> None:
    assert "sound" in quantlake("verify", home=lake_copy).stdout
    file = sorted((lake_copy / "tables" / "core" / "daily_bars").rglob("*.parquet"))[7]
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    text = command("verify", home=lake_copy, expect=1, COLUMNS="80").stdout
    assert str(file) in text and "materialize the partition again" in text
    problems = json.loads(command("verify", "--json", home=lake_copy, expect=1).stdout)
    assert [(item["table"], item["where"]) for item in problems] == [("core/daily_bars", str(file))]
    command("verify", "--shallow", home=lake_copy)


def test_doctor_tells_what_must_be_mended(sample_folder: Path, command: Command) -> None:
    findings = {item["what"]: item for item in json.loads(command("doctor", "--json", home=sample_folder).stdout)}
    assert findings["Python"]["state"] == "ok" and findings["lake"]["state"] == "ok"
    assert {"packages", "settings", "disk", "port 3000", "port 5000"} <= set(findings)
    wrong = command("doctor", home=sample_folder, expect=1, QUANTLAKE_EXCHANGE="XNYSE").stdout
    assert "exchange 'XNYSE' has no calendar; did you mean 'XNYS'?" in wrong


def test_clean_removes_a_home_only_and_only_when_told(
    lake_copy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = command("clean", "--dry-run", home=lake_copy).stdout
    assert "tables" in shown and "snapshots" in shown
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "kept" in command("clean", home=lake_copy).stdout
    command("clean", home=lake_copy, expect=1)  # nobody answers
    (lake_copy / "thesis.tex").write_text("years of work")
    assert "holds what is not quantlake's (thesis.tex)" in command("clean", "--yes", home=lake_copy, expect=2).stderr
    (lake_copy / "thesis.tex").unlink()
    command("clean", "--yes", home=lake_copy)
    assert not lake_copy.exists()
    assert "nothing to remove" in command("clean", "--yes", home=lake_copy).stdout


def test_clean_keeps_a_foreign_folder_whose_names_look_like_a_homes(command: Command, tmp_path: Path) -> None:
    (tmp_path / "other" / "logs").mkdir(parents=True)
    (tmp_path / "other" / "logs" / "diary").write_text("mine")
    assert "remove it by hand" in command("clean", "--yes", home=tmp_path / "other", expect=2).stderr
    assert (tmp_path / "other" / "logs" / "diary").exists()
