"""Yahoo through the real yfinance client, against a loopback server that replays recorded answers."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import (
    BadName,
    BadPayload,
    BadRows,
    Delisted,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.sources.retrying import TRIES
from lakehouse.sources.yahoo import YahooSource

AS_OF = dt.datetime(2025, 3, 25, 12, tzinfo=dt.UTC)
START, END = dt.date(2021, 2, 1), dt.date(2022, 2, 1)
NOT_FOUND = {
    "chart": {
        "result": None,
        "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"},
    }
}
NO_RANGE = {
    "chart": {
        "result": None,
        "error": {
            "code": "Bad Request",
            "description": "Data doesn't exist for startDate = 1, endDate = 2",
        },
    }
}


def chart(symbol: str = "TEST", n_bars: int = 3, **changes: Any) -> dict[str, Any]:
    """A small answer in Yahoo's form: sessions from Monday 2021-02-01 at 14:30Z, New York."""
    first = int(dt.datetime(2021, 2, 1, 14, 30, tzinfo=dt.UTC).timestamp())
    quote = {name: [10.0 + n for n in range(n_bars)] for name in ("open", "close")}
    quote |= {"high": [12.0 + n for n in range(n_bars)], "low": [9.0 + n for n in range(n_bars)]}
    quote |= {"volume": [1000 * (n + 1) for n in range(n_bars)]}
    result: dict[str, Any] = {
        "meta": {
            "symbol": symbol,
            "currency": "USD",
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": "America/New_York",
            "gmtoffset": -18000,
            "dataGranularity": "1d",
            "validRanges": ["1d", "max"],
        },
        "timestamp": [first + 86_400 * n for n in range(n_bars)],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }
    result["meta"] |= changes.pop("meta", {})
    quote |= changes.pop("quote", {})
    result |= changes
    return {"chart": {"result": [result], "error": None}}


def packed(answer: Any) -> bytes:
    return json.dumps(answer).encode()


class Replay:
    """Serves chart answers by symbol, one after the other and the last one for ever, and counts requests."""

    def __init__(self, server: HTTPServer) -> None:
        self.answers: dict[str, list[tuple[int, bytes, dict[str, str]]]] = {}
        self.delay = 0.0
        self.n_charts = 0
        self.params: list[dict[str, str]] = []
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.url = server.url_for("")

    def serve(self, symbol: str, *bodies: bytes | tuple[int, bytes, dict[str, str]]) -> None:
        self.answers[symbol] = [body if isinstance(body, tuple) else (200, body, {}) for body in bodies]

    def _answer(self, request: Request) -> Response:
        if "/v8/finance/chart/" not in request.path:
            return Response("crumb" if "getcrumb" in request.path else "", content_type="text/plain")
        self.n_charts += 1
        time.sleep(self.delay)
        self.params.append(dict(request.args))
        queue = self.answers[request.path.rsplit("/", 1)[1]]
        status, body, headers = queue[0]
        if len(queue) > 1 and "period1" in request.args:
            queue.pop(0)
        return Response(body, status=status, headers={"Content-Type": "application/json", **headers})


@pytest.fixture
def replay(httpserver: HTTPServer) -> Replay:
    return Replay(httpserver)


@pytest.fixture
def yahoo(make: Callable[..., YahooSource]) -> YahooSource:
    return make()


@pytest.fixture
def make(replay: Replay, tmp_path: Path) -> Callable[..., YahooSource]:
    """Make sources that ask the loopback server, with a count of requests of their own."""

    def made(**options: Any) -> YahooSource:
        quick = {"base_url": replay.url, "wait_initial": 0.01, "wait_max": 0.02, "timeout": 5}
        return YahooSource(**{**quick, "rate_folder": str(tmp_path / "rate"), **options})

    return made


def recorded(shared_data: Path, name: str) -> dict[str, Any]:
    file = shared_data / "yahoo_chart" / name
    content = file.read_bytes()
    text = gzip.decompress(content) if file.suffix == ".gz" else content
    return json.loads(text)["response"]["bodyJson"]


