"""The table of faults names tests that exist, and each fault has some or says that it is open."""

from __future__ import annotations

import ast
import re

from tests.homes import REPOSITORY

README = (REPOSITORY / "tests" / "faults" / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (F\d+) (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def functions_of(file: str) -> set[str]:
    path = REPOSITORY / file
    if not path.is_file():
        return set()
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_every_test_named_in_the_table_exists() -> None:
    named = TEST.findall(README)
    assert len(named) > 60
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


def test_every_fault_is_shown_or_says_that_it_is_open() -> None:
    rows = ROW.findall(README)
    assert [number for number, *_ in rows] == [f"F{n}" for n in range(1, 31)]
    assert [number for number, _, _, shown in rows if not TEST.search(shown) and shown != "open"] == []


def test_every_test_of_the_suite_stands_in_the_table() -> None:
    """But those of the table and of the tools of the tests themselves."""
    named = {name for _, name in TEST.findall(README)}
    folder = REPOSITORY / "tests" / "faults"
    own = {
        name
        for path in folder.glob("test_*.py")
        if path.name != "test_catalogue.py"
        for name in functions_of(f"tests/faults/{path.name}")
        if name.startswith("test_")
    }
    tools = {"test_the_search_finds_what_is_there", "test_a_credential_is_known_in_every_spelling"}
    assert own - named == tools
