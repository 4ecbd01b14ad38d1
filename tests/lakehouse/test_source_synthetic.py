"""The synthetic market: the same numbers however they are asked for, and the shape of real ones."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lakehouse.calendar import session_close, session_open, sessions
from lakehouse.checks import check_bars
from lakehouse.errors import BadName, BadPayload, EmptyAnswer, SourceError, UnknownSymbol
from lakehouse.normalize import normalize
from lakehouse.snapshots import Answer
from lakehouse.sources.synthetic import SyntheticSource, symbol_name
from lakehouse.sources.synthetic_market import Market, SymbolYear
from lakehouse.sources.synthetic_traits import MarketOptions

AS_OF = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
MINUTES = "core/minute_bars"


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def fetched(
    start: str, end: str, symbols: Iterable[str] = (), as_of: dt.datetime = AS_OF, **options: Any
) -> list[Answer]:
    source = SyntheticSource(**{"n_symbols": 6, **options})
    return list(source.fetch(list(symbols), day(start), day(end), as_of=as_of))


def hashes(answers: Iterable[Answer]) -> dict[tuple[str, str], str]:
    return {(answer.request["period"], str(answer.symbol)): answer.snapshot_id for answer in answers}


def bars(answers: Iterable[Answer]) -> pd.DataFrame:
    return pd.concat([SyntheticSource().parse(a.content, a.request).bars for a in answers], ignore_index=True)


def actions(answers: Iterable[Answer]) -> pd.DataFrame:
    return pd.concat([SyntheticSource().parse(a.content, a.request).actions for a in answers], ignore_index=True)


def minutes(answers: Iterable[Answer]) -> pd.DataFrame:
    parsed = (SyntheticSource().parse(a.content, a.request) for a in answers)
    return pd.concat([part.tables[MINUTES] for part in parsed], ignore_index=True)


@dataclass(frozen=True)
class Decade:
    """Ten years of thirty symbols, with many delistings."""

    answers: list[Answer]
    bars: pd.DataFrame
    actions: pd.DataFrame
    returns: pd.DataFrame


@pytest.fixture(scope="module")
def decade() -> Decade:
    answers = fetched("2010-01-01", "2020-01-01", n_symbols=30, seed=3, delisting_rate=0.1)
    rows, events = bars(answers), actions(answers)
    return Decade(answers, rows, events, log_returns(rows, events))


def log_returns(rows: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Log returns by session and symbol, with splits and dividends, over the bars there are."""
    table = rows.set_index(["symbol", "session"]).sort_index()
    values = events.set_index(["kind", "symbol", "ex_date"])["value"]
    split = values["split"].reindex(table.index).fillna(1.0)
    dividend = values["dividend"].reindex(table.index).fillna(0.0)
    worth = table["close"] * split + dividend
    return np.log(worth / table.groupby("symbol")["close"].shift()).unstack("symbol")


def test_daily_bars_are_the_same_whatever_is_asked_for() -> None:
    whole = hashes(fetched("2015-01-01", "2020-01-01"))
    assert len(set(whole.values())) == len(whole) >= 20
    for asked in (
        fetched("2017-06-15", "2017-06-16"),
        fetched("2018-12-31", "2019-01-03"),
        fetched("2016-01-01", "2018-01-01", ["SYN00003"]),
        fetched("2016-01-01", "2018-01-01", ["SYN00004", "SYN00001", "SYN00004"]),
        fetched("2015-01-01", "2020-01-01", n_symbols=20)[:30],
    ):
        assert asked
        for key, snapshot_id in hashes(asked).items():
            assert whole.get(key, snapshot_id) == snapshot_id
        assert any(key in whole for key in hashes(asked))


def test_minutes_are_the_same_whatever_is_asked_for() -> None:
    whole = hashes(fetched("2019-11-01", "2020-03-01", dataset="minute"))
    assert len(set(whole.values())) == len(whole) >= 16
    for asked in (
        fetched("2019-12-13", "2019-12-14", dataset="minute"),
        fetched("2020-01-31", "2020-02-02", ["SYN00002", "SYN00000"], dataset="minute"),
        fetched("2020-02-01", "2020-03-01", ["SYN00000"], n_symbols=1, dataset="minute"),
    ):
        assert asked
        assert hashes(asked).items() <= whole.items()


