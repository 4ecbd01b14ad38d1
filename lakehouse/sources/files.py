"""Bars from your own files: CSV (plain or gzip) or Parquet, with a mapping of columns.

    FilesSource(
        path="prices/*.csv.gz",
        columns={"symbol": "ticker", "session": "date", "open": "open", "high": "high", "low": "low",
                 "close": "close", "volume": "volume",
                 "dividend": "dividend_amount", "split": "split_coefficient"},
    )

The keys are our names, the values the file's columns. Required are symbol, session, open, high, low, close,
volume. A symbol that begins with "=" is literal: "=AAPL" for a file of one symbol, "={stem}" for the file's
name up to its first dot. Prices are as traded. `dividend` is cash per share as traded on the ex-date and
empty or 0 where there is none; `split` is new shares per old one on the ex-date and empty, 0 or 1 where there
is none. A file that has neither may have `adj_close`, the close adjusted for both: they are inferred from it
(`lakehouse.sources.adjusted_files` says what that cannot see).

Reading is strict (`lakehouse.sources.strict_table`): one bad row refuses the file and is named with its line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import nearest
from lakehouse.adjusting.conventions import is_on_previous_close
from lakehouse.errors import EmptyAnswer, SourceError, UnknownSymbol
from lakehouse.snapshots import Answer
from lakehouse.sources.adjusted_files import ADJUSTED, check_adjusted, inferred_actions
from lakehouse.sources.base import (
    BAR_COLUMNS,
    Parsed,
    check_as_of,
    check_asked,
    check_symbol,
    distinct_symbols,
    stack_actions,
)
from lakehouse.sources.local_files import (
    MAX_FILE_BYTES,
    check_columns,
    check_date_format,
    check_zone,
    find_files,
    media_type,
    read_file,
    stem,
)
from lakehouse.sources.strict_table import MAX_ROWS, REQUIRED, TARGETS, read_table

if TYPE_CHECKING:
    import pandas as pd

    from lakehouse.adjusting.conventions import Convention


class FilesSource:
    """Bars and actions from files; without `path` and `columns` it reads the snapshots of earlier ones only.

    Parameters
    ----------
    path : one file, a pattern such as "prices/*.csv", or a folder, of which all CSV and Parquet files; they are read in
        the order of their names
    columns : our name -> the file's column, as above
    date_format : how plain dates are written, in strptime's letters and with leading zeros
    time_zone : the exchange's, such as "America/New_York"; needed only where `session` holds timezone-aware
        timestamps, which are converted to that zone's date
    delimiter : between the fields of a CSV file
    convention : how the vendor adjusts for dividends, where `adj_close` is read (`lakehouse.adjusting.conventions`)
    max_bytes, max_rows : a file with more (unpacked) is refused; gzip may unpack to 100 times its size
    """

    name = "files"
    dataset = "daily_bars"

    def __init__(
        self,
        *,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        date_format: str = "%Y-%m-%d",
        time_zone: str | None = None,
        delimiter: str = ",",
        convention: Convention = "wiki",
        max_bytes: int = MAX_FILE_BYTES,
        max_rows: int = MAX_ROWS,
    ) -> None:
        if (path is None) != (columns is None):
            missing, given = ("path", "columns") if path is None else ("columns", "path")
            raise SourceError(f"source 'files' needs the option {missing!r} beside {given!r}")
        self._path = None if path is None else str(path)
        self._columns = {} if columns is None else check_columns(columns, required=REQUIRED, known=TARGETS)
        self._date_format = check_date_format(date_format)
        self._time_zone = check_zone(time_zone)
        self._delimiter = delimiter
        check_adjusted(self._columns)
        is_on_previous_close(convention)
        self._convention = convention
        self._max_bytes = max_bytes
        self._max_rows = max_rows

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once; none means all that the files hold.

        Raises
        ------
        BadName : one is no symbol.
        """
        return distinct_symbols(configured)

    def fetch(
        self,
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
        *,
        as_of: dt.datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield each file as it is, with all its symbols and sessions, whatever range is asked for.

        Raises
        ------
        SourceUnavailable : no such file.
        SourceError : the source was made without files, or a column of the mapping is not in the file; names
            the nearest.
        BadPayload : not a readable table, or one past the limits.
        BadRows : rows that break a rule; carries the first ones with their lines.
        EmptyAnswer : a file without rows.
        UnknownSymbol : no file holds a symbol that was asked for; raised after the last file.
        """
        check_asked(start, end, as_of)
        wanted = self.symbols(symbols)
        seen: set[str] = set()
        if self._path is None:
            raise SourceError("source 'files' has no path and columns: it reads snapshots, there is nothing to fetch")
        for file in find_files(self._path):
            if progress is not None:
                progress(f"files: {file.name}")
            answer, found = self._read(file, as_of)
            seen |= found
            yield answer
        for symbol in wanted:
            if symbol not in seen:
                raise UnknownSymbol(f"no file at {self._path} holds the symbol {symbol!r}{nearest(symbol, seen)}")

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the file's bars and actions.

        The request alone decides how the file is read, so that a snapshot is always read as it was at first.
        """
        as_of = check_as_of(dt.datetime.fromisoformat(str(request["as_of"])))
        table, counts = read_table(
            content,
            what=str(request["file"]),
            columns=check_columns(request["columns"], required=REQUIRED, known=TARGETS),
            date_format=str(request["date_format"]),
            time_zone=check_zone(request["time_zone"]),
            delimiter=str(request["delimiter"]),
            last_session=as_of.astimezone(dt.UTC).date() + dt.timedelta(days=1),
            max_bytes=self._max_bytes,
            max_rows=self._max_rows,
        )
        bars = table[list(BAR_COLUMNS)]
        if ADJUSTED in table:
            actions = stack_actions(inferred_actions(table, request["convention"]))
        else:
            actions = stack_actions(_actions(table))
        return Parsed(bars=bars, actions=actions, counts=counts)

    def _read(self, file: Path, as_of: dt.datetime) -> tuple[Answer, set[str]]:
        content = read_file(file, max_bytes=self._max_bytes)
        symbol = _literal(self._columns["symbol"], file)
        columns = dict(self._columns) if symbol is None else {**self._columns, "symbol": f"={symbol}"}
        request = {
            "file": file.name,
            "columns": columns,
            "date_format": self._date_format,
            "time_zone": self._time_zone,
            "delimiter": self._delimiter,
            "as_of": as_of.isoformat(),
            **({"convention": self._convention} if ADJUSTED in columns else {}),
        }
        bars = self.parse(content, request).bars
        if not len(bars):
            raise EmptyAnswer(f"{file} has no rows")
        answer = Answer(
            content=content,
            source=self.name,
            dataset=self.dataset,
            request=request,
            known_at=as_of,
            media_type=media_type(content),
            symbol=symbol,
            first_session=bars["session"].min().date(),
            last_session=bars["session"].max().date(),
        )
        return answer, set(bars["symbol"].unique())


def _literal(column: str, file: Path) -> str | None:
    """Return the symbol of a mapping such as "=AAPL" or "={stem}", None where it names a column."""
    if not column.startswith("="):
        return None
    return check_symbol(column[1:].replace("{stem}", stem(file)))


def _actions(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the splits and the dividends of a table; 0 and 1 are no split, 0 is no dividend."""
    is_split = ~table["split"].isin([0.0, 1.0])
    for kind, mask in (("split", is_split), ("dividend", table["dividend"] > 0.0)):
        rows = table.loc[mask, ["symbol", "session", kind]]
        yield rows.rename(columns={"session": "ex_date", kind: "value"}).assign(kind=kind)