NVDA = "historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json.gz"
MSFT = "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json.gz"
AAPL = "chart-AAPL-2020-01-01-to-2020-01-03.json"


def parse(answer: Any, symbol: str = "TEST", as_of: dt.datetime = AS_OF, **options: Any) -> Any:
    request = {"symbol": symbol, "as_of": as_of.isoformat()}
    return YahooSource(**options).parse(packed(answer), request)


def test_the_snapshot_is_what_yahoo_sent(yahoo: YahooSource, replay: Replay, shared_data: Path) -> None:
    body = packed(recorded(shared_data, MSFT))
    replay.serve("MSFT", (200, body, {"Content-Encoding": "identity", "ETag": '"abc"'}))
    (answer,) = yahoo.fetch(["MSFT"], START, END, as_of=AS_OF)
    assert answer.content == body
    assert (answer.source, answer.symbol, answer.known_at) == ("yahoo", "MSFT", AS_OF)
    assert (answer.first_session, answer.last_session) == (dt.date(2021, 2, 1), dt.date(2022, 1, 28))
    assert (answer.media_type, answer.etag) == ("application/json", '"abc"')
    json.dumps(answer.request)


def test_a_request_runs_up_to_the_time_it_is_made(yahoo: YahooSource, replay: Replay) -> None:
    replay.serve("TEST", packed(chart()))
    list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))
    (asked,) = [params for params in replay.params if "period1" in params]
    assert int(asked["period2"]) >= AS_OF.timestamp()
    assert int(asked["period1"]) < dt.datetime(2021, 2, 1, tzinfo=dt.UTC).timestamp()
    assert asked["interval"] == "1d"


def test_parsing_agrees_with_yfinance_on_every_recorded_answer(
    yahoo: YahooSource, replay: Replay, shared_data: Path
) -> None:
    import yfinance as yf

    from lakehouse.sources.yahoo_client import plain_yfinance, recording_session

    n_answers = 0
    for file in sorted((shared_data / "yahoo_chart").glob("*chart-*.json*")):
        answer = recorded(shared_data, file.name)
        result = answer["chart"]["result"][0]
        if not result.get("timestamp"):
            continue
        symbol = result["meta"]["symbol"]
        replay.serve(symbol, packed(answer))
        with plain_yfinance(None):
            frame = yf.Ticker(symbol, session=recording_session(replay.url, timeout=5)).history(
                start="2015-01-01", end="2025-03-26", auto_adjust=False
            )
        ours = parse(answer, symbol)
        before = 4.0 if symbol == "NVDA" else 1.0
        factor = [before if day < dt.date(2021, 7, 20) else 1.0 for day in frame.index.date]
        assert ours.bars["session"].dt.date.tolist() == list(frame.index.date), file.name
        for name in ("open", "high", "low", "close"):
            theirs = (frame[name.title()] * factor).tolist()
            assert ours.bars[name].tolist() == pytest.approx(theirs, rel=1e-12), file.name
        assert (ours.bars["volume"] * factor).tolist() == frame["Volume"].tolist()
        for kind, column in (("dividend", "Dividends"), ("split", "Stock Splits")):
            stated = frame.loc[frame[column] > 0.0, column]
            mine = ours.actions[ours.actions["kind"] == kind]
            assert mine["ex_date"].dt.date.tolist() == list(stated.index.date)
            assert mine["value"].tolist() == stated.tolist()
        n_answers += 1
    assert n_answers >= 30


def test_dividends_are_those_microsoft_paid(shared_data: Path) -> None:
    actions = parse(recorded(shared_data, MSFT), "MSFT").actions
    assert [(f"{row.ex_date:%Y-%m-%d}", row.kind, row.value) for row in actions.itertuples()] == [
        ("2021-02-17", "dividend", 0.56),
        ("2021-05-19", "dividend", 0.56),
        ("2021-08-18", "dividend", 0.56),
        ("2021-11-17", "dividend", 0.62),
    ]


