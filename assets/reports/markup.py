"""The pieces of HTML that the sections of a tear sheet are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from assets.reports.text import number, percent

UNDEFINED = '<span class="undefined">undefined</span>'


def table(rows: Iterable[str], *, head: Sequence[str] = (), kind: str = "") -> str:
    """Return a table of finished rows; a heading that starts with `<` is a finished cell."""
    cells = "".join(each if each.startswith("<") else f"<th>{each}</th>" for each in head)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    name = f' class="{kind}"' if kind else ""
    return f"<table{name}>{top}<tbody>{''.join(rows)}</tbody></table>"


def row(*cells: str, kind: str = "") -> str:
    """Return one row; a cell that starts with `<t` is finished, any other text is put into a `td`."""
    name = f' class="{kind}"' if kind else ""
    return f"<tr{name}>{''.join(c if c.startswith('<t') else f'<td>{c}</td>' for c in cells)}</tr>"


def section(title: str, body: str, *, note: str = "", kind: str = "", name: str = "") -> str:
    """Return a titled section; `flow` as kind lets it break over two printed pages."""
    small = f" <small>{note}</small>" if note else ""
    attributes = (f' class="{kind}"' if kind else "") + (f' id="{name}"' if name else "")
    return f"<section{attributes}><h2>{title}{small}</h2>{body}</section>"


def scrolling(content: str) -> str:
    """Return content that scrolls sideways on its own where the page is too narrow for it."""
    return f'<div class="scroll">{content}</div>'


def figure(value: float, *, is_rate: bool = False) -> str:
    """Return a number for a table cell, negative ones in the colour of losses."""
    if not math.isfinite(value):
        return UNDEFINED
    text = percent(value) if is_rate else number(value)
    return f'<span class="neg">{text}</span>' if value < 0 else text


def count(n: int, noun: str) -> str:
    """Return a count with its noun: `1 trial`, `2 trials`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
