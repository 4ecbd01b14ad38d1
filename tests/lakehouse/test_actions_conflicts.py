"""Where two sources disagree about splits and dividends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lakehouse.actions import per_share_held
from lakehouse.adjusting import conflicts
from lakehouse.adjusting.conflicts import COLUMNS

DAYS = pd.bdate_range("2020-01-01", "2020-03-31")


def bars(*symbols: str, close: float = 50.0) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"symbol": symbol, "session": DAYS, "close": close}) for symbol in symbols])


def events(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["symbol", "ex_date", "kind", "value"])
    return frame.assign(ex_date=pd.to_datetime(frame["ex_date"]).astype("datetime64[s]"))


def told(found: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [
        (row.symbol, str(row.ex_date.date()), row.kind, row.value_a, row.value_b, row.reason)
        for row in found.astype(object).where(found.notna(), None).itertuples()
    ]


SAME = events(("A", "2020-02-03", "dividend", 0.5), ("A", "2020-03-02", "split", 2.0))


def test_sources_that_agree_have_no_conflicts() -> None:
    found = conflicts(SAME, SAME.iloc[::-1], bars("A"))
    assert found.columns.tolist() == list(COLUMNS)
    assert found.empty


def test_rounded_figures_are_the_same() -> None:
    rounded = events(("A", "2020-02-03", "dividend", 0.5001), ("A", "2020-03-02", "split", 1.999999))
    assert conflicts(SAME, rounded, bars("A")).empty


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([("A", "2020-02-03", "dividend", 0.51)], ("A", "2020-02-03", "dividend", 0.5, 0.51, "differs")),
        ([("A", "2020-02-03", "dividend", 0.5002)], ("A", "2020-02-03", "dividend", 0.5, 0.5002, "differs")),
        ([], ("A", "2020-02-03", "dividend", 0.5, None, "missing")),
        (
            [("A", "2020-02-04", "dividend", 0.5)],
            ("A", "2020-02-03", "dividend", 0.5, 0.5, "shifted by +1 session"),
        ),
        (
            # over a weekend: sessions count, not days
            [("A", "2020-01-31", "dividend", 0.5)],
            ("A", "2020-02-03", "dividend", 0.5, 0.5, "shifted by -1 session"),
        ),
        (
            [("A", "2020-02-06", "dividend", 0.5)],
            ("A", "2020-02-03", "dividend", 0.5, 0.5, "shifted by +3 sessions"),
        ),
        (
            [("A", "2020-02-03", "dividend", 0.5), ("A", "2020-02-05", "dividend", 0.5)],
            ("A", "2020-02-05", "dividend", None, 0.5, "counted twice"),
        ),
        (
            [("A", "2020-02-03", "dividend", 0.5), ("A", "2020-02-05", "dividend", 0.2)],
            ("A", "2020-02-05", "dividend", None, 0.2, "missing"),
        ),
    ],
)
def test_each_reason_by_hand(other: list[tuple[Any, ...]], expected: tuple[Any, ...]) -> None:
    split = ("A", "2020-03-02", "split", 2.0)
    found = conflicts(SAME, events(*other, split), bars("A"))
    assert told(found) == [expected]
    # the other way round
    symbol, day, kind, value_a, value_b, reason = expected
    mirrored = conflicts(events(*other, split), SAME, bars("A"))
    if "shifted" in reason:
        reason = reason.translate(str.maketrans("+-", "-+"))
        day = other[0][1]
    assert told(mirrored) == [(symbol, day, kind, value_b, value_a, reason)]


def test_a_shift_further_than_asked_for_is_two_missing_ones() -> None:
    far = events(("A", "2020-02-07", "dividend", 0.5), ("A", "2020-03-02", "split", 2.0))
    assert [row[5] for row in told(conflicts(SAME, far, bars("A")))] == ["missing", "missing"]
    assert [row[5] for row in told(conflicts(SAME, far, bars("A"), max_shift=4))] == ["shifted by +4 sessions"]


def test_a_shifted_one_that_is_told_again_is_counted_twice() -> None:
    other = events(("A", "2020-02-04", "dividend", 0.5), ("A", "2020-02-06", "dividend", 0.5))
    found = told(conflicts(SAME.head(1), other, bars("A")))
    assert [(row[1], row[5]) for row in found] == [
        ("2020-02-03", "shifted by +1 session"),
        ("2020-02-06", "counted twice"),
    ]


def test_a_spin_off_told_as_a_split_and_as_a_dividend_is_counted_twice() -> None:
    """Abbott, 2004-05-03: the ratio 1.068833 and 2.9154 per new share at 42.32 are the same spin-off."""
    both = per_share_held(events(("ABT", "2020-02-03", "split", 1.068833), ("ABT", "2020-02-03", "dividend", 2.9154)))
    once = events(("ABT", "2020-02-03", "dividend", 2.9154))
    found = told(conflicts(once, both, bars("ABT", close=42.32)))
    assert [(row[2], row[5]) for row in found] == [("dividend", "differs"), ("split", "counted twice")]
    assert [row[5] for row in told(conflicts(events(), both, bars("ABT", close=42.32)))] == ["counted twice"] * 2
    # a dividend of another worth beside the split is a dividend
    other = events(("ABT", "2020-02-03", "split", 1.068833), ("ABT", "2020-02-03", "dividend", 0.25))
    assert [row[5] for row in told(conflicts(events(), other, bars("ABT", close=42.32)))] == ["missing"] * 2


def test_only_what_the_bars_can_show_is_compared() -> None:
    outside = events(
        ("A", "2020-01-01", "dividend", 0.5), ("A", "2019-12-02", "split", 2.0), ("A", "2020-04-01", "split", 2.0)
    )
    others = events(("B", "2020-02-03", "dividend", 0.5), ("A", "2020-02-03", "delisting", -0.3))
    assert conflicts(outside, others, bars("A")).empty
    assert len(conflicts(events(("A", "2020-03-31", "dividend", 0.5)), events(), bars("A"))) == 1


def test_symbols_are_compared_apart_and_arguments_left_alone() -> None:
    a = events(("B", "2020-02-03", "dividend", 0.5), ("A", "2020-02-05", "dividend", 0.5))
    b = events(("A", "2020-02-03", "dividend", 0.5))
    before = a.copy(), b.copy()
    assert [(row[0], row[5]) for row in told(conflicts(a, b, bars("A", "B")))] == [
        ("A", "shifted by -2 sessions"),
        ("B", "missing"),
    ]
    pd.testing.assert_frame_equal(a, before[0])
    pd.testing.assert_frame_equal(b, before[1])


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Alpha Vantage's actions, those derived from another vendor's adjusted close, and bars: AAPL, IBM, MSFT."""
    prices = pd.read_parquet(shared_data / "av_daily" / "daily_120_1999_2019.parquet")
    prices = prices[prices["ticker"].isin(["AAPL", "IBM", "MSFT"])]
    other = pd.read_csv(shared_data / "bokeh_actions" / "actions_AAPL_IBM_MSFT_2000_2013.csv", parse_dates=["date"])
    sources = []
    for rows in (prices, other):
        parts = []
        for kind, column, none in (("dividend", "dividend_amount", 0.0), ("split", "split_coefficient", 1.0)):
            part = rows[rows[column] != none]
            parts.append(
                pd.DataFrame({"symbol": part["ticker"], "ex_date": part["date"], "kind": kind, "value": part[column]})
            )
        sources.append(per_share_held(pd.concat(parts, ignore_index=True)))
    shown = prices[prices["date"].between("2000-03-01", "2013-03-01")]
    return *sources, shown.rename(columns={"ticker": "symbol", "date": "session"})[["symbol", "session", "close"]]


