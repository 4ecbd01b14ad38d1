"""Flat files read block by block: gzip of CSV, one session of the whole market, never unpacked as a whole.

Columns are found by the names of the header, which must be the documented ones. Tickers are text whatever they
spell (NA, NULL, TRUE). What cannot be used is left out and counted, and refuses the file only where it is much:

1. a line with too few or too many fields (`lines of another length`);
2. a field that is no number where one belongs (`rows with unreadable numbers`);
3. a time that is not of the file's session in New York (`rows of another session`), which every row is where
   the unit of time has changed;
4. a ticker that is no symbol here (`rows of unusual tickers`): the vendor writes preferred shares, rights and
   when-issued shares with lower-case letters (BApA), which upper case would make into other symbols. These do
   not count as bad.
"""

from __future__ import annotations

import csv
import datetime as dt
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import nearest
from lakehouse.errors import BadName, BadPayload, EmptyAnswer
from lakehouse.sources.base import check_symbol
from lakehouse.sources.polygon_gzip import BLOCK_BYTES, whole_lines
from lakehouse.sources.polygon_rows import FlatFileRows

if TYPE_CHECKING:
    import pyarrow as pa

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
MAX_ROWS = 20_000_000
TICKER = "ticker"
_INTEGER = r"^(-?([0-9]{1,18}|[1-8][0-9]{18}))?$"
_NUMBER = r"^(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?)?$"


@dataclass(frozen=True)
class FlatFileFormat:
    """What the vendor documents of a dataset's files.

    columns : name -> "string", "int64" or "float64", all columns of the header
    time : the column of nanoseconds since 1970 that says which session a row is of
    """

    columns: Mapping[str, str]
    time: str


def check_flat_file(
    content: bytes, form: FlatFileFormat, *, what: str, check_block: Callable[[bytes], None] = lambda block: None
) -> None:
    """Read a file through once, to its last checksum; `check_block` sees each part, unpacked, before anything else.

    Raises
    ------
    BadPayload : damaged or cut gzip, no CSV, or a header other than the documented one.
    EmptyAnswer : nothing below the header.
    """
    blocks = whole_lines(content, what=what)
    head = next(blocks, b"")
    check_block(head)
    _header(head, form, what)
    n_bytes = 0
    for block in blocks:
        check_block(block)
        n_bytes += len(block.strip())
    if not n_bytes:
        raise EmptyAnswer(f"{what} has no rows below its header: suspect, no session is without trades")


def read_flat_file(
    content: bytes,
    form: FlatFileFormat,
    *,
    what: str,
    session: dt.date,
    columns: Sequence[str],
    only: Sequence[str] = (),
    max_rows: int = MAX_ROWS,
) -> FlatFileRows:
    """Return the usable rows of a session's file.

    Parameters
    ----------
    content : gzip of CSV, or CSV
    what : named in errors, such as the file's key
    session : rows of another New York date are left out
    columns : to keep, besides the symbol
    only : symbols to keep; none means all
    max_rows : with more rows than that kept the file is refused

    Raises
    ------
    BadPayload : damaged or cut gzip, no CSV, a header other than the documented one, or too many rows.
    EmptyAnswer : nothing below the header.
    """
    import pyarrow as pa

    blocks = whole_lines(content, what=what)
    header = _header(next(blocks, b""), form, what)
    tickers = _Tickers(frozenset(only))
    bounds = _bounds(session)
    schema = pa.schema([("symbol", pa.string()), *((name, _arrow_type(form.columns[name])) for name in columns)])
    rows = FlatFileRows(schema.empty_table())
    kept = []
    n_kept = n_lines = 0
    for block in blocks:
        if block.isspace() or not block:
            continue
        table = _parse_block(block, header, form, what, rows)
        n_lines += table.num_rows
        part = _usable(table, form.time, bounds, tickers, rows).select(schema.names)
        n_kept += part.num_rows
        if n_kept > max_rows:
            raise BadPayload(
                f"{what} has more than {max_rows:,} rows to keep at once: name the symbols you want in the option "
                "'only', or raise max_rows"
            )
        kept.append(part)
    if not n_lines and not rows.bad:
        raise EmptyAnswer(f"{what} has no rows below its header: suspect, no session is without trades")
    rows.table = pa.concat_tables([rows.table, *kept])
    return rows


class _Tickers:
    """Which tickers are wanted symbols, asked once each."""

    def __init__(self, only: frozenset[str]) -> None:
        self._only = only
        self._known: dict[bytes, tuple[bool, bool]] = {}

    def judge(self, ticker: bytes) -> tuple[bool, bool]:
        """Return whether the ticker is wanted, and whether it is a symbol."""
        if ticker not in self._known:
            text = ticker.decode("utf-8", "replace")
            is_wanted = not self._only or text in self._only
            try:
                check_symbol(text)
                self._known[ticker] = is_wanted, True
            except BadName:
                self._known[ticker] = not self._only, False
        return self._known[ticker]


