"""Polygon's REST interface: recorded answers, and small ones in the documented form, from a loopback server."""

from __future__ import annotations

import datetime as dt
import json
import re
import socket
import time
import traceback
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import (
    BadPayload,
    BadRows,
    DeniedAccess,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.normalize import normalize
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed
from lakehouse.sources.polygon import DATASETS, PolygonSource
from lakehouse.sources.retrying import TRIES

KEY = "canaryApiKey_123"
AS_OF = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
START, END = dt.date(2024, 1, 2), dt.date(2024, 2, 1)
NEW_YORK = ZoneInfo("America/New_York")
QUICK: dict[str, Any] = {"timeout": 5, "deadline": 20, "wait_initial": 0.01, "wait_max": 0.02}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", KEY)


class Vendor:
    """Serves one prepared body after the other, the last one for ever."""

    def __init__(self, server: HTTPServer) -> None:
        self.bodies: list[Any] = []
        self.asked: list[Request] = []
        self.url = server.url_for("").rstrip("/")
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def source(self, dataset: str, **options: Any) -> PolygonSource:
        return PolygonSource(dataset=dataset, base_url=self.url, **{**QUICK, **options})

    def _answer(self, request: Request) -> Response:
        self.asked.append(request)
        body = self.bodies[0]
        if len(self.bodies) > 1:
            self.bodies.pop(0)
        if isinstance(body, Response):
            return body
        if callable(body):
            return body(request)  # type: ignore[no-any-return]
        return Response(body if isinstance(body, bytes) else json.dumps(body), content_type="application/json")


@pytest.fixture
def vendor(httpserver: HTTPServer) -> Vendor:
    return Vendor(httpserver)


def fetch(source: PolygonSource, symbols: list[str] | None = None, **options: Any) -> list[Answer]:
    return list(source.fetch(symbols or [], START, END, **{"as_of": AS_OF, **options}))


def parse(dataset: str, body: Any, symbol: str | None = "AAPL", as_of: dt.datetime = AS_OF, **options: Any) -> Parsed:
    request = {"dataset": dataset, "what": symbol or dataset, "symbol": symbol, "as_of": as_of.isoformat()}
    return PolygonSource(**options).parse(json.dumps(body).encode(), request)


def recorded(shared_data: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_data / "polygon_rest" / f"{name}.json").read_bytes())  # type: ignore[no-any-return]


RANGE = "v2__aggs__ticker__AAPL__range__1__day__2005-04-01__2005-04-04"


def midnight(day: str) -> int:
    """Milliseconds since 1970 of a day's beginning in New York."""
    return int(dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), NEW_YORK).timestamp()) * 1000


