"""What every source keeps, whatever vendor it asks: one suite, run by each (`tests.lakehouse.contract`)."""

from __future__ import annotations

import ast
import copy
import datetime as dt
import gzip
import inspect
import json
import logging
import random
import re
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

import lakehouse.errors
import lakehouse.sources
from engine.errors import QuantlakeError
from lakehouse.calendar import session_close
from lakehouse.errors import BadPayload, RateLimited, SourceError
from lakehouse.lake import Lake
from lakehouse.rows import conform
from lakehouse.schemas import TABLES, TableSchema
from lakehouse.snapshots import Answer
from lakehouse.sources import SOURCES, Source, get_source
from lakehouse.sources.base import ACTION_COLUMNS, BAR_COLUMNS, Parsed, Remembering
from tests.lakehouse.contract import AS_OF, CANARIES, ENTRIES, START, Bench, Entry, Vendor

PARSE_ERRORS = tuple(
    kind for kind in vars(lakehouse.errors).values() if isinstance(kind, type) and kind.__module__ == "lakehouse.errors"
)
PRICES = ["open", "high", "low", "close"]
MODULES = sorted(Path(lakehouse.sources.__file__).parent.glob("*.py"))


@pytest.fixture
def bench(tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for variable, value in CANARIES.items():
        monkeypatch.setenv(variable, value)
    return Bench(tmp_path, Vendor(httpserver))


@pytest.fixture(params=sorted(ENTRIES))
def entry(request: pytest.FixtureRequest, bench: Bench) -> Entry:
    return ENTRIES[request.param](bench)


def fetch(entry: Entry, source: Source | None = None, **options: Any) -> list[Answer]:
    given = {"start": entry.start, "end": entry.end, "as_of": AS_OF, **options}
    source = source or entry.source()
    return list(source.fetch(list(entry.symbols), given.pop("start"), given.pop("end"), **given))


def frames(parsed: Parsed) -> dict[str, pd.DataFrame]:
    return {"bars": parsed.bars, "actions": parsed.actions, **parsed.tables}


def equal(ours: Parsed, theirs: Parsed) -> bool:
    left, right = frames(ours), frames(theirs)
    return (
        list(left) == list(right)
        and ours.counts == theirs.counts
        and all(left[name].equals(right[name]) and (left[name].dtypes == right[name].dtypes).all() for name in left)
    )


def test_every_source_has_an_entry() -> None:
    assert {name.partition("_")[0] for name in ENTRIES} == set(SOURCES)


def test_every_variable_that_a_source_reads_has_a_canary() -> None:
    found: set[str] = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(
                    re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*(?:KEY|SECRET|TOKEN|CONTACT)[A-Z0-9_]*", node.value)
                )
    assert found == set(CANARIES)


def test_a_source_is_what_its_name_says(entry: Entry) -> None:
    source = entry.source()
    assert type(source) is type(get_source(entry.name))
    assert isinstance(source, Source)
    assert source.name == entry.name and entry.name in SOURCES
    assert source.dataset and source.dataset == entry.options.get("dataset", source.dataset)


def test_symbols_are_checked_and_each_is_there_once(entry: Entry) -> None:
    source = entry.source()
    wanted = list(entry.symbols)
    assert source.symbols([*wanted, *wanted]) == wanted if wanted else True
    if entry.needs_symbols:
        with pytest.raises(SourceError, match="needs symbols"):
            source.symbols([])
    else:
        everything = source.symbols([])
        assert len(everything) == len(set(everything))
    for bad in ("../x", "A/B", "", "aapl", "A\u202eB", "A" * 33, True, None, 1e5, float("nan")):
        with pytest.raises(PARSE_ERRORS):
            source.symbols([*wanted, bad])  # type: ignore[list-item]


def test_answers_are_complete_and_can_be_stored(entry: Entry, tmp_path: Path) -> None:
    said: list[str] = []
    source = entry.source()
    answers = fetch(entry, source, progress=said.append)
    assert len(answers) == entry.n_answers
    assert said and all(line.startswith(f"{entry.name}: ") for line in said)
    for answer in answers:
        assert (answer.source, answer.dataset) == (entry.name, source.dataset)
        assert answer.content and isinstance(answer.content, bytes)
        assert answer.known_at.tzinfo is not None and answer.known_at == AS_OF
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", answer.media_type)
        assert json.loads(json.dumps(dict(answer.request), allow_nan=False)) == dict(answer.request)
        assert answer.symbol is None or answer.symbol == answer.symbol.strip() != ""
        if answer.first_session is not None and answer.last_session is not None:
            assert answer.first_session <= answer.last_session
    store = Lake(tmp_path / "lake").snapshots
    assert all(snapshot.was_new for snapshot in store.put(answers))
    assert not any(snapshot.was_new for snapshot in store.put(fetch(entry)))  # the same request, the same bytes


def test_answers_state_the_sessions_they_cover(entry: Entry) -> None:
    answers = fetch(entry)
    for name, expected, choose in (("first_session", entry.first, min), ("last_session", entry.last, max)):
        days = [getattr(answer, name) for answer in answers]
        assert (None if None in days else choose(days)) == expected
    for answer in answers:
        bars = entry.reader().parse(answer.content, answer.request).bars
        if len(bars) and answer.first_session is not None and answer.last_session is not None:
            assert answer.first_session <= bars["session"].min().date()
            assert bars["session"].max().date() <= answer.last_session


def symbols_asked(entry: Entry, vendor: Vendor) -> list[str]:
    """Return which of the entry's several symbols the vendor was asked for."""
    addresses = [unquote(sent.split(" ", 1)[0]) for sent in vendor.sent]
    return [symbol for symbol, marked in entry.several.items() if any(marked in address for address in addresses)]


def test_a_fetch_that_broke_off_goes_on_where_it_stopped(entry: Entry, bench: Bench, tmp_path: Path) -> None:
    # Polygon's other datasets are files, which have their ETags, or of all symbols together.
    assert entry.several or entry.name == "polygon" or not entry.has_server
    if not entry.several:
        return
    source, vendor = entry.source(), bench.vendor
    symbols = list(entry.several)
    whole = {answer.symbol: answer for answer in source.fetch(symbols, entry.start, entry.end, as_of=AS_OF)}
    store = Lake(tmp_path / "lake").snapshots

    def attempt(minutes: int) -> list[str | None]:
        vendor.sent.clear()
        assert isinstance(source, Remembering)
        knowing = source.remembering(store.find(source.name, source.dataset, entry.start, entry.end))
        as_of = AS_OF + dt.timedelta(minutes=minutes)
        return [stored.symbol for stored in store.put(knowing.fetch(symbols, entry.start, entry.end, as_of=as_of))]

    for n_there, minutes in ((0, 1), (1, 2)):
        vendor.throttled = entry.several[symbols[n_there + 1]]
        with pytest.raises(RateLimited):
            attempt(minutes)
        assert symbols_asked(entry, vendor) == symbols[n_there : n_there + 2]
    vendor.throttled = None
    assert attempt(3) == symbols[2:] == symbols_asked(entry, vendor)
    kept = {row["symbol"]: row for row in store.find(source.name, source.dataset)}
    assert list(kept) == symbols
    for symbol, row in kept.items():
        assert row["snapshot_id"] == whole[symbol].snapshot_id
        assert equal(
            entry.reader().parse(store.read(row["snapshot_id"]), json.loads(row["request"])),
            entry.reader().parse(whole[symbol].content, whole[symbol].request),
        )
    assert attempt(4) == symbols  # the fetch was whole: another one is meant to look again


def test_an_answer_past_the_limits_is_refused_with_what_to_raise(entry: Entry) -> None:
    if entry.name not in ("alpaca", "edgar", "yahoo"):
        return
    answer = fetch(entry)[0]
    with pytest.raises(BadPayload, match=r"[23] rows are in .*, more than 1: ask for less, or raise max_rows"):
        get_source(entry.name, {**entry.options, "max_rows": 1}).parse(answer.content, answer.request)
    with pytest.raises(BadPayload, match="more than 10 bytes: ask for less"):
        fetch(entry, get_source(entry.name, {**entry.options, "max_bytes": 10}))


def test_parsing_is_pure(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes and request give the same rows: without network, clock, keys, files or options."""
    answers = fetch(entry)
    first = [entry.source().parse(answer.content, copy.deepcopy(dict(answer.request))) for answer in answers]

    def refuse(*args: Any, **options: Any) -> NoReturn:
        raise AssertionError("parsing touched the network or the clock")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("time", "time_ns", "sleep"):
        monkeypatch.setattr(time, name, refuse)
    for variable in CANARIES:
        monkeypatch.delenv(variable)
    for answer, expected in zip(answers, first, strict=True):
        request = json.loads(json.dumps(dict(answer.request)))  # as the manifest holds it
        before = copy.deepcopy(request)
        reader = entry.reader()
        assert equal(reader.parse(answer.content, request), expected)
        assert equal(reader.parse(answer.content, request), expected)
        assert request == before


def test_no_source_looks_at_the_clock() -> None:
    """`as_of` is handed in; only time that passes is measured."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("now", "utcnow", "today"), f"{module.name}:{node.lineno}"


def test_rows_keep_the_rules_of_their_tables(entry: Entry) -> None:
    n_rows: dict[str, int] = {}
    known: list[pd.Timestamp] = []
    for answer in fetch(entry):
        parsed = entry.reader().parse(answer.content, answer.request)
        check_bars(parsed.bars)
        check_actions(parsed.actions)
        for name, frame in parsed.tables.items():
            check_table(frame, TABLES[name])
            known.append(frame["known_at"].min())
        for name, frame in frames(parsed).items():
            n_rows[name] = n_rows.get(name, 0) + len(frame)
        assert all(isinstance(number, int) and number > 0 for number in parsed.counts.values())
    expected = {name: number for name, number in n_rows.items() if number}
    assert expected == entry.rows
    assert min(known, default=None) == (pd.Timestamp(entry.known_from) if entry.known_from else None)


def check_bars(bars: pd.DataFrame) -> None:
    assert tuple(bars.columns) == BAR_COLUMNS
    assert pd.api.types.is_string_dtype(bars["symbol"].dtype)
    check_days(bars["session"])
    assert (bars.dtypes[2:] == np.float64).all()
    check_prices(bars)
    check_order(bars, ["symbol", "session"])
    if len(bars):
        session_close("XNYS", bars["session"].dt.date)  # refuses what is no session


def check_actions(actions: pd.DataFrame) -> None:
    assert tuple(column for column in actions.columns if column != "pay_date") == ACTION_COLUMNS
    check_days(actions["ex_date"])
    assert set(actions["kind"]) <= {"split", "dividend", "delisting"}
    values = actions.loc[actions["kind"] != "delisting", "value"]
    assert actions["value"].dtype == np.float64 and np.isfinite(values).all() and (values > 0.0).all()
    check_order(actions, ["symbol", "ex_date", "kind"])


def check_table(frame: pd.DataFrame, table: TableSchema) -> None:
    """Compare with the table's definition; what the lake adds (source, snapshot, month) is added here."""
    added = {"source": "x", "snapshot_id": "0" * 64}
    if table.month_of is not None:
        added["month"] = frame[table.month_of].dt.strftime("%Y-%m")
    whole = frame.assign(**{name: value for name, value in added.items() if name in table.column_names})
    columns = {}
    for column in table.columns:
        values = whole[column.name]
        if column.type == "date":
            check_days(values, nullable=column.nullable)
            columns[column.name] = pa.array(values.dt.date, pa.date32(), from_pandas=True)
        else:
            columns[column.name] = pa.array(values, from_pandas=True)
        if column.type == "timestamp":
            assert str(values.dtype) == "datetime64[us, UTC]"
    assert set(whole.columns) == set(table.column_names)
    conform(pa.table(columns), table)  # refuses other types, missing values and a key twice
    assert (frame["known_at"] <= AS_OF + dt.timedelta(minutes=5)).all()
    if set(PRICES) <= set(frame.columns):
        check_prices(frame)
    if "bar_end" in frame.columns:
        assert (frame["known_at"] >= frame["bar_end"]).all()
    check_order(frame, list(table.key))


def check_days(days: pd.Series, *, nullable: bool = False) -> None:
    assert days.dtype.kind == "M" and getattr(days.dtype, "tz", None) is None
    assert nullable or not days.isna().any()
    known = days.dropna()
    assert (known == known.dt.normalize()).all()


def check_prices(bars: pd.DataFrame) -> None:
    prices = bars[PRICES].to_numpy()
    assert np.isfinite(prices).all() and (prices > 0.0).all()
    assert (bars["high"] >= bars[PRICES].max(axis=1)).all() and (bars["low"] <= bars[PRICES].min(axis=1)).all()
    assert np.isfinite(bars["volume"]).all() and (bars["volume"] >= 0.0).all()


def check_order(frame: pd.DataFrame, key: list[str]) -> None:
    assert not frame.duplicated(key).any()
    pd.testing.assert_frame_equal(
        frame[key].reset_index(drop=True), frame[key].sort_values(key, kind="stable", ignore_index=True)
    )


def refused(entry: Entry, content: bytes, answer: Answer) -> QuantlakeError | None:
    """Parse, and return the error; None where there is none. Any other kind of error goes on."""
    try:
        entry.reader().parse(content, answer.request)
    except PARSE_ERRORS as error:
        return error
    return None


FOREIGN = {
    "empty": b"",
    "blank": b"\n \n",
    "a web page": b"<!DOCTYPE html><html><head><title>One moment</title></head><body>consent</body></html>",
    "a web page, zipped": gzip.compress(b"<html><body>down for maintenance</body></html>"),
    "an S3 error": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "random bytes": random.Random(1).randbytes(3_000),
    "random text": "".join(random.Random(2).choices("abc,;\n\"'{}[]0123 ", k=3_000)).encode(),
    "no Parquet": b"PAR1" + random.Random(3).randbytes(500) + b"PAR1",
    "no gzip": b"\x1f\x8b" + random.Random(4).randbytes(500),
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "a number": b"1",
    "nested": b"[" * 100_000,
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "an error as JSON": b'{"message": "forbidden.", "code": 40310000, "status": "ERROR", "error": "no"}',
}


def test_what_is_no_answer_is_refused(entry: Entry) -> None:
    answer = fetch(entry)[0]
    said = {kind: str(refused(entry, content, answer) or "") for kind, content in FOREIGN.items()}
    assert {kind: text for kind, text in said.items() if len(text) < 20} == {}


def test_an_answer_cut_short_is_refused(entry: Entry) -> None:
    answer = fetch(entry)[0]
    size = len(answer.content)
    for length in {1, 2, size // 4, size // 2, 2 * size // 3, size - 20, size - 5, size - 1}:
        content = answer.content[:length]
        error = refused(entry, content, answer)
        if error is None:
            # A text ends with any of its lines; an answer that is packed has an end of its own.
            assert entry.by_lines and not content.startswith((b"\x1f\x8b", b"PAR1"))


def test_a_damaged_answer_gives_rows_or_an_error_of_ours(entry: Entry) -> None:
    answer = fetch(entry)[0]
    rng = random.Random(5)
    n_refused = 0
    for _ in range(15 if len(answer.content) > 50_000 else 50):
        damaged = bytearray(answer.content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        n_refused += refused(entry, bytes(damaged), answer) is not None
    assert n_refused > 0


ODD = [
    None,
    True,
    "x",
    "",
    -1,
    0,
    1e308,
    -1e308,
    10**30,
    10**400,
    [],
    {},
    [1],
    {"a": 1},
    "2024-13-45",
    "NaT",
    "nan",
    "\u0000",
]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every value of a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from leaves(part, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], by)
    return changed


def removed(value: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.copy(value)
    if len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = removed(value[path[0]], path[1:])
    return changed


def mutants(content: bytes) -> Iterator[bytes]:
    """Yield the content with one value made odd or taken away: of JSON, or of CSV, packed or not."""
    if content.startswith(b"{"):
        document = json.loads(content)
        for path in leaves(document):
            yield from (json.dumps(replaced(document, path, odd)).encode() for odd in ODD)
            if path:
                yield json.dumps(removed(document, path)).encode()
        return
    is_packed = content.startswith(b"\x1f\x8b")
    lines = (gzip.decompress(content) if is_packed else content).decode().splitlines()[:4]
    for row, line in enumerate(lines):
        fields = line.split(",")
        for place in range(len(fields)):
            for odd in ("", " ", "x", "-1", "0", "nan", "inf", "1e999", "2024-13-45", '"', "\u202e", "9" * 40):
                changed = [*fields[:place], odd, *fields[place + 1 :]]
                text = "\n".join([*lines[:row], ",".join(changed), *lines[row + 1 :], ""]).encode()
                yield gzip.compress(text) if is_packed else text


@pytest.mark.parametrize("n_most", [50, pytest.param(100_000, marks=pytest.mark.slow)])
def test_an_odd_value_gives_rows_that_keep_the_rules_or_an_error_of_ours(entry: Entry, n_most: int) -> None:
    answer = fetch(entry)[0]
    if answer.content.startswith(b"PAR1") or len(answer.content) > 50_000:
        return  # bytes, not values: damaged above
    reader = entry.reader()
    found = list(mutants(answer.content))
    n_refused = 0
    for content in random.Random(7).sample(found, min(n_most, len(found))):
        try:
            parsed = reader.parse(content, answer.request)
        except PARSE_ERRORS:
            n_refused += 1
            continue
        check_prices(parsed.bars)
        check_order(parsed.bars, ["symbol", "session"])
        check_actions(parsed.actions)
        for name, frame in parsed.tables.items():
            if len(frame):
                check_table(frame, TABLES[name])
    assert len(found) > 100 and n_refused > 20


def test_an_empty_range_is_refused(entry: Entry) -> None:
    for end in (START, START - dt.timedelta(days=1)):
        with pytest.raises(SourceError, match="the range to fetch must not be empty"):
            fetch(entry, end=end)


def test_a_time_without_a_zone_is_refused(entry: Entry) -> None:
    with pytest.raises(SourceError, match="as_of must be timezone-aware, was 2024-03-01T12:00:00"):
        fetch(entry, as_of=AS_OF.replace(tzinfo=None))


def test_an_option_or_dataset_that_is_misspelt_is_refused_with_the_nearest(entry: Entry) -> None:
    known = list(inspect.signature(type(entry.source())).parameters)
    for option in known:
        with pytest.raises(
            SourceError, match=f"source '{entry.name}' has no option '{option}x'; did you mean '{option}'"
        ):
            get_source(entry.name, {f"{option}x": 1})
    with pytest.raises(SourceError, match=f"source '{entry.name}' has no option"):
        get_source(entry.name, {"zzz": 1})
    if "dataset" in known:
        dataset = entry.source().dataset
        with pytest.raises(SourceError, match=f"has no dataset '{dataset}s'; did you mean '{dataset}'"):
            get_source(entry.name, {"dataset": f"{dataset}s"})


def echo(status: int, **headers: str) -> Callable[[Request], Response]:
    """A vendor that sends back what it was sent, credentials included."""

    def answer(request: Request) -> Response:
        said = {"message": f"refused {dict(request.headers)} {request.url}"}
        return Response(json.dumps(said), status=status, headers=headers, content_type="application/json")

    return answer


BROKEN: dict[str, Callable[[Request], Response]] = {
    "denied": echo(401),
    "throttled": echo(429, **{"Retry-After": "0"}),
    "failing": echo(500),
    "unlike": lambda request: Response(b'{"odd": [1]}', content_type="application/json"),
    "a web page": lambda request: Response(f"<html>{dict(request.headers)}", content_type="text/html"),
    "cut": lambda request: Response(b'{"bars": {', content_type="application/json"),
}


@pytest.mark.parametrize("problem", sorted(BROKEN))
def test_a_vendor_that_fails_is_an_error_of_ours_without_a_credential(
    entry: Entry,
    bench: Bench,
    problem: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not entry.has_server:
        return
    bench.vendor.broken = BROKEN[problem]
    source = entry.source()
    with caplog.at_level(logging.INFO), pytest.raises(SourceError) as caught:
        fetch(entry, source)
    assert type(caught.value).__module__ == "lakehouse.errors"
    if problem == "throttled":
        assert isinstance(caught.value, RateLimited) or entry.n_answers > 1
    assert 0 < bench.vendor.n_requests <= 60
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(source) + repr(vars(source))
    said = capfd.readouterr()
    assert_silent(told + caplog.text + said.out + said.err)


def test_a_fetch_that_works_tells_no_credential(
    entry: Entry, bench: Bench, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    source = entry.source()
    with caplog.at_level(logging.INFO):
        answers = fetch(entry, source, progress=told.append)
    for answer in answers:
        told += [repr(answer), json.dumps(dict(answer.request)), answer.content.decode("latin-1"), str(answer.etag)]
    said = capfd.readouterr()
    assert_silent("".join([*told, repr(vars(source)), caplog.text, said.out, said.err]))
    assert not any(value in sent.split(" ", 1)[0] for sent in bench.vendor.sent for value in CANARIES.values())


def assert_silent(text: str) -> None:
    assert [variable for variable, value in CANARIES.items() if value in text] == []
