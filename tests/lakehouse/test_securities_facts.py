"""The security master's facts: vendors' answers, recorded ones among them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lakehouse.errors import BadPayload
from lakehouse.listing import (
    CompanyTicker,
    edgar_company_tickers,
    polygon_ticker_history,
)
from lakehouse.securities import Securities, build_listings
from tests.lakehouse.listed import META
from tests.lakehouse.priced import LATER, bars_table, day, moment


def test_polygons_recorded_events(shared_data: Path) -> None:
    file = shared_data / "polygon_rest" / "vX__reference__tickers__META__events_and_types=ticker_change.json"
    told = polygon_ticker_history(json.loads(file.read_bytes()), told_at=moment("2026-01-02"), calendar="XNYS")
    assert told == META
    assert [(str(r.day), r.symbol, str(r.known_at)) for r in told.renamings] == [
        ("2012-05-18", "FB", "2012-05-18 13:30:00+00:00"),
        ("2022-06-11", "META", "2022-06-13 13:30:00+00:00"),
    ]
    assert (told.cik, told.source) == (1326801, "polygon")


@pytest.mark.parametrize(
    "answer", [{}, {"results": {"events": [{"type": "ticker_change", "date": "x"}]}}, {"results": []}]
)
def test_other_answers_are_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(BadPayload, match="documented form"):
        polygon_ticker_history(answer, told_at=LATER, calendar="XNYS")
    with pytest.raises(BadPayload, match="empty"):
        polygon_ticker_history({"results": {"events": []}}, told_at=LATER, calendar="XNYS")


def test_edgars_three_forms() -> None:
    plain = {
        "0": {"cik_str": 320193, "ticker": "AAPL", "title": "Apple Inc."},
        "1": {"cik_str": 1, "ticker": "bad one", "title": ""},
    }
    table = {"fields": ["cik", "name", "ticker", "exchange"], "data": [[320193, "Apple Inc.", "AAPL", "Nasdaq"]]}
    company = {"cik": "0000320193", "name": "Apple Inc.", "tickers": ["AAPL"], "exchanges": ["Nasdaq"]}
    found = [edgar_company_tickers(answer, known_at=LATER) for answer in (plain, table, company)]
    assert found[0] == [CompanyTicker("AAPL", 320193, LATER, "edgar", "Apple Inc.", None)]
    assert found[1] == found[2] == [CompanyTicker("AAPL", 320193, LATER, "edgar", "Apple Inc.", "Nasdaq")]
    for answer in ({"0": {"ticker": "A"}}, {"fields": ["cik"], "data": []}, {"tickers": ["A"], "exchanges": []}):
        with pytest.raises(BadPayload, match="known form"):
            edgar_company_tickers(answer, known_at=LATER)


def test_edgars_recorded_company(shared_data: Path) -> None:
    file = shared_data / "edgar_companyfacts" / "submissions_CIK0001835632.json.gz"
    found = edgar_company_tickers(json.loads(gzip.decompress(file.read_bytes())), known_at=moment("2026-07-01"))
    assert found == [
        CompanyTicker("MRVL", 1835632, moment("2026-07-01"), "edgar", "Marvell Technology, Inc.", "Nasdaq")
    ]


def test_symbols_of_the_sp500_that_two_companies_had(shared_data: Path) -> None:
    """Real times of membership as bars: AAL, DD, DOW and S were given to other companies years later."""
    members = pd.read_csv(shared_data / "sp500_membership" / "sp500_ticker_start_end.csv", keep_default_na=False)
    # every fourth week is enough to tell a gap of half a year
    spans: list[tuple[str, str, str]] = [
        (row.ticker, row.start_date, row.end_date or "2025-06-30") for row in members.itertuples()
    ]
    days = pd.bdate_range("1996-01-01", "2025-06-30")[::20]
    rows = [
        (symbol, str(stamp.date()), 10.0)
        for symbol, start, end in spans
        for stamp in days[days.slice_indexer(start, str(pd.Timestamp(end) - pd.Timedelta(days=1)))]
    ]
    bars = bars_table(sorted(set(rows)))
    securities = Securities(build_listings(bars, as_of=LATER, histories=[META]), as_of=LATER)
    for symbol, before, after in (("AAL", "1996-06-03", "2020-01-02"), ("DOW", "2000-01-03", "2020-01-02")):
        assert securities.resolve(symbol, day(before)) != securities.resolve(symbol, day(after))
    assert securities.resolve("FB", day("2020-01-02")) == securities.resolve("META", day("2023-01-03")) == "cik:1326801"
    assert len(securities.with_ids(bars)) == len(bars)
    reused = [
        (earlier, later)
        for earlier, later in zip(sorted(spans), sorted(spans)[1:], strict=False)
        if earlier[0] == later[0] and (pd.Timestamp(later[1]) - pd.Timestamp(earlier[2])).days > 240
    ]
    n_compared = 0
    for (symbol, start, _), (_, later, _) in reused:
        own = sorted(text for name, text, _ in rows if name == symbol)
        before = [text for text in own if start <= text < later]
        after = [text for text in own if text >= later]
        if before and after:
            assert securities.resolve(symbol, day(before[0])) != securities.resolve(symbol, day(after[0])), symbol
            n_compared += 1
    assert n_compared > 30
