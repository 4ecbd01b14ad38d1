"""From parsed answers to the rows of the core tables."""

from __future__ import annotations

import datetime as dt
import json
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


def test_the_same_bytes_read_in_another_way_count_as_the_later_snapshot() -> None:
    parts = [
        (manifest(snapshot_id="same", known_at="2024-12-03"), parsed([("A", "2024-11-29", 2.0)])),
        (manifest(snapshot_id="same", known_at="2024-12-02"), parsed([("A", "2024-11-29", 1.0)])),
    ]
    result = normalize(parts, exchange="XNYS", months=MONTHS)
    assert closes(result.bars) == {("A", "2024-11-29"): 2.0}


DAYS = [(symbol, f"2024-11-{day:02d}", 10.0) for day in (4, 5, 6, 7, 8) for symbol in ("A", "B")]
ACTIONS = [
    ("A", "2024-11-05", "split", 2.0),
    ("A", "2024-11-06", "dividend", 0.1),
    ("B", "2024-11-06", "split", 3.0),
]


def polygon(dataset: str, snapshot_id: str, known_at: str, **more: Any) -> dict[str, Any]:
    return {**manifest("polygon", snapshot_id, known_at), "dataset": dataset, "request": "{}", **more}


def test_bars_alone_withdraw_no_action() -> None:
    parts = [
        (polygon("splits", "1", "2024-12-01"), parsed([], ACTIONS)),
        (polygon("day", "2", "2024-12-02"), parsed(DAYS)),
    ]
    assert len(normalize(parts, exchange="XNYS", months=MONTHS).actions) == 3
    request = {"columns": {"symbol": "s", "close": "c"}}
    files = [
        (manifest(snapshot_id="1", known_at="2024-12-01"), parsed(DAYS, ACTIONS)),
        ({**manifest(snapshot_id="2", known_at="2024-12-02"), "request": request}, parsed(DAYS)),
    ]
    assert len(normalize(files, exchange="XNYS", months=MONTHS).actions) == 3
    request["columns"]["split"] = "x"
    kept = events(normalize(files, exchange="XNYS", months=MONTHS).actions)
    assert kept == [("A", "2024-11-06", "dividend", 0.1)]


@pytest.mark.parametrize(
    ("more", "withdrawn"),
    [
        ({}, []),
        ({"first": "2024-11-06", "last": "2024-11-30"}, ["B"]),
        ({"first": "2024-11-05", "last": "2024-11-06"}, ["A", "B"]),
        ({"first": "2024-11-01", "last": "2024-11-04"}, []),
        ({"first": "2024-11-01", "last": "2024-11-30", "symbol": "A"}, ["A"]),
        ({"first": "2024-11-01", "last": "2024-11-30", "params": {"ticker.any_of": "B,C", "limit": 5000}}, ["B"]),
        ({"first": "2024-11-01", "last": "2024-11-30", "page": 2}, []),
        ({"first": "2024-11-01", "last": "2024-11-30", "known_at": "2024-12-01"}, []),
    ],
)
def test_a_later_answer_of_actions_withdraws_those_of_its_kind_symbols_and_days(
    more: dict[str, Any], withdrawn: list[str]
) -> None:
    days = {
        f"{name}_session": dt.date.fromisoformat(more[name]) if name in more else None for name in ("first", "last")
    }
    request = json.dumps({name: more[name] for name in ("page", "params") if name in more})
    later = polygon("splits", "9", more.get("known_at", "2024-12-02"), symbol=more.get("symbol"), **days)
    parts = [
        (polygon("day", "0", "2024-12-01"), parsed(DAYS)),
        (polygon("dividends", "1", "2024-12-01"), parsed([], ACTIONS)),
        ({**later, "request": request}, parsed([])),
    ]
    result = normalize(parts, exchange="XNYS", months=MONTHS)
    gone = {symbol for symbol, _, kind, _ in ACTIONS if kind == "split"} - {
        symbol for symbol, _, kind, _ in events(result.actions) if kind == "split"
    }
    assert sorted(gone) == withdrawn
    assert ("A", "2024-11-06", "dividend", 0.1) in events(result.actions)