@pytest.mark.parametrize("dataset", ["day", "minute"])
def test_another_process_makes_the_same_bytes(dataset: str) -> None:
    code = (
        "import datetime as dt, hashlib; from lakehouse.sources.synthetic import SyntheticSource; "
        f"source = SyntheticSource(dataset={dataset!r}, n_symbols=3, seed=11); "
        "answers = source.fetch([], dt.date(2019, 12, 1), dt.date(2020, 2, 1), "
        "as_of=dt.datetime(2026, 1, 2, tzinfo=dt.UTC)); "
        "print(hashlib.sha256(b''.join(answer.content for answer in answers)).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    here = b"".join(a.content for a in fetched("2019-12-01", "2020-02-01", n_symbols=3, seed=11, dataset=dataset))
    assert run.stdout.strip() == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize("dataset", ["day", "minute"])
def test_a_longer_range_begins_with_the_shorter_one(dataset: str) -> None:
    short = fetched("2018-11-01", "2019-01-01", dataset=dataset)
    long = fetched("2018-11-01", "2019-03-01", dataset=dataset)
    assert [a.snapshot_id for a in long[: len(short)]] == [a.snapshot_id for a in short]
    assert len(long) > len(short) > 0


def test_what_comes_later_changes_no_earlier_bar() -> None:
    """No look-ahead by construction: what could be known earlier is the begin of what is known later."""
    late = fetched("2018-01-01", "2020-01-01", seed=3, n_symbols=12, delisting_rate=0.3)
    for when in ("2018-05-04T19:59:59", "2018-11-23T18:00:00", "2019-07-04T12:00:00"):
        as_of = dt.datetime.fromisoformat(when + "+00:00")
        early = fetched("2018-01-01", "2020-01-01", seed=3, n_symbols=12, delisting_rate=0.3, as_of=as_of)
        known = bars(late)
        closes = session_close("XNYS", known["session"].dt.date)
        pd.testing.assert_frame_equal(
            bars(early).sort_values(["symbol", "session"], ignore_index=True),
            known[closes <= as_of].sort_values(["symbol", "session"], ignore_index=True),
        )
        events = actions(late)
        opens = session_open("XNYS", events["ex_date"].dt.date)
        seen = actions(early)
        # An event of a session that is open is told with its bar, but for a delisting, which has none.
        told = set(map(tuple, seen.astype(str).to_numpy()))
        assert told <= set(map(tuple, events[opens <= as_of].astype(str).to_numpy()))
        assert told >= set(map(tuple, events[opens <= as_of - dt.timedelta(days=1)].astype(str).to_numpy()))


def test_minutes_known_earlier_are_the_begin_of_those_known_later() -> None:
    (late,) = fetched("2019-11-01", "2019-12-01", ["SYN00001"], dataset="minute")
    as_of = dt.datetime(2019, 11, 29, 17, 59, tzinfo=dt.UTC)  # a minute before the close of a half day
    (early,) = fetched("2019-11-01", "2019-12-01", ["SYN00001"], dataset="minute", as_of=as_of)
    (closed,) = fetched(
        "2019-11-01", "2019-12-01", ["SYN00001"], dataset="minute", as_of=as_of + dt.timedelta(minutes=1)
    )
    assert (early.last_session, late.last_session) == (day("2019-11-27"), day("2019-11-29"))
    assert closed.snapshot_id == late.snapshot_id
    rows, begin = minutes([late]), minutes([early])
    pd.testing.assert_frame_equal(rows[: len(begin)], begin)
    assert rows["bar_end"][len(begin)] > pd.Timestamp("2019-11-29", tz="UTC")


@pytest.mark.parametrize("symbol", ["SYN00000", "SYN00002", "SYN00003", "SYN00005"])
def test_a_daily_bar_is_what_its_minutes_make_up(symbol: str) -> None:
    options: dict[str, Any] = {"seed": 5, "missing_rate": 0.05, "delisting_rate": 0.0}
    daily = bars(fetched("2024-01-01", "2025-01-01", [symbol], **options)).set_index("session")
    parts = minutes(fetched("2024-01-01", "2025-01-01", [symbol], dataset="minute", **options))
    session = parts["bar_end"].dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()
    made = parts.groupby(session).agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
    )
    assert 220 < len(made) < 250
    pd.testing.assert_frame_equal(
        made,
        daily[["open", "high", "low", "close", "volume"]],
        check_names=False,
        check_index_type=False,
        check_exact=True,
    )


