"""Splits and dividends found in an adjusted close, and split adjustment undone."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.actions import SPLIT_RATIOS, derive_actions, later_splits, per_share_held
from lakehouse.errors import BadRows

DAYS = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")


def adjusted_close(close: list[float], events: dict[int, tuple[float, float]]) -> list[float]:
    """Adjust as the vendor does, in plain Python: events[t] = (split, dividend)."""
    level, answer = 1.0, []
    for t in reversed(range(len(close))):
        answer.append(close[t] * level)
        split, dividend = events.get(t, (1.0, 0.0))
        level *= close[t] / (close[t] + dividend) / split
    return answer[::-1]


def found(close: list[float], adjusted: list[float]) -> list[tuple[str, str, float]]:
    actions = derive_actions(DAYS[: len(close)], close, adjusted, symbol="X")
    return [(str(row.ex_date.date()), row.kind, row.value) for row in actions.itertuples()]


def test_a_dividend_is_found_on_its_ex_date() -> None:
    close = [100.0, 101.0, 100.5]
    assert found(close, adjusted_close(close, {1: (1.0, 0.37)})) == [("2020-01-02", "dividend", 0.37)]


@pytest.mark.parametrize("ratio", SPLIT_RATIOS)
def test_every_known_ratio_is_found_as_a_split(ratio: float) -> None:
    close = [100.0, 100.0 / ratio, 101.0 / ratio]
    actions = derive_actions(DAYS[:3], close, adjusted_close(close, {1: (ratio, 0.0)}))
    assert actions["kind"].tolist() == ["split"]
    assert actions["value"].tolist() == pytest.approx([ratio], rel=1e-12)


def test_a_split_and_a_dividend_of_the_same_day_are_told_apart() -> None:
    close = [100.0, 49.0, 50.0]
    events = found(close, adjusted_close(close, {1: (2.0, 0.8)}))
    assert events == [("2020-01-02", "split", 2.0), ("2020-01-02", "dividend", 0.8)]


def test_a_special_dividend_of_a_tenth_of_the_price_is_no_split() -> None:
    close = [30.0, 27.39, 27.5]
    assert found(close, adjusted_close(close, {1: (1.0, 3.08)})) == [("2020-01-02", "dividend", 3.08)]


def test_a_constant_factor_is_no_event() -> None:
    close = [100.0, 101.0, 99.0]
    assert found(close, [price * 0.4871 for price in close]) == []


def test_the_first_session_shows_no_event() -> None:
    assert found([10.0], [5.0]) == []


def test_a_factor_that_nothing_explains_is_refused_by_name() -> None:
    with pytest.raises(BadRows, match=r"factor of 3\.21\d* .*X at 2020-01-02"):
        derive_actions(DAYS[:2], [10.0, 10.0], [10.0, 10.0 / 3.21], symbol="X")


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_is_not_positive_is_refused_by_name(bad: float) -> None:
    with pytest.raises(BadRows, match="X at 2020-01-02") as caught:
        derive_actions(DAYS[:3], [10.0, bad, 10.0], [10.0, 10.0, 10.0], symbol="X")
    assert caught.value.rows[0]["session"] == "2020-01-02"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1.0, 900.0).map(lambda price: round(price, 2)), min_size=4, max_size=9),
    st.dictionaries(st.integers(1, 3), st.integers(1, 200).map(lambda cents: cents / 100), max_size=3),
)
def test_dividends_put_into_an_adjusted_close_come_out_again(close: list[float], dividends: dict[int, float]) -> None:
    events = {t: (1.0, cash) for t, cash in dividends.items() if cash < 0.09 * close[t]}
    truth = [(str(DAYS[t]), "dividend", cash) for t, (_, cash) in sorted(events.items())]
    got = found(close, adjusted_close(close, events))
    assert [row[:2] for row in got] == [row[:2] for row in truth]
    assert [row[2] for row in got] == pytest.approx([row[2] for row in truth], abs=2e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.sampled_from([2.0, 0.1, 1.5, 3.0])), max_size=5))
def test_later_splits_multiply_the_ratios_after_the_session(splits: list[tuple[int, float]]) -> None:
    first = dt.date(2020, 1, 1)
    sessions = [first + dt.timedelta(days=n) for n in range(12)]
    expected = []
    for day in range(12):
        product = 1.0
        for when, ratio in splits:
            if when > day:
                product *= ratio
        expected.append(product)
    got = later_splits(sessions, [sessions[when] for when, _ in splits], [ratio for _, ratio in splits])
    assert got.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_split_leaves_its_own_sessions_price_alone() -> None:
    got = later_splits(["2020-01-01", "2020-01-02", "2020-01-03"], ["2020-01-02"], [4.0])
    assert got.tolist() == [4.0, 1.0, 1.0]


def test_a_dividend_beside_a_split_becomes_cash_per_share_held_before_it() -> None:
    actions = pd.DataFrame(
        {
            "symbol": ["A", "A", "A", "B"],
            "ex_date": pd.to_datetime(["2020-01-02", "2020-01-02", "2020-03-02", "2020-01-02"]),
            "kind": ["split", "dividend", "dividend", "dividend"],
            "value": [2.0, 0.5, 0.25, 0.7],
        }
    )
    assert per_share_held(actions)["value"].tolist() == [2.0, 1.0, 0.25, 0.7]
    assert actions["value"].tolist() == [2.0, 0.5, 0.25, 0.7]  # the argument is left alone


def test_derived_events_of_real_stocks_equal_the_vendors_own(shared_data) -> None:
    """Alpha Vantage states events beside its adjusted close: what is derived must be what is stated."""
    rows = pd.read_parquet(shared_data / "av_daily" / "daily_120_1999_2019.parquet")
    for symbol in ("CSCO", "GILD", "JNJ", "NVDA", "XOM"):
        stock = rows[rows["ticker"] == symbol]
        if not len(stock):
            continue
        got = derive_actions(stock["date"], stock["close"], stock["adjusted_close"], symbol=symbol)
        later = stock.iloc[1:]
        stated = later[(later["dividend_amount"] > 0.0) | (later["split_coefficient"] != 1.0)]
        merged = got.merge(stated, left_on="ex_date", right_on="date", how="outer")
        assert merged[["ex_date", "date"]].notna().all(axis=None), symbol
        value = np.where(merged["kind"] == "split", merged["split_coefficient"], merged["dividend_amount"])
        np.testing.assert_allclose(merged["value"], value, rtol=1e-5, err_msg=symbol)