def bars(*days: str, symbol: str = "AAPL", **changes: Any) -> dict[str, Any]:
    results = [{"t": midnight(day), "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.0, "v": 100.5, "n": 7} for day in days]
    return {
        "ticker": symbol,
        "adjusted": False,
        "resultsCount": len(days),
        "results": results,
        "status": "OK",
        **changes,
    }


def actions(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"results": list(rows), "status": "OK", "request_id": "x", **changes}


def split(symbol: str = "AAPL", day: str = "2024-01-10", old: Any = 1, new: Any = 4, **more: Any) -> dict[str, Any]:
    return {"ticker": symbol, "execution_date": day, "split_from": old, "split_to": new, "id": "E1", **more}


def dividend(symbol: str = "AAPL", day: str = "2024-01-10", amount: Any = 0.24, **more: Any) -> dict[str, Any]:
    more = {"pay_date": "2024-02-15", "currency": "USD", "id": "E1", **more}
    return {"ticker": symbol, "ex_dividend_date": day, "cash_amount": amount, **more}


# Daily bars


def test_recorded_bars_are_the_sessions_they_were(vendor: Vendor, shared_data: Path) -> None:
    """Recorded as adjusted, the vendor's default; the same numbers are said to be as traded here."""
    body = recorded(shared_data, RANGE)
    vendor.bodies = [body | {"adjusted": False}]
    source = vendor.source("aggregates")
    as_of = dt.datetime(2005, 4, 6, tzinfo=dt.UTC)
    (answer,) = source.fetch(["AAPL"], dt.date(2005, 4, 1), dt.date(2005, 4, 5), as_of=as_of)
    assert json.loads(answer.content) == body | {"adjusted": False}
    assert (answer.symbol, answer.dataset, answer.known_at) == ("AAPL", "aggregates", as_of)
    assert (answer.first_session, answer.last_session) == (dt.date(2005, 4, 1), dt.date(2005, 4, 4))
    found = source.parse(answer.content, json.loads(json.dumps(answer.request))).bars
    assert found["session"].dt.strftime("%Y-%m-%d").tolist() == ["2005-04-01", "2005-04-04"]
    assert found.drop(columns=["symbol", "session"]).to_dict("records") == [
        {"open": 1.5032, "high": 1.5064, "low": 1.4489, "close": 1.4604, "volume": 642646396.0},
        {"open": 1.4639, "high": 1.4754, "low": 1.4343, "close": 1.4675, "volume": 578172308.0},
    ]


def test_bars_adjusted_for_splits_are_refused(vendor: Vendor, shared_data: Path) -> None:
    vendor.bodies = [recorded(shared_data, RANGE)]
    with pytest.raises(BadPayload, match=r"adjusted for splits \(adjusted is True\), asked for as traded"):
        list(vendor.source("aggregates").fetch(["AAPL"], dt.date(2005, 4, 1), dt.date(2005, 4, 5), as_of=AS_OF))


def test_bars_are_asked_for_as_traded_with_the_key_in_the_header(vendor: Vendor) -> None:
    vendor.bodies = [bars("2024-01-02", symbol="BRK.B")]
    (answer,) = fetch(vendor.source("aggregates"), ["BRK.B"])
    (asked,) = vendor.asked
    assert asked.path == "/v2/aggs/ticker/BRK.B/range/1/day/2023-12-23/2024-01-31"
    assert dict(asked.args) == {"adjusted": "false", "sort": "asc", "limit": "50000"}
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in asked.url + json.dumps(answer.request) + repr(answer)


def test_nothing_is_asked_for_after_the_request(vendor: Vendor) -> None:
    vendor.bodies = [bars("2024-01-02")]
    fetch(vendor.source("aggregates"), ["AAPL"], as_of=dt.datetime(2024, 1, 4, 2, tzinfo=dt.UTC))
    assert vendor.asked[0].path.endswith("/2023-12-23/2024-01-03")  # the third, still, in New York
    with pytest.raises(SourceError, match="begins 2024-01-02, more than 10 days after 2023-01-01"):
        fetch(vendor.source("aggregates"), ["AAPL"], as_of=dt.datetime(2023, 1, 1, 12, tzinfo=dt.UTC))


@pytest.mark.parametrize(("hour", "n_bars"), [(19, 1), (20, 2)])
def test_a_bar_counts_once_extended_hours_are_over(hour: int, n_bars: int) -> None:
    as_of = dt.datetime(2024, 1, 3, hour, tzinfo=NEW_YORK)
    parsed = parse("aggregates", bars("2024-01-02", "2024-01-03"), as_of=as_of)
    assert len(parsed.bars) == n_bars
    assert parsed.counts == ({} if n_bars == 2 else {"unfinished session": 1})


@pytest.mark.parametrize("day", ["2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04"])
def test_a_day_begins_at_midnight_in_new_york_in_summer_and_in_winter(day: str) -> None:
    found = parse("aggregates", bars(day), as_of=dt.datetime(2025, 1, 1, tzinfo=dt.UTC)).bars
    assert found["session"].dt.strftime("%Y-%m-%d").tolist() == [day]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ticker": "MSFT"}, "is about 'MSFT', asked for 'AAPL'"),
        ({"adjusted": None}, "adjusted is None"),
        ({"status": "ERROR", "error": "Unknown"}, "has the status 'ERROR'"),
        ({"status": "NOT_AUTHORIZED", "message": "Upgrade"}, "has the status 'NOT_AUTHORIZED'"),
        ({"results": {"t": 1}}, "no list of results"),
        ({"results": None, "resultsCount": 3}, "no list of results"),
        ({"results": [1]}, "no list of results"),
        ({"results": [{"t": "2024-01-02"}]}, "no milliseconds since 1970"),
        ({"results": [{"t": 1704171600}]}, "no daily bar"),
        ({"results": [{"t": midnight("2024-01-02") + 60_000}]}, "begins at 2024-01-02 00:01 New York: no daily bar"),
        ({"results": [{"t": midnight("2024-01-02"), "o": "10"}]}, "'10' where the number o belongs"),
        ({"results": [{"t": midnight("2024-01-02"), "o": True}]}, "True where the number o belongs"),
        ({"results": [{"t": midnight("2024-03-04"), "o": 1}]}, "a bar of 2024-03-04, after the request"),
    ],
)
def test_bars_in_another_form_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPayload, match=said):
        parse("aggregates", bars("2024-01-02", **changes))