def test_minutes_lie_within_the_session_half_days_and_clock_changes_included() -> None:
    rows = minutes(fetched("2024-03-01", "2024-04-01", dataset="minute", begin="2024-01-01", delisting_rate=0.0))
    rows = pd.concat(
        [rows, minutes(fetched("2024-11-01", "2025-01-01", dataset="minute", begin="2024-01-01", delisting_rate=0.0))]
    )
    session = rows["bar_end"].dt.tz_convert("America/New_York").dt.date
    days = sorted(set(session))
    assert days == [
        *sessions("XNYS", day("2024-03-01"), day("2024-04-01")),
        *sessions("XNYS", day("2024-11-01"), day("2025-01-01")),
    ]
    opens = dict(zip(days, session_open("XNYS", days), strict=True))
    closes = dict(zip(days, session_close("XNYS", days), strict=True))
    assert (rows["bar_end"] > session.map(opens)).all() and (rows["bar_end"] <= session.map(closes)).all()
    assert (rows["bar_end"].dt.second == 0).all()
    ends = rows.groupby(session)["bar_end"].agg(["min", "max"])
    assert ends.loc[day("2024-11-29"), "max"] == pd.Timestamp("2024-11-29T18:00Z")
    assert ends.loc[day("2024-03-08"), "min"] == pd.Timestamp("2024-03-08T14:31Z")
    assert ends.loc[day("2024-03-11"), "min"] == pd.Timestamp("2024-03-11T13:31Z")
    assert rows.groupby([session, rows["symbol"]]).size().max() <= 390
    busy = rows.groupby("symbol").size()
    assert busy.max() > 1.2 * busy.min()  # who trades little has minutes without a trade


@pytest.mark.parametrize("dataset", ["day", "minute"])
def test_prices_have_the_decimals_of_a_market_and_bars_are_in_order(decade: Decade, dataset: str) -> None:
    if dataset == "day":
        rows = decade.bars
    else:
        rows = minutes(fetched("2019-12-01", "2020-01-01", dataset="minute", seed=3, n_symbols=30, delisting_rate=0.1))
    prices = rows[["open", "high", "low", "close"]].to_numpy()
    assert (prices > 0).all() and (rows["volume"] > 0).all()
    assert (rows["volume"] == np.round(rows["volume"])).all()
    decimals = np.where(prices >= 1.0, 2, 4)
    assert all(price == round(price, places) for price, places in zip(prices.flat, decimals.flat, strict=True))
    assert (prices[:, 1] >= prices.max(axis=1)).all() and (prices[:, 2] <= prices.min(axis=1)).all()
    assert (prices[:, 1] > prices[:, 2]).mean() > 0.5


def test_cheap_prices_have_four_decimals() -> None:
    from lakehouse.sources.synthetic_market import in_units

    prices = np.array([0.00001, 0.00016, 0.99994, 0.99996, 1.0, 1.004, 1.006, 123.456])
    assert in_units(prices).tolist() == [1, 2, 9_999, 10_000, 10_000, 10_000, 10_100, 1_234_600]


def test_daily_bars_are_normalized_and_checked_like_those_of_any_source(decade: Decade) -> None:
    source = SyntheticSource()
    parts = [
        (
            {"source": "synthetic", "snapshot_id": answer.snapshot_id, "known_at": answer.known_at},
            source.parse(answer.content, answer.request),
        )
        for answer in decade.answers
    ]
    months = [f"{year}-{month:02d}" for year in range(2010, 2020) for month in range(1, 13)]
    tables = normalize(parts, exchange="XNYS", months=months)
    assert tables.counts == {}
    assert tables.bars.num_rows == len(decade.bars)
    assert tables.actions.num_rows == len(decade.actions)
    outcomes = check_bars(tables.bars, tables.actions, exchange="XNYS")
    assert [outcome.name for outcome in outcomes if outcome.blocking and not outcome.passed] == []
    jumps = next(outcome for outcome in outcomes if outcome.name == "unexplained_jumps")
    assert jumps.n_failed < 0.001 * tables.bars.num_rows


def test_splits_and_dividends_leave_the_holder_as_rich_as_before(decade: Decade) -> None:
    events = decade.actions
    returns = decade.returns
    for kind, n_least, mean in (("split", 5, 0.05), ("dividend", 300, 0.005)):
        found = events[events["kind"] == kind]
        assert len(found) >= n_least
        on_day = np.array([returns.loc[row.ex_date, row.symbol] for row in found.itertuples()])
        assert np.abs(np.nanmean(on_day)) < mean and np.nanmax(np.abs(on_day)) < 0.4
    assert set(events.loc[events["kind"] == "split", "value"]) <= {2.0, 3.0, 5.0, 20.0, 50.0, 0.1, 0.02}
    price = decade.bars.set_index(["symbol", "session"])["close"]
    paid = events[events["kind"] == "dividend"]
    rate = paid["value"].to_numpy() / price.reindex(pd.MultiIndex.from_frame(paid[["symbol", "ex_date"]])).to_numpy()
    assert np.nanmin(rate) > 0.002 and np.nanmax(rate) < 0.02


