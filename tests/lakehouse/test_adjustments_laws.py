"""Adjusted prices of random markets: a slow reference, the strategies' index, and laws."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import Actions, Bars
from lakehouse.adjusting import adjust_bars
from strategies.total_return import forward_index, growth
from tests.lakehouse.priced import LATER, actions_table, bars_table, column, moment

ROUNDING = 1e-12
"""Relative. A factor is a product of at most a hundred numbers, each within 1e-16 of its value."""

# A market in plain Python: rows of (symbol, day, close) and of (symbol, ex-date, kind, value, known_at).

FIRST = dt.date(2020, 1, 1)
N_DAYS = 30
symbols = st.sampled_from(["A", "B", "C"])
offsets = st.integers(0, N_DAYS - 1)


def _day(offset: int) -> str:
    return str(FIRST + dt.timedelta(days=offset))


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    keys = draw(st.lists(st.tuples(symbols, offsets), unique=True, min_size=1, max_size=40))
    bars = [(symbol, _day(offset), draw(st.floats(5.0, 200.0))) for symbol, offset in keys]
    events = draw(
        st.lists(st.tuples(symbols, offsets, st.sampled_from(["split", "dividend"])), unique=True, max_size=15)
    )
    actions = []
    for symbol, offset, kind in events:
        value = draw(st.sampled_from([2.0, 0.1, 1.5, 3.0]) if kind == "split" else st.floats(0.01, 3.0))
        known = moment(_day(offset)) + dt.timedelta(hours=draw(st.sampled_from([-400, 14, 14, 14, 60, 200])))
        actions.append((symbol, _day(offset), kind, value, known))
    return bars, actions


def slowly_adjusted(
    bars: Sequence[tuple[Any, ...]], actions: Sequence[tuple[Any, ...]], how: str, convention: str
) -> dict[tuple[str, str], tuple[float, float]]:
    """(close, volume) by (symbol, day), bar by bar, as the definitions read; everything given is known at last."""
    answer = {}
    for symbol in {row[0] for row in bars}:
        history = sorted((text, close) for name, text, close in bars if name == symbol)
        own = sorted((row[1:] for row in actions if row[0] == symbol), key=lambda row: (row[0], row[1]))
        for place, (text, close) in enumerate(history):
            price, units = 1.0, 1.0
            for at in range(1, len(history)):
                (start, previous), (stop, ex_close) = history[at - 1 : at + 1]
                shares, cash = 1.0, 0.0
                for ex_date, kind, value, known_at in own:
                    if not start < ex_date <= stop or (how == "forward" and known_at > moment(f"{text} 21:00")):
                        continue
                    cash += shares * value if kind == "dividend" else 0.0
                    shares *= value if kind == "split" else 1.0
                if how == "forward" and at <= place:
                    price *= shares + cash / ex_close
                    units /= shares
                elif how != "forward" and at > place:
                    units *= shares
                    left = 1.0 - cash / previous if convention == "yahoo" else ex_close / (ex_close + cash / shares)
                    price *= (1.0 if how == "split" else left) / shares
            answer[symbol, text] = close * price, 1_000.0 * units
    return answer


@settings(max_examples=150, deadline=None)
@given(markets(), st.sampled_from(["split", "total_return", "forward"]), st.sampled_from(["crsp", "yahoo"]))
def test_adjusted_prices_are_those_of_the_slow_reference(market: Any, how: Any, convention: Any) -> None:
    bars, actions = market
    expected = slowly_adjusted(bars, actions, how, convention)
    assume(all(close > 0.0 for close, _ in expected.values()))  # dividends that yahoo cannot adjust for
    got = adjust_bars(bars_table(bars), actions_table(actions), how=how, as_of=LATER, convention=convention)
    assert got.num_rows == len(expected)
    for row in got.to_pylist():
        close, volume = expected[row["symbol"], str(row["session"])]
        assert row["close"] == pytest.approx(close, rel=ROUNDING)
        assert row["volume"] == pytest.approx(volume, rel=ROUNDING)


@settings(max_examples=100, deadline=None)
@given(markets(), st.integers(0, N_DAYS + 20), st.sampled_from(["split", "total_return", "forward"]))
def test_what_is_known_later_changes_nothing(market: Any, offset: int, how: Any) -> None:
    bars, actions = bars_table(market[0]), actions_table(market[1])
    as_of = moment(_day(offset)) + dt.timedelta(hours=22)
    earlier = [
        rows.filter(pa.array([known <= as_of for known in rows.column("known_at").to_pylist()], pa.bool_()))
        for rows in (bars, actions)
    ]
    seen = adjust_bars(bars, actions, how=how, as_of=as_of)
    assert seen.equals(adjust_bars(*earlier, how=how, as_of=LATER))


@settings(max_examples=100, deadline=None)
@given(markets(), st.integers(0, N_DAYS))
def test_the_past_of_the_index_never_changes_to_the_last_bit(market: Any, offset: int) -> None:
    bars, actions = bars_table(market[0]), actions_table(market[1])
    as_of = moment(_day(offset)) + dt.timedelta(hours=22)
    then = adjust_bars(bars, actions, how="forward", as_of=as_of)
    later = adjust_bars(bars, actions, how="forward", as_of=LATER).to_pylist()
    prices = {(row["symbol"], row["session"]): (row["close"], row["volume"]) for row in later}
    for row in then.to_pylist():
        assert prices[row["symbol"], row["session"]] == (row["close"], row["volume"])


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from(["split", "total_return", "forward"]), st.randoms(use_true_random=False))
def test_neither_other_symbols_nor_the_order_of_rows_matter(market: Any, how: Any, random: Any) -> None:
    bars, actions = market
    shuffled, mixed = list(bars), list(actions)
    random.shuffle(shuffled)
    random.shuffle(mixed)
    together = adjust_bars(bars_table(shuffled), actions_table(mixed), how=how, as_of=LATER)
    assert [(row["symbol"], str(row["session"])) for row in together.to_pylist()] == [row[:2] for row in shuffled]
    prices = {(row["symbol"], str(row["session"])): row["close"] for row in together.to_pylist()}
    for symbol in {row[0] for row in bars}:
        own = sorted(row for row in bars if row[0] == symbol)
        alone = adjust_bars(bars_table(own), actions_table(actions), how=how, as_of=LATER)
        assert column(alone) == [prices[row[:2]] for row in own]


@settings(max_examples=60, deadline=None)
@given(markets())
def test_the_last_bar_of_each_symbol_is_as_traded_and_returns_are_total_returns(market: Any) -> None:
    bars, actions = bars_table(market[0]), actions_table([row[:4] for row in market[1]])
    adjusted = adjust_bars(bars, actions, how="total_return", as_of=LATER).to_pandas().sort_values("session")
    index = adjust_bars(bars, actions, how="forward", as_of=LATER).to_pandas().sort_values("session")
    raw = bars.to_pandas().sort_values("session")
    for symbol, part in adjusted.groupby("symbol"):
        own = raw[raw["symbol"] == symbol]
        assert part["close"].iloc[-1] == own["close"].iloc[-1]
        assert index.loc[index["symbol"] == symbol, "close"].iloc[0] == own["close"].iloc[0]
        grown = index.loc[index["symbol"] == symbol, "close"].pct_change().dropna()
        np.testing.assert_allclose(part["close"].pct_change().dropna(), grown, rtol=0.0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(markets())
def test_the_index_is_the_one_strategies_see(market: Any) -> None:
    """Their index is made in a compiled loop over bars and assets, from the engine's actions.

    A further symbol trades daily: to the engine, actions on days without any bar are those of the next day.
    """
    rows, actions = market[0], actions_table([row[:4] for row in market[1]])
    rows = [*rows, *(("Z", _day(offset), 1.0) for offset in range(N_DAYS))]
    table = bars_table(rows)
    frame = table.to_pandas()
    bars = Bars.from_frame(frame[["symbol", "bar_end", "open", "high", "low", "close", "volume"]])
    events = actions.to_pandas()
    events = events[events["symbol"].isin(bars.symbols)]
    known = Actions.from_frame(bars, events[["symbol", "ex_date", "kind", "value"]])
    theirs = forward_index(bars.close, growth(bars.close, known.split, known.dividend, known.delisting))
    ours = adjust_bars(table, actions, how="forward", as_of=LATER).to_pandas()
    places = {stamp: at for at, stamp in enumerate(bars.bar_end)}
    for row in ours.itertuples():
        at = places[np.datetime64(row.bar_end.tz_convert(None), "us")]
        assert row.close == pytest.approx(theirs[at, bars.symbols.index(row.symbol)], rel=1e-10)