def test_bad_bars_are_left_out_and_a_session_twice_must_agree() -> None:
    body = bars("2024-01-03", "2024-01-02", "2024-01-03")
    parsed = parse("aggregates", body)
    assert parsed.bars["session"].dt.day.tolist() == [2, 3]
    assert parsed.counts == {"rows given twice": 1}
    body["results"][2]["c"] = 11.5
    with pytest.raises(BadRows, match="2024-01-03 twice with different values"):
        parse("aggregates", body)
    body = bars("2024-01-02", "2024-01-03")
    body["results"][1] |= {"l": 0.0}
    with pytest.raises(BadRows, match="1 of 2 rows of Polygon's answer for AAPL are unusable"):
        parse("aggregates", body)
    assert len(parse("aggregates", body, max_bad_share=0.5).bars) == 1
    del body["results"][1]["c"]
    assert parse("aggregates", body).counts == {"rows without prices": 1}


def test_a_symbol_without_bars_is_suspect_and_does_not_keep_the_others_from_coming(vendor: Vendor) -> None:
    empty = {"ticker": "NONE", "adjusted": False, "resultsCount": 0, "queryCount": 0, "status": "OK"}

    def answer(request: Request) -> Response:
        symbol = request.path.split("/")[4]
        body = empty if symbol == "NONE" else bars("2024-01-02", symbol=symbol)
        return Response(json.dumps(body), content_type="application/json")

    vendor.bodies = [answer]
    came = []
    said: list[str] = []
    with pytest.raises(EmptyAnswer, match=r"no usable bar of NONE in 2023-12-23/2024-01-31 .*misspelt"):
        for found in vendor.source("aggregates").fetch(
            ["AAPL", "NONE", "MSFT"], START, END, as_of=AS_OF, progress=said.append
        ):
            came.append(found.symbol)
    assert came == ["AAPL", "MSFT"]
    assert said == ["polygon: AAPL (1 of 3)", "polygon: NONE (2 of 3)", "polygon: MSFT (3 of 3)"]
    assert fetch(vendor.source("aggregates", missing="skip"), ["NONE"]) == []


# Pages


def test_each_page_is_an_answer_and_the_next_is_asked_for_with_the_key(vendor: Vendor) -> None:
    second = f"{vendor.url}/v2/aggs/ticker/AAPL/range/1/day/x/y?cursor=abc"
    vendor.bodies = [bars("2024-01-02", next_url=second), bars("2024-01-03")]
    source = vendor.source("aggregates")
    answers = fetch(source, ["AAPL"])
    assert [answer.request["page"] for answer in answers] == [1, 2]
    assert [answer.first_session for answer in answers] == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    assert [len(source.parse(answer.content, answer.request).bars) for answer in answers] == [1, 1]
    assert vendor.asked[1].full_path == "/v2/aggs/ticker/AAPL/range/1/day/x/y?cursor=abc"
    assert vendor.asked[1].headers["Authorization"] == f"Bearer {KEY}"
    assert all("cursor" not in json.dumps(answer.request) for answer in answers)


