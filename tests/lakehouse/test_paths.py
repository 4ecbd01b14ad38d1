"""Symbols as file names, and partition values."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadName
from lakehouse.paths import MAX_SYMBOL_LENGTH, partition_value, safe_key, symbol_of


@pytest.mark.parametrize(
    "symbol", ["AAPL", "NA", "ON", "TRUE", "NULL", "1E5", "BRK.B", "BF-B", "^GSPC", "BTC-USD", "ES=F"]
)
def test_an_ordinary_symbol_is_its_own_key(symbol: str) -> None:
    assert safe_key(symbol) == symbol


@pytest.mark.parametrize(
    ("symbol", "key"),
    [
        ("../X", "%2E.%2FX"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("A/B", "A%2FB"),
        ("A\\B", "A%5CB"),
        ("A%2FB", "A%252FB"),
        ("A.", "A%2E"),
        ("CON", "%43ON"),
        ("NUL.X", "%4EUL.X"),
        ("COM1", "%43OM1"),
        ("CONX", "CONX"),
        ("aapl", "%61%61%70%6C"),
        ("A B", "A%20B"),
        ("ÅB", "%C3%85B"),
    ],
)
def test_an_unsafe_symbol_is_encoded(symbol: str, key: str) -> None:
    assert safe_key(symbol) == key


@pytest.mark.parametrize("symbol", ["", "A" * 33, "A\u202eB", "A\x00", "A\nB", "A\u200b", "\ud800", "\u2028"])
def test_a_symbol_nobody_could_read_is_refused(symbol: str) -> None:
    with pytest.raises(BadName, match="a symbol"):
        safe_key(symbol)


@pytest.mark.parametrize("value", [True, None, 1e5, float("nan"), b"AAPL"])
def test_what_a_reader_turned_into_another_type_is_refused_with_the_cause(value: object) -> None:
    with pytest.raises(BadName, match=r"quote it in YAML .* dtype=str"):
        safe_key(value)  # type: ignore[arg-type]


printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=MAX_SYMBOL_LENGTH).filter(
    lambda text: len(unicodedata.normalize("NFC", text)) <= MAX_SYMBOL_LENGTH
)


@given(printable)
def test_a_key_names_one_file_below_its_folder_and_gives_the_symbol_back(symbol: str) -> None:
    key = safe_key(symbol)
    folder = Path("/lake/snapshots")
    assert (folder / key).resolve().parent == folder
    assert key.isascii() and not set(key) & set('/\\:*?"<>|')
    assert symbol_of(key) == unicodedata.normalize("NFC", symbol)


@given(printable, printable)
def test_different_symbols_never_share_a_file_even_where_case_is_ignored(one: str, other: str) -> None:
    if unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other):
        assert safe_key(one).casefold() != safe_key(other).casefold()


@pytest.mark.parametrize("value", ["2000-03", "trend", "mean_reversion", "A.b-1", "x" * 64])
def test_plain_partition_values_pass(value: str) -> None:
    assert partition_value(value) == value
