"""Members of an index in time, from your own file: which symbols were in it on which days, as it was then.

    MembershipSource(path="sp500.csv", universe="sp500")

reads a CSV file with the columns ticker, start_date and end_date: a member from the start up to the day before
the end, and still one where the end is empty. Other names are mapped with `columns`, as in
`lakehouse.sources.files`: {"symbol": "ticker", "start": "from", "end": "to"}. A folder of such files is read
with the pattern "indices/*.csv" and the universe "={stem}", the file's name up to its first dot.

A membership is known from its start, at midnight UTC. The index provider announces a change some days before
it takes effect, but files of memberships do not say when, and a decision must not know it earlier than
everybody did; midnight, since the change takes effect before the open of that session. An end is part of the
row: who reads the rows must not look at an end before it comes (`lakehouse.universe.members` does not).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import SourceError
from lakehouse.snapshots import Answer
from lakehouse.sources.base import (
    SOURCES,
    Parsed,
    check_as_of,
    check_asked,
    distinct_symbols,
    empty_actions,
    empty_bars,
)
from lakehouse.sources.local_files import (
    MAX_FILE_BYTES,
    check_columns,
    check_date_format,
    find_files,
    media_type,
    read_file,
    stem,
)
from lakehouse.sources.tabular import LINE, as_days, as_symbols, read_rows, refuse
from lakehouse.universe import EVERYTHING

if TYPE_CHECKING:
    import pandas as pd

TABLE = "core/universe"
COLUMNS = {"symbol": "ticker", "start": "start_date", "end": "end_date"}
MAX_ROWS = 5_000_000
_UNIVERSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._\-]{0,63}", re.ASCII)
_CLASS = re.compile(r"^([A-Z0-9]+)[.\-]([A-Z])$", re.ASCII)


class MembershipSource:
    """Memberships from files; without `path` it reads the snapshots of earlier ones only.

    Parameters
    ----------
    path : one file, or a pattern such as "indices/*.csv"; CSV, gzip of CSV, or Parquet
    columns : our name (symbol, start, end) -> the file's column
    universe : the name of the universe, such as "sp500"; "={stem}" takes each file's own name
    class_separator : "." or "-" to write the class of a share so (BRK.B, BRK-B) whatever the file has; by
        default symbols stay as the file writes them, and a file that writes one both ways is refused
    date_format : how days are written, in strptime's letters and with leading zeros
    delimiter : between the fields of a CSV file
    max_bytes, max_rows : a file with more (unpacked) is refused
    """

    name = "membership"
    dataset = "universe"

    def __init__(
        self,
        *,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        universe: str = "sp500",
        class_separator: str | None = None,
        date_format: str = "%Y-%m-%d",
        delimiter: str = ",",
        max_bytes: int = MAX_FILE_BYTES,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._path = None if path is None else str(path)
        self._columns = check_columns(
            COLUMNS if columns is None else columns, required=tuple(COLUMNS), known=tuple(COLUMNS)
        )
        self._universe = universe if universe == "={stem}" else _check_universe(universe)
        self._class_separator = _check_separator(class_separator)
        self._date_format = check_date_format(date_format)
        self._delimiter = delimiter
        self._max_bytes = max_bytes
        self._max_rows = max_rows

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once. Whoever they are, a file is taken with all its members.

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
        """Yield each file as it is, whatever symbols and range are asked for.

        An answer covers the days from the first start to the day before the last end, and states no last day
        where somebody is still a member.

        Raises
        ------
        SourceUnavailable : no such file.
        SourceError : the source was made without files, two files are one universe, or a column of the mapping
            is not in the file.
        BadPayload, EmptyAnswer : not a readable table, or one past the limits; no rows.
        BadRows : rows that break a rule; carries the first ones with their lines.
        """
        check_asked(start, end, as_of)
        self.symbols(symbols)
        if self._path is None:
            raise SourceError("source 'membership' has no path: it reads snapshots, there is nothing to fetch")
        files = find_files(self._path)
        if len(files) > 1 and self._universe != "={stem}":
            raise SourceError(
                f"{self._path} is {len(files)} files ({files[0].name}, {files[1].name}, ...) and one universe "
                f"{self._universe!r}: name one file, or the universe '={{stem}}' for one universe a file"
            )
        for file in files:
            if progress is not None:
                progress(f"membership: {file.name}")
            yield self._read(file, as_of)

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the file's rows of core/universe, sorted by symbol and start.

        The request alone decides how the file is read, so that a snapshot is always read as it was at first.
        Rows given twice are one, and counted. Memberships of one symbol that follow on at once (an end that is
        the next start) are kept apart, and counted.

        Raises
        ------
        BadRows : a symbol, day or range that breaks a rule, or memberships of one symbol that overlap.
        """
        import pandas as pd

        what = str(request["file"])
        date_format = str(request["date_format"])
        rows = read_rows(
            content,
            what=what,
            columns=check_columns(request["columns"], required=tuple(COLUMNS), known=tuple(COLUMNS)),
            delimiter=str(request["delimiter"]),
            max_bytes=self._max_bytes,
            max_rows=self._max_rows,
        )
        _check_last_line(content, rows, what)
        symbols, n_rewritten = _one_spelling(rows, what, _check_separator(request["class_separator"]))
        table = pd.DataFrame(
            {
                "symbol": symbols,
                "start": as_days(rows, "start", what, date_format),
                "end": as_days(rows, "end", what, date_format, empty_allowed=True),
                LINE: rows[LINE],
            }
        )
        as_of = check_as_of(dt.datetime.fromisoformat(str(request["as_of"])))
        _check_ranges(table, what, as_of.astimezone(dt.UTC).date() + dt.timedelta(days=1))
        kept, counts = _apart(table, what)
        return Parsed(
            bars=empty_bars(),
            actions=empty_actions(),
            tables={TABLE: _universe_rows(kept, _check_universe(str(request["universe"])))},
            counts={**({"symbols rewritten": n_rewritten} if n_rewritten else {}), **counts},
        )

    def _read(self, file: Path, as_of: dt.datetime) -> Answer:
        content = read_file(file, max_bytes=self._max_bytes)
        request = {
            "file": file.name,
            "universe": _check_universe(self._universe.replace("={stem}", stem(file))),
            "columns": self._columns,
            "class_separator": self._class_separator,
            "date_format": self._date_format,
            "delimiter": self._delimiter,
            "as_of": as_of.isoformat(),
        }
        rows = self.parse(content, request).tables[TABLE]
        is_open = bool(rows["end"].isna().any())
        return Answer(
            content=content,
            source=self.name,
            dataset=self.dataset,
            request=request,
            known_at=as_of,
            media_type=media_type(content),
            first_session=rows["start"].min().date(),
            last_session=None if is_open else rows["end"].max().date() - dt.timedelta(days=1),
        )