def test_recorded_pages_of_tickers_are_followed(vendor: Vendor, shared_data: Path) -> None:
    first, second = (
        recorded(shared_data, "v3__reference__tickers"),
        recorded(shared_data, "v3__reference__tickers_page2"),
    )
    first["next_url"] = first["next_url"].replace("https://api.massive.com", vendor.url)
    vendor.bodies = [first, second, {"status": "OK", "results": [], "count": 0}]
    source = vendor.source("tickers")
    answers = fetch(source)
    found = [
        source.parse(answer.content, answer.request).tables["core/listings"]["symbol"].tolist() for answer in answers
    ]
    assert found == [["A", "AA"], ["AAA", "AAAU"], []]
    assert vendor.asked[1].args["cursor"].startswith("YWN0aXZlPXRydWU")
    assert [dict(asked.args).get("active") for asked in vendor.asked] == ["true", None, "false"]


@pytest.mark.parametrize(
    "host", ["https://api.massive.com.evil.example", "http://127.0.0.1:9", "http://localhost@127.0.0.1:9"]
)
def test_a_page_on_another_host_is_not_asked_for(vendor: Vendor, host: str) -> None:
    vendor.bodies = [bars("2024-01-02", next_url=f"{host}/v2/next?cursor=1")]
    came = []
    with pytest.raises(SourceError, match="is not on Polygon's host") as caught:
        for answer in vendor.source("aggregates").fetch(["AAPL"], START, END, as_of=AS_OF):
            came.append(answer)
    assert len(came) == 1
    assert len(vendor.asked) == 1
    assert KEY not in str(caught.value)


def test_pages_that_lead_back_end_the_fetch(vendor: Vendor) -> None:
    vendor.bodies = [bars("2024-01-02", next_url=f"{vendor.url}/again?cursor=1")]
    came = []
    with pytest.raises(BadPayload, match="lead nowhere new after page 2"):
        for answer in vendor.source("aggregates").fetch(["AAPL"], START, END, as_of=AS_OF):
            came.append(answer)
    assert len(came) == 2
    vendor.bodies = [bars("2024-01-02", next_url=17)]
    with pytest.raises(BadPayload, match="lead nowhere new after page 1"):
        fetch(vendor.source("aggregates"), ["AAPL"])


def test_an_empty_later_page_is_no_error(vendor: Vendor) -> None:
    vendor.bodies = [bars("2024-01-02", next_url=f"{vendor.url}/b?cursor=1"), bars()]
    assert len(fetch(vendor.source("aggregates"), ["AAPL"])) == 2


# Splits and dividends


def test_recorded_splits_are_new_shares_per_old_one(vendor: Vendor, shared_data: Path) -> None:
    vendor.bodies = [recorded(shared_data, "v3__reference__splits")]
    source = vendor.source("splits")
    (answer,) = source.fetch([], dt.date(2022, 5, 1), dt.date(2022, 8, 1), as_of=AS_OF)
    parsed = source.parse(answer.content, answer.request)
    found = [(row.symbol, f"{row.ex_date:%Y-%m-%d}", row.kind, row.value) for row in parsed.actions.itertuples()]
    assert found == [
        ("AMZN", "2022-06-06", "split", 20.0),
        ("BRW", "2022-05-20", "split", 0.5),
        ("CIG.C", "2022-05-02", "split", 4 / 3),
        ("CM", "2022-05-16", "split", 2.0),
        ("CTO", "2022-07-01", "split", 3.0),
        ("DXCM", "2022-06-10", "split", 4.0),
        ("GOOG", "2022-07-18", "split", 20.0),
        ("GOOGL", "2022-07-18", "split", 20.0),
        ("SHOP", "2022-06-22", "split", 10.0),
        ("SHOP", "2022-06-29", "split", 10.0),
    ]
    assert parsed.counts == {}
    assert (answer.first_session, answer.last_session) == (dt.date(2022, 5, 1), dt.date(2022, 7, 31))
    asked = dict(vendor.asked[0].args)
    assert vendor.asked[0].path == "/stocks/v1/splits"
    assert asked == {
        "execution_date.gte": "2022-05-01",
        "execution_date.lte": "2022-07-31",
        "sort": "execution_date.asc",
        "limit": "5000",
    }