def with_split(answer: dict[str, Any], day: str, new: int) -> dict[str, Any]:
    stamp = int(dt.datetime.fromisoformat(f"{day}T13:30:00+00:00").timestamp())
    splits = answer["chart"]["result"][0].setdefault("events", {}).setdefault("splits", {})
    splits[str(stamp)] = {"date": stamp, "numerator": new, "denominator": 1, "splitRatio": f"{new}:1"}
    return answer


def test_split_adjustment_is_undone_with_every_later_split(shared_data: Path) -> None:
    """Recorded in 2025: the prices hold the split of 2024, too, which a request up to then brings along."""
    answer = with_split(recorded(shared_data, NVDA), "2024-06-10", 10)
    parsed = parse(answer, "NVDA")
    bars = parsed.bars.set_index("session")
    # As printed on the tape: 751.19 before and 186.12 after the four-for-one split of 2021-07-20.
    assert bars.loc["2021-07-19", "close"] == pytest.approx(751.19, abs=0.005)
    assert bars.loc["2021-07-20", "close"] == pytest.approx(186.12, abs=0.005)
    raw = answer["chart"]["result"][0]["indicators"]["quote"][0]["volume"]
    assert bars["volume"].iloc[0] == raw[0] / 40
    assert parsed.actions["value"].tolist() == [4.0, 10.0]
    apple = with_split(recorded(shared_data, AAPL), "2020-08-31", 4)
    assert parse(apple, "AAPL").bars["close"].tolist() == pytest.approx([300.35], abs=0.001)


def test_dividends_are_freed_of_later_splits() -> None:
    day = int(dt.datetime(2021, 2, 2, 14, 30, tzinfo=dt.UTC).timestamp())
    answer = with_split(chart(), "2021-02-03", 5)
    answer["chart"]["result"][0]["events"]["dividends"] = {str(day): {"date": day, "amount": 0.04}}
    parsed = parse(answer)
    assert parsed.actions["value"].tolist() == pytest.approx([0.2, 5.0])
    assert parsed.bars["close"].tolist() == [50.0, 55.0, 12.0]
    assert parsed.bars["volume"].tolist() == [200.0, 400.0, 3000.0]


@pytest.mark.parametrize(
    ("name", "symbol", "session"),
    [
        ("chart-AAPL-2020-01-01-to-2020-01-03.json", "AAPL", "2020-01-02"),
        ("chart-WSKT.JK-2020-01-01-to-2020-01-03.json", "WSKT.JK", "2020-01-02"),
        ("chart-AZT.OL-2020-01-01-to-2020-01-03.json", "AZT.OL", "2020-01-02"),
        ("chart-EURUSD=X-2020-01-01-to-2020-01-03.json", "EURUSD=X", "2020-01-01"),
        ("chart-BTC-USD-2020-01-01-to-2020-01-03.json", "BTC-USD", "2020-01-01"),
    ],
)
def test_a_session_is_the_exchanges_local_date(shared_data: Path, name: str, symbol: str, session: str) -> None:
    assert f"{parse(recorded(shared_data, name), symbol).bars['session'].iloc[0]:%Y-%m-%d}" == session


def test_a_midnight_stamped_early_is_the_next_day() -> None:
    meta = {"exchangeTimezoneName": "America/Sao_Paulo"}
    stamp = int(dt.datetime(2022, 1, 4, 2, 0, tzinfo=dt.UTC).timestamp())  # 23:00 of the third, local
    bars = parse(chart(n_bars=1, meta=meta, timestamp=[stamp])).bars
    assert f"{bars['session'].iloc[0]:%Y-%m-%d}" == "2022-01-04"


def test_an_unknown_zone_falls_back_on_the_offset() -> None:
    assert len(parse(chart(meta={"exchangeTimezoneName": "Mars/Olympus"})).bars) == 3
    with pytest.raises(BadPayload, match="no usable time zone"):
        parse(chart(meta={"exchangeTimezoneName": None, "gmtoffset": None}))


