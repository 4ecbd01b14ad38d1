"""The table of the features in docs/features.md, written from the registry.

`python -m strategies.features.table docs/features.md` brings a file up to date; a test tells when that is due.
"""

from __future__ import annotations

import sys
from pathlib import Path

from strategies.errors import StrategyError
from strategies.features import FAMILIES

BEGIN, END = "<!-- features: begin -->", "<!-- features: end -->"


def table() -> str:
    """Return one table in Markdown a family: name, what it is, unit, warm-up in bars, source."""
    parts = []
    for family, features in FAMILIES.items():
        rows = [
            f"| `{name}` | {feature.description} | {feature.unit} | {feature.warmup_bars} | {feature.source} |"
            for name, feature in features.items()
        ]
        head = ["| name | is | unit | warm-up | source |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {family.capitalize()}", "", *head, *rows]))
    return "\n\n".join(parts)


def brought_up_to_date(text: str) -> str:
    """Return a document with the table between its marks as the registry has it now.

    Raises
    ------
    StrategyError : the document lacks the marks
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise StrategyError(f"the document needs the lines {BEGIN} and {END}, between which the table goes")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(brought_up_to_date(path.read_text(encoding="utf-8")), encoding="utf-8")