def test_recorded_dividends_have_their_pay_dates(vendor: Vendor, shared_data: Path) -> None:
    vendor.bodies = [recorded(shared_data, "v3__reference__dividends")]
    source = vendor.source("dividends")
    as_of = dt.datetime(2025, 6, 11, 12, tzinfo=dt.UTC)
    (answer,) = source.fetch(["AIRTP", "CSSEN"], dt.date(2023, 8, 1), dt.date(2025, 12, 1), as_of=as_of)
    parsed = source.parse(answer.content, answer.request)
    rows = [(r.symbol, f"{r.ex_date:%Y-%m-%d}", r.value, f"{r.pay_date:%Y-%m-%d}") for r in parsed.actions.itertuples()]
    assert rows == [
        ("AIRTP", "2023-08-11", 0.5, "2023-08-15"),
        ("AIRTP", "2023-11-13", 0.5, "2023-11-15"),
        ("CSSEN", "2023-09-14", 0.59375, "2023-09-30"),
        ("CSSEN", "2023-12-14", 0.59375, "2023-12-31"),
        ("CSSEN", "2024-03-14", 0.59375, "2024-03-31"),
        ("CSSEN", "2024-06-13", 0.59375, "2024-06-30"),
        ("CSSEN", "2024-09-12", 0.59375, "2024-09-30"),
        ("CSSEN", "2024-12-12", 0.59375, "2024-12-31"),
        ("CSSEN", "2025-03-13", 0.59375, "2025-03-31"),
    ]
    assert parsed.counts == {"actions not yet in force": 1}  # of 2025-06-12
    assert dict(vendor.asked[0].args)["ticker.any_of"] == "AIRTP,CSSEN"
    assert dict(vendor.asked[0].args)["ex_dividend_date.lte"] == "2025-06-11"


def test_many_symbols_are_asked_for_in_groups(vendor: Vendor) -> None:
    vendor.bodies = [actions()]
    symbols = [f"S{n}" for n in range(150)]
    answers = fetch(vendor.source("dividends"), symbols)
    assert [asked.args["ticker.any_of"].count(",") + 1 for asked in vendor.asked] == [100, 50]
    assert [answer.symbol for answer in answers] == [None, None]
    (answer,) = fetch(vendor.source("dividends"), ["AAPL"])
    assert answer.symbol == "AAPL"


def test_nothing_happened_is_an_answer(vendor: Vendor) -> None:
    vendor.bodies = [actions()]
    source = vendor.source("splits")
    (answer,) = fetch(source)
    parsed = source.parse(answer.content, answer.request)
    assert parsed.actions.empty
    assert parsed.actions.columns.tolist() == ["symbol", "ex_date", "kind", "value", "pay_date"]
    assert fetch(source, as_of=dt.datetime(2023, 12, 1, tzinfo=dt.UTC)) == []


def test_several_actions_of_a_day_are_one() -> None:
    body = actions(dividend(amount=0.24), dividend(amount=1.5, id="E2", pay_date="2024-02-20"))
    (row,) = parse("dividends", body).actions.to_dict("records")
    assert (row["value"], row["pay_date"]) == (1.74, pd.Timestamp("2024-02-15"))
    (row,) = parse("splits", actions(split(new=2), split(new=3, id="E2"))).actions.to_dict("records")
    assert row["value"] == 6.0