def live(last_trade: dt.datetime) -> dict[str, Any]:
    period = {
        "start": int(dt.datetime(2021, 2, 3, 14, 30, tzinfo=dt.UTC).timestamp()),
        "end": int(dt.datetime(2021, 2, 3, 21, tzinfo=dt.UTC).timestamp()),
    }
    meta = {"regularMarketTime": int(last_trade.timestamp()), "currentTradingPeriod": {"regular": period}}
    return chart(meta=meta)


@pytest.mark.parametrize(
    ("asked", "last_trade", "n_bars"),
    [
        ("15:00", "15:00", 2),  # in the session
        ("20:59", "20:59", 2),
        ("21:05", "20:50", 2),  # closed, the feed lags behind
        ("21:05", "21:00", 3),  # closed and the closing trade is in
        ("22:00", "19:10", 3),  # closed long ago, no later trade
    ],
)
def test_the_bar_of_an_unfinished_session_is_left_out(asked: str, last_trade: str, n_bars: int) -> None:
    day = "2021-02-03T{}:00+00:00"
    answer = live(dt.datetime.fromisoformat(day.format(last_trade)))
    parsed = parse(answer, as_of=dt.datetime.fromisoformat(day.format(asked)))
    assert len(parsed.bars) == n_bars
    assert parsed.counts == ({} if n_bars == 3 else {"unfinished session": 1})


def test_a_bar_after_the_request_is_refused() -> None:
    with pytest.raises(BadPayload, match="a bar of 2021-02-03, after the request of 2021-02-03 10:00"):
        parse(chart(), as_of=dt.datetime(2021, 2, 3, 10, tzinfo=dt.UTC))


def test_the_latest_session_given_twice_keeps_the_later_row() -> None:
    answer = chart()
    result = answer["chart"]["result"][0]
    result["timestamp"].append(result["timestamp"][-1] + 23_400)
    for values in result["indicators"]["quote"][0].values():
        values.append(values[-1])
    result["indicators"]["quote"][0]["volume"][-1] = 3333
    parsed = parse(answer)
    assert parsed.bars["volume"].tolist() == [1000.0, 2000.0, 3333.0]
    assert parsed.counts == {"session given twice": 1}


def test_an_earlier_session_given_twice_with_other_prices_is_refused() -> None:
    answer = chart()
    stamps = answer["chart"]["result"][0]["timestamp"]
    stamps[1] = stamps[0] + 60
    with pytest.raises(BadRows, match="TEST has 2021-02-01 twice"):
        parse(answer)


def test_rows_without_prices_are_left_out_and_counted() -> None:
    quote = {"close": [10.0, None, 12.0], "volume": [None, None, 5]}
    parsed = parse(chart(quote=quote))
    assert parsed.bars["close"].tolist() == [10.0, 12.0]
    assert parsed.bars["volume"].tolist() == [0.0, 5.0]
    assert parsed.counts == {"rows without prices": 1}


def test_a_close_a_little_above_the_high_widens_the_range_and_is_counted() -> None:
    parsed = parse(chart(quote={"high": [12.0, 13.0, 11.99]}))
    assert parsed.bars["high"].tolist() == [12.0, 13.0, 12.0]
    assert parsed.counts == {"ranges widened to open and close": 1}


@pytest.mark.parametrize(
    "quote",
    [
        {"high": [12.0, 13.0, 11.0]},
        {"low": [9.0, -1.0, 11.0]},
        {"open": [0.0, 11.0, 12.0]},
        {"high": [8.0, 13.0, 14.0]},
        {"volume": [1, 2, -3]},
        {"close": [1e400, 11.0, 12.0]},
    ],
)
def test_a_bad_row_is_left_out_and_a_broken_series_refused(quote: dict[str, Any]) -> None:
    text = packed(chart(quote=quote)).replace(b"Infinity", b"1e999")
    request = {"symbol": "TEST", "as_of": AS_OF.isoformat()}
    parsed = YahooSource(max_bad_share=0.5).parse(text, request)
    assert len(parsed.bars) == 2
    assert sum(parsed.counts.values()) == 1
    with pytest.raises(BadRows, match=r"1 of 3 rows of Yahoo's answer for TEST are unusable") as caught:
        YahooSource().parse(text, request)
    assert len(caught.value.rows) == 1


