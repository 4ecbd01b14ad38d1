"""What the pages on the engine show is what the engine prints, and they leave no setting or figure out."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest

from engine import Account, Costs, Execution, Risk
from engine.execution import CASH_POLICIES, CHILDREN_FROM, INTRABAR_RULES, TIMINGS
from engine.metrics import metrics
from engine.records import CASH_FLOW_KINDS, DRAWDOWN, FILL, FILL_KINDS, REASONS, TIFS, TRADE
from engine.trades import METHODS

ROOT = Path(__file__).parents[2]
PAGES = {"docs/engine.md": "# The engine", "README.md": "## The engine"}  # the part of each that is about the engine
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


@dataclass(frozen=True)
class Example:
    """A Python block, the line it begins at, and the text block that follows it, if one does."""

    line: int
    code: str
    shown: str


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def part(name: str) -> tuple[int, str]:
    """Return where the part of a page about the engine begins, and its text up to the next heading of its level."""
    text, heading = page(name), PAGES[name]
    begin = text.index(heading + "\n")
    level = heading.split()[0]
    end = text.find(f"\n{level} ", begin)
    return begin, text[begin : end if end >= 0 else len(text)]


def examples(name: str) -> list[Example]:
    begin, text = part(name)
    found: list[Example] = []
    for fence in FENCE.finditer(text):
        language, body = fence.groups()
        line = page(name)[: begin + fence.start()].count("\n") + 1
        if language == "python":
            found.append(Example(line, body, ""))
        elif language == "text":
            assert found and not found[-1].shown, f"{name}:{line} shows what no Python block before it prints"
            found[-1] = Example(found[-1].line, found[-1].code, body)
    return found


def printed(example: Example, name: str, space: dict[str, object]) -> str:
    output = io.StringIO()
    code = compile("\n" * example.line + example.code, str(ROOT / name), "exec", dont_inherit=True)
    with contextlib.redirect_stdout(output):
        exec(code, space)
    return output.getvalue()


@pytest.mark.parametrize("name", PAGES)
def test_page_shows_what_its_examples_print(name):
    space: dict[str, object] = {"__name__": "page"}
    found = examples(name)
    assert any(example.shown for example in found)
    for example in found:
        said = printed(example, name, space).splitlines()
        assert said == example.shown.splitlines(), f"the example at {name}:{example.line}"


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_page_lead_somewhere(name):
    for target, _ in LINK.findall(page(name)):
        assert (ROOT / name).parent.joinpath(target).exists(), f"{name} links to {target}"


@pytest.mark.parametrize("kind", [Account, Costs, Execution, Risk])
def test_page_names_every_setting(kind):
    text = page("docs/engine.md")
    assert [field.name for field in fields(kind) if not re.search(rf"`{field.name}\b", text)] == []


def test_page_names_every_figure():
    series = [0.01, -0.02, 0.03]
    figures = metrics(
        series, exposure=series, benchmark=series, fills=_none(FILL), trades=_none(TRADE), initial_cash=1.0
    )
    names = {*figures, "costs_ccy"}
    assert sorted(name for name in names if f"| `{name}` |" not in page("docs/engine.md")) == []


def test_page_names_every_word_of_the_records():
    text = page("docs/engine.md")
    words = {*FILL_KINDS, *CASH_FLOW_KINDS, *REASONS, *TIFS, *METHODS}
    words |= {*TIMINGS, *CASH_POLICIES, *INTRABAR_RULES, *CHILDREN_FROM, *(DRAWDOWN.names or ())}
    assert sorted(word for word in words if not re.search(rf"\b{word}\b", text)) == []


def _none(kind):
    return np.empty(0, dtype=kind)