def test_two_real_sources_agree_on_all_events_they_both_cover(
    real: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    a, b, shown = real
    inside = a[a["ex_date"].between("2000-03-02", "2013-03-01")]
    assert (len(inside), len(b), shown["symbol"].nunique()) == (95, 95, 3)
    assert conflicts(a, b, shown).empty


def test_faults_planted_in_a_real_source_are_found_and_nothing_else(
    real: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    a, b, shown = real
    b = b.sort_values(["symbol", "ex_date"], ignore_index=True)
    assert b.loc[4, "kind"] == b.loc[10, "kind"] == b.loc[30, "kind"] == b.loc[70, "kind"] == "dividend"
    planted = b.drop(index=4)
    planted.loc[10, "value"] += 0.01
    planted.loc[30, "ex_date"] += pd.Timedelta(days=1)
    again = planted.loc[[70]].assign(ex_date=lambda rows: rows["ex_date"] + pd.Timedelta(days=1))
    found = conflicts(a, pd.concat([planted, again]), shown)
    assert {(row.symbol, row.ex_date, row.reason) for row in found.itertuples()} == {
        (b["symbol"][4], b["ex_date"][4], "missing"),
        (b["symbol"][10], b["ex_date"][10], "differs"),
        (b["symbol"][30], b["ex_date"][30], "shifted by +1 session"),
        (b["symbol"][70], b["ex_date"][70] + pd.Timedelta(days=1), "counted twice"),
    }
