"""Yahoo's minutes through the real yfinance client, from a loopback server with Yahoo's limits; and its own limits."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.calendar import sessions
from lakehouse.errors import BadPayload, BadRows, EmptyAnswer, RateLimited, SourceError, SourceUnavailable
from lakehouse.gather import gather
from lakehouse.lake import Lake
from lakehouse.sources.yahoo import YahooSource
from lakehouse.sources.yahoo_minutes import minute_requests

NEW_YORK = ZoneInfo("America/New_York")
AS_OF = dt.datetime(2024, 3, 1, 22, 0, tzinfo=dt.UTC)
FEBRUARY = (dt.date(2024, 2, 1), dt.date(2024, 3, 1))
DAYS = sessions("XNYS", dt.date(2024, 1, 2), dt.date(2024, 3, 2))
SPLITS = {dt.date(2024, 2, 12): 4.0, dt.date(2024, 2, 27): 0.5}
N_MINUTES = 3


def stamp(day: dt.date, hour: int, minute: int = 0) -> int:
    return int(dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).timestamp())


def later(day: dt.date) -> float:
    """Return the new shares for one of a day's, by multiplying one by one."""
    factor = 1.0
    for ex_date, ratio in SPLITS.items():
        factor *= ratio if ex_date > day else 1.0
    return factor


