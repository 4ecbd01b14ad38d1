"""EDGAR's figures and filings, against a loopback server with recorded and small answers."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import re
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import (
    BadPayload,
    DeniedAccess,
    EmptyAnswer,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from lakehouse.schemas import table_schema
from lakehouse.sources.edgar import CONTACT_VARIABLE, REQUESTS_PER_SECOND, THROTTLED, EdgarSource
from lakehouse.sources.edgar_facts import PERIOD, as_of, parse_facts
from lakehouse.sources.edgar_filings import parse_filings
from lakehouse.sources.retrying import TRIES

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
START, END = dt.date(2020, 1, 1), dt.date(2026, 11, 1)
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
CONTACT = "canary.researcher@example.com"
APPLE, SNOWFLAKE, MARVELL = 320193, 1640147, 1835632
RECORDED = {APPLE: "CIK0000320193.json.gz", SNOWFLAKE: "CIK0001640147.json.gz"}
TICKERS = json.dumps(
    {
        "0": {"cik_str": 320193, "ticker": "AAPL", "title": "Apple Inc."},
        "1": {"cik_str": 1652044, "ticker": "GOOGL", "title": "Alphabet Inc."},
        "2": {"cik_str": 1652044, "ticker": "GOOG", "title": "Alphabet Inc."},
        "3": {"cik_str": 1067983, "ticker": "BRK-B", "title": "Berkshire Hathaway Inc"},
    }
).encode()


def fact(val: Any = 1.5, filed: str = "2021-04-29", accn: str = "0000320193-21-000056", **more: Any) -> dict[str, Any]:
    return {
        "end": "2021-03-27",
        "val": val,
        "accn": accn,
        "fy": 2021,
        "fp": "Q2",
        "form": "10-Q",
        "filed": filed,
        **more,
    }


def facts(*rows: dict[str, Any], cik: int = APPLE) -> bytes:
    return json.dumps(
        {"cik": cik, "entityName": "X", "facts": {"us-gaap": {"Cash": {"units": {"USD": rows}}}}}
    ).encode()


def filings(*rows: tuple[str, str, str], cik: int = APPLE, files: Any = (), numbers: int = 0) -> bytes:
    """The newest filings of a company: form, filing day, time of acceptance."""
    recent = lists(*rows, numbers=numbers)
    return json.dumps({"cik": f"{cik:010d}", "filings": {"recent": recent, "files": list(files)}}).encode()


def lists(*rows: tuple[str, str, str], numbers: int = 0) -> dict[str, list[str]]:
    return {
        "accessionNumber": [f"0000000000-21-{numbers + n:06d}" for n in range(len(rows))],
        "form": [row[0] for row in rows],
        "filingDate": [row[1] for row in rows],
        "acceptanceDateTime": [row[2] for row in rows],
    }


class Sec:
    """Answers by path, and keeps what was asked for."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, list[Response]] = {}
        self.serve("/files/company_tickers.json", TICKERS)
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.url = server.url_for("")

    def serve(self, path: str, *bodies: bytes | Response) -> None:
        self.answers[path] = [
            body if isinstance(body, Response) else Response(body, content_type="application/json") for body in bodies
        ]

    def serve_facts(self, cik: int, *bodies: bytes | Response) -> None:
        self.serve(f"/api/xbrl/companyfacts/CIK{cik:010d}.json", *bodies)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        queue = self.answers.get(request.path, [Response(b"<Code>NoSuchKey</Code>", 404, content_type="text/xml")])
        return queue.pop(0) if len(queue) > 1 else queue[0]