def test_an_action_given_twice_under_two_ids_counts_once() -> None:
    parsed = parse("dividends", actions(dividend(), dividend(id="E2")))
    assert parsed.actions["value"].tolist() == [0.24]
    assert parsed.counts == {"actions given twice": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (dividend(amount=0), "dividends of nothing"),
        (dividend(currency="CAD"), "dividends in other currencies"),
        (dividend("BApA"), "rows of unusual tickers"),
        (dividend(day="2024-03-02"), "actions not yet in force"),
    ],
)
def test_what_is_no_dividend_here_is_left_out(row: dict[str, Any], reason: str) -> None:
    parsed = parse("dividends", actions(row, dividend("MSFT")))
    assert parsed.actions["symbol"].tolist() == ["MSFT"]
    assert parsed.counts == {reason: 1}


@pytest.mark.parametrize(
    ("dataset", "row"),
    [
        ("dividends", dividend(amount=-1)),
        ("dividends", dividend(amount="0.24")),
        ("dividends", dividend(amount=None)),
        ("dividends", dividend(day="10.01.2024")),
        ("dividends", dividend(day=None)),
        ("dividends", {"cash_amount": 1.0, "ex_dividend_date": "2024-01-10"}),
        ("splits", split(old=0)),
        ("splits", split(new=0)),
        ("splits", split(new=True)),
        ("splits", split(old=None)),
        ("splits", split(new="4")),
    ],
)
def test_an_action_without_its_values_refuses_a_short_answer(dataset: str, row: dict[str, Any]) -> None:
    with pytest.raises(BadRows, match="1 of 1 rows of Polygon's answer for AAPL are unusable"):
        parse(dataset, actions(row))
    good = [dividend(f"S{n}") if dataset == "dividends" else split(f"S{n}") for n in range(200)]
    parsed = parse(dataset, actions(*good, row))
    assert (len(parsed.actions), parsed.counts) == (200, {"actions without usable values": 1})


def test_a_dividend_without_a_pay_date_has_none() -> None:
    found = parse("dividends", actions(dividend(pay_date=None), dividend("MSFT"))).actions
    assert found["pay_date"].isna().tolist() == [True, False]
    assert str(found["pay_date"].dtype) == str(found["ex_date"].dtype) == "datetime64[s]"


def test_bars_and_actions_make_the_tables_of_core() -> None:
    as_of = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    parts = [
        parse("aggregates", bars("2024-01-09", "2024-01-10", "2024-01-11"), as_of=as_of),
        parse("splits", actions(split(new=2)), as_of=as_of),
        parse("dividends", actions(dividend()), as_of=as_of),
    ]
    rows = [{"source": "polygon", "snapshot_id": str(n), "known_at": as_of} for n in range(3)]
    made = normalize(zip(rows, parts, strict=True), exchange="XNYS", months=["2024-01"])
    assert made.bars.num_rows == 3
    found = made.actions.select(["kind", "value"]).to_pylist()
    # Per share held before the split of the same day.
    assert found == [{"kind": "dividend", "value": 0.48}, {"kind": "split", "value": 2.0}]


# Tickers


def test_recorded_tickers_are_rows_of_a_security_master(shared_data: Path) -> None:
    frame = parse("tickers", recorded(shared_data, "v3__reference__tickers"), None).tables["core/listings"]
    assert frame.columns.tolist() == ["security_id", "symbol", "name", "exchange", "start", "end", "known_at", "cik"]
    assert frame[["security_id", "symbol", "name", "exchange"]].to_dict("records") == [
        {"security_id": "BBG000C2V3D6", "symbol": "A", "name": "Agilent Technologies Inc.", "exchange": "XNYS"},
        {"security_id": "BBG00B3T3HD3", "symbol": "AA", "name": "Alcoa Corporation", "exchange": "XNYS"},
    ]
    assert frame["start"].isna().all()
    assert frame["end"].isna().all()
    assert frame["known_at"].tolist() == [pd.Timestamp(AS_OF)] * 2


def test_a_delisted_ticker_ends_the_day_after_it_last_traded() -> None:
    row = {"ticker": "OLD", "name": "Old", "active": False, "delisted_utc": "2019-10-07T04:00:00Z"}
    parsed = parse("tickers", actions(row, {"ticker": "BApA", "active": True}), None)
    (found,) = parsed.tables["core/listings"].to_dict("records")
    assert (found["symbol"], found["end"], found["security_id"]) == ("OLD", pd.Timestamp("2019-10-08"), "")
    assert parsed.counts == {"rows of unusual tickers": 1}


