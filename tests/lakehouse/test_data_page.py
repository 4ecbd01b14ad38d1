"""docs/data.md says what the declarations say, and the declarations what the sources do."""

from __future__ import annotations

from pathlib import Path

import pytest

import lakehouse
from lakehouse import TABLES, data_page
from lakehouse.sources import alpaca, edgar, polygon_rest, polygon_s3
from lakehouse.sources.catalogue import CATALOGUE

PAGE = Path(lakehouse.__file__).resolve().parent.parent / "docs" / "data.md"


def test_the_page_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert data_page.updated(text) == text, "python -m lakehouse.data_page docs/data.md"


def test_every_table_and_column_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for table in TABLES.values():
        part = text.partition(f"### {table.name}\n")[2].partition("\n### ")[0]
        assert table.description in part
        for column in table.columns:
            assert f"| `{column.name}` | {column.type} | {column.unit} |" in part


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold the lines"):
        data_page.updated("# Data\n")


def test_the_catalogue_names_the_variables_that_the_sources_read() -> None:
    read = {
        "polygon": {polygon_rest.API_KEY, polygon_s3.ACCESS_KEY, polygon_s3.SECRET_KEY},
        "alpaca": {alpaca.KEY_VARIABLE, alpaca.SECRET_VARIABLE},
        "edgar": {edgar.CONTACT_VARIABLE},
    }
    for name, vendor in CATALOGUE.items():
        told = {variable for dataset in vendor.datasets.values() for variable in dataset.variables}
        assert told == read.get(name, set())


def test_every_dated_table_says_when_its_rows_are_known() -> None:
    silent = [
        table.name
        for table in TABLES.values()
        if table.name.startswith("core/") and "known_at" in table.column_names and not table.known
    ]
    assert silent == []
