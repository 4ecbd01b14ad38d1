"""What is left to ask after a fetch that broke off: by sessions, questions and the fetches in between."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import RateLimited
from lakehouse.lake import Lake
from lakehouse.sources import get_source
from lakehouse.sources.base import Remembering
from lakehouse.sources.resuming import left_over, unchanged_since
from tests.lakehouse.contract import CANARIES

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2024-{text}:00+00:00")


@pytest.mark.parametrize(
    ("exchange", "as_of", "since"),
    [
        ("XNYS", "02-29T22:30", "02-29T21:30"),  # Thursday evening: since the close at 21:00 has settled
        ("XNYS", "02-29T21:10", "02-29T14:30"),  # the close has not settled
        ("XNYS", "02-29T15:00", "02-29T14:30"),  # the open
        ("XNYS", "03-01T08:00", "02-29T21:30"),  # the night after
        ("XNYS", "03-01T10:00", "02-29T22:00"),  # twelve hours
        ("XNYS", "03-03T12:00", "03-03T00:00"),  # a Sunday
        ("24/7", "03-01T05:00", "03-01T00:30"),
        ("24/7", "03-01T00:10", "03-01T00:00"),
    ],
)
def test_nothing_can_have_changed_since_the_last_turn_of_a_session(exchange: str, as_of: str, since: str) -> None:
    assert unchanged_since(moment(as_of), exchange=exchange, within=12 * 3600.0) == moment(since)


def test_without_time_to_resume_everything_is_asked_for() -> None:
    assert unchanged_since(NOON, exchange="XNYS", within=0.0) == NOON


def row(minutes: int, symbol: str, **more: Any) -> dict[str, Any]:
    """A manifest row of a fetch so many minutes before noon."""
    request = {"symbol": symbol, "range": "a/b", "is_last": True, "as_of": "x", **more}
    return {"known_at": NOON - dt.timedelta(minutes=minutes), "request": json.dumps(request)}


def left(*rows: Mapping[str, Any], since: dt.datetime = EPOCH) -> str:
    questions = {symbol: {"symbol": symbol, "range": "a/b", "is_last": True} for symbol in "ABCD"}
    return "".join(left_over(rows, questions, since=since, as_of=NOON))


@pytest.mark.parametrize(
    ("fetches", "expected"),
    [
        ([], "ABCD"),
        (["A"], "BCD"),
        (["A", "B", "C"], "D"),  # three attempts, each of which got further
        (["AB", "CD"], "ABCD"),  # the second made it whole
        (["ABCD"], "ABCD"),  # repeated on purpose
        (["ABCD", "AB"], "CD"),  # the repetition broke off
        (["ABCD", "AB", "C"], "D"),
        (["ABCD", "AB", "CD"], "ABCD"),
        (["B", "A"], "CD"),
        (["AX"], "BCD"),  # a symbol that is no longer asked for
    ],
)
def test_each_attempt_gets_further_and_a_whole_fetch_is_repeated_whole(fetches: list[str], expected: str) -> None:
    rows = [row(60 - n, symbol) for n, fetched in enumerate(fetches) for symbol in fetched]
    assert left(*rows) == expected == left(*rows[::-1])


@pytest.mark.parametrize(
    "other", [{"range": "a/c"}, {"is_last": False}, {"is_last": None}, {"range": ["a/b"]}, {"range": {}}]
)
def test_an_answer_to_another_question_or_a_part_of_one_does_not_count(other: dict[str, Any]) -> None:
    assert left(row(5, "A", **other), row(5, "B")) == "ACD"


def test_answers_from_before_something_changed_or_from_the_future_do_not_count() -> None:
    since = NOON - dt.timedelta(minutes=10)
    assert left(row(11, "A"), row(10, "B"), row(0, "C"), row(-1, "D"), since=since) == "AD"


class Paged:
    """Two pages of bars a symbol, or two files of filings a company; refuses what `refused` names, and keeps count."""

    def __init__(self, server: HTTPServer) -> None:
        self.refused: str | None = None
        self.asked: list[str] = []
        self.url = server.url_for("").rstrip("/")
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        at_alpaca = "symbols" in request.args
        asked = (
            f"{request.args['symbols']} {request.args.get('page_token', 'first')}"
            if at_alpaca
            else request.path.rsplit("/", 1)[1].removesuffix(".json")
        )
        self.asked.append(asked)
        if asked == self.refused:
            return Response(status=429, headers={"Retry-After": "400"})
        body = self._bars(request) if at_alpaca else self._filings(asked)
        return Response(json.dumps(body), content_type="application/json")

    @staticmethod
    def _bars(request: Request) -> dict[str, Any]:
        is_first = "page_token" not in request.args
        bar = {"t": f"2024-01-0{2 if is_first else 3}T05:00:00Z", "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.5, "v": 10}
        return {"bars": {request.args["symbols"]: [bar]}, "next_page_token": "second" if is_first else None}

    @staticmethod
    def _filings(asked: str) -> dict[str, Any]:
        lists = {
            "accessionNumber": [f"{asked}-1"],
            "filingDate": ["2023-11-03"],
            "acceptanceDateTime": ["2023-11-02T22:08:27.000Z"],
            "form": ["10-K"],
        }
        if "submissions" in asked:
            return lists
        older = [{"name": f"{asked}-submissions-001.json", "filingTo": "2023-12-31"}]
        return {"cik": asked.removeprefix("CIK"), "filings": {"recent": lists, "files": older}}


@pytest.mark.parametrize(
    ("name", "symbols", "parts"),
    [
        ("alpaca", ["AAPL", "IBM"], ["AAPL first", "AAPL second", "IBM first", "IBM second"]),
        (
            "edgar",
            ["CIK1", "CIK2"],
            [f"CIK{n:010d}{part}" for n in (1, 2) for part in ("", "-submissions-001")],
        ),
    ],
)
def test_an_answer_that_broke_off_between_its_parts_is_asked_for_from_its_first(
    name: str,
    symbols: list[str],
    parts: list[str],
    tmp_path: Path,
    httpserver: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in CANARIES.items():
        monkeypatch.setenv(variable, value)
    vendor = Paged(httpserver)
    options = {"base_url": vendor.url, "rate_folder": str(tmp_path / "rate"), "wait_initial": 0.01}
    source = get_source(name, {**options, "dataset": "submissions"} if name == "edgar" else options)
    assert isinstance(source, Remembering)
    store = Lake(tmp_path / "lake").snapshots

    def attempt(minutes: int) -> list[str]:
        vendor.asked.clear()
        knowing = source.remembering(store.find(source.name, source.dataset))
        as_of = NOON + dt.timedelta(minutes=minutes)
        try:
            store.put(knowing.fetch(symbols, dt.date(2023, 1, 2), dt.date(2024, 1, 6), as_of=as_of))
        except RateLimited:
            vendor.asked.append("refused")
        return list(vendor.asked)

    vendor.refused = parts[1]
    assert attempt(0) == [*parts[:2], "refused"]
    vendor.refused = parts[3]
    assert attempt(1) == [*parts, "refused"]
    vendor.refused = None
    assert attempt(2) == parts[2:]
    assert attempt(3) == parts