def test_a_delisted_symbol_has_no_bar_from_its_day_on_and_one_on_the_session_before(decade: Decade) -> None:
    ends = decade.actions
    ends = ends[ends["kind"] == "delisting"]
    assert len(ends) >= 5
    assert set(ends["value"]) == {0.0, -0.3}
    last = decade.bars.groupby("symbol")["session"].max()
    returns = decade.returns
    for row in ends.itertuples():
        between = sessions("XNYS", last[row.symbol].date(), row.ex_date.date() + dt.timedelta(days=1))
        assert between == [last[row.symbol].date(), row.ex_date.date()]
        if row.value < 0.0:
            assert returns[row.symbol].dropna().tail(250).sum() < -0.3
    listed = decade.bars.groupby("symbol")["session"].min()
    assert (listed[last.index] <= last).all()
    assert 0 < (listed > pd.Timestamp("2010-02-01")).sum() < 15  # some come later


def test_a_delisting_is_told_when_its_day_opens() -> None:
    options: dict[str, Any] = {"n_symbols": 30, "seed": 3, "delisting_rate": 0.1}
    whole = actions(fetched("2012-01-01", "2013-01-01", **options))
    end = whole[whole["kind"] == "delisting"].iloc[0]
    (open_,) = session_open("XNYS", [end["ex_date"].date()])
    for as_of, told in ((open_ - pd.Timedelta(seconds=1), 0), (open_, 1)):
        (answer,) = fetched("2012-01-01", "2013-01-01", [end["symbol"]], as_of=as_of.to_pydatetime(), **options)
        found = actions([answer])
        assert (found["kind"] == "delisting").sum() == told
        assert (answer.last_session == end["ex_date"].date()) == bool(told)


@pytest.mark.parametrize(("volatility", "common_share", "seed"), [(0.2, 0.0, 1), (0.3, 0.25, 2), (0.6, 0.6, 8)])
def test_the_market_is_as_volatile_and_as_common_as_was_asked_for(
    volatility: float, common_share: float, seed: int
) -> None:
    options = MarketOptions(
        seed=seed,
        volatility=volatility,
        common_share=common_share,
        delisting_rate=0.0,
        missing_rate=0.0,
        begin=day("2000-01-01"),
    )
    returns = np.full((150, 16 * 253), np.nan)
    market = Market(options)
    for number in range(150):
        years = [market.year(number, year) for year in range(2000, 2016)]
        found = years_returns([year for year in years if year is not None])
        returns[number, : len(found)] = found
    listed = returns[np.isfinite(returns).sum(axis=1) > 4_000]
    assert len(listed) > 100
    table = listed[:, :4_000]
    annual = np.sqrt(252.0 * table.var(axis=1))
    assert np.sqrt((annual**2).mean()) == pytest.approx(volatility, rel=0.1)
    correlation = np.corrcoef(table)[np.triu_indices(len(table), 1)]
    assert correlation.mean() == pytest.approx(common_share, abs=0.1)
    assert np.abs(np.median([np.corrcoef(row[1:], row[:-1])[0, 1] for row in table])) < 0.03
    size = np.abs(table)
    for lag, least in ((1, 0.08), (20, 0.04)):
        assert np.median([np.corrcoef(row[lag:], row[:-lag])[0, 1] for row in size]) > least
    scaled = (table - table.mean(axis=1, keepdims=True)) / table.std(axis=1, keepdims=True)
    assert 2.0 < np.median((scaled**4).mean(axis=1) - 3.0) < 30.0


def years_returns(years: list[SymbolYear]) -> np.ndarray:
    """Log returns of a symbol over its years, splits and dividends included."""
    close, split, dividend, has_bar = (
        np.concatenate([getattr(year, name) for year in years]) for name in ("close", "split", "dividend", "has_bar")
    )
    returns = np.log((close[1:] * split[1:] + dividend[1:]) / close[:-1])
    return returns[has_bar[:-1]]


