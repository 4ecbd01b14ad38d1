"""The part of docs/data.md that the declarations of tables and sources say by themselves.

`python -m lakehouse.data_page docs/data.md` writes it anew between its two markers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lakehouse.schemas import LAYERS, TABLES
from lakehouse.sources.catalogue import CATALOGUE
from lakehouse.table_schema import Column, TableSchema

BEGIN, END = "<!-- tables: written by `python -m lakehouse.data_page docs/data.md` -->", "<!-- end of tables -->"
_LAYERS = {
    "raw": "what vendors answered",
    "core": "one convention for every source",
    "features": "computed from core",
    "research": "results of runs",
}


def markdown() -> str:
    """Return the tables, layer by layer, and the sources, as Markdown."""
    return "\n".join([*_tables(), *_sources()]) + "\n"


def updated(page: str) -> str:
    """Return a page with the part between the markers written anew; raises `ValueError` where a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must hold the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}"


def _tables() -> Iterator[str]:
    for layer in LAYERS:
        yield f"## {layer}: {_LAYERS[layer]}\n"
        for table in TABLES.values():
            if table.name.partition("/")[0] == layer:
                yield from _table(table)


def _table(table: TableSchema) -> Iterator[str]:
    yield f"### {table.name}\n"
    yield f"{table.description}\n"
    facts = [f"Key: {', '.join(f'`{name}`' for name in table.key)}."]
    if table.partition_by is not None:
        of = f" (of `{table.month_of}`)" if table.month_of else ""
        facts.append(f"Partition: `{table.partition_by}`{of}.")
    if table.known:
        facts.append(f"Known: {table.known}.")
    makers = [
        entry if len(vendor.datasets) == 1 else f"{entry}/{dataset}"
        for entry, vendor in CATALOGUE.items()
        for dataset, held in vendor.datasets.items()
        if table.name in held.tables
    ]
    if makers:
        facts.append(f"Sources: {', '.join(makers)}.")
    yield " ".join(facts) + "\n"
    yield "| column | type | unit | null | meaning |"
    yield "|---|---|---|---|---|"
    yield from map(_column, table.columns)
    yield ""


def _column(column: Column) -> str:
    null = "yes" if column.nullable else ""
    return f"| `{column.name}` | {column.type} | {column.unit} | {null} | {column.description} |"


def _sources() -> Iterator[str]:
    yield "## Sources\n"
    yield "| entry of `sources` | fills | from the environment |"
    yield "|---|---|---|"
    for name, vendor in CATALOGUE.items():
        for place, (dataset, held) in enumerate(vendor.datasets.items()):
            entry = f"`{name}`" if place == 0 else f"`{name}/{dataset}`"
            variables = ", ".join(f"`{variable}`" for variable in held.variables)
            yield f"| {entry} | {', '.join(held.tables)} | {variables} |"
    yield ""
    for name, vendor in CATALOGUE.items():
        yield f"- **{name}**: {vendor.description}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(updated(file.read_text(encoding="utf-8")), encoding="utf-8")