def traded(day: dt.date, n: int) -> dict[str, float]:
    """Return the n-th minute of a day as printed on the tape."""
    close = 100.0 / later(dt.date(2024, 1, 1)) * later(day) + DAYS.index(day) + n / 8.0
    return {"open": close - 0.5, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": 800.0 + 8 * n}


class Yahoo:
    """Answers for minutes as Yahoo does: adjusted for splits, 8 days at most, of the last 30 days."""

    def __init__(self, server: HTTPServer) -> None:
        self.asked: list[tuple[int, int]] = []
        self.silent: set[dt.date] = set()
        self.n_requests = 0
        self.body: bytes | None = None
        self.url = server.url_for("")
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.n_requests += 1
        if "/v8/finance/chart/" not in request.path:
            return Response("crumb", content_type="text/plain")
        if "period1" not in request.args:
            return said(chart([DAYS[-1]], interval="1d"))
        start, end = int(request.args["period1"]), int(request.args["period2"])
        if request.args["interval"] == "1d":
            return said(chart([day for day in DAYS if start <= stamp(day, 9, 30) < end], interval="1d"))
        self.asked.append((start, end))
        assert request.args["interval"] == "1m" and request.args["includePrePost"].lower() == "false"
        if self.body is not None:
            return Response(self.body, content_type="application/json")
        limit = None
        if end - start > 8 * 86_400:
            limit = "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
        if start < AS_OF.timestamp() - 30 * 86_400:
            limit = "The requested range must be within the last 30 days."
        if limit is not None:
            return refused(f"1m data not available for startTime={start} and endTime={end}. {limit}")
        days = [day for day in DAYS if start <= stamp(day, 9, 30) < end and day not in self.silent]
        if not days:
            return refused(f"Data doesn't exist for startDate = {start}, endDate = {end}", "Bad Request")
        return said(chart(days))


def said(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")


def refused(text: str, code: str = "Unprocessable Entity") -> Response:
    return said({"chart": {"result": None, "error": {"code": code, "description": text}}}, 422)


def chart(days: list[dt.date], interval: str = "1m", **changes: Any) -> dict[str, Any]:
    """The first minutes of some days, with the closing price once more at the close, as Yahoo has it."""
    rows = [(stamp(day, 9, 30 + n), day, n) for day in days for n in range(N_MINUTES)]
    rows += [(stamp(day, 16), day, N_MINUTES - 1) for day in days]
    rows.sort()
    quote = {
        name: [traded(day, n)[name] * (later(day) if name == "volume" else 1.0 / later(day)) for _, day, n in rows]
        for name in ("open", "high", "low", "close", "volume")
    }
    hours = [[{"start": stamp(day, 9, 30), "end": stamp(day, 16), "gmtoffset": -18000}] for day in days]
    meta = {"symbol": "TEST", "currency": "USD", "instrumentType": "EQUITY", "dataGranularity": interval}
    meta |= {"exchangeTimezoneName": "America/New_York", "gmtoffset": -18000, "validRanges": ["1d", "max"]}
    meta |= {"regularMarketTime": stamp(days[-1], 16), "tradingPeriods": hours, **changes.pop("meta", {})}
    found = {day: ratio for day, ratio in SPLITS.items() if day in days}
    events = {
        str(stamp(day, 9, 30)): {"date": stamp(day, 9, 30), "numerator": ratio, "denominator": 1}
        for day, ratio in found.items()
    }
    result = {"meta": meta, "timestamp": [at for at, _, _ in rows], "events": {"splits": events}}
    quote |= changes.pop("quote", {})
    result |= {"indicators": {"quote": [quote]}, **changes}
    return {"chart": {"result": [result], "error": None}}


@pytest.fixture
def server(httpserver: HTTPServer) -> Yahoo:
    return Yahoo(httpserver)


@pytest.fixture
def make(server: Yahoo, tmp_path: Path) -> Callable[..., YahooSource]:
    def made(**options: Any) -> YahooSource:
        quick = {"base_url": server.url, "wait_initial": 0.01, "wait_max": 0.02, "timeout": 5, "dataset": "minute"}
        return YahooSource(**{**quick, "rate_folder": str(tmp_path / "rate"), **options})

    return made


def read(source: YahooSource, answers: list[Any]) -> pd.DataFrame:
    requests = [json.loads(json.dumps(dict(answer.request))) for answer in answers]
    tables = [
        source.parse(a.content, request).tables["core/minute_bars"]
        for a, request in zip(answers, requests, strict=True)
    ]
    return pd.concat(tables).sort_values("bar_end", ignore_index=True)


def test_a_month_comes_in_requests_of_a_week_and_its_minutes_are_as_traded(
    server: Yahoo, make: Callable[..., YahooSource]
) -> None:
    source = make()
    answers = list(source.fetch(["TEST"], *FEBRUARY, as_of=AS_OF))
    assert [answer.request["is_last"] for answer in answers] == [False] * 4 + [True]
    assert [(answer.first_session, answer.last_session) for answer in answers[1:3]] == [
        (dt.date(2024, 2, 22), dt.date(2024, 2, 28)),
        (dt.date(2024, 2, 15), dt.date(2024, 2, 21)),
    ]
    found = read(source, answers)
    expected = [(stamp(day, 9, 31 + n), traded(day, n)) for day in DAYS if day.month == 2 for n in range(N_MINUTES)]
    assert found["bar_end"].tolist() == [pd.Timestamp(at, unit="s", tz="UTC") for at, _ in expected]
    assert (found["known_at"] == found["bar_end"]).all()
    for name in ("open", "high", "low", "close", "volume"):
        assert found[name].tolist() == pytest.approx([bar[name] for _, bar in expected], rel=1e-12), name
    counts = [source.parse(answer.content, answer.request).counts for answer in answers]
    assert sum(each["rows outside the session"] for each in counts) == 20  # a close a day


def test_minutes_fetched_twice_are_one_in_the_table(make: Callable[..., YahooSource], tmp_path: Path) -> None:
    source = make()
    store = Lake(tmp_path / "lake").snapshots
    for end in (dt.date(2024, 2, 9), dt.date(2024, 3, 1)):
        store.put(source.fetch(["TEST"], FEBRUARY[0], end, as_of=AS_OF))
    parts = [
        (row, source.parse(store.read(row["snapshot_id"]), json.loads(row["request"])))
        for row in store.find("yahoo", "minute")
    ]
    table = gather("core/minute_bars", parts, sources=["yahoo"], month="2024-02").to_pandas()
    days = [day for day in DAYS if day.month == 2]
    assert table["close"].tolist() == [traded(day, n)["close"] for day in days for n in range(N_MINUTES)]
    assert (len(parts), set(table["source"])) == (7, {"yahoo"})


def test_what_yahoo_no_longer_has_is_left_out_and_what_it_has_none_of_is_an_error(
    server: Yahoo, make: Callable[..., YahooSource]
) -> None:
    answers = list(make().fetch(["TEST"], dt.date(2023, 1, 1), dt.date(2024, 2, 6), as_of=AS_OF))
    assert [(answer.first_session, answer.last_session) for answer in answers] == [
        (dt.date(2024, 2, 1), dt.date(2024, 2, 5))
    ]
    server.asked.clear()
    with pytest.raises(SourceError, match=r"keeps minutes for 30 days, from 2024-02-01 on, .* take another source"):
        list(make().fetch(["TEST"], dt.date(2024, 1, 2), dt.date(2024, 2, 1), as_of=AS_OF))
    assert server.asked == []


def test_the_requests_hold_each_session_that_is_due_once_and_keep_yahoos_limit() -> None:
    def asked(start: str, end: str, as_of: str, exchange: str = "XNYS") -> list[str]:
        moment = dt.datetime.fromisoformat(f"{as_of}+00:00")
        first, last = (dt.date.fromisoformat(day) for day in (start, end))
        ranges = minute_requests(first, last, moment, exchange=exchange)
        assert all(dt.timedelta() < end - begin <= dt.timedelta(days=7) for begin, end in ranges)
        return [f"{begin:%m-%d} {end:%m-%d}" for begin, end in ranges]

    weeks = ["02-29 03-02", "02-22 02-29", "02-15 02-22", "02-08 02-15", "02-01 02-08"]
    assert asked("2024-02-01", "2024-04-01", "2024-03-01T22:00") == weeks
    assert asked("2024-03-01", "2024-04-01", "2024-03-01T14:59") == []  # the session began 29 minutes ago
    assert asked("2024-03-01", "2024-04-01", "2024-03-01T15:00") == ["03-01 03-02"]
    assert asked("2024-03-02", "2024-03-04", "2024-03-10T15:00") == []  # a weekend
    assert asked("2024-03-01", "2024-03-04", "2024-03-03T15:00", "24/7") == ["03-01 03-04"]


def test_a_week_without_minutes_is_told_and_a_symbol_without_any_is_suspect(
    server: Yahoo, make: Callable[..., YahooSource]
) -> None:
    server.silent = {day for day in DAYS if day < dt.date(2024, 2, 8)}
    told: list[str] = []
    answers = list(make().fetch(["TEST"], *FEBRUARY, as_of=AS_OF, progress=told.append))
    assert (len(answers), answers[-1].request["is_last"]) == (4, True)
    assert told[1:] == ["yahoo: TEST has no minutes in [2024-02-01, 2024-02-08)"]
    server.silent = set(DAYS)
    with pytest.raises(EmptyAnswer, match="no bars where some were expected"):
        list(make().fetch(["TEST"], *FEBRUARY, as_of=AS_OF))


def test_yahoos_own_words_about_its_limits_are_final(server: Yahoo, make: Callable[..., YahooSource]) -> None:
    """A clock that is late asks for days that Yahoo has let go of."""
    with pytest.raises(SourceError, match="must be within the last 30 days.*ask for a later start"):
        early = AS_OF - dt.timedelta(days=3)
        list(make().fetch(["TEST"], dt.date(2024, 1, 29), dt.date(2024, 2, 2), as_of=early))
    assert len(server.asked) <= 2  # yfinance itself repeats what is refused, with another cookie


def parse(body: Any, as_of: dt.datetime = AS_OF, **options: Any) -> Any:
    request = {"dataset": "minute", "symbol": "TEST", "as_of": as_of.isoformat(), "splits": {}}
    return YahooSource(**options).parse(json.dumps(body).encode(), request)


DAY = dt.date(2024, 3, 1)


@pytest.mark.parametrize(
    ("as_of", "last_trade", "n_bars"),
    [
        ("14:32:59", "14:32:59", 2),  # in the third minute
        ("14:33:00", "14:33:00", 3),
        ("14:35:00", "14:32:30", 2),  # ended, the feed lags behind
        ("15:03:00", "14:32:30", 3),  # no trade for long
        ("14:31:30", "14:31:30", 1),
    ],
)
def test_a_minute_that_may_still_change_is_left_out_and_counted(as_of: str, last_trade: str, n_bars: int) -> None:
    def moment(clock: str) -> dt.datetime:
        return dt.datetime.fromisoformat(f"2024-03-01T{clock}+00:00")

    body = chart([DAY], meta={"regularMarketTime": int(moment(last_trade).timestamp())})
    result = body["chart"]["result"][0]
    for values in (result["timestamp"], *result["indicators"]["quote"][0].values()):
        values.pop()  # not yet closed
    parsed = parse(body, moment(as_of))
    assert len(parsed.tables["core/minute_bars"]) == n_bars
    assert parsed.counts == ({} if n_bars == 3 else {"unfinished bars": 3 - n_bars})


def test_the_last_trades_state_and_minutes_without_prices_are_left_out_and_counted() -> None:
    body = chart([DAY], quote={"close": [None, 128.0, 128.0, 128.0]})
    result = body["chart"]["result"][0]
    result["timestamp"][-1] = stamp(DAY, 9, 33) + 17
    quote = result["indicators"]["quote"][0]
    for name in ("open", "high", "low"):
        quote[name] = [None, 128.0, 128.0, 128.0]
    parsed = parse(body)
    assert parsed.tables["core/minute_bars"]["close"].tolist() == [128.0, 128.0]
    assert parsed.counts == {"unfinished bars": 1, "rows without prices": 1}
    aside = parsed.set_aside["core/minute_bars"]
    assert [(str(row.bar_end), row.reason) for row in aside.itertuples()] == [
        ("2024-03-01 14:31:00+00:00", "no_prices")
    ]


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"timestamp": [stamp(DAY, 9, 30) + 7 + n for n in range(4)]}, BadPayload, "do not begin on a minute"),
        (
            {"timestamp": [*[stamp(DAY, 9, 30)] * 2, stamp(DAY, 9, 31), stamp(DAY, 16)]},
            BadRows,
            "2024-03-01 14:31 twice",
        ),
        ({"meta": {"dataGranularity": "5m"}}, BadPayload, "bars of '5m', asked for '1m'"),
        ({"meta": {"tradingPeriods": [[{"start": "x"}]]}}, BadPayload, "trading periods in another form"),
        ({"meta": {"tradingPeriods": 7}}, BadPayload, "trading periods in another form"),
        ({"timestamp": [stamp(DAY, 18) + 60 * n for n in range(4)]}, BadPayload, "2024-03-01 23:03, after the request"),
    ],
)
def test_minutes_in_another_form_are_refused(changes: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        parse(chart([DAY], **changes))


def test_hours_by_name_are_understood() -> None:
    regular = [[{"start": stamp(DAY, 9, 31), "end": stamp(DAY, 9, 32)}]]
    parsed = parse(chart([DAY], meta={"tradingPeriods": {"pre": [], "regular": regular, "post": []}}))
    assert parsed.tables["core/minute_bars"]["bar_end"].tolist() == [pd.Timestamp("2024-03-01T14:32Z")]


def test_a_recorded_weekend_has_no_minutes_and_is_no_delisting(shared_data: Path) -> None:
    name = "chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json"
    body = json.loads((shared_data / "yahoo_chart" / name).read_bytes())["response"]["bodyJson"]
    request = {"dataset": "minute", "symbol": "AAPL", "as_of": "2025-02-19T21:00:01+00:00", "splits": {}}
    with pytest.raises(EmptyAnswer, match="not a delisting"):
        YahooSource().parse(json.dumps(body).encode(), request)


@pytest.mark.parametrize("without_curl", ["", "1"])
def test_an_answer_past_the_limit_of_bytes_is_not_received(
    server: Yahoo, make: Callable[..., YahooSource], monkeypatch: pytest.MonkeyPatch, without_curl: str
) -> None:
    monkeypatch.setenv("YF_DISABLE_CURL_CFFI", without_curl)
    server.body = b'{"chart": ' + b" " * 5_000_000 + b"}"
    with pytest.raises(BadPayload, match="more than 1,000,000 bytes: ask for less, or raise max_bytes"):
        list(make(max_bytes=1_000_000).fetch(["TEST"], DAY, dt.date(2024, 3, 2), as_of=AS_OF))
    server.body = None
    assert len(list(make(max_bytes=1_000_000).fetch(["TEST"], DAY, dt.date(2024, 3, 2), as_of=AS_OF))) == 1


def test_an_answer_past_the_limit_of_rows_is_refused() -> None:
    assert len(parse(chart([DAY]), max_rows=4).tables["core/minute_bars"]) == 3
    with pytest.raises(BadPayload, match="4 rows are in Yahoo's answer for TEST, more than 3: .* raise max_rows"):
        parse(chart([DAY]), max_rows=3)


def test_all_sources_together_keep_the_limit_of_requests(server: Yahoo, make: Callable[..., YahooSource]) -> None:
    day = {"start": DAY, "end": dt.date(2024, 3, 2), "as_of": AS_OF}
    assert len(list(make().fetch(["TEST"], **day))) == 1
    n_needed = server.n_requests
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=rf"limit of {n_needed} requests in 60 s to yahoo leaves no room"):
        list(make(requests_per_minute=n_needed, deadline=1.0).fetch(["TEST"], **day))
    assert server.n_requests == n_needed and time.monotonic() - began < 5.0


def test_a_moment_to_come_back_at_is_understood(make: Callable[..., YahooSource], httpserver: HTTPServer) -> None:
    httpserver.clear()
    headers = {"Retry-After": formatdate(time.time() + 3600.0, usegmt=True)}
    httpserver.expect_request(re.compile(".*")).respond_with_data(b"", status=429, headers=headers)
    with pytest.raises(RateLimited, match="asks to wait 3[56]") as caught:
        list(make().fetch(["TEST"], DAY, dt.date(2024, 3, 2), as_of=AS_OF))
    assert caught.value.retry_after is not None and 3500.0 < caught.value.retry_after <= 3600.0
