"""Splits and dividends found in an adjusted close, and split adjustment undone."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.actions import SPLIT_RATIOS, derive_actions, later_splits, per_share_held
from lakehouse.errors import BadRows, LakeError
from lakehouse.sources.sample import FIRST_SESSION, LAST_SESSION, SampleSource

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


def is_simple(ratio: float) -> bool:
    """Return whether a ratio is one that splits have."""
    return abs(float(Fraction(ratio).limit_denominator(50)) - ratio) < 1e-5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1.0, 900.0).map(lambda price: round(price, 2)), min_size=4, max_size=9),
    st.dictionaries(st.integers(1, 3), st.integers(1, 200).map(lambda cents: cents / 100), max_size=3),
)
def test_dividends_put_into_an_adjusted_close_come_out_again(close: list[float], dividends: dict[int, float]) -> None:
    # A dividend of a twentieth of the price moves an adjusted close as a split of 20 for 19 does.
    events = {
        t: (1.0, cash)
        for t, cash in dividends.items()
        if cash < 0.09 * close[t] and not any(is_simple(1.0 - cash / price) for price in close[t - 1 : t + 1])
    }
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


def test_a_dividend_by_yahoos_convention_is_measured_by_the_close_before() -> None:
    close = [52.0, 54.0, 55.0]
    adjusted = [52.0 * (1.0 - 1.5 / 52.0), 54.0, 55.0]
    actions = derive_actions(DAYS[:3], close, adjusted, convention="yahoo")
    assert [(row.kind, row.value) for row in actions.itertuples()] == [("dividend", 1.5)]
    # the other convention takes the close of the ex-date: 1.5 / 52 of 54 in place of 52
    other = derive_actions(DAYS[:3], close, adjusted, convention="crsp")
    assert other["value"].tolist() == [pytest.approx(54.0 * (52.0 / 50.5 - 1.0), abs=1e-6)]


def test_a_split_and_a_dividend_of_one_day_by_yahoos_convention() -> None:
    # 100 becomes two shares, each paid 0.8: 1.6 for the share held before
    adjusted = [100.0 * (1.0 - 1.6 / 100.0) / 2.0, 49.0, 50.0]
    actions = derive_actions(DAYS[:3], [100.0, 49.0, 50.0], adjusted, convention="yahoo")
    assert [(row.kind, row.value) for row in actions.itertuples()] == [("split", 2.0), ("dividend", 0.8)]


def test_the_decimals_of_the_adjusted_close_say_what_is_noise() -> None:
    close = [30.0, 30.3, 30.1, 30.2]
    adjusted = [round(price * 0.8717, 2) for price in close]
    days = DAYS[:4]
    assert len(derive_actions(days, close, adjusted, decimals=2)) == 0
    with pytest.raises(BadRows, match="neither a known split ratio nor a dividend"):
        derive_actions(days, close, adjusted)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(500, 90_000).map(lambda cents: cents / 100), min_size=3, max_size=9),
    st.integers(5, 200).map(lambda cents: cents / 100),
    st.sampled_from(["wiki", "yahoo"]),
    st.integers(4, 8),
)
def test_a_dividend_comes_out_exactly_where_the_decimals_allow_it(
    close: list[float], cash: float, convention: Any, decimals: int
) -> None:
    """With d decimals a factor is uncertain by 1e-d over the price, and so is the dividend by 1e-d at most twice."""
    cash = min(cash, round(0.04 * min(close), 2))
    k = close[1] / (close[1] + cash) if convention == "wiki" else 1.0 - cash / close[0]
    adjusted = [round(price * (k if at == 0 else 1.0), decimals) for at, price in enumerate(close)]
    actions = derive_actions(DAYS[: len(close)], close, adjusted, convention=convention, decimals=decimals)
    assert actions["kind"].tolist() == ["dividend"]
    scale = 2.0 * max(close[0], close[1]) / min(close[0], close[1])
    assert actions["value"][0] == pytest.approx(cash, abs=max(scale * 10.0**-decimals, 1e-6))
    if scale * 10.0**-decimals < 0.002:
        assert actions["value"][0] == cash


def test_what_nothing_explains_is_kept_as_the_one_action_that_does() -> None:
    kept = derive_actions(DAYS[:2], [10.0, 4.0], [10.0 * 4.0 / 10.5, 4.0], unexplained="keep")
    assert [(row.kind, row.value) for row in kept.itertuples()] == [("dividend", 6.5)]
    kept = derive_actions(DAYS[:2], [10.0, 10.5], [10.0 / 0.945, 10.5], unexplained="keep")
    assert [row.kind for row in kept.itertuples()] == ["split"]
    assert kept["value"][0] == pytest.approx(0.945, rel=1e-12)


def test_unknown_conventions_and_ways_are_refused() -> None:
    with pytest.raises(LakeError, match="'crps'.*did you mean 'crsp'"):
        derive_actions(DAYS[:2], [1.0, 1.0], [1.0, 1.0], convention="crps")  # type: ignore[arg-type]
    with pytest.raises(LakeError, match="'refuse' or 'keep', was 'drop'"):
        derive_actions(DAYS[:2], [1.0, 1.0], [1.0, 1.0], unexplained="drop")  # type: ignore[arg-type]


def test_derived_events_of_the_sample_are_the_known_ones(shared_data: Path) -> None:
    """AAPL, IBM and MSFT, 2000 to 2013: all 95 events, to the last decimal."""
    source = SampleSource()
    (answer,) = source.fetch([], FIRST_SESSION, LAST_SESSION, as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    derived = source.parse(answer.content, answer.request).actions
    derived = derived[derived["symbol"].isin(["AAPL", "IBM", "MSFT"])]
    truth = pd.read_csv(shared_data / "bokeh_actions" / "actions_AAPL_IBM_MSFT_2000_2013.csv")
    told = {
        (row.ticker, row.date, kind): value
        for row in truth.itertuples()
        for kind, value, none in (("split", row.split_coefficient, 1.0), ("dividend", row.dividend_amount, 0.0))
        if value != none
    }
    assert len(told) == 95
    assert {(row.symbol, str(row.ex_date.date()), row.kind): row.value for row in derived.itertuples()} == told


# What a factor alone cannot tell: (ticker, ex-date) -> what is told, what is derived; split and dividend.
UNTELLABLE: dict[tuple[str, str], tuple[tuple[float, float], tuple[float, float]]] = {
    # a spin-off told as a split and a dividend
    ("ABT", "2004-05-03"): ((1.068833, 2.9154), (1.0, 6.02913)),
    ("HLT", "2017-01-04"): ((0.333333, 24.48), (0.474023, 0.0)),
    # a split with the ratio in dividend_amount, too
    ("ROST", "2015-06-12"): ((2.0, 2.0), (1.0, 52.53)),
    # a spin-off told as a dividend, with the very factor of a split
    ("DISCK", "2014-08-07"): ((1.0, 39.78), (2.0, 0.0)),
    # spin-offs and a stock merger told as splits
    ("RF", "2004-07-01"): ((1.235, 0.0), (1.0, 7.1017)),
    ("ROK", "2001-07-02"): ((2.525253, 0.0), (1.0, 22.421212)),
    # a split in the adjusted close alone
    ("TRMB", "2007-02-23"): ((1.0, 0.0), (2.0, 0.0)),
}


def test_derived_events_of_119_stocks_are_the_vendors_own(shared_data: Path) -> None:
    """Alpha Vantage gives the adjusted close with twelve digits and dividends with four decimals."""
    rows = pd.read_parquet(shared_data / "av_daily" / "daily_120_1999_2019.parquet").sort_values(["ticker", "date"])
    derived, told = {}, {}
    for symbol, stock in rows.groupby("ticker"):
        actions = derive_actions(
            stock["date"],
            stock["close"],
            stock["adjusted_close"],
            convention="alphavantage",
            tolerance=2e-11,
            unexplained="keep",
            symbol=symbol,
        )
        derived |= {(symbol, str(row.ex_date.date()), row.kind): row.value for row in actions.itertuples()}
        later = stock.iloc[1:]
        for kind, column, none in (("dividend", "dividend_amount", 0.0), ("split", "split_coefficient", 1.0)):
            events = later[later[column] != none]
            told |= {
                (symbol, str(day.date()), kind): value
                for day, value in zip(events["date"], events[column], strict=True)
            }
    assert rows["ticker"].nunique() == 119 and len(told) > 6_600
    known: dict[tuple[str, str], tuple[Any, Any]] = {}
    for key in {*derived, *told}:
        symbol, day, kind = key
        limit = 0.5001e-4 if kind == "dividend" else 1e-5 * told.get(key, 1.0)
        if abs(derived.get(key, np.inf) - told.get(key, -np.inf)) > limit:
            known[symbol, day] = tuple(
                (events.get((symbol, day, "split"), 1.0), events.get((symbol, day, "dividend"), 0.0))
                for events in (told, derived)
            )
    assert known.keys() == UNTELLABLE.keys()
    for place, pairs in UNTELLABLE.items():
        for expected, found in zip(pairs, known[place], strict=True):
            assert found == pytest.approx(expected, rel=1e-5), place


def test_the_splits_and_dividends_behind_yahoos_adjusted_close(shared_data: Path) -> None:
    """NVIDIA, 2021: the recorded answer holds the split alone, dividends show in the adjusted close.

    It was recorded after the split of 2024, ten for one, which its prices are adjusted for, too.
    """
    file = shared_data / "yahoo_chart" / "historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json.gz"
    answer = json.loads(gzip.decompress(file.read_bytes()))["response"]
    chart = (answer.get("bodyJson") or json.loads(answer["body"]))["chart"]["result"][0]
    sessions = np.array(chart["timestamp"], dtype="datetime64[s]").astype("datetime64[D]")
    split = 10.0 * np.where(sessions < np.datetime64("2021-07-20"), 4.0, 1.0)
    close = np.array(chart["indicators"]["quote"][0]["close"]) * split
    adjusted = chart["indicators"]["adjclose"][0]["adjclose"]
    actions = derive_actions(sessions, close, adjusted, convention="yahoo", tolerance=5e-7, symbol="NVDA")
    assert [(str(row.ex_date.date()), row.kind, row.value) for row in actions.itertuples()] == [
        ("2021-03-09", "dividend", 0.16),
        ("2021-06-09", "dividend", 0.16),
        ("2021-07-20", "split", 4.0),
        ("2021-08-31", "dividend", 0.04),
        ("2021-12-01", "dividend", 0.04),
    ]
