"""The command line inside this process: what a process of its own would add is a second of imports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.settings import settings
from orchestration.cli.app import _run


@dataclass(frozen=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    """Run a command: command("sql", "SELECT 1", home=path, expect=0); the working folder is `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, home: Path | None = None, expect: int = 0, **environment: str) -> Done:
        for name, value in {
            "QUANTLAKE_HOME": str(home or tmp_path / "home"),
            "COLUMNS": "200",
            **environment,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["quantlake", *arguments])
        settings.cache_clear()
        capsys.readouterr()
        code = _run()
        printed = capsys.readouterr()
        assert code == expect, f"exit {code}\n{printed.out}\n{printed.err}"
        assert code == 3 or "Traceback" not in printed.err
        return Done(code, printed.out, printed.err)

    yield run
    settings.cache_clear()
