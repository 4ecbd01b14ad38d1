"""A backtest that needs more memory than there is: it fails alone, says so, and leaves nothing started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.causes import causes
from assets.memory import OutOfMemory, memory_errors
from assets.stores import check_stores
from lakehouse.lake import Lake
from orchestration.reaper import reap
from tests.homes import REPOSITORY, Home

STRATEGY = '''"""Hold all in equal parts, after taking as much memory as asked."""

import os

import numpy as np

from strategies.panel import Panel
from strategies.registry import strategy
from strategies.window import Window


@strategy
def large(window: Window, *, n_mib: int = 1) -> Panel:
    """Ask for the memory, and where told so use every page of it."""
    memory = np.zeros(n_mib << 20, dtype=np.uint8)
    if "TOUCH" in os.environ:
        memory[::4096] = 1
    return (window.index.change(5) < 0.0).equal_weight().where(window.week_start)
'''
SPEC = """
strategy: large
universe: sample
parameters: {n_mib: 1536}
"""
# Of its points the last one alone finds no memory.
WIDE = """
strategy: large
universe: sample
search:
  n_mib: {choices: [1, 2, 1536]}
"""
# Materializes an asset of a spec for each (backtest:momentum), one run each, the first one without the limit.
RUNS = """
import resource, sys
from pathlib import Path
from assets.settings import settings
from engine.errors import QuantlakeError
from orchestration.instance import open_instance
from orchestration.materialize import materialize

n_more, first, *others = sys.argv[1:]

def run(what):
    asset, spec = what.split(":")
    try:
        materialize(instance, [f"research/{asset}"], partition=spec)
        print(what, "done", flush=True)
    except QuantlakeError as error:
        print(what, type(error).__name__, str(error).replace(chr(10), " "), flush=True)

with open_instance(settings().home) as instance:
    run(first)
    if int(n_more):
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + int(n_more), resource.RLIM_INFINITY))
    for what in others:
        run(what)
"""
GIB = 2**30


@pytest.fixture
def own_strategies(tmp_path: Path) -> Path:
    """A folder to put before the project on the path: the strategies package and a strategy more."""
    folder = tmp_path / "own"
    shutil.copytree(REPOSITORY / "strategies", folder / "strategies", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "strategies" / "library" / "large.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "strategies" / "specs" / "large.yaml").write_text(SPEC, encoding="utf-8")
    (folder / "strategies" / "specs" / "wide.yaml").write_text(WIDE, encoding="utf-8")
    return folder


def runs(
    home: Path, own: Path, *what: str, n_more: int = 0, group: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Materialize in a process of its own, with at most so many bytes more than it has, or in a control group."""
    env = {**os.environ, "QUANTLAKE_HOME": str(home), "PYTHONPATH": os.pathsep.join((str(own), str(REPOSITORY)))}
    command = [sys.executable, "-c", RUNS, str(n_more), *what]
    if group is not None:
        env["TOUCH"] = "1"
        command = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs"), *command]
    return subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=170)


def recorded(home: Path) -> set[str]:
    """The runs in the lake, each recorded once."""
    rows = Lake(home).scan("research/runs", columns=["spec", "kind"]).to_pylist()
    names = [f"{row['kind']}:{row['spec']}" for row in rows]
    assert len(set(names)) == len(names)
    return set(names)


def statuses(home: Home) -> list[tuple[str, str]]:
    """The spec and status of each Dagster run, the first one first."""
    return [(run.tags["dagster/partition"], run.status.value) for run in reversed(home.instance.get_runs())]