def _usable(table: pa.Table, time: str, bounds: tuple[int, int], tickers: _Tickers, rows: FlatFileRows) -> pa.Table:
    """Return the wanted rows with a symbol and a time of the session, and count the others."""
    import pyarrow as pa

    tickers_of_rows = table[TICKER].combine_chunks().dictionary_encode()
    judged = np.array([tickers.judge(t) for t in tickers_of_rows.dictionary.to_pylist()], dtype=bool).reshape(-1, 2)
    is_wanted, is_symbol = judged[tickers_of_rows.indices.to_numpy(zero_copy_only=False)].T
    stamps = table[time].to_numpy()
    is_of_session = (stamps >= bounds[0]) & (stamps < bounds[1])
    rows.n_rows += int(is_wanted.sum())
    rows.count_odd("rows of unusual tickers", int((is_wanted & ~is_symbol).sum()))
    rows.count_bad("rows of another session", int((is_wanted & is_symbol & ~is_of_session).sum()))
    kept = table.filter(pa.array(is_wanted & is_symbol & is_of_session))
    return kept.append_column("symbol", kept[TICKER].cast(pa.string()))


def _parse_block(block: bytes, header: Sequence[str], form: FlatFileFormat, what: str, rows: FlatFileRows) -> pa.Table:
    """Return the block's rows with all their numbers; the time is never null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv

    n_odd_lines = n_unreadable = 0

    def skip(_: Any) -> str:
        nonlocal n_odd_lines
        n_odd_lines += 1
        return "skip"

    def read(types: Mapping[str, Any]) -> pa.Table:
        nonlocal n_odd_lines
        n_odd_lines = 0
        return pa_csv.read_csv(
            pa.BufferReader(block),
            read_options=pa_csv.ReadOptions(column_names=list(header), block_size=2 * BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=skip),
            convert_options=pa_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )

    try:
        try:
            table = read({name: _csv_type(name, kind) for name, kind in form.columns.items()})
        except pa.ArrowInvalid:
            table, n_unreadable = _with_numbers(read(dict.fromkeys(form.columns, pa.binary())), form)
    except pa.ArrowException as error:
        raise BadPayload(f"{what} is not readable CSV: {str(error)[:200]}; fetch it again") from error
    n_lines = _n_lines(block)
    n_read = n_odd_lines + table.num_rows + n_unreadable
    if n_read != n_lines:
        raise BadPayload(f"{what} has a quotation mark that runs over {n_lines - n_read + 1} lines; fetch it again")
    rows.n_rows += n_odd_lines
    rows.count_bad("lines of another length", n_odd_lines)
    has_time = table[form.time].is_valid()
    n_unreadable += table.num_rows - int(pc.sum(has_time).as_py() or 0)
    rows.n_rows += n_unreadable
    rows.count_bad("rows with unreadable numbers", n_unreadable)
    return table.filter(has_time)


def _n_lines(block: bytes) -> int:
    """Return how many lines of a block are not empty: a quotation mark without its twin would swallow some."""
    characters = np.frombuffer(block if block.endswith(b"\n") else block + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    is_empty = (lengths == 0) | ((lengths == 1) & (characters[ends - 1] == ord("\r")))
    return len(ends) - int(is_empty.sum())


def _with_numbers(table: pa.Table, form: FlatFileFormat) -> tuple[pa.Table, int]:
    """Return the rows of a table of text whose numbers are numbers, in the columns' types, and how many are not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    good = np.ones(table.num_rows, dtype=bool)
    patterns = {"int64": _INTEGER, "float64": _NUMBER}
    for name, kind in form.columns.items():
        if kind in patterns:
            matches = pc.match_substring_regex(table[name], patterns[kind])
            good &= matches.to_numpy().astype(bool)
    kept = table.filter(pa.array(good))
    columns = []
    for name, kind in form.columns.items():
        column = kept[name]
        if name != TICKER:
            column = column.cast(pa.string())
        if kind in patterns:
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column).cast(_arrow_type(kind))
        columns.append(column)
    return pa.table(columns, names=list(form.columns)), table.num_rows - kept.num_rows


def _csv_type(name: str, kind: str) -> Any:
    import pyarrow as pa

    # A ticker that is not UTF-8 must not refuse the others.
    return pa.binary() if name == TICKER else _arrow_type(kind)


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    return {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[kind]


def _header(line: bytes, form: FlatFileFormat, what: str) -> list[str]:
    """Return the header's names, which are the documented ones in any order."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip()
    if not text:
        raise EmptyAnswer(f"{what} is empty: suspect, no session is without trades")
    if text.startswith("<"):
        raise BadPayload(f"{what} is a web page or an error, not CSV; try again later")
    try:
        header = [name.strip() for name in next(csv.reader([text]))]
    except csv.Error as error:
        raise BadPayload(f"{what} has a header that is no CSV ({error}); try again later") from error
    missing = [name for name in form.columns if name not in header]
    unknown = [name for name in header if name not in form.columns]
    twice = sorted({name for name in header if header.count(name) > 1})
    if missing or unknown or twice:
        shown = [
            f"{said} {', '.join(map(repr, names[:5]))[:120]}"
            for said, names in (("lacks", missing), ("has the new", unknown), ("has twice", twice))
            if names
        ]
        hint = nearest(missing[0], unknown) if missing and unknown else ""
        raise BadPayload(f"the header of {what} is not the documented one, it {' and '.join(shown)}{hint}")
    return header


def _bounds(session: dt.date) -> tuple[int, int]:
    """Return the nanoseconds since 1970 at which the date begins and ends in New York."""
    days = (session, session + dt.timedelta(days=1))
    first, last = (int(dt.datetime.combine(day, dt.time(), NEW_YORK).timestamp()) * 10**9 for day in days)
    return first, last
