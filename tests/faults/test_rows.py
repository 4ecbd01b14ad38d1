"""Rows that repeat, contradict, have odd names or are far too many: refused by name, or stored as what they are."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import resource
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse import Lake
from lakehouse.errors import BadName, BadPayload, BadRows, QuantlakeError
from lakehouse.normalize import normalize
from lakehouse.paths import safe_key
from lakehouse.sources import get_source
from lakehouse.sources.payload import gunzip, load_json, require_fields
from tests.faults.disks import python
from tests.lakehouse.stored import BARS, answer

HEADER = "symbol,session,open,high,low,close,volume\n"
ROW = "{symbol},2024-01-{day:02d},10,12,9,{close},1000\n"
COLUMNS = {name: name for name in ("symbol", "session", "open", "high", "low", "close", "volume")}


def stored(lake: Lake, text: str, file: Path) -> pa.Table:
    """Take a file the whole way to `core/daily_bars`, and return what is there."""
    file.write_text(text)
    source = get_source("files", {"path": str(file), "columns": COLUMNS})
    as_of = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
    lake.snapshots.put(source.fetch((), dt.date(2024, 1, 1), dt.date(2024, 2, 1), as_of=as_of))
    rows = lake.snapshots.find("files", "daily_bars")
    parts = [(row, source.parse(lake.snapshots.read(row["snapshot_id"]), json.loads(row["request"]))) for row in rows]
    found = normalize(parts, exchange="XNYS", months=["2024-01"])
    lake.replace(BARS, found.bars, partitions=["2024-01"], batch_id="a")
    return lake.scan(BARS)


def test_a_row_given_twice_counts_once(tmp_path: Path) -> None:
    row = ROW.format(symbol="AAPL", day=2, close=11)
    text = HEADER + 3 * row + ROW.format(symbol="AAPL", day=3, close=10)
    found = stored(Lake(tmp_path / "lake"), text, tmp_path / "f")
    assert [(bar["session"].day, bar["close"]) for bar in found.to_pylist()] == [(2, 11.0), (3, 10.0)]


def test_two_rows_of_one_key_that_differ_are_refused_with_the_key_and_nothing_is_stored(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    text = HEADER + ROW.format(symbol="AAPL", day=2, close=11) + ROW.format(symbol="AAPL", day=2, close=10)
    with pytest.raises(QuantlakeError, match=r"AAPL.*2024-01-02|2024-01-02.*AAPL"):
        stored(lake, text, tmp_path / "f")
    assert not lake.exists(BARS)


SPELLINGS = ["NA", "NULL", "NAN", "ON", "NO", "TRUE", "1E5", "INF", "CON", "NUL", "AUX.A", "BRK.B", "^GSPC", "BTC-USD"]


def test_symbols_that_readers_take_for_something_else_stay_themselves(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    text = HEADER + "".join(ROW.format(symbol=symbol, day=2, close=11) for symbol in SPELLINGS)
    assert stored(lake, text, tmp_path / "f")["symbol"].to_pylist() == sorted(SPELLINGS)
    assert lake.scan(BARS, where=[("symbol", "=", "NA")]).num_rows == 1
    asked = lake.sql("SELECT symbol FROM core.daily_bars WHERE symbol = ?", parameters=["1E5"])
    assert asked["symbol"].to_pylist() == ["1E5"]
    assert len({safe_key(symbol).casefold() for symbol in SPELLINGS}) == len(SPELLINGS)
    assert lake.verify() == []


@pytest.mark.parametrize(
    "symbol",
    ["../../etc/passwd", "A/B", "A\\B", "C:", "A\x00B", "\u202eLPAA", "A\u200bB", " AAPL", "aapl", "AAPL'--", "A" * 33],
)
def test_a_symbol_that_could_be_a_path_or_hide_another_is_refused_and_writes_nothing(
    tmp_path: Path, symbol: str
) -> None:
    lake = Lake(tmp_path / "home" / "lake")
    quoted = f'"{symbol}"'
    text = HEADER + ROW.format(symbol="AAPL", day=2, close=11) + ROW.format(symbol=quoted, day=2, close=11)
    with pytest.raises((BadName, BadRows, BadPayload)):
        stored(lake, text, tmp_path / "f")
    assert not lake.exists(BARS)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(lake.home)]
    assert outside == [tmp_path / "f"]


def test_a_field_that_every_row_lost_is_named_with_the_one_that_came_instead() -> None:
    rows = [{"t": 1, "closes": 2.0}, {"t": 2, "closes": 3.0}]
    with pytest.raises(BadPayload, match="no close .ours. in any row; did you mean 'closes'"):
        require_fields(rows, {"t": "time", "close": "ours"}, what="the answer")
    require_fields([{"t": 1}, {"t": 2, "close": 3.0}], {"t": "time", "close": "ours"}, what="the answer")
    require_fields([], {"close": "ours"}, what="the answer")


CHANGES = {
    "renamed": HEADER.replace("close", "last"),
    "removed": HEADER.replace(",volume", ""),
    "another type": HEADER,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_column_renamed_removed_or_of_another_type_refuses_the_file(tmp_path: Path, change: str) -> None:
    row = {
        "renamed": ROW.format(symbol="AAPL", day=2, close=11),
        "removed": "AAPL,2024-01-02,10,12,9,11\n",
        "another type": ROW.format(symbol="AAPL", day=2, close="eleven"),
    }[change]
    with pytest.raises(QuantlakeError, match="close" if change != "removed" else "volume"):
        stored(Lake(tmp_path / "lake"), CHANGES[change] + row, tmp_path / "f")


def test_a_new_column_is_ignored_and_kept_in_the_snapshot(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    text = HEADER.replace("\n", ",vwap\n") + ROW.format(symbol="AAPL", day=2, close=11).replace("\n", ",10.5\n")
    assert stored(lake, text, tmp_path / "f").num_rows == 1
    (row,) = lake.snapshots.find("files", "daily_bars")
    assert b"vwap" in lake.snapshots.read(row["snapshot_id"])


BOMB = """
import sys
from tests.faults.test_rows import meet_bombs
meet_bombs(sys.argv[1])
"""


def meet_bombs(folder: str) -> None:
    """In a process of its own: meet files that unpack to gigabytes, and print the memory that took, in MiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in sorted(Path(folder).iterdir()):
        columns = {name: name for name in COLUMNS}
        source = get_source("files", {"path": str(file), "columns": columns, "max_bytes": 50_000_000})
        try:
            for found in source.fetch((), dt.date(2024, 1, 1), dt.date(2024, 2, 1), as_of=dt.datetime.now(dt.UTC)):
                source.parse(found.content, found.request)
            print(file.name, "read")
        except QuantlakeError as error:
            print(file.name, type(error).__name__, error)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def test_bombs_of_gzip_and_csv_are_refused_in_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "bombs"
    folder.mkdir()
    (folder / "a_zeros.csv.gz").write_bytes(gzip.compress(bytes(200_000_000), 1))
    line = ROW.format(symbol="AAPL", day=2, close=11).encode()
    (folder / "b_rows.csv.gz").write_bytes(gzip.compress(HEADER.encode() + line * 2_500_000, 1))
    (folder / "c_field.csv").write_bytes(HEADER.encode() + b'"' + b"A" * 20_000_000)
    (folder / "d_nested.csv.gz").write_bytes(gzip.compress(gzip.compress(bytes(50_000_000), 1), 1))
    done = python(BOMB, str(folder))
    told = done.stdout.splitlines()
    assert done.returncode == 0 and len(told) == 5, done.stderr
    assert not any(line.endswith("read") for line in told), told
    assert int(told[-1]) < 400, told


def test_a_bomb_of_json_is_refused() -> None:
    with pytest.raises(BadPayload, match="unpacks to more than"):
        gunzip(gzip.compress(bytes(20_000_000)), what="the answer", max_bytes=1_000_000)
    for content in (b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5_000 + b"}"):
        with pytest.raises(BadPayload, match="is not JSON"):
            load_json(content, what="the answer")


def test_a_snapshot_of_any_bytes_is_kept_as_it_is(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for content in (b"", b"\x00" * 10, b"\xff\xfe", "\u202e".encode()):
        (kept,) = lake.snapshots.put([answer(content)])
        assert lake.snapshots.read(kept.snapshot_id) == content
    assert lake.verify() == []