@pytest.fixture
def sec(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Sec:
    monkeypatch.setenv(CONTACT_VARIABLE, CONTACT)
    return Sec(httpserver)


@pytest.fixture
def make(sec: Sec, tmp_path: Path) -> Callable[..., EdgarSource]:
    def source(**options: Any) -> EdgarSource:
        fast: dict[str, Any] = {"wait_initial": 0.01, "wait_max": 0.02, "timeout": 5.0}
        places = {"base_url": sec.url, "tickers_url": sec.url, "rate_folder": str(tmp_path)}
        return EdgarSource(**{**fast, **places, **options})

    return source


def fetch(source: EdgarSource, *symbols: str, start: dt.date = START) -> list[Any]:
    return list(source.fetch(list(symbols), start, END, as_of=NOW))


def packed(shared_data: Path, name: str) -> bytes:
    return (shared_data / "edgar_companyfacts" / name).read_bytes()


def read(content: bytes, cik: int = APPLE, now: dt.datetime = NOW) -> Any:
    return parse_facts(content, symbol="X", cik=cik, as_of=now)


def table(content: bytes, cik: int = APPLE) -> pd.DataFrame:
    frame: pd.DataFrame = read(content, cik).tables["core/fundamentals"]
    return frame


def by_hand(shared_data: Path, cik: int) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The recorded figures by taxonomy, concept, unit, start, end and filing day, as lists in the file's order."""
    found = defaultdict(list)
    for taxonomy, concepts in json.loads(gzip.decompress(packed(shared_data, RECORDED[cik])))["facts"].items():
        for concept, body in concepts.items():
            for unit, rows in body["units"].items():
                for row in rows:
                    start = row["start"] if "start" in row else row["end"]
                    found[(taxonomy, concept, unit, start, row["end"], row["filed"])].append(row)
    return found


def keys(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    days = {name: frame[name].dt.strftime("%Y-%m-%d") for name in ("start", "end", "filed")}
    return list(frame.assign(**days)[["taxonomy", "concept", "unit", "start", "end", "filed"]].itertuples(False, None))


@pytest.mark.parametrize("cik", RECORDED)
def test_every_recorded_figure_is_a_row_and_no_other_is(shared_data: Path, cik: int) -> None:
    frame = table(gzip.decompress(packed(shared_data, RECORDED[cik])), cik)
    hand = by_hand(shared_data, cik)
    assert len(frame) == len(hand)
    assert set(frame["cik"]) == {cik}
    rows = dict(zip(keys(frame), frame.to_dict("records"), strict=True))
    for key, filed in hand.items():
        last = max(filed, key=lambda row: row["accn"])
        row = rows[key]
        assert (row["value"], row["accession"], row["form"]) == (last["val"], last["accn"], last["form"])
        assert (None if row["fiscal_year"] is pd.NA else row["fiscal_year"]) == last["fy"]
        assert (row["fiscal_period"] if isinstance(row["fiscal_period"], str) else None) == last["fp"]


def test_figures_filed_twice_on_a_day_are_counted_by_whether_they_agree(shared_data: Path) -> None:
    """Apple filed reports and 8-Ks of the same figures on one day, in 2013 and 2015 with differently rounded ones."""
    counts = Counter()
    for filed in by_hand(shared_data, APPLE).values():
        last = max(filed, key=lambda row: row["accn"])
        counts["facts overruled by a filing of the same day"] += sum(row["val"] != last["val"] for row in filed)
        counts["facts given twice"] += sum(row["val"] == last["val"] for row in filed) - 1
    assert counts["facts overruled by a filing of the same day"] == 2
    assert read(gzip.decompress(packed(shared_data, RECORDED[APPLE]))).counts == counts
    assert read(gzip.decompress(packed(shared_data, RECORDED[SNOWFLAKE])), SNOWFLAKE).counts == {}


def test_the_greatest_accession_wins_a_filing_day_in_whatever_order() -> None:
    rows = [
        fact(1.0, accn="0000320193-21-000056"),
        fact(2.0, accn="0001193125-21-000001"),
        fact(2.0, accn="0000000001-21-1"),
    ]
    for order in (rows, rows[::-1]):
        parsed = read(facts(*order))
        (row,) = parsed.tables["core/fundamentals"].to_dict("records")
        assert (row["value"], row["accession"]) == (2.0, "0001193125-21-000001")
        assert parsed.counts == {"facts given twice": 1, "facts overruled by a filing of the same day": 1}


def test_a_restated_figure_is_known_in_its_old_value_until_the_day_of_the_restatement_has_ended(
    shared_data: Path,
) -> None:
    frame = table(gzip.decompress(packed(shared_data, RECORDED[SNOWFLAKE])), SNOWFLAKE)
    period = ("us-gaap", "CashEquivalentsAtCarryingValue", "USD", "2023-01-31", "2023-01-31")
    told = {key[5]: rows[0]["val"] for key, rows in by_hand(shared_data, SNOWFLAKE).items() if key[:5] == period}
    assert (told["2023-03-29"], told["2023-06-02"]) == (398_346_000, 539_390_000)

    def known(when: dt.datetime) -> list[float]:
        now = as_of(frame, when)
        is_it = (now["concept"] == period[1]) & (now["end"] == pd.Timestamp(period[4]))
        return now.loc[is_it, "value"].tolist()

    midnight = dt.timedelta(days=1)
    first = dt.datetime(2023, 3, 29, tzinfo=NEW_YORK) + midnight
    restated = dt.datetime(2023, 6, 2, tzinfo=NEW_YORK) + midnight
    moment = dt.timedelta(microseconds=1)
    assert known(first - moment) == []
    assert known(first) == [told["2023-03-29"]]
    assert known(restated - moment) == [told["2023-03-29"]]
    assert known(restated) == known(NOW) == [told["2023-06-02"]]


def test_what_was_known_agrees_with_the_filings_read_one_by_one(shared_data: Path) -> None:
    frame = table(gzip.decompress(packed(shared_data, RECORDED[SNOWFLAKE])), SNOWFLAKE)
    hand = by_hand(shared_data, SNOWFLAKE)
    restated = defaultdict(set)
    for key, rows in hand.items():
        restated[key[:5]].update(row["val"] for row in rows)
    assert sum(len(values) > 1 for values in restated.values()) == 55
    for day in ("2021-03-31", "2022-06-03", "2023-06-02", "2025-05-30"):
        expected: dict[tuple[str, ...], Any] = {}
        for key in sorted(hand, key=lambda key: key[5]):
            if key[5] <= day:
                expected[key[:5]] = hand[key][0]["val"]
        # The last moment before the day ends: its own filings do not count, an hour later they do.
        end = dt.datetime.fromisoformat(day).replace(tzinfo=NEW_YORK) + dt.timedelta(days=1)
        now = as_of(frame, end + dt.timedelta(hours=1))
        assert {key[:5]: value for key, value in zip(keys(now), now["value"], strict=True)} == expected
        before = as_of(frame, end - dt.timedelta(hours=1))
        assert before["filed"].max() < pd.Timestamp(day)


def test_what_is_filed_later_changes_nothing_known_earlier_and_order_does_not_matter(shared_data: Path) -> None:
    frame = table(gzip.decompress(packed(shared_data, RECORDED[SNOWFLAKE])), SNOWFLAKE)
    when = dt.datetime(2023, 7, 1, tzinfo=dt.UTC)
    known = as_of(frame, when)
    assert not known.duplicated(list(PERIOD)).any()
    pd.testing.assert_frame_equal(as_of(frame[frame["known_at"] <= when], when), known)
    pd.testing.assert_frame_equal(as_of(frame.sample(frac=1.0, random_state=7), when), known)
    copy = frame.copy()
    as_of(frame, when)
    pd.testing.assert_frame_equal(frame, copy)
    with pytest.raises(SourceError, match="timezone-aware"):
        as_of(frame, dt.datetime(2023, 7, 1))


@pytest.mark.parametrize(
    ("filed", "known_at"),
    [
        ("2021-04-29", "2021-04-30T04:00:00+00:00"),
        ("2021-01-28", "2021-01-29T05:00:00+00:00"),
        ("2024-03-09", "2024-03-10T05:00:00+00:00"),  # the night the clocks go forward
        ("2024-03-10", "2024-03-11T04:00:00+00:00"),
        ("2024-11-03", "2024-11-04T05:00:00+00:00"),
    ],
)
def test_a_figure_is_known_at_the_end_of_its_filing_day_in_new_york(filed: str, known_at: str) -> None:
    (row,) = table(facts(fact(filed=filed))).to_dict("records")
    assert row["known_at"] == pd.Timestamp(known_at)


def test_no_report_was_accepted_after_the_end_of_its_filing_day(shared_data: Path) -> None:
    """Why that end is a safe time: checked on each of Marvell's filings that carry figures."""
    recent = json.loads(gzip.decompress(packed(shared_data, "submissions_CIK0001835632.json.gz")))["filings"]["recent"]
    rows = list(zip(recent["isXBRL"], recent["filingDate"], recent["acceptanceDateTime"], strict=True))
    late = 0
    for is_xbrl, filed, accepted in rows:
        end = dt.datetime.fromisoformat(filed).replace(tzinfo=NEW_YORK) + dt.timedelta(days=1)
        if is_xbrl:
            assert dt.datetime.fromisoformat(accepted) < end
            late += dt.datetime.fromisoformat(accepted) > end - dt.timedelta(hours=8)
    assert late > 50  # most come after the close: the start of the day would be a look-ahead


def test_a_moment_starts_at_its_end() -> None:
    frame = table(facts(fact(), fact(start="2020-12-27")))
    assert [f"{day:%Y-%m-%d}" for day in frame["start"]] == ["2020-12-27", "2021-03-27"]


def test_rows_fit_the_table() -> None:
    import pyarrow as pa

    schema = table_schema("core/fundamentals")
    frame = table(facts(fact(), fact(2, filed="2021-07-28", fy=None, fp=None)))
    wanted = [name for name in schema.column_names if name not in ("source", "snapshot_id")]
    assert list(frame.columns) == wanted
    fields = pa.schema([schema.schema.field(name) for name in wanted])
    arrow = pa.Table.from_pandas(frame, schema=fields, preserve_index=False)
    assert arrow["fiscal_year"].to_pylist() == [2021, None]
    assert arrow["fiscal_period"].to_pylist() == ["Q2", None]
    assert all(arrow[name].null_count == 0 for name in wanted if not schema.column(name).nullable)


def test_rows_come_sorted_by_key_whatever_the_order() -> None:
    rows = [fact(n, filed=f"2021-0{1 + n % 9}-01", end=f"2020-0{1 + n // 9}-28") for n in range(18)]
    random.Random(3).shuffle(rows)
    frame = table(facts(*rows))
    key = list(table_schema("core/fundamentals").key)
    pd.testing.assert_frame_equal(frame, frame.sort_values(key, ignore_index=True))
    assert len(frame) == 18


def test_figures_that_are_none_are_left_out_and_counted() -> None:
    text = facts(fact(None), fact(7, start="2022-01-01"), fact(5), fact(6, filed="2021-05-01")).replace(
        b": 6", b": 1e999"
    )
    parsed = read(text)
    assert parsed.tables["core/fundamentals"]["value"].tolist() == [5.0]
    assert parsed.counts == {"facts without a value": 2, "facts that end before they start": 1}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (facts(fact(), cik=7), "are of company 7, asked for 320193"),
        (b'{"cik": 320193}', "have no facts"),
        (b"[]", "have no facts"),
        (b'{"cik": 320193, "facts": {"us-gaap": []}}', "not by taxonomy, concept and unit"),
        (b'{"cik": 320193, "facts": {"us-gaap": {"Cash": {}}}}', "not by taxonomy, concept and unit"),
        (b'{"cik": 320193, "facts": {"us-gaap": {"Cash": {"units": {"USD": {}}}}}}', "no list of us-gaap Cash in USD"),
        (facts(fact("12")), "values that are not numbers"),
        (facts(fact(True)), "values that are not numbers"),
        (facts(fact(filed=None)), "a figure without filed"),  # type: ignore[arg-type]
        (facts(fact(filed="29.04.2021")), "a day that is none"),
        (facts(fact(filed="2026-11-22")), "a filing of 2026-11-22, after the request"),
        (facts(fact(accn=7)), "a figure without accession"),  # type: ignore[arg-type]
        (facts(fact(fy="2021")), "a fiscal year that is no whole number"),
        (facts(fact(fp=2)), "a fiscal period that is no text"),
        (facts(fact(end=None)), "a figure without start"),
        (b"<html></html>", "web page"),
        (facts(fact())[:-9], "not JSON"),
    ],
)
def test_figures_in_another_form_are_refused(content: bytes, text: str) -> None:
    with pytest.raises(BadPayload, match=text):
        read(content)


