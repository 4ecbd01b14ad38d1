"""A vendor that sends back what it was sent: the credential is in no error, log, snapshot, event or table.

Each variable holds a canary. Each source with credentials meets each fault, what it says is collected, what it gives is
kept in a real lake, and everything written is searched, compressed files included.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pyarrow.parquet as pq
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from assets.settings import Settings
from lakehouse import Lake
from lakehouse.errors import SourceError
from lakehouse.sources.credentials import redacted, refuse_echo
from orchestration.definitions import definitions_for
from orchestration.materialize import MaterializeError
from tests.homes import Home
from tests.lakehouse.contract import AS_OF, CANARIES, END, ENTRIES, START, Bench, Vendor

SOURCES = ("alpaca_day", "edgar_facts", "polygon_aggregates", "polygon_day")
"""One for each way to ask; the slow run takes every dataset."""
EVERY = (*SOURCES, "alpaca_actions", "edgar_filings", "polygon_splits", "polygon_trades")


@pytest.fixture
def bench(tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for variable, value in CANARIES.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench", Vendor(httpserver))


def keys(request: Request) -> list[str]:
    """The credentials that came with a request: all that its vendor knows."""
    return [value for value in CANARIES.values() if value in str(dict(request.headers))]


def key(request: Request) -> str:
    return keys(request)[-1]


def sent(request: Request) -> str:
    return f"{dict(request.headers)} {' '.join(keys(request))}"


def body(text: str, status: int = 200, kind: str = "application/json", **headers: str) -> Response:
    return Response(text, status=status, headers=headers, content_type=kind)


def as_json(request: Request) -> Response:
    return body(json.dumps({"message": sent(request), "status": "OK", "results": [sent(request)]}))


def in_the_fields(request: Request) -> Response:
    """In places that a parser may quote."""
    said = key(request)
    fields = {
        "bars": {"AAPL": [{"t": said}]},
        "corporate_actions": {"cash_dividends": [{"id": said}]},
        "cik": said,
        "0": {"ticker": said},
        "results": [{"ticker": said}],
    }
    return body(json.dumps(fields))


def as_xml(request: Request) -> Response:
    return body(f"<Error><Code>{key(request)}</Code><Message>{sent(request)}</Message></Error>", 400, "application/xml")


def packed(request: Request) -> Response:
    return Response(gzip.compress(f"{key(request)},volume\n1,2\n".encode()), content_type="application/gzip")


def elsewhere(request: Request) -> Response:
    return body("", 302, Location=f"http://127.0.0.1:9/{key(request)}")


ECHOES: dict[str, Callable[[Request], Response]] = {
    "200 as JSON": as_json,
    "200 in the fields": in_the_fields,
    "200 as CSV": lambda request: body(f"{key(request)},volume\n1,2\n", kind="text/csv"),
    "200 packed": packed,
    "200 as a page": lambda request: body(f"<html>{sent(request)}", kind="text/html"),
    "200 no JSON": lambda request: body(sent(request)),
    "200 as a URL spells it": lambda request: body(json.dumps([quote(value, safe="") for value in keys(request)])),
    "200 in a header": lambda request: body("{}", ETag=key(request), X=" ".join(keys(request))),
    "200 as media type": lambda request: body("{}", kind=f"x/{key(request)}"),
    "redirected to it": lambda request: body("", 302, Location=f"/moved/{key(request)}?a={key(request)}"),
    "redirected away": elsewhere,
    "400": lambda request: body(json.dumps({"message": sent(request)}), 400),
    "400 as XML": as_xml,
    "401": lambda request: body(sent(request), 401),
    "404": lambda request: body(sent(request), 404),
    "429": lambda request: body(sent(request), 429, **{"Retry-After": "0"}),
    "500": lambda request: body(sent(request), 500),
}


ALIKE = ("400", "404", "429", "500", "200 no JSON", "200 as CSV", "redirected to it")
"""Ways that go through the same code as others: for the slow run."""


@pytest.mark.parametrize(
    ("fault", "names"),
    [(fault, SOURCES) for fault in ECHOES if fault not in ALIKE]
    + [pytest.param(fault, EVERY, marks=pytest.mark.slow) for fault in ECHOES],
)
def test_no_source_tells_or_keeps_a_credential_that_the_vendor_sends_back(
    bench: Bench,
    tmp_path: Path,
    fault: str,
    names: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []
    lake = Lake(tmp_path / "lake")
    for name in names:
        entry = ENTRIES[name](bench)
        bench.vendor.broken = ECHOES[fault]
        source = entry.source()
        with caplog.at_level(logging.INFO), pytest.raises(SourceError) as caught:
            lake.snapshots.put(source.fetch(entry.symbols, START, END, as_of=AS_OF, progress=told.append))
        told += [*traceback.format_exception(caught.value), repr(caught.value), repr(vars(source))]
        # A source that needs a list first (EDGAR's tickers) meets the same answer there; past it, too.
        told += _past_the_list(bench, fault, name)
    own = [record.getMessage() for record in caplog.records if record.name != "werkzeug"]
    said = capfd.readouterr()
    assert_silent("".join([*told, *own, said.out, said.err]))
    assert holding(tmp_path / "lake") == []
    assert sum(value in request for request in bench.vendor.sent for value in CANARIES.values()) > 0


def _past_the_list(bench: Bench, fault: str, name: str) -> list[str]:
    if not name.startswith("edgar"):
        return []
    entry = ENTRIES[name](bench)
    tickers = bench.vendor.bodies["/files/company_tickers.json"][0]
    bench.vendor.broken = lambda request: (
        Response(tickers, content_type="application/json") if "tickers" in request.path else ECHOES[fault](request)
    )
    with pytest.raises(SourceError) as caught:
        list(entry.source().fetch(entry.symbols, START, END, as_of=AS_OF))
    return traceback.format_exception(caught.value)


def assert_silent(text: str) -> None:
    assert [variable for variable, value in CANARIES.items() if value.lower() in text.lower()] == []


def holding(folder: Path) -> list[str]:
    """The files below the folder that hold a canary, as they are or unpacked."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            content += _unpacked(file, content)
            if any(value.lower().encode() in content.lower() for value in CANARIES.values()):
                found.append(str(file))
    return found