def test_bars_are_missing_and_symbols_delisted_as_often_as_was_asked_for() -> None:
    market = Market(MarketOptions(seed=4, missing_rate=0.02, delisting_rate=0.05))
    n_bars = n_sessions = n_ended = 0
    for number in range(150):
        for year in range(2010, 2016):
            path = market.year(number, year)
            if path is not None:
                inside = np.flatnonzero(path.has_bar)
                n_sessions += inside[-1] - inside[0] + 1
                n_bars += len(inside)
                n_ended += path.delisted_on is not None
    assert 1.0 - n_bars / n_sessions == pytest.approx(0.02, rel=0.15)
    assert n_ended / (n_sessions / 252) == pytest.approx(0.05, rel=0.35)  # nobody in the first year


def test_other_seeds_make_other_markets() -> None:
    ids = [answer.snapshot_id for seed in range(5) for answer in fetched("2019-01-01", "2020-01-01", seed=seed)]
    assert len(set(ids)) == len(ids) >= 15


def test_the_generator_makes_the_numbers_it_made_before() -> None:
    """Where this fails on purpose, GENERATOR counts up."""
    asked: dict[str, Any] = {"symbols": ["SYN00002"], "seed": 0}
    daily = bars(fetched("2019-01-01", "2020-01-01", **asked))
    assert daily.iloc[[0, 125, -1], 2:].to_numpy().tolist() == [
        [34.75, 34.90, 33.61, 33.79, 1_790_406.0],
        [46.06, 46.31, 45.16, 45.80, 792_270.0],
        [51.26, 51.50, 50.38, 50.75, 1_511_006.0],
    ]
    rows = minutes(fetched("2019-06-01", "2019-06-02", dataset="minute", **asked))
    assert rows.iloc[[0, 1000, -1], 2:7].to_numpy().tolist() == [
        [47.75, 47.76, 47.72, 47.75, 2_797.0],
        [47.26, 47.26, 47.25, 47.25, 761.0],
        [47.48, 47.54, 47.48, 47.51, 15_027.0],
    ]


def test_everything_says_that_it_is_synthetic() -> None:
    for dataset in ("day", "minute"):
        (answer,) = fetched("2019-06-01", "2019-07-01", ["SYN00002"], dataset=dataset)
        assert (answer.source, answer.dataset, answer.symbol) == ("synthetic", dataset, "SYN00002")
        assert pq.ParquetFile(io.BytesIO(answer.content)).metadata.metadata == {
            b"synthetic": b"made up by a generator; no market data"
        }
        assert answer.request["symbol"] == "SYN00002" and answer.request["seed"] == 0
        assert "as_of" not in answer.request  # the same bytes are one snapshot, whenever they were made
    assert SyntheticSource(n_symbols=2).symbols([]) == ["SYN00000", "SYN00001"] == [symbol_name(n) for n in range(2)]


def test_an_answer_states_the_sessions_it_covers() -> None:
    (answer,) = fetched(
        "2024-11-15", "2024-11-16", ["SYN00000"], dataset="minute", begin="2024-01-01", delisting_rate=0.0
    )
    rows = minutes([answer])
    assert (answer.first_session, answer.last_session) == (day("2024-11-01"), day("2024-11-29"))
    assert (rows["bar_end"].min().date(), rows["bar_end"].max().date()) == (answer.first_session, answer.last_session)
    (answer,) = fetched("2024-11-15", "2024-11-16", ["SYN00000"], begin="2024-01-01", delisting_rate=0.0)
    assert (answer.first_session, answer.last_session) == (day("2024-01-02"), day("2024-12-31"))


def test_years_in_falling_order_are_those_in_rising_order() -> None:
    up, down = Market(MarketOptions()), Market(MarketOptions())
    asked = [(number, year) for number in range(6) for year in range(2010, 2016)]
    rising = {key: up.year(*key) for key in asked}
    falling = {key: down.year(*key) for key in reversed(asked)}
    n_listed = 0
    for key in asked:
        ours, theirs = rising[key], falling[key]
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            n_listed += 1
            assert np.array_equal(ours.close, theirs.close) and np.array_equal(ours.volume, theirs.volume)
    assert n_listed >= 15