def test_a_company_without_any_figure_is_suspect() -> None:
    with pytest.raises(EmptyAnswer):
        read(b'{"cik": 320193, "facts": {}}')


def test_figures_are_fetched_as_the_sec_sends_them(
    sec: Sec, make: Callable[..., EdgarSource], shared_data: Path
) -> None:
    body = packed(shared_data, RECORDED[APPLE])
    sec.serve_facts(APPLE, Response(body, content_type="application/json", headers={"Content-Encoding": "gzip"}))
    (answer,) = fetch(make(), "AAPL")
    assert answer.content == gzip.decompress(body)
    assert (answer.source, answer.dataset, answer.symbol, answer.known_at) == ("edgar", "companyfacts", "AAPL", NOW)
    assert sec.paths == ["/files/company_tickers.json", "/api/xbrl/companyfacts/CIK0000320193.json"]
    assert all(request.headers["User-Agent"] == f"quantlake {CONTACT}" for request in sec.requests)
    assert CONTACT not in json.dumps(answer.request)
    parsed = make().parse(answer.content, json.loads(json.dumps(answer.request)))
    assert len(parsed.tables["core/fundamentals"]) > 20_000


def test_a_company_is_asked_for_by_ticker_class_or_number(sec: Sec, make: Callable[..., EdgarSource]) -> None:
    sec.serve_facts(1067983, facts(fact(), cik=1067983))
    for symbol in ("BRK.B", "BRK-B"):
        (answer,) = fetch(make(), symbol)
        assert (answer.symbol, answer.request["cik"]) == (symbol, 1067983)
    sec.requests.clear()
    for symbol in ("CIK0001067983", "CIK1067983"):
        (answer,) = fetch(make(), symbol)
        assert answer.request["cik"] == 1067983
    assert set(sec.paths) == {"/api/xbrl/companyfacts/CIK0001067983.json"}  # the list of tickers is not needed


