"""The offline sample: its bytes, its bars and the corporate actions derived from it."""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.resources

import pandas as pd
import pytest

from lakehouse.errors import BadPayload, SourceError, UnknownSymbol
from lakehouse.sources import get_source
from lakehouse.sources.base import Parsed

AS_OF = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
RANGE = (dt.date(2000, 1, 1), dt.date(2014, 1, 1))


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    source = get_source("sample")
    (answer,) = source.fetch([], *RANGE, as_of=AS_OF)
    return source.parse(answer.content, answer.request)


def test_the_answer_is_the_packages_file_byte_for_byte() -> None:
    (answer,) = get_source("sample").fetch(["AAPL"], *RANGE, as_of=AS_OF)
    resource = importlib.resources.files("bokeh_sampledata") / "_data/stocks.csv.gz"
    assert answer.content == resource.read_bytes()
    assert (answer.source, answer.symbol, answer.known_at) == ("sample", None, AS_OF)
    assert (answer.first_session, answer.last_session) == (dt.date(2000, 3, 1), dt.date(2013, 3, 1))


def test_the_answer_states_the_range_it_covers(parsed: Parsed) -> None:
    assert parsed.bars["session"].min() == pd.Timestamp("2000-03-01")
    assert parsed.bars["session"].max() == pd.Timestamp("2013-03-01")


def test_bars_are_as_traded(parsed: Parsed) -> None:
    bars = parsed.bars.set_index(["symbol", "session"])
    assert len(bars) == 12_154
    assert bars.loc[("AAPL", "2000-06-20"), "close"].item() == 101.25  # the day before the two-for-one split
    assert bars.loc[("AAPL", "2000-06-21"), "close"].item() == 55.63
    assert bars.loc[("GOOG", "2004-08-19"), "open"].item() == 100.01
    assert bars.loc[("FB", "2012-05-18"), "close"].item() == 38.2318


def test_exactly_the_true_events_are_found(parsed: Parsed, shared_data) -> None:
    truth = pd.read_csv(shared_data / "bokeh_actions" / "actions_AAPL_IBM_MSFT_2000_2013.csv")
    expected = {
        (row.ticker, row.date, "split" if row.split_coefficient != 1.0 else "dividend"): (
            row.split_coefficient if row.split_coefficient != 1.0 else row.dividend_amount
        )
        for row in truth.itertuples()
    }
    found = {(row.symbol, f"{row.ex_date:%Y-%m-%d}", row.kind): row.value for row in parsed.actions.itertuples()}
    assert len(expected) == 95
    assert len(parsed.actions) == 95
    assert found == pytest.approx(expected, abs=1e-9)


def test_no_event_is_made_up_for_stocks_that_had_none(parsed: Parsed) -> None:
    assert not parsed.actions["symbol"].isin(["GOOG", "FB"]).any()
    assert parsed.counts == {}


def test_an_unknown_symbol_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownSymbol, match="did you mean 'AAPL'"):
        get_source("sample").symbols(["APPL"])
    with pytest.raises(UnknownSymbol, match="did you mean 'GOOG'"):
        list(get_source("sample").fetch(["GOOGL"], *RANGE, as_of=AS_OF))


def test_no_symbols_means_all_five() -> None:
    assert get_source("sample").symbols([]) == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


def test_a_time_of_knowing_without_a_zone_is_refused() -> None:
    with pytest.raises(SourceError, match="timezone-aware"):
        list(get_source("sample").fetch([], *RANGE, as_of=dt.datetime(2026, 1, 1)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        gzip.compress(b"Ticker,Date\nAAPL,2000-03-01\n"),
        gzip.compress(b"Ticker,Date,Open,High,Low,Close,Volume,Adj Close\nAAPL,2000-03-01,x,1,1,1,1,1\n"),
        gzip.compress(b"Ticker,Date,Open,High,Low,Close,Volume,Adj Close\nAAPL,03/01/2000,1,1,1,1,1,1\n"),
        gzip.compress(b"a" * 100)[:-9],
    ],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(BadPayload):
        get_source("sample").parse(content, {})