@pytest.mark.slow
def test_a_backtest_out_of_memory_fails_alone_and_says_what_to_make_smaller(
    sample_home: Home, own_strategies: Path
) -> None:
    """A limit on addresses, as `ulimit -v` sets it: what is asked for beyond it is refused."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much memory a process holds")
    home = sample_home
    wanted = ("backtest:equal_weight", "backtest:large", "sweep:wide", "backtest:momentum")
    done = runs(home.path, own_strategies, *wanted, n_more=GIB)
    first, *refused, last = done.stdout.splitlines()
    assert (first, last) == ("backtest:equal_weight done", "backtest:momentum done"), done.stderr
    for line, kind, spec in zip(refused, ("backtest", "sweep"), ("large", "wide"), strict=True):
        start = f"{kind}:{spec} MaterializeError research__{kind}: the {kind} of spec '{spec}' ran out of memory"
        assert line.startswith(f"{start} (Unable to allocate 1.50 GiB"), line
        for part in (" GiB of addresses", "fewer symbols", "a shorter span", "fewer runs at the same time"):
            assert part in line
    assert [status for _, status in statuses(home)] == ["SUCCESS", "FAILURE", "FAILURE", "SUCCESS"]
    assert recorded(home.path) == {"backtest:equal_weight", "backtest:momentum"}
    assert [*home.lake.verify(), *check_stores(home.path, deep=True)] == []


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of processes that may hold one GiB together; the kernel kills what takes more."""
    name = f"quantlake-test-{uuid.uuid4().hex[:8]}"
    version_1 = Path("/sys/fs/cgroup/memory")
    group, limit = (
        (version_1 / name, "memory.limit_in_bytes")
        if version_1.is_dir()
        else (Path("/sys/fs/cgroup") / name, "memory.max")
    )
    try:
        group.mkdir()
        (group / limit).write_text(str(GIB))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"this user may not limit the memory of processes: {error}")
    yield group
    group.rmdir()


@pytest.mark.slow
def test_a_backtest_that_the_kernel_kills_for_its_memory_is_reported_with_the_cause(
    sample_home: Home, own_strategies: Path, small_group: Path
) -> None:
    home = sample_home
    wanted = ("backtest:equal_weight", "backtest:large", "backtest:momentum")
    killed = runs(home.path, own_strategies, *wanted, group=small_group)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "backtest:equal_weight done\n")
    assert statuses(home) == [("equal_weight", "SUCCESS"), ("large", "STARTED")]
    # The next process that opens the home reports it, and goes on.
    assert runs(home.path, own_strategies, "backtest:momentum").stdout == "backtest:momentum done\n"
    assert statuses(home) == [("equal_weight", "SUCCESS"), ("large", "FAILURE"), ("momentum", "SUCCESS")]
    (run,) = home.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    said = " ".join(e.dagster_event.message or "" for e in home.instance.all_logs(run.run_id) if e.dagster_event)
    assert "for want of memory (signal 9" in said and "fewer symbols, a shorter span, fewer runs at once" in said
    assert reap(home.instance) == []
    assert runs(home.path, own_strategies, "backtest:large").stdout == "backtest:large done\n"
    assert recorded(home.path) == set(wanted)


def test_whatever_tells_of_a_lack_of_memory_is_known() -> None:
    """Whatever raises it: the interpreter, numpy, Arrow, or a thread that could not be started."""
    import numpy as np
    import pyarrow as pa

    def interpreter() -> object:
        return bytearray(2**62)

    def arrow() -> object:
        return pa.allocate_buffer(2**62)

    def arrays() -> object:
        return np.ones(2**58)

    def behind_another() -> object:
        try:
            return interpreter()
        except MemoryError as error:
            raise ValueError("the market could not be loaded") from error

    for fails in (interpreter, arrow, arrays, behind_another):
        told = pytest.raises(OutOfMemory, match=r"^the sweep of 'a' ran out of memory \(.+\): take a smaller piece")
        with told, memory_errors("the sweep of 'a'"):
            fails()
    with pytest.raises(ValueError, match="another"), memory_errors("the sweep of 'a'"):
        raise ValueError("another")


def test_errors_tied_in_a_ring_are_looked_at_once() -> None:
    """As `raise first from second` ties them where the second one came of the first."""
    first, second = OSError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]
    with pytest.raises(OSError, match="first"), memory_errors("the sweep of 'a'"):
        raise first