def test_real_broken_series_are_mended_or_refused(shared_data: Path) -> None:
    import pandas as pd

    from lakehouse.sources.quarantine import quarantine

    def load(name: str) -> pd.DataFrame:
        frame = pd.read_csv(shared_data / "yahoo_repair" / name)
        frame.columns = [column.lower() for column in frame.columns]
        session = pd.to_datetime(frame.iloc[:, 0].str[:10])
        return frame.assign(symbol="X", session=session)

    kept, counts = quarantine(load("ADIG-L-1d-bad-div.csv.gz"), what="ADIG.L")
    assert counts == {"ranges widened to open and close": 2, "rows out of order": 2}
    assert len(kept) == 663
    assert (kept["high"] >= kept[["open", "close"]].max(axis=1)).all()
    with pytest.raises(BadRows, match=r"rows of TENT\.L are unusable"):
        quarantine(load("TENT-L-1d-bad-div.csv.gz"), what="TENT.L")


def cases() -> list[Any]:
    web = b"<!DOCTYPE html><html><body>consent</body></html>"
    empty = packed({"chart": {"result": [], "error": None}})
    bare = chart()
    bare["chart"]["result"][0] |= {"timestamp": None, "indicators": {"quote": [{}]}}
    table = [
        ("unknown", 404, packed(NOT_FOUND), Delisted, "misspelt, renamed or delisted"),
        ("unknown without reason", 404, b"gone", UnknownSymbol, "knows no symbol TEST"),
        ("no data in range", 400, packed(NO_RANGE), EmptyAnswer, "no bars where some were expected"),
        ("no result", 200, empty, EmptyAnswer, "not a delisting"),
        ("no bars", 200, packed(bare), EmptyAnswer, "not a delisting"),
        ("throttled", 429, b"Too Many Requests", RateLimited, "too many requests"),
        ("throttled with 200", 200, b"Edge: Too Many Requests", RateLimited, "too many requests"),
        ("web page", 200, web, BadPayload, "web page"),
        ("empty body", 200, b"", BadPayload, "empty"),
        ("cut short", 200, packed(chart())[:-40], BadPayload, "not JSON"),
        ("another symbol", 200, packed(chart("OTHER")), BadPayload, "is about 'OTHER'"),
        ("server error", 500, b"oops", SourceUnavailable, "HTTP 500"),
        ("server error as page", 503, web, SourceUnavailable, "HTTP 503"),
        ("denied", 401, b"{}", SourceUnavailable, "HTTP 401"),
    ]
    return [pytest.param(*case, id=name) for name, *case in table]


@pytest.mark.parametrize(("status", "body", "kind", "text"), cases())
def test_every_way_to_fail_has_its_own_error_and_a_bounded_number_of_requests(
    yahoo: YahooSource, replay: Replay, status: int, body: bytes, kind: type[SourceError], text: str
) -> None:
    replay.serve("TEST", (status, body, {}))
    with pytest.raises(kind, match=text) as caught:
        list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))
    assert type(caught.value) is kind
    assert "TEST" in str(caught.value)
    n_tries = next((tries for tried, tries in TRIES.items() if issubclass(kind, tried)), 1)
    # yfinance asks for the time zone first, and repeats a refused request with the other kind of cookie.
    assert replay.n_charts <= 4 * n_tries