@pytest.mark.parametrize("delisted", [None, "", "soon", 5])
def test_a_delisted_ticker_without_a_day_is_left_out(delisted: Any) -> None:
    bad = {"ticker": "OLD", "active": False, "delisted_utc": delisted}
    with pytest.raises(BadRows, match="delisted tickers without a day"):
        parse("tickers", actions(bad), None)
    good = [{"ticker": f"S{n}", "active": True} for n in range(200)]
    parsed = parse("tickers", actions(*good, bad), None)
    assert (len(parsed.tables["core/listings"]), parsed.counts) == (200, {"delisted tickers without a day": 1})


def test_tickers_are_asked_for_as_traded_and_as_delisted(vendor: Vendor) -> None:
    vendor.bodies = [actions()]
    fetch(vendor.source("tickers"), ["AAPL", "FB"])
    asked = [(request.args["active"], request.args["ticker"]) for request in vendor.asked]
    assert asked == [("true", "AAPL"), ("true", "FB"), ("false", "AAPL"), ("false", "FB")]
    assert {request.args["market"] for request in vendor.asked} == {"stocks"}


def test_recorded_changes_of_a_ticker_follow_each_other(vendor: Vendor, shared_data: Path) -> None:
    vendor.bodies = [recorded(shared_data, "vX__reference__tickers__META__events_and_types=ticker_change")]
    source = vendor.source("ticker_events")
    (answer,) = fetch(source, ["META"])
    assert vendor.asked[0].full_path == "/vX/reference/tickers/META/events?types=ticker_change"
    rows = source.parse(answer.content, answer.request).tables["core/listings"].to_dict("records")
    assert [(row["symbol"], f"{row['start']:%Y-%m-%d}", str(row["end"])[:10]) for row in rows] == [
        ("FB", "2012-05-18", "2022-06-11"),
        ("META", "2022-06-11", "NaT"),
    ]
    assert {row["security_id"] for row in rows} == {"BBG000MM2P62"}
    assert {row["name"] for row in rows} == {"Meta Platforms, Inc. Class A Common Stock"}


@pytest.mark.parametrize(
    "results",
    [
        None,
        [],
        {"name": "X"},
        {"events": [{"type": "ticker_change", "date": "2022-06-11", "ticker_change": {}}]},
        {"events": [{"type": "ticker_change", "date": "June", "ticker_change": {"ticker": "X"}}]},
    ],
)
def test_ticker_events_in_another_form_are_refused(results: Any) -> None:
    with pytest.raises(BadPayload, match="Polygon's answer for AAPL has"):
        parse("ticker_events", {"status": "OK", "results": results})


def test_a_symbol_the_vendor_does_not_know_is_named(vendor: Vendor) -> None:
    vendor.bodies = [Response('{"status":"NOT_FOUND"}', status=404, content_type="application/json")]
    with pytest.raises(UnknownSymbol, match="Polygon knows no NONE"):
        fetch(vendor.source("ticker_events"), ["NONE"])
    assert fetch(vendor.source("ticker_events", missing="skip"), ["NONE"]) == []


# Faults