def test_two_classes_of_one_company_have_its_figures_once(sec: Sec, make: Callable[..., EdgarSource]) -> None:
    sec.serve_facts(1652044, facts(fact(), cik=1652044))
    assert [answer.symbol for answer in fetch(make(), "GOOGL", "GOOG")] == ["GOOGL"]


def test_an_unknown_ticker_is_named_with_the_nearest_and_keeps_no_other_back(
    sec: Sec, make: Callable[..., EdgarSource]
) -> None:
    sec.serve_facts(APPLE, facts(fact()))
    got = []
    with pytest.raises(UnknownSymbol, match="no ticker 'GOGL'; did you mean 'GOOGL'.*a number only"):
        for answer in make().fetch(["GOGL", "AAPL"], START, END, as_of=NOW):
            got.append(answer.symbol)
    assert got == ["AAPL"]
    with pytest.raises(UnknownSymbol, match="knows no CIK0000000009 .HTTP 404"):
        fetch(make(), "CIK0000000009")


@pytest.mark.parametrize("contact", [None, "", "nobody", "me@host", "me@example.com\nX: y", "mé@example.com"])
def test_without_a_contact_nothing_is_sent(
    sec: Sec, make: Callable[..., EdgarSource], monkeypatch: pytest.MonkeyPatch, contact: str | None
) -> None:
    if contact is None:
        monkeypatch.delenv(CONTACT_VARIABLE)
    else:
        monkeypatch.setenv(CONTACT_VARIABLE, contact)
    with pytest.raises(DeniedAccess, match=f"export {CONTACT_VARIABLE}=you@example.com"):
        fetch(make(), "AAPL")
    assert sec.requests == []