def _unpacked(file: Path, content: bytes) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(content)
    if file.suffix == ".parquet":
        return str(pq.read_table(io.BytesIO(content)).to_pylist()).encode()
    return b""


ENTRIES_OF_GRAPH = ("alpaca", "edgar", "polygon", "polygon/aggregates")


@pytest.mark.parametrize("fault", ["200 as JSON", pytest.param("401", marks=pytest.mark.slow)])
def test_a_run_of_the_graph_leaves_no_credential_in_dagster_mlflow_or_the_lake(
    home: Home, bench: Bench, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.vendor.broken = ECHOES[fault]
    url = bench.vendor.url
    rest = {"base_url": url, **bench.quick}
    options = {
        "alpaca": rest | {"rate_folder": str(bench.folder)},
        "edgar": rest | {"tickers_url": url, "rate_folder": str(bench.folder)},
        "polygon": rest | {"endpoint_url": url},
    }
    graph = definitions_for(Settings(home=home.path, sources=ENTRIES_OF_GRAPH, symbols=("AAPL",), options=options))
    from orchestration.materialize import materialize

    for asset in ("raw/alpaca", "raw/edgar", "raw/polygon", "raw/polygon_aggregates"):
        with pytest.raises(MaterializeError) as caught:
            materialize(home.instance, [asset], definitions=graph, partition="2024-01", log_level="DEBUG")
        assert_silent("".join(traceback.format_exception(caught.value)))
    runs = home.instance.get_runs()
    assert [run.status for run in runs] == [dg.DagsterRunStatus.FAILURE] * 4
    said = capfd.readouterr()
    assert_silent("\n".join(line for line in (said.out + said.err).splitlines() if "HTTP/1.1" not in line))
    assert any((home.path / "dagster").rglob("*.db"))
    assert holding(home.path) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Else an empty result would mean nothing."""
    import pyarrow as pa

    value = CANARIES["POLYGON_API_KEY"]
    (tmp_path / "a").write_text(f"x{value.upper()}x")
    (tmp_path / "b").write_bytes(gzip.compress(value.encode()))
    pq.write_table(pa.table({"x": [value]}), tmp_path / "c.parquet", compression="zstd")
    (tmp_path / "d").write_text("nothing")
    assert sorted(Path(file).name for file in holding(tmp_path)) == ["a", "b", "c.parquet"]


def test_a_credential_is_known_in_every_spelling() -> None:
    value = 'k"ey+one/two@x.com'
    for spelt in (value, quote(value, safe=""), json.dumps(value), value.upper(), "k&quot;ey+one/two@x.com"):
        assert "one" not in redacted(f"said {spelt} again", [value]).lower()
        with pytest.raises(SourceError, match="repeats the credential in V: nothing of it is kept") as caught:
            refuse_echo(f"said {spelt}", {"V": value}, what="the answer")
        assert "one" not in str(caught.value)
    assert redacted("nothing here", [value]) == "nothing here"
    assert redacted("nothing here", []) == "nothing here"
    refuse_echo("nothing here", {"V": value}, what="the answer")
