"""What each source tells of corporate actions, for comparing them: the check `sources_agree`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assets.answers import parsed
from lakehouse.sources.catalogue import ACTIONS, BARS, filling

if TYPE_CHECKING:
    from assets.resources import VendorsResource
    from lakehouse.checks import CheckOutcome
    from lakehouse.lake import Lake

MOST_ANSWERS = 2_000
"""Answers that one check reads, those known last: a few seconds."""


def compare_sources(lake: Lake, vendors: VendorsResource) -> CheckOutcome:
    """Return where the sources in force tell different splits and dividends of the same symbol and days."""
    from dataclasses import replace

    from lakehouse.schemas import table_schema
    from lakehouse.source_checks import sources_agree, told_actions

    answers = _answers(lake, vendors)
    n_all = len(answers)
    answers = sorted(answers, key=lambda row: row["known_at"])[-MOST_ANSWERS:]
    names = sorted({str(row["source"]) for row in answers})
    if len(names) < 2:
        return sources_agree({}, table_schema(BARS).schema.empty_table())
    given = list(parsed(lake, vendors, answers))
    told = {name: told_actions([part for part in given if part[0]["source"] == name]) for name in names}
    symbols = sorted({symbol for each in told.values() for symbol in each.actions["symbol"].unique()})
    columns = ["symbol", "session", "close"]
    outcome = sources_agree(told, lake.scan(BARS, columns=columns, where=[("symbol", "in", symbols)]))
    left = f"; of {n_all:,} answers the {MOST_ANSWERS:,} known last were compared" if n_all > MOST_ANSWERS else ""
    return replace(outcome, description=outcome.description + left)


def _answers(lake: Lake, vendors: VendorsResource) -> list[dict[str, Any]]:
    """Return the manifest rows of all answers that may tell of actions and say more than a later one of the same."""
    found: list[dict[str, Any]] = []
    for entry in filling(ACTIONS, vendors.sources):
        rows = lake.snapshots.find(entry.source, entry.dataset)
        found += _not_repeated(rows) if BARS in entry.tables else rows
    return found


def _not_repeated(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Leave out answers on one symbol whose days lie within those of a later answer on it."""
    kept: list[dict[str, Any]] = []
    days: dict[str, list[tuple[Any, Any]]] = {}
    for row in reversed(rows):
        symbol, first, last = (row[name] for name in ("symbol", "first_session", "last_session"))
        later = days.setdefault(str(symbol), [])
        is_one = symbol is not None and first is not None and last is not None
        if is_one and any(start <= first and last <= end for start, end in later):
            continue
        if is_one:
            later.append((first, last))
        kept.append(dict(row))
    return kept
