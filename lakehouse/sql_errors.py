"""DuckDB's errors as the lake's: the rule in our words, and the nearest right name of a table or column."""

from __future__ import annotations

import re

from engine.errors import nearest
from lakehouse.errors import CorruptTable, LakeError, QueryError, UnknownColumn, UnknownTable
from lakehouse.parquet import REMEDY
from lakehouse.schemas import TABLES

_MISSING_TABLE = re.compile(r"Table with name \"?([^\s\"]+)\"? does not exist")
_MISSING_ALIAS = re.compile(r"Referenced table \"([^\"]+)\" not found")
_MISSING_COLUMNS = (
    re.compile(r"Referenced column \"([^\"]+)\" (?:was )?not found"),
    re.compile(r"does not have a column named \"([^\"]+)\""),
    re.compile(r"Column \"+([^\"]+)\"+ (?:in \w+ list not found|does not exist on|referenced in \w+ but no)"),
)
_CANDIDATES = re.compile(r"Candidate \w+: (.*)")
_QUOTED = re.compile(r"\"([^\"]+)\"")
_DAMAGED_FILE = re.compile(r"reading the Arrow source failed")
_NO_MEMORY = re.compile(r"out of memory|could not allocate", re.IGNORECASE)
MORE_MEMORY = (
    "ask for fewer rows or columns (LIMIT, WHERE, an aggregate), or allow more than {memory_gb:g} GB"
    " (`sql_memory_gb` in quantlake.yaml, QUANTLAKE_SQL_MEMORY_GB)"
)


def query_error(error: Exception, query: str, *, memory_gb: float) -> LakeError:
    """Return the lake's error for DuckDB's, or for that of Arrow while it takes DuckDB's rows.

    Parameters
    ----------
    query : what was asked; the columns of the tables it names are among those that a misspelt one is compared with.
    memory_gb : what the connection was allowed to use.
    """
    text = str(error).strip()
    if match := _MISSING_TABLE.search(text):
        return _unknown_table(match[1])
    if match := _MISSING_ALIAS.search(text):
        return UnknownTable(f"the query reads no table {match[1]!r}{nearest(match[1], _candidates(text))}")
    for pattern in _MISSING_COLUMNS:
        if match := pattern.search(text):
            return UnknownColumn(f"unknown column {match[1]!r}{nearest(match[1], _columns_near(text, query))}")
    if _DAMAGED_FILE.search(text):
        return CorruptTable(f"a data file is missing or damaged: {text}; {REMEDY}")
    if text.startswith("Permission Error"):
        return QueryError(f"a query reads the lake's tables and nothing else: {text}")
    if _NO_MEMORY.search(text):
        first = text.partition("\n")[0]
        return QueryError(f"the query ran out of memory: {MORE_MEMORY.format(memory_gb=memory_gb)} ({first})")
    return QueryError(text)


def _candidates(text: str) -> list[str]:
    """Return the names that DuckDB says are near; its aliases and computed columns are in no schema."""
    found = _CANDIDATES.search(text)
    return _QUOTED.findall(found[1]) if found else []


def _columns_near(text: str, query: str) -> set[str]:
    words = set(re.findall(r"\w+", query.casefold()))
    named = (table for table in TABLES.values() if table.name.partition("/")[2] in words)
    return {*_candidates(text), *(column for table in named for column in table.column_names)}


def _unknown_table(name: str) -> UnknownTable:
    known = [table.sql_name for table in TABLES.values()]
    bare = {sql_name.partition(".")[2]: sql_name for sql_name in known}
    if name in bare:
        return UnknownTable(f"unknown table {name!r}; did you mean {bare[name]!r}?")
    hint = nearest(name, bare)
    for candidate, sql_name in bare.items():
        if hint == f"; did you mean {candidate!r}?":
            return UnknownTable(f"unknown table {name!r}; did you mean {sql_name!r}?")
    return UnknownTable(f"unknown table {name!r}; known: {', '.join(sorted(known))}")
