"""The records of Dagster and MLflow: no room for them, and damage to them. The lake does not depend on either."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.stores import check_stores, store_files
from assets.tracking import Tracking
from lakehouse import Lake
from lakehouse.records import Problem
from orchestration.instance import open_instance
from tests.faults.disks import filled, python, small_disk
from tests.faults.recording import run_graph
from tests.lakehouse.stored import MONTHS, closes
from tests.orchestration.command_line import Command

SLOW = pytest.mark.slow
# Runs the functions of tests.faults.recording in a process of its own, which is gone afterwards.
HEAD = "import sys; from pathlib import Path; from tests.faults.recording import *; home = Path(sys.argv[1])\n"
UNFINISHED = [status for status in dg.DagsterRunStatus if status.value in ("STARTED", "STARTING", "NOT_STARTED")]


@pytest.fixture(autouse=True)
def dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """What opening a home sets is put back."""
    monkeypatch.setenv("DAGSTER_HOME", "")


def unfinished(home: Path) -> list[str]:
    """Return the runs that Dagster or MLflow takes for running, once the next command has opened the home."""
    with open_instance(home) as instance:
        left = [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))]
    with contextlib.closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as store:
        return left + [run for (run,) in store.execute("SELECT run_uuid FROM runs WHERE status = 'RUNNING'")]


def problems(home: Path) -> list[Problem]:
    return [*Lake(home).verify(), *check_stores(home, deep=True)]


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which the graph ran once; copy it before changing anything."""
    home = tmp_path_factory.mktemp("used") / "home"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DAGSTER_HOME", "")
        assert run_graph(home) == "done"
        yield home


@pytest.mark.slow
@pytest.mark.parametrize("levels", [range(0, 250_000, 50_000), pytest.param(range(0, 320_000, 4_000), marks=SLOW)])
def test_a_full_disk_under_a_run_is_one_clear_error_and_nothing_stays_started(
    used_home: Path, tmp_path: Path, levels: range
) -> None:
    """Wherever it strikes: in the table, in MLflow, in Dagster's log of the run or its list of runs."""
    with small_disk(tmp_path / "disk", 24_000) as disk:
        home = disk / "home"
        shutil.copytree(used_home, home)
        done = python(HEAD + "run_on_a_full_disk(home, [int(n) for n in sys.argv[2:]])", str(home), *map(str, levels))
        larger = tmp_path / "larger" / "home"
        shutil.copytree(home, larger)
    told = done.stdout.splitlines()
    assert len(told) == len(levels), done.stderr
    refused = [line for line in told if line != "done"]
    assert told[0] in refused and len(refused) >= len(levels) // 2
    for line in refused:
        assert re.search(rf"disk full: (\S+ bytes needed, )?[\d,]+ free at {home}/", line), line
        assert "free some room and run it again" in line
    assert "Traceback" not in done.stderr
    assert unfinished(larger) == []
    assert problems(larger) == []
    assert set(closes(Lake(larger)).values()) <= {1.0 + n for n in range(len(levels) + 1)}
    assert run_graph(larger, 1.0 + len(levels)) == "done"
    assert unfinished(larger) == []
    assert closes(Lake(larger)) == dict.fromkeys(MONTHS, 1.0 + len(levels))