def test_a_pay_date_is_kept_beside_actions_without_one() -> None:
    paid = parsed([], [("A", "2024-11-06", "dividend", 0.1)])
    paid = Parsed(paid.bars, paid.actions.assign(pay_date=pd.Timestamp("2024-12-20")))
    parts = [(manifest(snapshot_id="1"), parsed(DAYS, ACTIONS[:1])), (manifest(snapshot_id="2"), paid)]
    found = normalize(parts, exchange="XNYS", months=MONTHS).actions.to_pylist()
    assert [(row["kind"], row["pay_date"]) for row in found] == [("split", None), ("dividend", dt.date(2024, 12, 20))]


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


def alpaca(snapshot_id: str = "9") -> dict[str, Any]:
    """An answer of actions alone, of a source that has no bars here."""
    return {**manifest("alpaca", snapshot_id, "2024-12-01"), "dataset": "corporate_actions", "request": "{}"}


def test_a_kind_that_the_source_of_the_bars_cannot_tell_of_comes_from_another() -> None:
    """Bars of Polygon and actions of Alpaca: a split left out would make a tenth of the price a loss."""
    bars = (polygon("day", "1", "2024-12-01"), parsed(DAYS))
    other = (alpaca(), parsed([], ACTIONS))
    for order in (["polygon", "alpaca"], ["alpaca", "polygon"]):
        result = normalize([bars, other], exchange="XNYS", months=MONTHS, sources=order)
        assert len(events(result.actions)) == 3 and result.counts == {}
    splits = (polygon("splits", "2", "2024-12-01"), parsed([], [("B", "2024-11-06", "split", 4.0)]))
    for given, entries in (([bars, other, splits], None), ([bars, other], ["polygon/day", "polygon/splits"])):
        result = normalize(
            given,
            exchange="XNYS",
            months=MONTHS,
            sources=["polygon", "alpaca"],
            entries=entries and [*entries, "alpaca"],
        )
        # Polygon tells of splits, also in months of which it told none: Alpaca's are left out, and named.
        told = [] if entries else [("B", "2024-11-06", "split", 4.0)]
        assert events(result.actions) == [("A", "2024-11-06", "dividend", 0.1), *told]
        assert result.counts == {"actions of a source without bars": 2}


def test_actions_of_symbols_without_bars_are_named() -> None:
    parts = [
        (polygon("day", "1", "2024-12-01"), parsed(DAYS)),
        (alpaca(), parsed([], [("C", "2024-11-06", "split", 2.0)])),
    ]
    result = normalize(parts, exchange="XNYS", months=MONTHS, sources=["polygon", "alpaca"])
    assert result.actions.num_rows == 0
    assert result.counts == {"actions of symbols without bars": 1}
    assert normalize(parts, exchange="XNYS", months=["2024-10"], sources=["polygon", "alpaca"]).counts == {}


def test_a_file_leaves_the_kinds_it_has_no_column_for_to_others_on_its_own_days() -> None:
    """Splits of the first file's days are the file's, of the second file's Alpaca's; whichever months are asked for."""
    days = [("A", f"2024-{month}-{day:02d}", 10.0) for month in ("11", "12") for day in (4, 5, 6)]
    with_split = {**manifest(snapshot_id="1"), "request": {"columns": {"split": "x"}}}
    without = {**manifest(snapshot_id="2"), "request": {"columns": {}}}
    parts = [
        (with_split, parsed(days[:3], [("A", "2024-11-05", "split", 2.0)])),
        (without, parsed(days[3:])),
        (alpaca(), parsed([], [("A", "2024-11-06", "split", 7.0), ("A", "2024-12-05", "split", 3.0)])),
    ]
    both = normalize(parts, exchange="XNYS", months=["2024-11", "2024-12"], sources=["files", "alpaca"])
    assert events(both.actions) == [("A", "2024-11-05", "split", 2.0), ("A", "2024-12-05", "split", 3.0)]
    alone = normalize(parts[1:], exchange="XNYS", months=["2024-12"], sources=["files", "alpaca"])
    assert events(alone.actions) == [("A", "2024-12-05", "split", 3.0)]


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
