"""Checks across sources: one source a symbol, and sources that tell the same."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from lakehouse.source_checks import ToldActions, one_source_a_symbol, sources_agree, told_actions
from lakehouse.sources.base import Parsed, empty_actions

DAYS = pd.bdate_range("2024-01-02", "2024-03-28")


def stored(symbol: str, source: str, days: pd.DatetimeIndex = DAYS) -> pa.Table:
    frame = pd.DataFrame({"symbol": symbol, "session": days.date, "close": 50.0, "source": source})
    return pa.Table.from_pandas(frame, preserve_index=False)


def told(*actions: tuple[str, str, str, float], days: pd.DatetimeIndex = DAYS, source: str = "files") -> ToldActions:
    """One answer with bars of A on the days, and these actions."""
    bars = pd.DataFrame({"symbol": "A", "session": days, "close": 50.0})
    bars = bars.assign(open=50.0, high=50.0, low=50.0, volume=1.0)
    frame = pd.DataFrame(list(actions), columns=["symbol", "ex_date", "kind", "value"])
    frame["ex_date"] = pd.to_datetime(frame["ex_date"])
    row: dict[str, Any] = {"source": source, "snapshot_id": source, "known_at": datetime(2024, 6, 1, tzinfo=UTC)}
    return told_actions([(row, Parsed(bars, frame if actions else empty_actions()))])


def test_symbols_of_several_sources_are_named_with_their_days() -> None:
    bars = pa.concat_tables(
        [stored("A", "files", DAYS[:5]), stored("A", "sample", DAYS[5:8]), stored("B", "files"), stored("C", "sample")]
    )
    outcome = one_source_a_symbol(bars)
    assert (outcome.passed, outcome.n_failed, outcome.blocking) == (False, 2, False)
    assert [(row["symbol"], row["source"], row["n_bars"]) for row in outcome.sample] == [
        ("A", "files", 5),
        ("A", "sample", 3),
    ]
    assert outcome.sample[0]["last"] == DAYS[4].date() < outcome.sample[1]["first"]
    assert one_source_a_symbol(bars.slice(8)).passed
    assert one_source_a_symbol(bars.slice(0, 0)).passed


def test_sources_that_tell_otherwise_are_shown_with_both_values() -> None:
    sources = {
        "files": told(("A", "2024-02-01", "dividend", 0.5), ("A", "2024-02-06", "split", 2.0)),
        "yahoo": told(("A", "2024-02-01", "dividend", 0.7), source="yahoo"),
    }
    outcome = sources_agree(sources, stored("A", "files"))
    assert (outcome.passed, outcome.n_failed, outcome.blocking) == (False, 2, False)
    differs, missing = outcome.sample
    assert (differs["kind"], differs["value_a"], differs["value_b"], differs["reason"]) == (
        "dividend",
        0.5,
        0.7,
        "differs",
    )
    assert (missing["ex_date"], missing["value_a"], missing["value_b"]) == (date(2024, 2, 6), 2.0, None)
    assert (missing["source_a"], missing["source_b"], missing["reason"]) == ("files", "yahoo", "missing")


def test_days_that_only_one_source_tells_of_are_not_compared() -> None:
    """The other's bars begin on the ex-date: it would not show a split of that day."""
    split = ("A", "2024-02-06", "split", 2.0)
    later = told(days=DAYS[DAYS >= "2024-02-06"], source="yahoo")
    assert sources_agree({"files": told(split), "yahoo": later}, stored("A", "files")).passed
    before = told(days=DAYS[DAYS >= "2024-02-05"], source="yahoo")
    assert not sources_agree({"files": told(split), "yahoo": before}, stored("A", "files")).passed
    assert sources_agree({"files": told(split)}, stored("A", "files")).passed
    assert sources_agree({}, stored("A", "files").slice(0, 0)).passed