@pytest.mark.slow
def test_a_backtest_on_a_full_disk_is_recorded_once_there_is_room(
    sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command as users run it: nothing of the run is there twice, and its hash is that of an undisturbed one."""
    command = "import sys; from orchestration.cli.app import main; sys.argv = ['quantlake', *sys.argv[1:]]; main()"
    undisturbed = tmp_path / "home"
    shutil.copytree(sample_folder, undisturbed)
    monkeypatch.setenv("QUANTLAKE_HOME", str(undisturbed))
    assert python(command, "backtest", "equal_weight").returncode == 0
    with small_disk(tmp_path / "disk", 40_000) as disk:
        home = disk / "home"
        shutil.copytree(sample_folder, home)
        Tracking(home).initialise()
        monkeypatch.setenv("QUANTLAKE_HOME", str(home))
        for n_free in (0, 30_000, 60_000, 100_000, 160_000, 240_000, 360_000, 520_000):
            with filled(disk, n_free):
                done = python(command, "backtest", "equal_weight")
            if done.returncode == 0:
                break
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
            assert done.stderr.startswith("error: disk full: ") and "free some room and run it again" in done.stderr
            assert [problem for problem in problems(home) if problem.severity == "error"] == []
        assert n_free > 60_000
        assert python(command, "backtest", "equal_weight").returncode == 0
        assert python(command, "verify").returncode == 0
        assert hashes(home) == hashes(undisturbed)
        with contextlib.closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as store:
            assert store.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)]


def hashes(home: Path) -> list[dict[str, str]]:
    """What research/runs holds of each run that does not depend on when it was made."""
    rows: list[dict[str, str]] = (
        Lake(home).scan("research/runs", columns=["spec", "run_key", "result_hash"]).to_pylist()
    )
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(("n_bytes", "program"), [(300_000, "mlflow"), (90_000, "dagster")])
def test_a_limit_on_files_under_a_run_is_told_with_its_place(
    used_home: Path, tmp_path: Path, n_bytes: int, program: str
) -> None:
    """SQLite calls it an input or output error, and a user would think that the disk fails."""
    home = tmp_path / "home"
    shutil.copytree(used_home, home)
    done = python(HEAD + "run_with_small_files(home, int(sys.argv[2]))", str(home), str(n_bytes))
    assert f"in {home / program} would grow over {n_bytes:,} bytes; raise the limit (`ulimit -f" in done.stdout
    assert "Traceback" not in done.stderr
    assert unfinished(home) == []
    assert run_graph(home, 2.0) == "done"
    assert problems(home) == []


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2 + 100]


def overwritten(content: bytes) -> bytes:
    """All after the first page, which still says that it is a database and which tables it has."""
    return content[:4_096] + bytes(byte ^ 0x5A for byte in content[4_096:])


DAMAGES = {
    "cut": cut,
    "overwritten": overwritten,
    "empty": lambda _: b"",
    "foreign": lambda content: b"<html>" + content[6:],
}
FILES = ("mlflow.db", "runs.db", "index.db", "schedules.db")


def damage(home: Path, name: str, kind: str) -> Path:
    (path,) = (file.path for file in store_files(home) if file.path.name == name)
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    return path


QUICK = [("mlflow.db", "cut"), ("index.db", "empty")]


@pytest.mark.parametrize("cases", [QUICK, pytest.param(list(itertools.product(FILES, DAMAGES)), marks=SLOW)])
def test_a_damaged_store_is_named_and_the_command_told_makes_a_new_one(
    used_home: Path, tmp_path: Path, cases: list[tuple[str, str]]
) -> None:
    """Nothing is deleted by itself; the tables of the lake stay, and all is as before but for what was told."""
    homes = [tmp_path / f"{name} {kind}" for name, kind in cases]
    damaged = []
    for home, (name, kind) in zip(homes, cases, strict=True):
        shutil.copytree(used_home, home)
        damaged.append(damage(home, name, kind))
    contents = [path.read_bytes() for path in damaged]
    refusals = python(HEAD + "for home in sys.argv[1:]: print(run_graph(Path(home), 2.0))", *map(str, homes))
    for home, path, told in zip(homes, damaged, refusals.stdout.splitlines(), strict=True):
        assert f"{path} is damaged (" in told and "no table of the lake depends on it" in told, told
        (problem,) = check_stores(home)
        assert (problem.where, problem.severity) == (str(path), "error")
        assert set(closes(Lake(home)).values()) <= {1.0, 2.0}
        move = re.search(r"\((mkdir -p .+)\) and run", problem.remedy)
        assert move is not None
        subprocess.run(move[1], shell=True, check=True)
    for home, path, content in zip(homes, damaged, contents, strict=True):
        assert [file.read_bytes() for file in home.glob(f"*/damaged-*/{path.name}")] == [content]
        assert run_graph(home, 2.0) == "done"
        assert problems(home) == []
        assert unfinished(home) == []
        assert closes(Lake(home)) == dict.fromkeys(MONTHS, 2.0)


def test_verify_and_doctor_name_a_damaged_store_and_change_nothing(
    used_home: Path, tmp_path: Path, command: Command
) -> None:
    home = tmp_path / "home"
    shutil.copytree(used_home, home)
    before = contents(home)
    assert "in order" in command("verify", home=home).stdout
    assert contents(home) == before
    (log,) = (file.path for file in store_files(home) if file.path.parent.name == "runs" and file.path.stem != "index")
    log.write_bytes(cut(log.read_bytes()))
    for path in (damage(home, "mlflow.db", "overwritten"), damage(home, "runs.db", "cut"), log):
        assert str(path) in command("verify", "--json", home=home, expect=1).stdout
        assert str(path) in command("doctor", "--json", home=home, expect=1).stdout
    told = command("backtest", "equal_weight", home=home, expect=2).stderr
    assert told.startswith(f"error: {home / 'mlflow' / 'mlflow.db'} is damaged (") and "mkdir -p" in told


def contents(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_log_of_one_run_that_is_damaged_stops_nobody(used_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(used_home, home)
    (log,) = (file.path for file in store_files(home) if file.path.parent.name == "runs" and file.path.stem != "index")
    log.write_bytes(overwritten(log.read_bytes()))
    assert [problem.where for problem in check_stores(home)] == [str(log)]
    assert run_graph(home, 2.0) == "done"


def test_an_empty_store_is_no_damage_where_dagster_was_killed_while_making_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "dagster" / "history" / "runs").mkdir(parents=True)
    for file in ("runs.db", "runs/index.db"):
        (home / "dagster" / "history" / file).touch()
    assert check_stores(home) == []
    assert run_graph(home) == "done"
    assert len(store_files(home)) == 5 and all(file.path.stat().st_size for file in store_files(home))
    assert check_stores(home) == []


def test_a_store_that_is_being_written_or_was_killed_while_it_was_is_no_damage(used_home: Path, tmp_path: Path) -> None:
    """A journal that was left is taken back by the next command, and by no check."""
    home = tmp_path / "home"
    shutil.copytree(used_home, home)
    path = home / "mlflow" / "mlflow.db"
    with writing(path):
        copied = tmp_path / "copied"
        shutil.copytree(home, copied)
        (told,) = check_stores(home)
        assert (told.severity, told.what) == ("warning", "not checked: a process is writing it")
    assert check_stores(home) == []
    (told,) = check_stores(copied)
    assert (told.severity, told.what) == ("warning", "a write to it was interrupted")
    before = tracked(home)
    assert len(before) == 21
    assert tracked(copied) == before
    assert check_stores(copied, deep=True) == []


def tracked(home: Path) -> dict[str, float]:
    """The metrics of the only run of a home."""
    from mlflow import MlflowClient

    mlflow = MlflowClient(Tracking(home).uri)
    (run,) = mlflow.search_runs([each.experiment_id for each in mlflow.search_experiments()])
    return dict(run.data.metrics)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """A transaction that has begun to write to the file itself."""
    with contextlib.closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA cache_size = 1")
        store.execute("BEGIN IMMEDIATE")
        store.execute("UPDATE metrics SET value = 7")
        store.execute("CREATE TABLE large AS SELECT hex(randomblob(100000)) AS text")
        yield
        store.rollback()
