"""Settings: the environment, then quantlake.yaml, then defaults; what is wrong is one line with its place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from assets.settings import SettingsError, load_settings, settings
from tests.orchestration.command_line import Command


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("QUANTLAKE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_one_line_switches_the_source(tmp_path: Path) -> None:
    (tmp_path / "quantlake.yaml").write_text("sources: [yahoo]\n")
    assert load_settings().sources == ("yahoo",)


def test_the_environment_comes_before_the_file_and_the_file_before_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().sources == ("sample", "files") and load_settings().home == tmp_path / ".quantlake"
    (tmp_path / "quantlake.yaml").write_text("# mine\nhome: here\nsources: yahoo, files\nsymbols: ['ON', NA]\n")
    found = load_settings()
    assert (found.home, found.sources, found.symbols) == (tmp_path / "here", ("yahoo", "files"), ("ON", "NA"))
    monkeypatch.setenv("QUANTLAKE_SOURCES", "files")
    monkeypatch.setenv("QUANTLAKE_HOME", "")
    assert load_settings().sources == ("files",) and load_settings().home == tmp_path / "here"
    (tmp_path / "other.yaml").write_text("start: '1990-01'\n")
    monkeypatch.setenv("QUANTLAKE_CONFIG", str(tmp_path / "other.yaml"))
    assert load_settings().start == "1990-01" and load_settings().home == tmp_path / ".quantlake"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n\n"])
def test_an_empty_file_changes_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "quantlake.yaml").write_text(text)
    assert load_settings().exchange == "XNYS"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sorces: [yahoo]", "quantlake.yaml, line 1: unknown setting 'sorces'; did you mean 'sources'?"),
        ("start: 2001-01\nsources: [yaho]", "line 2: unknown source 'yaho'; did you mean 'yahoo'?"),
        ("sources: []", "sources must name at least one source"),
        ("sources: 3", "sources must be a list, was 3"),
        ("symbols: [ON]", "symbols.0 must be text, was True: quote it"),
        ("start: 2000", "start must be text, was 2000: quote it"),
        ("sql_memory_gb: 0", "sql_memory_gb must be above 0, was 0"),
        ("sql_memory_gb: 2GB", "sql_memory_gb must be a number, was '2GB'"),
        ("start: 2000-13", "start must be a month YYYY-MM, was '2000-13'"),
        ("sources: [sample]\nsources: [yahoo]", "line 2: sources stands twice, first on line 1"),
        ("sources: [sample", "line 2: not valid YAML"),
        ("[sources]", "the settings must be a mapping of keys to values, was list"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "quantlake.yaml").write_text(text + "\n")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert message in str(error.value)


def test_a_file_that_is_no_text_or_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quantlake.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"quantlake.yaml cannot be read as UTF-8 text"):
        load_settings()
    monkeypatch.setenv("QUANTLAKE_CONFIG", "/nowhere.yaml")
    with pytest.raises(SettingsError, match=r"QUANTLAKE_CONFIG names /nowhere.yaml, which is no file"):
        load_settings()


def test_a_misspelt_variable_is_told_and_a_foreign_one_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_A_TOOL_OF_MINE", "1")
    load_settings()
    monkeypatch.setenv("QUANTLAKE_SORCES", "yahoo")
    with pytest.raises(SettingsError, match=r"'QUANTLAKE_SORCES'; did you mean 'QUANTLAKE_SOURCES'\?"):
        load_settings()
    monkeypatch.delenv("QUANTLAKE_SORCES")
    monkeypatch.setenv("QUANTLAKE_SOURCES", "yaho")
    with pytest.raises(SettingsError, match=r"QUANTLAKE_SOURCES: unknown source 'yaho'; did you mean 'yahoo'\?"):
        load_settings()


def test_kernels_lie_in_the_home_that_the_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_KERNELS", "")
    monkeypatch.delenv("QUANTLAKE_KERNELS")
    (tmp_path / "quantlake.yaml").write_text("home: here\n")
    settings.cache_clear()
    assert settings().home == tmp_path / "here"
    assert os.environ["QUANTLAKE_KERNELS"] == str(tmp_path / "here" / "numba")
    settings.cache_clear()


def test_the_command_line_says_which_line_is_wrong_without_a_traceback(tmp_path: Path, command: Command) -> None:
    (tmp_path / "quantlake.yaml").write_text("exchnage: XNYS\n")
    for arguments in (["doctor"], ["sql", "SELECT 1"], ["verify"]):
        error = command(*arguments, expect=2).stderr
        assert error == "error: quantlake.yaml, line 1: unknown setting 'exchnage'; did you mean 'exchange'?\n"
    (tmp_path / "quantlake.yaml").write_text("sources: [yahoo]\n")
    findings = json.loads(command("doctor", "--json").stdout)
    assert any(item["what"] == "settings" and "sources yahoo" in item["detail"] for item in findings)