def _check_universe(name: str) -> str:
    """Return the name of a universe; those that are made of the bars are taken."""
    if not isinstance(name, str) or not _UNIVERSE.fullmatch(name):
        raise SourceError(
            "a universe is named with 1 to 64 letters, digits, spaces and ._- and begins with a letter or digit; "
            f"was {ascii(name)[:80]}"
        )
    if name == EVERYTHING or name in SOURCES:
        raise SourceError(f"the universe {name!r} is made of the bars: choose another name, such as 'sp500'")
    return name


def _check_separator(separator: object) -> str | None:
    if separator not in (None, ".", "-"):
        raise SourceError(f"class_separator is '.' or '-', or none to keep symbols as they are; was {separator!r}")
    return None if separator is None else str(separator)


def _check_last_line(content: bytes, rows: pd.DataFrame, what: str) -> None:
    """Refuse a file that ends within a line whose end is empty: cut short, it reads as a member for ever."""
    is_text = not content.startswith((b"PAR1", b"\x1f\x8b"))
    if is_text and not content.endswith((b"\n", b"\r")) and rows["end"].iloc[-1] == "":
        raise_at = np.arange(len(rows)) == len(rows) - 1
        rule = "the last line has no end and no line break: it may be cut short; end it with a line break"
        refuse(rows, raise_at, what, "whole_rows", rule)


def _one_spelling(rows: pd.DataFrame, what: str, separator: str | None) -> tuple[pd.Series, int]:
    """Return the symbols, each written one way, and how many rows were rewritten for it."""
    symbols = as_symbols(rows, what)
    if separator is not None:
        written = symbols.str.replace(_CLASS, rf"\g<1>{separator}\g<2>", regex=True)
        return written, int((written != symbols).sum())
    plain = symbols.str.replace(_CLASS, r"\g<1>.\g<2>", regex=True)
    both = symbols.groupby(plain).transform("nunique") > 1
    rule = "a share's class must be written one way, BRK.B or BRK-B (class_separator rewrites it)"
    refuse(rows, both.to_numpy(dtype=bool), what, "one_spelling", rule, ("symbol",))
    return symbols, 0


def _check_ranges(table: pd.DataFrame, what: str, last_day: dt.date) -> None:
    day = np.datetime64(last_day)
    start, end = table["start"], table["end"]
    refuse(table, (end <= start).to_numpy(), what, "end_after_start", "a membership must end after its start")
    future = f"starts and ends must not be after {last_day}, a day after the file was read"
    refuse(table, ((start > day) | (end > day)).to_numpy(), what, "not_in_the_future", future)


def _apart(table: pd.DataFrame, what: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the memberships without repeated rows, and what was found; refuse those that overlap."""
    kept = table.drop_duplicates(["symbol", "start", "end"]).sort_values(["symbol", "start", LINE], kind="stable")
    following = kept.groupby("symbol")["start"].shift(-1)
    follows = following.notna()
    overlaps = (follows & (kept["end"].isna() | (kept["end"] > following))).to_numpy()
    # The second of a pair is shown beside the first.
    pair = overlaps | np.concatenate([[False], overlaps[:-1]])
    if overlaps.any():
        rule = "memberships of one symbol must not overlap"
        refuse(kept, pair, what, "no_overlap", rule)
    counts = {
        "rows given twice": len(table) - len(kept),
        "memberships that follow on at once": int((follows & (kept["end"] == following)).sum()),
    }
    return kept.reset_index(drop=True), {reason: n_rows for reason, n_rows in counts.items() if n_rows}


def _universe_rows(table: pd.DataFrame, universe: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "universe": pd.Series(universe, index=table.index, dtype="str"),
            "symbol": table["symbol"].astype("str"),
            "start": table["start"],
            "end": table["end"],
            "known_at": table["start"].astype("datetime64[us]").dt.tz_localize("UTC"),
        }
    )
