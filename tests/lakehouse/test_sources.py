"""What every source shares: how it is named and made, which symbols it takes, how bytes are read."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest

from lakehouse.errors import BadName, BadPayload, SourceError
from lakehouse.sources import SOURCES, Source, get_source
from lakehouse.sources.base import check_symbol
from lakehouse.sources.payload import gunzip, load_json

COLUMNS = {name: name for name in ("symbol", "session", "open", "high", "low", "close", "volume")}

LEGAL = ["NA", "ON", "NO", "TRUE", "NAN", "INF", "NULL", "1E5", "NONE", "BRK.B", "BRK-B", "^GSPC", "BTC-USD"]
ILLEGAL = ["../x", "A/B", "", "a b", "AAPL\n", "A\u202eB", "A\0", "A" * 33, "aapl", ".", "-X", "A%2F", "A\\B"]


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_keeps_the_contract(name: str) -> None:
    source = get_source(name)
    assert isinstance(source, Source)
    assert source.name == name
    assert source.dataset


def test_an_unknown_source_is_refused_with_the_nearest() -> None:
    with pytest.raises(SourceError, match="no source 'yahooo'; did you mean 'yahoo'"):
        get_source("yahooo")


def test_an_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(SourceError, match="no option 'base_ur'; did you mean 'base_url'"):
        get_source("yahoo", {"base_ur": "http://localhost"})
    with pytest.raises(SourceError, match="source 'sample' has no option 'speed'"):
        get_source("sample", {"speed": 1})


def test_a_missing_option_is_refused_by_name() -> None:
    with pytest.raises(SourceError, match="source 'files' needs the option 'path'"):
        get_source("files", {"columns": COLUMNS})


@pytest.mark.parametrize("symbol", [*LEGAL, "EURUSD=X", "GC=F", "WSKT.JK", "0P000071W8.TO"])
def test_unusual_symbols_are_symbols(symbol: str) -> None:
    assert check_symbol(symbol) == symbol
    assert get_source("yahoo").symbols([symbol]) == [symbol]


@pytest.mark.parametrize("symbol", ILLEGAL)
def test_what_could_be_a_path_or_is_no_ticker_is_no_symbol(symbol: str) -> None:
    with pytest.raises(BadName):
        check_symbol(symbol)


@pytest.mark.parametrize("symbol", [True, None, 1e5, float("nan"), 700])
def test_a_symbol_that_a_reader_made_into_something_else_is_refused(symbol: object) -> None:
    with pytest.raises(BadName, match="must be text"):
        check_symbol(symbol)


def test_a_lower_case_symbol_is_refused_with_the_right_one() -> None:
    with pytest.raises(BadName, match=r"did you mean 'BRK\.B'"):
        check_symbol("brk.b")


def test_importing_the_sources_loads_no_heavy_library() -> None:
    code = (
        "import sys, lakehouse.sources, lakehouse.normalize, lakehouse.checks, lakehouse.sources.yahoo, "
        "lakehouse.sources.files, lakehouse.sources.sample; "
        "print(sorted({'pandas', 'pyarrow', 'yfinance', 'requests', 'exchange_calendars', 'curl_cffi'} "
        "& set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_gzip_of_several_members_is_read_whole() -> None:
    assert gunzip(gzip.compress(b"one ") + gzip.compress(b"two"), what="x") == b"one two"
    assert gunzip(b"plain", what="x") == b"plain"


def test_a_gzip_bomb_is_refused_before_it_unpacks() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(BadPayload, match=r"prices\.csv unpacks to more than"):
        gunzip(bomb, what="prices.csv")
    with pytest.raises(BadPayload, match="unpacks to more than 1,000 bytes"):
        gunzip(gzip.compress(bytes(range(256)) * 8), what="x", max_bytes=1_000)
    with pytest.raises(BadPayload, match="the limit is 10"):
        gunzip(b"a" * 11, what="x", max_bytes=10)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_gzip_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(BadPayload):
        gunzip(gzip.compress(json.dumps(list(range(300))).encode())[:-cut], what="x")


def test_damaged_gzip_is_refused() -> None:
    packed = bytearray(gzip.compress(json.dumps(list(range(300))).encode()))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(BadPayload):
        gunzip(bytes(packed), what="x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"\xef\xbb\xbf <html>", "is a web page"),
        (b'{"a": 1', "is not JSON"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": 9223372036854775808}', "of 19 digits does not fit 64 bits"),
        (b'{"a": -1' + b"0" * 400 + b"}", "of 401 digits does not fit 64 bits"),
        (b'{"a": 1, "a": 2}', "key 'a' twice"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b"1" * 5_000, "is not JSON"),
    ],
)
def test_json_that_is_not_strict_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadPayload, match=reason):
        load_json(content, what="the answer")


def test_json_keeps_whole_numbers_of_64_bits() -> None:
    assert load_json(b"[9223372036854775807, -9223372036854775808]", what="x") == [2**63 - 1, -(2**63)]


def test_json_with_a_byte_order_mark_is_read() -> None:
    assert load_json(b'\xef\xbb\xbf{"a": [1, null]}', what="x") == {"a": [1, None]}