@pytest.mark.parametrize(
    "hiccup",
    [
        (503, b"oops", {}),
        (429, b"Too Many Requests", {"Retry-After": "0"}),
        (200, b"<html>", {}),
        (200, packed({"chart": {"result": [], "error": None}}), {}),
    ],
)
def test_a_hiccup_is_retried(yahoo: YahooSource, replay: Replay, hiccup: tuple[int, bytes, dict[str, str]]) -> None:
    good = packed(chart())
    # The first request, for the time zone, meets the hiccup as well without using it up.
    replay.serve("TEST", (200, good, {}))
    list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))
    replay.serve("TEST", hiccup, hiccup, good) if hiccup[0] >= 400 else replay.serve("TEST", hiccup, good)
    (answer,) = yahoo.fetch(["TEST"], START, END, as_of=AS_OF)
    assert answer.content == good


def test_a_pause_asked_for_is_kept_and_one_too_long_ends_the_fetch_at_once(yahoo: YahooSource, replay: Replay) -> None:
    replay.serve("TEST", packed(chart()))
    list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))
    throttled = (429, b"", {"Retry-After": "0.4"})
    replay.serve("TEST", throttled, throttled, packed(chart()))
    began = time.monotonic()
    assert len(list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))) == 1
    assert time.monotonic() - began >= 0.4
    replay.serve("TEST", (429, b"", {"Retry-After": "400"}))
    replay.n_charts = 0
    with pytest.raises(RateLimited, match="asks to wait 400 s") as caught:
        list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))
    assert caught.value.retry_after == 400
    assert replay.n_charts <= 2


def test_one_bad_symbol_does_not_keep_the_others_from_being_fetched(yahoo: YahooSource, replay: Replay) -> None:
    replay.serve("AAA", packed(chart("AAA")))
    replay.serve("BAD", (404, packed(NOT_FOUND), {}))
    replay.serve("ZZZ", packed(chart("ZZZ")))
    said: list[str] = []
    got = []
    with pytest.raises(Delisted, match="BAD"):
        for answer in yahoo.fetch(["AAA", "BAD", "ZZZ"], START, END, as_of=AS_OF, progress=said.append):
            got.append(answer.symbol)
    assert got == ["AAA", "ZZZ"]
    assert said == ["yahoo: AAA (1 of 3)", "yahoo: BAD (2 of 3)", "yahoo: ZZZ (3 of 3)"]


def test_several_bad_symbols_are_all_named(yahoo: YahooSource, replay: Replay) -> None:
    replay.serve("BAD", (404, packed(NOT_FOUND), {}))
    replay.serve("ODD", packed(chart("OTHER")))
    with pytest.raises(SourceError, match=r"2 of 2 symbols failed: .*BAD.* \| .*ODD"):
        list(yahoo.fetch(["BAD", "ODD"], START, END, as_of=AS_OF))


def test_an_outage_ends_the_fetch_at_once(yahoo: YahooSource, replay: Replay) -> None:
    replay.serve("AAA", (500, b"", {}))
    replay.serve("ZZZ", packed(chart("ZZZ")))
    with pytest.raises(SourceUnavailable):
        list(yahoo.fetch(["AAA", "ZZZ"], START, END, as_of=AS_OF))


def test_the_answer_to_yfinances_own_question_is_never_taken_for_the_history(
    yahoo: YahooSource, replay: Replay
) -> None:
    """Without a time zone yfinance stops after its first request, for one day, which parses well."""
    replay.serve("NOZONE", packed(chart("NOZONE", meta={"exchangeTimezoneName": None})))
    with pytest.raises(BadPayload, match="names no time zone, its history was not asked for"):
        list(yahoo.fetch(["NOZONE"], START, END, as_of=AS_OF))


def test_a_server_that_hangs_is_given_up(replay: Replay, make: Callable[..., YahooSource]) -> None:
    replay.serve("TEST", packed(chart()))
    replay.delay = 0.6
    source = make(timeout=0.15, deadline=0.5)
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"no answer for TEST \(.*check the network"):
        list(source.fetch(["TEST"], START, END, as_of=AS_OF))
    assert time.monotonic() - began < 3.0