PAGE = Response("<!DOCTYPE html><html>maintenance</html>", content_type="text/html")
REFUSED = {"status": "ERROR", "error": f"Unknown API Key {KEY}"}
FAULTS: dict[str, tuple[Any, type[SourceError], str]] = {
    "throttled": (Response("{}", status=429), RateLimited, "too many requests"),
    "server error": (Response("oops", status=500), SourceUnavailable, "HTTP 500"),
    "gateway page": (Response("<html>", status=502, content_type="text/html"), SourceUnavailable, "HTTP 502"),
    "web page": (PAGE, BadPayload, "web page"),
    "empty body": (b"", BadPayload, "empty"),
    "cut short": (json.dumps(bars("2024-01-02")).encode()[:-9], BadPayload, "not JSON"),
    "no object": (b"[1]", BadPayload, "no object"),
    "status of an error": ({"status": "ERROR", "error": "no"}, BadPayload, "status 'ERROR'"),
    "the key in it": (REFUSED, BadPayload, "repeats the credential in POLYGON_API_KEY"),
    "wrong key": (Response(json.dumps(REFUSED), status=401), DeniedAccess, "POLYGON_API_KEY"),
    "plan": (Response(json.dumps(REFUSED), status=403), DeniedAccess, "POLYGON_API_KEY"),
    "not there": (Response("{}", status=404), UnknownSymbol, "knows no AAPL"),
    "bad request": (Response("{}", status=400), SourceError, "HTTP 400"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_way_to_fail_has_its_own_error_and_tries_and_shows_no_key(vendor: Vendor, fault: str) -> None:
    body, kind, text = FAULTS[fault]
    vendor.bodies = [body]
    source = vendor.source("aggregates")
    with pytest.raises(kind, match=text) as caught:
        fetch(source, ["AAPL"])
    assert type(caught.value) is kind
    assert "AAPL" in str(caught.value)
    assert len(vendor.asked) == TRIES.get(kind, 1)
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(vars(source))


@pytest.mark.parametrize("fault", ["throttled", "server error", "web page", "empty body", "cut short"])
def test_a_hiccup_is_asked_again(vendor: Vendor, fault: str) -> None:
    vendor.bodies = [FAULTS[fault][0], bars("2024-01-02")]
    (answer,) = fetch(vendor.source("aggregates"), ["AAPL"])
    assert json.loads(answer.content) == bars("2024-01-02")


def test_a_pause_asked_for_is_kept(vendor: Vendor) -> None:
    vendor.bodies = [Response("{}", status=429, headers={"Retry-After": "0.3"}), bars("2024-01-02")]
    began = time.monotonic()
    fetch(vendor.source("aggregates"), ["AAPL"])
    assert time.monotonic() - began >= 0.3


def test_a_server_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        source = PolygonSource(dataset="aggregates", base_url=address, **{**QUICK, "timeout": 0.1, "deadline": 0.3})
        began = time.monotonic()
        with pytest.raises(SourceUnavailable, match="AAPL"):
            fetch(source, ["AAPL"])
        assert time.monotonic() - began < 2.0


def test_a_server_that_is_not_there_is_an_outage() -> None:
    source = PolygonSource(dataset="aggregates", base_url="http://127.0.0.1:9", **QUICK)
    with pytest.raises(SourceUnavailable, match="AAPL"):
        fetch(source, ["AAPL"])


def test_a_key_that_is_not_set_is_named_before_anything_is_asked(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POLYGON_API_KEY")
    with pytest.raises(DeniedAccess, match="POLYGON_API_KEY"):
        fetch(vendor.source("splits"))
    assert vendor.asked == []


@pytest.mark.parametrize("dataset", ["aggregates", "ticker_events"])
def test_datasets_of_a_symbol_need_symbols(dataset: str) -> None:
    with pytest.raises(SourceError, match=f"dataset '{dataset}' of source 'polygon' needs symbols"):
        fetch(PolygonSource(dataset=dataset))


def test_the_rate_is_kept(vendor: Vendor, tmp_path: Path) -> None:
    vendor.bodies = [actions()]
    source = vendor.source("splits", requests_per_minute=2, rate_folder=str(tmp_path), deadline=1.0)
    with pytest.raises(SourceUnavailable, match="limit of 2 requests in 60 s"):
        fetch(source, [f"S{n}" for n in range(201)])
    assert len(vendor.asked) == 2


def test_every_dataset_can_be_named() -> None:
    assert [PolygonSource(dataset=name).dataset for name in DATASETS] == [
        "day",
        "minute",
        "trades",
        "quotes",
        "aggregates",
        "splits",
        "dividends",
        "tickers",
        "ticker_events",
    ]
