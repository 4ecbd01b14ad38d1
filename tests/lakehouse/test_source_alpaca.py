"""Alpaca's bars and corporate actions, against a loopback server with recorded and small answers."""

from __future__ import annotations

import datetime as dt
import json
import re
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import (
    BadName,
    BadPayload,
    BadRows,
    DeniedAccess,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
)
from lakehouse.lake import Lake
from lakehouse.sources.alpaca import KEY_VARIABLE, SECRET_VARIABLE, AlpacaSource
from lakehouse.sources.retrying import TRIES

AS_OF = dt.datetime(2022, 3, 15, 12, tzinfo=dt.UTC)
START, END = dt.date(2022, 2, 1), dt.date(2022, 3, 1)
KEY, SECRET = "canary-key-1", "canary-secret-2"


def bar(t: str, close: float = 10.0, **changes: Any) -> dict[str, Any]:
    return {"t": t, "o": 10.0, "h": 12.0, "l": 9.0, "c": close, "v": 1000, "n": 5, "vw": 10.1, **changes}


def page(bars: dict[str, Any] | None, token: str | None = None) -> bytes:
    return json.dumps({"bars": bars, "next_page_token": token}).encode()


DAYS = [bar("2022-02-01T05:00:00Z"), bar("2022-02-02T05:00:00Z", 11.0)]
GOOD = page({"AAPL": DAYS})