def test_the_contact_is_a_variable_the_settings_know() -> None:
    from assets.settings import OTHER_VARIABLES

    assert CONTACT_VARIABLE in OTHER_VARIABLES


PAGE = f"<html><head><title>SEC.gov | {THROTTLED}</title></head></html>".encode()
UNDECLARED = b"<html><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title></html>"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Response(PAGE, 403, content_type="text/html"), RateLimited, "wants a pause of 600 s"),
        (Response(PAGE, 200, content_type="text/html"), RateLimited, "wants a pause of 600 s"),
        (Response(b"", 429), RateLimited, "wants a pause of 600 s"),
        (Response(UNDECLARED, 403, content_type="text/html"), DeniedAccess, f"Undeclared.*{CONTACT_VARIABLE}"),
        (Response(UNDECLARED, 200, content_type="text/html"), BadPayload, "web page"),
        (Response(b"oops", 503), SourceUnavailable, "HTTP 503"),
        (Response(facts(fact())[:-9], content_type="application/json"), BadPayload, "not JSON"),
        (Response(b'{"cik": 320193, "facts": {}}', content_type="application/json"), EmptyAnswer, "are empty"),
    ],
)
def test_every_way_to_fail_ends_the_fetch_with_its_own_error(
    sec: Sec, make: Callable[..., EdgarSource], answer: Response, kind: type[SourceError], text: str
) -> None:
    """Who asks too fast is shut out for ten minutes, counted anew from each request: it is not tried again."""
    sec.serve_facts(APPLE, answer)
    with pytest.raises(kind, match=text) as caught:
        fetch(make(), "CIK0000320193")
    assert CONTACT not in str(caught.value)
    assert len(sec.requests) == (1 if kind is RateLimited else TRIES.get(kind, 1))


