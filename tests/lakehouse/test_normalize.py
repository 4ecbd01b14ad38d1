"""From parsed answers to the rows of the core tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from lakehouse.calendar import month_keys
from lakehouse.errors import BadRows, SourceError
from lakehouse.normalize import normalize
from lakehouse.schemas import TABLES
from lakehouse.sources import get_source
from lakehouse.sources.base import Parsed

MONTHS = month_keys(dt.date(2019, 1, 1), dt.date(2026, 1, 1))


def parsed(bars: list[tuple[Any, ...]], actions: list[tuple[Any, ...]] = (), **counts: int) -> Parsed:  # type: ignore[assignment]
    """Bars as (symbol, session, close), actions as (symbol, ex-date, kind, value)."""
    frame = pd.DataFrame(bars, columns=["symbol", "session", "close"])
    frame["session"] = pd.to_datetime(frame["session"])
    for name, factor in (("open", 1.0), ("high", 1.1), ("low", 0.9)):
        frame[name] = frame["close"] * factor
    frame["volume"] = 100.0
    events = pd.DataFrame(list(actions), columns=["symbol", "ex_date", "kind", "value"])
    events["ex_date"] = pd.to_datetime(events["ex_date"])
    return Parsed(bars=frame, actions=events, counts=counts)


def manifest(source: str = "files", snapshot_id: str = "s1", known_at: str = "2025-01-01") -> dict[str, Any]:
    return {
        "source": source,
        "snapshot_id": snapshot_id,
        "known_at": dt.datetime.fromisoformat(known_at + "T00:00+00:00"),
    }


def closes(table: pa.Table) -> dict[tuple[str, str], float]:
    return {(row["symbol"], str(row["session"])): row["close"] for row in table.to_pylist()}


def events(table: pa.Table) -> list[tuple[str, str, str, float]]:
    return [(row["symbol"], str(row["ex_date"]), row["kind"], row["value"]) for row in table.to_pylist()]


ONE = parsed([("A", "2024-11-29", 10.0), ("A", "2024-11-27", 9.0)], [("A", "2024-11-29", "dividend", 0.1)])


def test_rows_come_in_the_tables_schemas_sorted_by_key() -> None:
    result = normalize([(manifest(), ONE)], exchange="XNYS", months=MONTHS)
    assert result.bars.schema.equals(TABLES["core/daily_bars"].schema)
    assert result.actions.schema.equals(TABLES["core/corporate_actions"].schema)
    assert [str(day) for day in result.bars["session"].to_pylist()] == ["2024-11-27", "2024-11-29"]
    row = result.bars.to_pylist()[1]
    assert (row["source"], row["snapshot_id"], row["month"]) == ("files", "s1", "2024-11")


def test_a_bar_is_known_at_its_sessions_close_and_an_action_at_its_sessions_open() -> None:
    result = normalize([(manifest(), ONE)], exchange="XNYS", months=MONTHS)
    full, half = result.bars.to_pylist()
    assert full["bar_end"] == dt.datetime(2024, 11, 27, 21, tzinfo=dt.UTC)
    assert half["bar_end"] == dt.datetime(2024, 11, 29, 18, tzinfo=dt.UTC)  # closes early after Thanksgiving
    assert half["known_at"] == half["bar_end"]
    (action,) = result.actions.to_pylist()
    assert action["known_at"] == dt.datetime(2024, 11, 29, 14, 30, tzinfo=dt.UTC)
    assert full["bar_end"] < action["known_at"] < half["bar_end"]
    assert action["pay_date"] is None


def test_an_action_between_sessions_is_known_at_the_next_open() -> None:
    part = parsed([("A", "2024-11-29", 10.0)], [("A", "2024-11-30", "split", 2.0)])
    (action,) = normalize([(manifest(), part)], exchange="XNYS", months=MONTHS).actions.to_pylist()
    assert action["ex_date"] == dt.date(2024, 11, 30)
    assert action["known_at"] == dt.datetime(2024, 12, 2, 14, 30, tzinfo=dt.UTC)


def test_rows_of_other_months_are_left_out() -> None:
    part = parsed(
        [("A", "2024-10-31", 1.0), ("A", "2024-11-01", 2.0), ("A", "2024-12-02", 3.0)],
        [("A", "2024-10-31", "split", 2.0), ("A", "2024-11-01", "split", 3.0)],
    )
    result = normalize([(manifest(), part)], exchange="XNYS", months=["2024-11"])
    assert closes(result.bars) == {("A", "2024-11-01"): 2.0}
    assert events(result.actions) == [("A", "2024-11-01", "split", 3.0)]


def test_months_one_by_one_equal_all_months_at_once() -> None:
    source = get_source("sample")
    (answer,) = source.fetch([], dt.date(2000, 1, 1), dt.date(2014, 1, 1), as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    parts = [(manifest("sample"), source.parse(answer.content, answer.request))]
    months = month_keys(dt.date(2004, 6, 1), dt.date(2005, 6, 1))
    whole = normalize(parts, exchange="XNYS", months=months)
    single = [normalize(parts, exchange="XNYS", months=[month]) for month in months]
    key = [("symbol", "ascending"), ("session", "ascending")]
    assert pa.concat_tables([part.bars for part in single]).sort_by(key).equals(whole.bars)
    assert sum(part.actions.num_rows for part in single) == whole.actions.num_rows


def test_the_snapshot_known_later_wins_a_session_whatever_order_they_come_in() -> None:
    old = (
        manifest(snapshot_id="z", known_at="2024-12-02"),
        parsed([("A", "2024-11-27", 1.0), ("A", "2024-11-29", 2.0)]),
    )
    new = (manifest(snapshot_id="a", known_at="2024-12-03"), parsed([("A", "2024-11-29", 2.5)]))
    for parts in ([old, new], [new, old]):
        result = normalize(parts, exchange="XNYS", months=MONTHS)
        assert closes(result.bars) == {("A", "2024-11-27"): 1.0, ("A", "2024-11-29"): 2.5}
        assert result.bars["snapshot_id"].to_pylist() == ["z", "a"]


def test_a_revised_action_replaces_the_earlier_and_a_withdrawn_one_goes() -> None:
    days = [("A", f"2024-11-{day:02d}", 10.0) for day in (4, 5, 6, 7, 8)]
    old = parsed(
        days,
        [("A", "2024-11-05", "dividend", 0.1), ("A", "2024-11-06", "split", 2.0), ("A", "2024-11-04", "split", 3.0)],
    )
    new = parsed(days[0:4], [("A", "2024-11-05", "dividend", 0.12)])
    parts = [
        (manifest(snapshot_id="1", known_at="2024-12-01"), old),
        (manifest(snapshot_id="2", known_at="2024-12-02"), new),
    ]
    result = normalize(parts, exchange="XNYS", months=MONTHS)
    # The new answer begins on the fourth: it cannot show an event of its own first session.
    assert events(result.actions) == [("A", "2024-11-04", "split", 3.0), ("A", "2024-11-05", "dividend", 0.12)]
    assert result.counts == {"actions withdrawn by a later snapshot": 1}


def test_the_last_listed_source_that_has_a_symbol_wins_it_whole() -> None:
    first = parsed(
        [("A", "2024-11-27", 1.0), ("A", "2024-11-29", 1.0), ("B", "2024-11-29", 1.0)],
        [("A", "2024-11-29", "split", 2.0), ("B", "2024-11-29", "split", 3.0)],
    )
    second = parsed([("A", "2024-11-29", 2.0), ("C", "2024-11-29", 2.0)])
    parts = [(manifest("sample", "1", "2025-06-01"), first), (manifest("yahoo", "2", "2024-12-01"), second)]
    result = normalize(parts, exchange="XNYS", months=MONTHS, sources=["sample", "yahoo"])
    assert closes(result.bars) == {("A", "2024-11-29"): 2.0, ("B", "2024-11-29"): 1.0, ("C", "2024-11-29"): 2.0}
    assert events(result.actions) == [("B", "2024-11-29", "split", 3.0)]
    turned = normalize(parts, exchange="XNYS", months=MONTHS, sources=["yahoo", "sample"])
    assert closes(turned.bars)[("A", "2024-11-29")] == 1.0
    assert events(turned.actions)[0] == ("A", "2024-11-29", "split", 2.0)
    with pytest.raises(SourceError, match="is of source 'yahoo'"):
        normalize(parts, exchange="XNYS", months=MONTHS, sources=["sample"])


def test_only_the_symbols_asked_for_are_kept() -> None:
    part = parsed([("A", "2024-11-29", 1.0), ("B", "2024-11-29", 1.0)], [("B", "2024-11-29", "split", 2.0)])
    result = normalize([(manifest(), part)], exchange="XNYS", months=MONTHS, symbols=["A"])
    assert closes(result.bars) == {("A", "2024-11-29"): 1.0}
    assert result.actions.num_rows == 0


def test_a_dividend_beside_a_split_is_stored_per_share_held_before_it() -> None:
    part = parsed(
        [("A", "2024-11-27", 10.0), ("A", "2024-11-29", 5.0)],
        [("A", "2024-11-29", "split", 2.0), ("A", "2024-11-29", "dividend", 0.05)],
    )
    result = normalize([(manifest(), part)], exchange="XNYS", months=MONTHS)
    assert events(result.actions) == [("A", "2024-11-29", "dividend", 0.1), ("A", "2024-11-29", "split", 2.0)]


def test_the_sources_counts_are_passed_on() -> None:
    parts = [(manifest(snapshot_id=name), parsed([(name, "2024-11-29", 1.0)], dropped=2)) for name in ("A", "B")]
    assert normalize(parts, exchange="XNYS", months=MONTHS).counts == {"files: dropped": 4}


def test_bars_off_the_calendar_are_refused_by_name_or_dropped_with_a_count() -> None:
    part = parsed([("A", "2024-11-29", 1.0), ("A", "2024-11-28", 1.0), ("BTC-USD", "2024-11-30", 1.0)])
    with pytest.raises(BadRows, match="A at 2024-11-28, BTC-USD at 2024-11-30") as caught:
        normalize([(manifest(), part)], exchange="XNYS", months=MONTHS)
    assert caught.value.rule == "sessions_on_calendar"
    result = normalize([(manifest(), part)], exchange="XNYS", months=MONTHS, off_calendar="drop")
    assert closes(result.bars) == {("A", "2024-11-29"): 1.0}
    assert result.counts == {"off the calendar": 2}
    always = normalize([(manifest(), part)], exchange="24/7", months=MONTHS)
    assert always.bars["bar_end"][-1].as_py() == dt.datetime(2024, 12, 1, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="off_calendar"):
        normalize([(manifest(), part)], exchange="XNYS", months=MONTHS, off_calendar="keep")  # type: ignore[arg-type]


@pytest.mark.parametrize("symbol", ["NA", "ON", "TRUE", "1E5", "BRK.B", "^GSPC", "BTC-USD"])
def test_unusual_symbols_pass(symbol: str) -> None:
    result = normalize([(manifest(), parsed([(symbol, "2024-11-29", 1.0)]))], exchange="XNYS", months=MONTHS)
    assert result.bars["symbol"].to_pylist() == [symbol]


@pytest.mark.parametrize("symbol", ["../x", "A/B", "", "a", None, 1.0, True])
def test_unusable_symbols_are_refused_by_name(symbol: Any) -> None:
    part = parsed([("A", "2024-11-29", 1.0), (symbol, "2024-11-29", 1.0)])
    with pytest.raises(BadRows, match="1 unusable symbols") as caught:
        normalize([(manifest(), part)], exchange="XNYS", months=MONTHS)
    assert caught.value.rule == "usable_symbols"


def test_a_key_twice_in_one_answer_is_refused_by_name() -> None:
    part = parsed([("A", "2024-11-29", 1.0), ("B", "2024-11-29", 1.0), ("A", "2024-11-29", 2.0)])
    with pytest.raises(BadRows, match="first A at 2024-11-29") as caught:
        normalize([(manifest(), part)], exchange="XNYS", months=MONTHS)
    assert (caught.value.rule, len(caught.value.rows)) == ("keys_unique", 2)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("high", 0.5, "ohlc_order"),
        ("low", 1.5, "ohlc_order"),
        ("close", 0.0, "positive_prices"),
        ("open", -1.0, "positive_prices"),
        ("close", float("nan"), "positive_prices"),
        ("high", float("inf"), "positive_prices"),
        ("volume", -1.0, "volume_not_negative"),
        ("volume", float("nan"), "volume_not_negative"),
    ],
)
def test_a_price_that_breaks_a_rule_is_refused_by_name(column: str, value: float, rule: str) -> None:
    part = parsed([("A", "2024-11-27", 1.0), ("A", "2024-11-29", 1.0)])
    part.bars.loc[1, column] = value
    with pytest.raises(BadRows, match=f"1 bars break {rule}, first A at 2024-11-29") as caught:
        normalize([(manifest(), part)], exchange="XNYS", months=MONTHS)
    assert caught.value.rows[0]["session"] == "2024-11-29"


def test_nothing_gives_empty_tables() -> None:
    for parts in ([], [(manifest(), parsed([]))], [(manifest(), parsed([("A", "2020-01-02", 1.0)]))]):
        result = normalize(parts, exchange="XNYS", months=["2024-11"])
        assert result.bars.schema.equals(TABLES["core/daily_bars"].schema)
        assert (result.bars.num_rows, result.actions.num_rows) == (0, 0)


def test_the_arguments_are_left_alone() -> None:
    part = parsed([("A", "2024-11-29", 1.0)], [("A", "2024-11-29", "split", 2.0)])
    before = (part.bars.copy(), part.actions.copy())
    normalize([(manifest(), part)], exchange="XNYS", months=MONTHS)
    pd.testing.assert_frame_equal(part.bars, before[0])
    pd.testing.assert_frame_equal(part.actions, before[1])


def test_the_sample_fills_the_core_tables() -> None:
    source = get_source("sample")
    (answer,) = source.fetch([], dt.date(2000, 1, 1), dt.date(2014, 1, 1), as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    parts = [(manifest("sample"), source.parse(answer.content, answer.request))]
    result = normalize(parts, exchange="XNYS", months=month_keys(dt.date(2000, 3, 1), dt.date(2013, 4, 1)))
    assert (result.bars.num_rows, result.actions.num_rows) == (12_154, 95)
    assert result.counts == {}
    again = normalize(parts, exchange="XNYS", months=month_keys(dt.date(2000, 3, 1), dt.date(2013, 4, 1)))
    assert again.bars.equals(result.bars)
    assert again.actions.equals(result.actions)