class Alpaca:
    """Answers by the function `answer`, and keeps what was asked for."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Response | bytes] = lambda request: GOOD
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.url = server.url_for("")

    def serve(self, *bodies: bytes | tuple[int, bytes]) -> None:
        """Answer with these, one after the other, and with the last one for ever."""
        queue = [body if isinstance(body, tuple) else (200, body) for body in bodies]

        def answer(request: Request) -> Response:
            status, body = queue.pop(0) if len(queue) > 1 else queue[0]
            return Response(body, status=status, content_type="application/json")

        self.answer = answer

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        found = self.answer(request)
        return found if isinstance(found, Response) else Response(found, content_type="application/json")


@pytest.fixture
def alpaca(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Alpaca:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    return Alpaca(httpserver)


@pytest.fixture
def make(alpaca: Alpaca, tmp_path: Path) -> Callable[..., AlpacaSource]:
    def source(**options: Any) -> AlpacaSource:
        fast: dict[str, Any] = {"wait_initial": 0.01, "wait_max": 0.02, "timeout": 5.0}
        return AlpacaSource(**{**fast, "base_url": alpaca.url, "rate_folder": str(tmp_path), **options})

    return source


def fetch(source: AlpacaSource, *symbols: str, **options: Any) -> list[Any]:
    given: dict[str, Any] = {"start": START, "end": END, "as_of": AS_OF, **options}
    return list(source.fetch(list(symbols), given.pop("start"), given.pop("end"), **given))


def recorded(shared_data: Path, name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((shared_data / "alpaca_rest" / name).read_text())["body"]
    return body


def parse(content: bytes, dataset: str = "stock_day", symbol: str = "AAPL", as_of: dt.datetime = AS_OF) -> Any:
    return AlpacaSource(dataset=dataset).parse(
        content, {"dataset": dataset, "symbol": symbol, "as_of": as_of.isoformat()}
    )


def test_the_page_is_kept_as_it_came(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    spaced = GOOD.replace(b", ", b" ,\n ")
    alpaca.serve(spaced)
    (answer,) = fetch(make(), "AAPL")
    assert answer.content == spaced
    assert (answer.source, answer.dataset, answer.symbol, answer.known_at) == ("alpaca", "stock_day", "AAPL", AS_OF)
    assert (answer.first_session, answer.last_session) == (dt.date(2022, 2, 1), dt.date(2022, 2, 2))
    assert KEY not in json.dumps(answer.request) and SECRET not in json.dumps(answer.request)
    (request,) = alpaca.requests
    assert request.path == "/v2/stocks/bars"
    assert (request.headers["APCA-API-KEY-ID"], request.headers["APCA-API-SECRET-KEY"]) == (KEY, SECRET)
    assert KEY not in request.url and SECRET not in request.url


@pytest.mark.parametrize(
    ("dataset", "symbol", "path", "asked"),
    [
        ("stock_day", "BRK.B", "/v2/stocks/bars", {"symbols": "BRK.B", "timeframe": "1Day", "adjustment": "raw"}),
        ("stock_minute", "AAPL", "/v2/stocks/bars", {"timeframe": "1Min", "adjustment": "raw", "feed": "sip"}),
        ("crypto_day", "BTC-USD", "/v1beta3/crypto/us/bars", {"symbols": "BTC/USD", "timeframe": "1Day"}),
        ("crypto_minute", "ETH-USD", "/v1beta3/crypto/us/bars", {"symbols": "ETH/USD", "timeframe": "1Min"}),
    ],
)
def test_bars_are_asked_for_as_traded_and_in_order(
    alpaca: Alpaca, make: Callable[..., AlpacaSource], dataset: str, symbol: str, path: str, asked: dict[str, str]
) -> None:
    alpaca.serve(page({}))
    with pytest.raises(EmptyAnswer):
        fetch(make(dataset=dataset), symbol)
    request = alpaca.requests[0]
    assert request.path == path
    assert {name: request.args[name] for name in asked} == asked
    assert (request.args["sort"], request.args["limit"]) == ("asc", "10000")


def test_the_range_holds_the_sessions_asked_for_and_ends_before_what_may_still_change(
    alpaca: Alpaca, make: Callable[..., AlpacaSource]
) -> None:
    fetch(make(), "AAPL")
    asked = alpaca.requests[-1].args
    midnight = dt.datetime(2022, 3, 1, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
    assert dt.datetime.fromisoformat(asked["end"]) == midnight - dt.timedelta(seconds=1)
    assert dt.datetime.fromisoformat(asked["start"]) < dt.datetime(2022, 2, 1, tzinfo=dt.UTC)
    early = dt.datetime(2022, 2, 20, 15, tzinfo=dt.UTC)
    fetch(make(), "AAPL", as_of=early)
    assert dt.datetime.fromisoformat(alpaca.requests[-1].args["end"]) < early - dt.timedelta(minutes=15)
    with pytest.raises(SourceError, match="begins 2022-02-01"):
        fetch(make(), "AAPL", as_of=dt.datetime(2022, 1, 1, tzinfo=dt.UTC))


def test_daily_bars_are_those_recorded(shared_data: Path) -> None:
    """Stamped 05:00 UTC in winter and 04:00 in summer: midnight in New York."""
    body = recorded(shared_data, "test_get_bars_0.json")
    bars = parse(json.dumps(body).encode()).bars
    assert [f"{day:%Y-%m-%d}" for day in bars["session"]] == ["2022-02-01", "2022-02-02"]
    for field, name in {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}.items():
        assert bars[name].tolist() == [row[field] for row in body["bars"]["AAPL"]]
    assert bars["close"].tolist() == [174.61, 175.84]
    body = recorded(shared_data, "test_get_bars_desc_0.json")
    tesla = parse(json.dumps(body).encode(), symbol="TSLA", as_of=dt.datetime(2023, 12, 1, tzinfo=dt.UTC)).bars
    assert [f"{day:%Y-%m-%d}" for day in tesla["session"]] == ["2023-09-25", "2023-09-26", "2023-09-27"]
    assert tesla["close"].tolist() == [246.99, 244.12, 240.5]


@pytest.mark.parametrize("name", ["multi", "single"])
def test_a_recorded_empty_answer_is_suspect_and_asked_for_twice(
    alpaca: Alpaca, make: Callable[..., AlpacaSource], shared_data: Path, name: str
) -> None:
    alpaca.serve(json.dumps(recorded(shared_data, f"test_get_bars_{name}_empty_response_0.json")).encode())
    with pytest.raises(EmptyAnswer, match="no usable bar of AAPL .*Stored bars stay"):
        fetch(make(), "AAPL")
    assert len(alpaca.requests) == TRIES[EmptyAnswer]


def test_the_pages_of_an_answer_are_followed_to_the_last(
    alpaca: Alpaca, make: Callable[..., AlpacaSource], shared_data: Path
) -> None:
    first = recorded(shared_data, "test_get_bars_0.json")
    token = first["next_page_token"]
    rest = page({"AAPL": [bar("2022-02-03T05:00:00Z")]})
    alpaca.answer = lambda request: rest if request.args.get("page_token") == token else json.dumps(first).encode()
    answers = fetch(make(), "AAPL")
    assert [answer.content for answer in answers] == [json.dumps(first).encode(), rest]
    assert [(answer.request["page"], answer.request["page_token"]) for answer in answers] == [(1, None), (2, token)]
    assert [answer.last_session.day for answer in answers] == [2, 3]
    one, two = (request.args.to_dict() for request in alpaca.requests)
    assert two == {**one, "page_token": token}


def test_pages_that_came_before_a_failure_are_kept(
    alpaca: Alpaca, make: Callable[..., AlpacaSource], tmp_path: Path
) -> None:
    first = page({"AAPL": DAYS}, "next")
    alpaca.serve(first, (500, b"oops"))
    store = Lake(tmp_path / "lake").snapshots
    kept = []
    with pytest.raises(SourceUnavailable):
        for answer in make().fetch(["AAPL"], START, END, as_of=AS_OF):
            kept += store.put([answer])
    assert [store.read(snapshot.snapshot_id) for snapshot in kept] == [first]
    assert len(store.find("alpaca", "stock_day")) == 1


def test_an_empty_last_page_is_no_empty_answer(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    alpaca.serve(page({"AAPL": DAYS}, "next"), page({}))
    answers = fetch(make(), "AAPL")
    assert len(answers) == 2
    assert (answers[1].first_session, answers[1].last_session) == (None, None)


def test_pages_that_lead_in_a_circle_are_refused(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    alpaca.serve(page({"AAPL": DAYS}, "one"), page({"AAPL": DAYS}, "two"), page({"AAPL": DAYS}, "one"))
    with pytest.raises(BadPayload, match="lead back to an earlier one"):
        fetch(make(), "AAPL")
    assert len(alpaca.requests) == 3


def test_one_symbol_without_bars_keeps_no_other_from_being_fetched(
    alpaca: Alpaca, make: Callable[..., AlpacaSource]
) -> None:
    def answer(request: Request) -> Response | bytes:
        symbol = request.args["symbols"]
        if symbol == "BAD":
            return Response(b'{"message":"invalid symbol: BAD"}', status=400, content_type="application/json")
        return page({symbol: DAYS}) if symbol != "NONE" else page({})

    alpaca.answer = answer
    got: list[str] = []
    said: list[str] = []
    with pytest.raises(SourceError, match=r"2 of 4 symbols failed: .*no usable bar of NONE.* \| .*invalid symbol: BAD"):
        for found in make().fetch(["AAA", "NONE", "BAD", "ZZZ"], START, END, as_of=AS_OF, progress=said.append):
            got.append(found.symbol)
    assert got == ["AAA", "ZZZ"]
    assert said[1] == "alpaca: NONE (2 of 4)"


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (401, b'{"message": "forbidden."}', DeniedAccess, f"HTTP 401 .*{KEY_VARIABLE} and {SECRET_VARIABLE}"),
        (403, b'{"message":"subscription does not permit querying recent SIP data"}', DeniedAccess, "does not permit"),
        (429, b'{"message": "too many requests."}', RateLimited, "too many requests"),
        (503, b"oops", SourceUnavailable, "HTTP 503"),
        (200, b"<html>blocked</html>", BadPayload, "web page"),
        (200, GOOD[:-20], BadPayload, "not JSON"),
        (200, b"[]", BadPayload, "no next_page_token"),
        (200, b'{"message": "odd"}', BadPayload, "no next_page_token .odd"),
        (200, b'{"bars": {}, "next_page_token": 7}', BadPayload, "is no text, was 7"),
    ],
)
def test_every_way_to_fail_ends_the_fetch_with_its_own_error(
    alpaca: Alpaca,
    make: Callable[..., AlpacaSource],
    status: int,
    body: bytes,
    kind: type[SourceError],
    text: str,
) -> None:
    alpaca.serve((status, body))
    with pytest.raises(kind, match=text) as caught:
        fetch(make(), "AAPL")
    assert KEY not in str(caught.value) and SECRET not in str(caught.value)
    assert len(alpaca.requests) == TRIES.get(kind, 1)


def test_a_denied_symbol_ends_the_fetch_for_all(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    alpaca.serve((403, b"{}"))
    with pytest.raises(DeniedAccess):
        fetch(make(), "AAA", "BBB")
    assert len(alpaca.requests) == 1


def test_a_hiccup_is_retried(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    alpaca.serve((500, b""), GOOD[:-5], page({}), GOOD)
    assert [answer.content for answer in fetch(make(), "AAPL")] == [GOOD]
    assert len(alpaca.requests) == 4


@pytest.mark.parametrize("variable", [KEY_VARIABLE, SECRET_VARIABLE])
def test_without_keys_nothing_is_sent(
    alpaca: Alpaca, make: Callable[..., AlpacaSource], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(DeniedAccess, match=f"set the environment variable {variable}"):
        fetch(make(), "AAPL")
    assert alpaca.requests == []


def test_minutes_are_stamped_with_their_end_and_known_then() -> None:
    rows = [bar("2022-02-01T14:30:00Z"), bar("2022-02-01T14:31:00Z", 11.0), bar("2022-02-01T23:59:00Z")]
    parsed = parse(page({"AAPL": rows}), "stock_minute")
    table = parsed.tables["core/minute_bars"]
    assert len(parsed.bars) == len(parsed.actions) == 0
    assert [f"{end:%d %H:%M}" for end in table["bar_end"]] == ["01 14:31", "01 14:32", "02 00:00"]
    assert str(table["bar_end"].dtype) == "datetime64[us, UTC]"
    assert table["known_at"].equals(table["bar_end"].rename("known_at"))
    assert table["close"].tolist() == [10.0, 11.0, 10.0]
    assert set(table["symbol"]) == {"AAPL"}


def test_the_tables_of_a_page_fit_their_schema() -> None:
    from lakehouse.schemas import table_schema

    table = parse(page({"AAPL": [bar("2022-02-01T14:30:00Z")]}), "stock_minute").tables["core/minute_bars"]
    wanted = [name for name in table_schema("core/minute_bars").column_names if name not in ORIGIN]
    assert list(table.columns) == wanted
    empty = parse(page({}), "stock_minute").tables["core/minute_bars"]
    assert list(empty.columns) == wanted
    assert empty.dtypes.equals(table.dtypes)


ORIGIN = ("source", "snapshot_id", "month")


def test_a_crypto_day_begins_at_midnight_utc(shared_data: Path) -> None:
    rows = [bar("2022-02-01T00:00:00Z", v=0.25), bar("2022-02-02T00:00:00Z")]
    bars = parse(page({"BTC/USD": rows}), "crypto_day", "BTC-USD").bars
    assert [f"{day:%Y-%m-%d}" for day in bars["session"]] == ["2022-02-01", "2022-02-02"]
    assert set(bars["symbol"]) == {"BTC-USD"}
    assert bars["volume"].tolist() == [0.25, 1000.0]
    old = recorded(shared_data, "test_get_crypto_bars_0.json")
    old["bars"].pop("ETH/USD")
    with pytest.raises(BadPayload, match="begins at 2022-03-09 05:00 UTC, not at midnight in UTC"):
        parse(json.dumps(old).encode(), "crypto_day", "BTC-USD")


@pytest.mark.parametrize(
    ("dataset", "stamp", "settled"),
    [
        ("stock_day", "2022-02-02T05:00:00Z", "2022-02-02T21:30:00+00:00"),
        ("stock_day", "2022-07-05T04:00:00Z", "2022-07-05T20:30:00+00:00"),
        ("crypto_day", "2022-02-02T00:00:00Z", "2022-02-03T00:00:00+00:00"),
        ("stock_minute", "2022-02-02T15:00:00Z", "2022-02-02T15:01:00+00:00"),
    ],
)
def test_a_bar_that_has_not_ended_is_left_out(dataset: str, stamp: str, settled: str) -> None:
    symbol, name = ("BTC-USD", "BTC/USD") if "crypto" in dataset else ("AAPL", "AAPL")
    content = page({name: [bar(stamp)]})
    moment = dt.datetime.fromisoformat(settled)
    for as_of, n_rows in ((moment, 1), (moment - dt.timedelta(seconds=1), 0)):
        parsed = parse(content, dataset, symbol, as_of)
        table = parsed.tables.get("core/minute_bars", parsed.bars)
        assert len(table) == n_rows
        assert parsed.counts == ({} if n_rows else {"unfinished bars": 1})


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([bar("2022-02-01T05:00:00")], "without a UTC time"),
        ([bar("yesterdayZ")], "a time that is none"),
        ([bar("2022-13-01T05:00:00Z")], "a time that is none"),
        ([bar("2022-02-01T06:00:00Z")], "begins at 2022-02-01 06:00 UTC, not at midnight in America/New_York"),
        ([bar("2022-07-01T05:00:00Z")], "after the request"),
        ([bar("2022-02-01T05:00:00Z", c="10")], "values of c .close. that are not numbers"),
        ([bar("2022-02-01T05:00:00Z", v=True)], "values of v .volume. that are not numbers"),
        (["AAPL"], "bars that are no objects"),
        ({"t": 1}, "bars that are no objects"),
    ],
)
def test_bars_in_another_form_are_refused(rows: Any, text: str) -> None:
    with pytest.raises(BadPayload, match=text):
        parse(page({"AAPL": rows}))


def test_bars_of_another_symbol_are_refused(shared_data: Path) -> None:
    content = json.dumps(recorded(shared_data, "test_multisymbol_get_bars_0.json")).encode()
    with pytest.raises(BadPayload, match=r"is about \['AAPL', 'TSLA'\], asked for 'AAPL'"):
        parse(content)
    with pytest.raises(BadPayload, match="is about 'list'|is about list"):
        parse(page([DAYS]))  # type: ignore[arg-type]


def test_minutes_that_do_not_begin_on_a_minute_are_refused() -> None:
    with pytest.raises(BadPayload, match="do not begin on a minute"):
        parse(page({"AAPL": [bar("2022-02-01T14:30:01Z")]}), "stock_minute")


def test_equal_rows_are_one_and_different_ones_refused() -> None:
    parsed = parse(page({"AAPL": [*DAYS, DAYS[0]]}))
    assert len(parsed.bars) == 2
    assert parsed.counts == {"rows given twice": 1}
    with pytest.raises(BadRows, match="two bars of 2022-02-01 00:00 that differ"):
        parse(page({"AAPL": [*DAYS, {**DAYS[0], "c": 10.5}]}))


@pytest.mark.parametrize("dataset", ["stock_day", "stock_minute"])
def test_bad_prices_are_left_out_and_counted_and_a_broken_page_refused(dataset: str) -> None:
    rows = [bar("2022-02-01T05:00:00Z", c=None), bar("2022-02-02T05:00:00Z")]
    parsed = parse(page({"AAPL": rows}), dataset)
    assert len(parsed.tables.get("core/minute_bars", parsed.bars)) == 1
    assert parsed.counts == {"rows without prices": 1}
    with pytest.raises(BadRows, match=r"1 of 2 rows of Alpaca's answer for AAPL are unusable"):
        parse(page({"AAPL": [bar("2022-02-01T05:00:00Z", l=-1.0), bar("2022-02-02T05:00:00Z")]}), dataset)


LATER = dt.datetime(2024, 10, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("symbol", "kind", "day", "value"),
    [
        ("MNTS", "split", "2023-08-24", 1 / 50),
        ("SRE", "split", "2023-08-22", 2.0),
        ("MSBC", "split", "2023-05-19", 1.05),
        ("FCF", "dividend", "2023-05-04", 0.125),
    ],
)
def test_actions_are_those_recorded(shared_data: Path, symbol: str, kind: str, day: str, value: float) -> None:
    body = recorded(shared_data, "test_get_corporate_actions_0.json")
    parsed = parse(json.dumps(body).encode(), "corporate_actions", symbol, LATER)
    (row,) = parsed.actions.to_dict("records")
    assert (row["symbol"], row["kind"], f"{row['ex_date']:%Y-%m-%d}") == (symbol, kind, day)
    assert row["value"] == pytest.approx(value, rel=1e-15)
    left_out = {"unit_splits", "spin_offs", "cash_mergers", "stock_mergers", "stock_and_cash_mergers", "redemptions"}
    left_out |= {"name_changes", "worthless_removals", "rights_distributions"}
    others = {f"actions of kind {name} left out": 1 for name in left_out}
    assert parsed.counts == {**others, "actions of another symbol": 3}
    second = recorded(shared_data, "test_get_corporate_actions_1.json")
    dividend = parse(json.dumps(second).encode(), "corporate_actions", "ZMTBY", LATER).actions
    assert dividend["value"].tolist() == [0.086928]


def actions(**kinds: list[dict[str, Any]]) -> bytes:
    rows = {
        kind: [{"id": f"{kind}-{n}", "symbol": "AAPL", "ex_date": "2022-02-04", **row} for n, row in enumerate(given)]
        for kind, given in kinds.items()
    }
    return json.dumps({"corporate_actions": rows, "next_page_token": None}).encode()


def test_dividends_of_one_day_are_summed_and_splits_multiplied() -> None:
    splits = [{"new_rate": 3, "old_rate": 1}, {"new_rate": 1, "old_rate": 2}]
    content = actions(cash_dividends=[{"rate": 0.5}, {"rate": 0.25, "special": True}], forward_splits=splits)
    found = parse(content, "corporate_actions").actions
    assert [(row.kind, row.value) for row in found.itertuples()] == [("dividend", 0.75), ("split", 1.5)]


def test_an_action_given_twice_is_one_and_one_to_come_is_left_out() -> None:
    body = json.loads(actions(cash_dividends=[{"rate": 0.5}, {"rate": 0.7, "ex_date": "2022-03-16"}]))
    body["corporate_actions"]["cash_dividends"].append(body["corporate_actions"]["cash_dividends"][0])
    parsed = parse(json.dumps(body).encode(), "corporate_actions")
    assert parsed.actions["value"].tolist() == [0.5]
    assert parsed.counts == {"actions given twice": 1, "actions not yet in force": 1}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"corporate_actions": [], "next_page_token": null}', "no corporate_actions by kind"),
        (actions(cash_dividends=[{"rate": "0.5"}]), "without positive rate"),
        (actions(cash_dividends=[{"rate": 0}]), "without positive rate"),
        (actions(forward_splits=[{"new_rate": 2, "old_rate": None}]), "without positive new_rate and old_rate"),
        (actions(cash_dividends=[{"rate": 0.5, "ex_date": "02/04/2022"}]), "without an ex_date"),
        (actions(cash_dividends=[{"rate": 0.5, "id": None}]), "without its id"),
    ],
)
def test_actions_in_another_form_are_refused(content: bytes, text: str) -> None:
    with pytest.raises(BadPayload, match=text):
        parse(content, "corporate_actions")


def test_a_symbol_without_actions_is_no_failure(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    """Most companies neither split nor pay; what is asked for reaches past the range to when dividends are paid."""
    alpaca.serve(b'{"corporate_actions": {}, "next_page_token": null}')
    (answer,) = fetch(make(dataset="corporate_actions"), "AAPL")
    assert answer.dataset == "corporate_actions"
    (request,) = alpaca.requests
    assert request.path == "/v1/corporate-actions"
    assert request.args["start"] == "2022-02-01"
    assert dt.date.fromisoformat(request.args["end"]) > END + dt.timedelta(days=120)
    parsed = make(dataset="corporate_actions").parse(answer.content, answer.request)
    assert list(parsed.actions.columns) == ["symbol", "ex_date", "kind", "value"]
    assert (len(parsed.actions), parsed.counts) == (0, {})


def test_what_was_fetched_reaches_the_tables(alpaca: Alpaca, make: Callable[..., AlpacaSource]) -> None:
    from lakehouse.normalize import normalize

    source = make()
    (answer,) = fetch(source, "AAPL")
    row = {"source": "alpaca", "snapshot_id": answer.snapshot_id, "known_at": answer.known_at}
    parsed = source.parse(answer.content, json.loads(json.dumps(answer.request)))
    table = normalize([(row, parsed)], exchange="XNYS", months=["2022-02"]).bars.to_pandas()
    assert table["close"].tolist() == [10.0, 11.0]
    assert table["bar_end"].tolist()[0] == pd.Timestamp("2022-02-01T21:00:00Z")


def test_options_and_symbols_are_checked() -> None:
    with pytest.raises(SourceError, match="no dataset 'stock_daily'; did you mean 'stock_day'"):
        AlpacaSource(dataset="stock_daily")
    with pytest.raises(SourceError, match="no feed 'spi'; did you mean 'sip'"):
        AlpacaSource(feed="spi")
    with pytest.raises(SourceError, match="needs symbols"):
        AlpacaSource().symbols([])
    with pytest.raises(BadName):
        AlpacaSource().symbols(["BTC/USD"])
    with pytest.raises(SourceError, match="written like BTC-USD, was 'BTCUSD'"):
        AlpacaSource(dataset="crypto_day").symbols(["BTCUSD"])
    assert AlpacaSource().symbols(["MSFT", "AAPL", "MSFT"]) == ["MSFT", "AAPL"]
    with pytest.raises(SourceError, match="must not be empty"):
        fetch(AlpacaSource(), "AAPL", end=START)
    with pytest.raises(SourceError, match="timezone-aware"):
        fetch(AlpacaSource(), "AAPL", as_of=dt.datetime(2022, 3, 1))