def test_a_hiccup_is_retried(sec: Sec, make: Callable[..., EdgarSource]) -> None:
    sec.serve_facts(APPLE, Response(b"", 500), facts(fact())[:-9], facts(fact()))
    assert [answer.content for answer in fetch(make(), "CIK0000320193")] == [facts(fact())]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[]", "no object of companies"),
        (b'{"0": {"ticker": "AAPL"}}', "a company without ticker and cik_str"),
        (b'{"0": {"ticker": "AAPL", "cik_str": "320193"}}', "a company without ticker and cik_str"),
    ],
)
def test_a_list_of_tickers_in_another_form_is_refused(
    sec: Sec, make: Callable[..., EdgarSource], body: bytes, text: str
) -> None:
    sec.serve("/files/company_tickers.json", body)
    with pytest.raises(BadPayload, match=text):
        fetch(make(), "AAPL")


def test_requests_stay_below_the_secs_limit(
    sec: Sec, make: Callable[..., EdgarSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakehouse.sources.rate_limit import Rate

    sent: list[float] = []
    wait = Rate.wait

    def recorded(self: Rate, *, give_up_at: float) -> float:
        sent.append(wait(self, give_up_at=give_up_at))
        return sent[-1]

    monkeypatch.setattr(Rate, "wait", recorded)
    for cik in range(1, 11):
        sec.serve_facts(cik, facts(fact(), cik=cik))
    fetch(make(), *(f"CIK{cik}" for cik in range(1, 11)))
    assert len(sent) == len(sec.requests) == 10
    assert REQUESTS_PER_SECOND == 8
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[8:], strict=False))


def test_filings_are_those_recorded_and_known_when_they_were_public(shared_data: Path) -> None:
    content = gzip.decompress(packed(shared_data, "submissions_CIK0001835632.json.gz"))
    series = parse_filings(content, symbol="MRVL", cik=MARVELL, as_of=NOW).tables["core/series"]
    recent = json.loads(content)["filings"]["recent"]
    rows = list(zip(recent["form"], recent["filingDate"], recent["acceptanceDateTime"], strict=True))
    forms = Counter(f"filings of form {form}" for form, _, _ in rows)
    assert series.groupby("name")["value"].sum().to_dict() == dict(forms)
    report = series[(series["name"] == "filings of form 10-K") & (series["about"] == pd.Timestamp("2026-03-11"))]
    assert report["known_at"].tolist() == [pd.Timestamp("2026-03-11T20:04:20Z")]
    # Accepted on Friday evening, dated and published on Monday.
    late = series[(series["name"] == "filings of form 8-K") & (series["about"] == pd.Timestamp("2022-06-27"))]
    accepted = {time for form, day, time in rows if (form, day) == ("8-K", "2022-06-27")}
    assert "2022-06-24T23:44:31.000Z" in accepted
    assert late["known_at"].min() == pd.Timestamp("2022-06-27T10:00:00Z")
    moments = [dt.datetime.fromisoformat(time) for _, _, time in rows]
    assert series["known_at"].min() >= min(moments)
    assert set(series["symbol"]) == {"MRVL"}