def test_memory_does_not_grow_with_the_market() -> None:
    def peak(n_symbols: int) -> float:
        source = SyntheticSource(dataset="minute", n_symbols=n_symbols, begin="2019-01-01")
        tracemalloc.start()
        n_answers = sum(1 for _ in source.fetch([], day("2019-03-01"), day("2019-05-01"), as_of=AS_OF))
        top = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        assert n_answers > n_symbols
        return top

    peak(4)
    assert peak(24) < peak(6) + 1.0 < 20.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dataset": "minutes"}, "no dataset 'minutes'; did you mean 'minute'"),
        ({"n_symbols": 0}, "n_symbols must be a whole number from 1 to 100,000, was 0"),
        ({"n_symbols": True}, "n_symbols must be a whole number"),
        ({"seed": -1}, "seed must be a whole number, 0 or above, was -1"),
        ({"seed": 1.0}, "seed must be a whole number"),
        ({"volatility": 0.0}, r"volatility must lie in \[0.01, 3.0\], was 0.0"),
        ({"volatility": float("nan")}, "volatility must lie in"),
        ({"common_share": 1.0}, "common_share must lie in"),
        ({"delisting_rate": "0.1"}, "delisting_rate must lie in"),
        ({"missing_rate": 0.9}, "missing_rate must lie in"),
        ({"begin": "2010-1-1"}, "begin must be a date like 2010-01-01, was '2010-1-1'"),
        ({"begin": 2010}, "begin must be a date, was 2010"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(SourceError, match=text):
        SyntheticSource(**options)


def test_an_unknown_exchange_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadName, match="unknown exchange 'XNYZ'; did you mean"):
        fetched("2019-01-01", "2020-01-01", exchange="XNYZ")


def test_another_exchange_has_its_own_sessions() -> None:
    rows = bars(fetched("2019-01-01", "2020-01-01", exchange="XLON", delisting_rate=0.0, missing_rate=0.0))
    days = sorted(set(rows["session"].dt.date))
    assert days == sessions("XLON", day("2019-01-01"), day("2020-01-01"))


@pytest.mark.parametrize("symbol", ["AAPL", "SYN00006", "SYN0", "SYN000001"])
def test_symbols_are_those_of_the_market(symbol: str) -> None:
    with pytest.raises(UnknownSymbol, match=f"has the symbols SYN00000 to SYN00005, not '{symbol}'"):
        fetched("2019-01-01", "2020-01-01", [symbol])


@pytest.mark.parametrize(("start", "end"), [("2005-01-01", "2009-01-01"), ("2027-01-01", "2028-01-01")])
def test_a_range_without_any_bar_is_refused(start: str, end: str) -> None:
    with pytest.raises(EmptyAnswer, match=r"has no bar in \[.*it begins on 2010-01-01"):
        fetched(start, end)


def test_a_year_is_told_once_it_has_a_bar() -> None:
    close = dt.datetime(2019, 1, 2, 21, tzinfo=dt.UTC)
    with pytest.raises(EmptyAnswer):
        fetched("2019-01-01", "2020-01-01", as_of=close - dt.timedelta(minutes=1))
    answers = fetched("2019-01-01", "2020-01-01", as_of=close)
    assert [len(SyntheticSource().parse(a.content, a.request).bars) for a in answers] == [1] * len(answers)


@pytest.mark.parametrize("dataset", ["day", "minute"])
def test_a_damaged_answer_is_refused_or_reads_as_it_was(dataset: str) -> None:
    (answer,) = fetched("2019-06-01", "2019-07-01", ["SYN00002"], dataset=dataset)
    source = SyntheticSource()

    def table(content: bytes) -> pd.DataFrame:
        parsed = source.parse(content, answer.request)
        return parsed.tables.get(MINUTES, parsed.bars)

    right = table(answer.content)
    rng = random.Random(5)
    n_refused = 0
    for _ in range(150):
        damaged = bytearray(answer.content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            assert table(bytes(damaged)).equals(right)
        except BadPayload:
            n_refused += 1
    assert n_refused > 100


def test_another_table_is_refused() -> None:
    out = io.BytesIO()
    pd.DataFrame({"symbol": ["SYN00000"], "close": [1.0]}).to_parquet(out)
    request = {"dataset": "day", "symbol": "SYN00000", "period": "2019"}
    with pytest.raises(BadPayload, match="the synthetic day bars of SYN00000 in 2019 has other columns"):
        SyntheticSource().parse(out.getvalue(), request)
    (answer,) = fetched("2019-06-01", "2019-07-01", ["SYN00002"])
    with pytest.raises(BadPayload, match="other columns"):
        SyntheticSource().parse(answer.content, {**answer.request, "dataset": "minute"})