def test_a_server_that_is_not_there_is_named(make: Callable[..., YahooSource]) -> None:
    source = make(base_url="http://127.0.0.1:9")
    with pytest.raises(SourceUnavailable, match="no answer for TEST"):
        list(source.fetch(["TEST"], START, END, as_of=AS_OF))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"meta": {"dataGranularity": "1wk"}}, "bars of '1wk'"),
        ({"quote": {"close": [1.0, 2.0]}}, "3 time stamps and 2 values of close"),
        ({"quote": {"close": None}}, "no values of close"),
        ({"quote": {"open": ["1", "2", "3"]}}, "values of open that are not numbers"),
        ({"quote": {"open": [True, 2.0, 3.0]}}, "values of open that are not numbers"),
        ({"timestamp": None}, "prices without time stamps"),
        ({"timestamp": [1612189800000] * 3}, "not seconds since 1970"),
        ({"timestamp": ["2021-02-01"] * 3}, "not seconds since 1970"),
        ({"indicators": {}}, "no quote block"),
        ({"events": {"splits": {"1": {"date": 1612189800, "numerator": 2}}}}, "a split without its numbers"),
        (
            {"events": {"splits": {"1": {"date": 1612189800, "numerator": 2, "denominator": 0}}}},
            "a split without its numbers",
        ),
        ({"events": {"dividends": {"1": {"date": 1612189800, "amount": -0.1}}}}, "is not positive: -0.1"),
        (
            {"events": {"dividends": {"1": {"date": 1612189800, "amount": 0.1, "currency": "EUR"}}}},
            "dividends in EUR and prices in USD",
        ),
    ],
)
def test_an_answer_in_another_form_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BadPayload, match=text):
        parse(chart(**changes))


@pytest.mark.parametrize(
    "name", ["chart-notimestamp-quotes-length.fake.json", "chart-notimestamp-weird-quote.fake.json"]
)
def test_prices_without_time_stamps_are_refused(shared_data: Path, name: str) -> None:
    with pytest.raises((BadPayload, EmptyAnswer)):
        parse(recorded(shared_data, name), "AAPL")


def test_symbols_must_be_named() -> None:
    with pytest.raises(SourceError, match="needs symbols"):
        YahooSource().symbols([])
    with pytest.raises(BadName):
        YahooSource().symbols(["../../etc"])
    assert YahooSource().symbols(["MSFT", "AAPL", "MSFT"]) == ["MSFT", "AAPL"]


def test_yfinance_is_left_as_it_was(yahoo: YahooSource, replay: Replay) -> None:
    import logging

    import yfinance as yf

    before = (yf.config.debug.hide_exceptions, logging.getLogger("yfinance").disabled)
    replay.serve("TEST", (404, packed(NOT_FOUND), {}))
    with pytest.raises(UnknownSymbol):
        list(yahoo.fetch(["TEST"], START, END, as_of=AS_OF))
    assert (yf.config.debug.hide_exceptions, logging.getLogger("yfinance").disabled) == before


def test_the_client_works_without_curl(
    replay: Replay, make: Callable[..., YahooSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YF_DISABLE_CURL_CFFI", "1")
    replay.serve("TEST", packed(chart()))
    (answer,) = make().fetch(["TEST"], START, END, as_of=AS_OF)
    assert answer.content == packed(chart())


def test_yfinances_files_stay_in_the_folder_they_are_given(replay: Replay, tmp_path: Path) -> None:
    """In a process of its own: yfinance keeps the first place it opened."""
    replay.serve("TEST", packed(chart()))
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    code = (
        "import datetime as dt; from lakehouse.sources.yahoo import YahooSource; "
        f"source = YahooSource(base_url={replay.url!r}, cache_folder={str(cache)!r}, rate_folder={str(tmp_path)!r}); "
        "as_of = dt.datetime(2025, 3, 25, tzinfo=dt.UTC); "
        "print(len(list(source.fetch(['TEST'], dt.date(2021, 2, 1), dt.date(2022, 1, 1), as_of=as_of))))"
    )
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.strip() == "1"
    assert (cache / "tkr-tz.db").is_file()
    assert list(home.rglob("*")) == []