def test_rows_of_filings_fit_the_table_and_count_those_of_one_moment() -> None:
    same = ("4", "2021-03-01", "2021-03-01T23:10:00.000Z")
    parsed = parse_filings(
        filings(same, same, ("8-K", "2021-03-02", "2021-03-01T23:10:00.000Z")), symbol="X", cik=APPLE, as_of=NOW
    )
    series = parsed.tables["core/series"]
    wanted = [name for name in table_schema("core/series").column_names if name not in ("source", "snapshot_id")]
    assert list(series.columns) == wanted
    assert series.drop_duplicates(list(table_schema("core/series").key)).equals(series)
    assert [(row.name, row.value) for row in series.itertuples(index=False)] == [
        ("filings of form 4", 2.0),
        ("filings of form 8-K", 1.0),
    ]
    assert series["known_at"].tolist() == [pd.Timestamp("2021-03-01T23:10Z"), pd.Timestamp("2021-03-02T11:00Z")]


def test_older_filings_are_fetched_as_far_as_they_are_asked_for(sec: Sec, make: Callable[..., EdgarSource]) -> None:
    names = [f"CIK0000320193-submissions-00{n}.json" for n in (1, 2)]
    files = [{"name": names[0], "filingTo": "2019-12-31"}, {"name": names[1], "filingTo": "2015-12-31"}]
    newest = filings(("10-K", "2021-03-01", "2021-03-01T21:10:00.000Z"), files=files)
    older = json.dumps(lists(("10-K", "2019-03-01", "2019-03-01T21:10:00.000Z"), numbers=9)).encode()
    sec.serve("/submissions/CIK0000320193.json", newest)
    sec.serve(f"/submissions/{names[0]}", older)
    source = make(dataset="submissions")
    answers = fetch(source, "AAPL", start=dt.date(2018, 1, 1))
    assert [answer.content for answer in answers] == [newest, older]
    abouts = [source.parse(a.content, a.request).tables["core/series"]["about"].tolist() for a in answers]
    assert abouts == [[pd.Timestamp("2021-03-01")], [pd.Timestamp("2019-03-01")]]
    assert sec.paths[1:] == ["/submissions/CIK0000320193.json", f"/submissions/{names[0]}"]
    assert len(fetch(source, "AAPL", start=dt.date(2020, 1, 1))) == 1


@pytest.mark.parametrize("name", ["../../files/company_tickers.json", "CIK0000000007-submissions-001.json", None])
def test_a_further_file_that_is_not_the_companys_is_refused(
    sec: Sec, make: Callable[..., EdgarSource], name: str | None
) -> None:
    files = [{"name": name, "filingTo": "2025-01-01"}]
    sec.serve("/submissions/CIK0000320193.json", filings(("4", "2021-03-01", "2021-03-01T21:10:00.000Z"), files=files))
    with pytest.raises(BadPayload, match="none of the company's"):
        fetch(make(dataset="submissions"), "CIK320193")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (filings(("4", "2021-03-01", "2021-03-01T21:10:00.000Z"), cik=7), "are of company '0000000007'"),
        (filings(("4", "2021-03-01", "2021-03-01T21:10:00")), "times that are not UTC"),
        (filings(("4", "2021-03-01", "noonZ")), "a time that is none"),
        (filings(("4", "1.3.2021", "2021-03-01T21:10:00.000Z")), "a time that is none"),
        (filings(("4", "2027-03-01", "2027-03-01T21:10:00.000Z")), "after the request"),
        # A morning filing whose time in New York was taken for UTC.
        (filings(("4", "2021-03-01", "2021-03-01T09:10:00.000Z")), "1 of 1 accepted from 02:00 to 06:00"),
        (b'{"form": ["4"]}', "lack one of the lists"),
        (b'{"filings": {"recent": []}, "cik": "320193"}', "lack one of the lists"),
        (
            json.dumps({**lists(("4", "2021-03-01", "2021-03-01T21:10:00.000Z")), "form": []}).encode(),
            "of different lengths",
        ),
    ],
)
def test_filings_in_another_form_are_refused(content: bytes, text: str) -> None:
    with pytest.raises(BadPayload, match=text):
        parse_filings(content, symbol="X", cik=APPLE, as_of=NOW)


def test_options_and_symbols_are_checked() -> None:
    with pytest.raises(SourceError, match="no dataset 'companyfact'; did you mean 'companyfacts'"):
        EdgarSource(dataset="companyfact")
    with pytest.raises(SourceError, match="needs symbols"):
        EdgarSource().symbols([])
    assert EdgarSource().symbols(["AAPL", "CIK0000320193", "AAPL"]) == ["AAPL", "CIK0000320193"]
