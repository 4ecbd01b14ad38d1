"""Any other series from your own files: sentiment, ratings, macro-economic figures, late arrivals and revisions.

    AlternativeSource(
        path="ratings/*.csv",
        columns={"name": "=rating", "symbol": "ticker", "known_at": "published", "value": "score",
                 "about": "quarter_end"},
        time_zone="America/New_York",
    )

The keys are our names, the values the file's columns, those that begin with "=" literal. Required are known_at,
name and value. `symbol` may be absent or empty, for figures that are about none. `about` is the day the value
is about; without it, the day it was known, in `time_zone` where that is given and in UTC elsewhere.

`known_at` is when the value could first be known: when it was published, not when it was written down. It is a
time of day with a zone, or the local time of `time_zone`; a day alone is refused, since at its midnight nobody
knew yet. Two rows about one day, known at different times, are a value and its revision: both are kept, and
`lakehouse.series.as_of` tells which one counted when. A value that arrived late counts from its arrival.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import SourceError
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed, check_as_of, check_asked, distinct_symbols, empty_actions, empty_bars
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
from lakehouse.sources.tabular import LINE, as_days, as_numbers, as_symbols, read_rows, refuse

if TYPE_CHECKING:
    import pandas as pd

TABLE = "core/series"
REQUIRED = ("known_at", "name", "value")
TARGETS = (*REQUIRED, "symbol", "about")
MAX_ROWS = 20_000_000
MAX_NAME = 100
CLOCKS_APART = dt.timedelta(minutes=5)
"""How far a publisher's clock may run ahead of ours."""

_TIME = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_ZONE = r"(Z|[+-]\d{2}:?\d{2})"


class AlternativeSource:
    """Series from files; without `path` and `columns` it reads the snapshots of earlier ones only.

    Parameters
    ----------
    path : one file, or a pattern such as "series/*.parquet"; CSV, gzip of CSV, or Parquet
    columns : our name -> the file's column, as above; "={stem}" is the file's name up to its first dot
    time_zone : of times without a zone, such as "America/New_York"
    date_format : how the days of `about` are written, in strptime's letters and with leading zeros
    delimiter : between the fields of a CSV file
    max_bytes, max_rows : a file with more (unpacked) is refused
    """

    name = "alternative"
    dataset = "series"

    def __init__(
        self,
        *,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        time_zone: str | None = None,
        date_format: str = "%Y-%m-%d",
        delimiter: str = ",",
        max_bytes: int = MAX_FILE_BYTES,
        max_rows: int = MAX_ROWS,
    ) -> None:
        if (path is None) != (columns is None):
            missing, given = ("path", "columns") if path is None else ("columns", "path")
            raise SourceError(f"source 'alternative' needs the option {missing!r} beside {given!r}")
        self._path = None if path is None else str(path)
        self._columns = {} if columns is None else check_columns(columns, required=REQUIRED, known=TARGETS)
        self._time_zone = check_zone(time_zone)
        self._date_format = check_date_format(date_format)
        self._delimiter = delimiter
        self._max_bytes = max_bytes
        self._max_rows = max_rows

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once. Whoever they are, a file is taken with all its rows.

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
        """Yield each file as it is, whatever symbols and range are asked for; it covers the days it is about.

        Raises
        ------
        SourceUnavailable : no such file.
        SourceError : the source was made without files, or a column of the mapping is not in the file.
        BadPayload, EmptyAnswer : not a readable table, or one past the limits; no rows.
        BadRows : rows that break a rule; carries the first ones with their lines.
        """
        check_asked(start, end, as_of)
        self.symbols(symbols)
        if self._path is None:
            raise SourceError("source 'alternative' has no path and columns: it reads snapshots, nothing to fetch")
        for file in find_files(self._path):
            if progress is not None:
                progress(f"alternative: {file.name}")
            yield self._read(file, as_of)

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the file's rows of core/series, sorted by name, symbol, about and known_at.

        The request alone decides how the file is read, so that a snapshot is always read as it was at first.
        Rows given twice are one, and counted.

        Raises
        ------
        BadRows : a row that breaks a rule, or two values of one key.
        """
        import pandas as pd

        what = str(request["file"])
        time_zone = check_zone(request["time_zone"])
        as_of = check_as_of(dt.datetime.fromisoformat(str(request["as_of"])))
        rows = read_rows(
            content,
            what=what,
            columns=check_columns(request["columns"], required=REQUIRED, known=TARGETS),
            delimiter=str(request["delimiter"]),
            max_bytes=self._max_bytes,
            max_rows=self._max_rows,
        )
        known_at = _times(rows, what, time_zone)
        late = known_at > pd.Timestamp(as_of + CLOCKS_APART)
        future = f"known_at must not be after {as_of.isoformat()}, when the file was read"
        refuse(rows, late.to_numpy(), what, "not_in_the_future", future, ("known_at",))
        table = pd.DataFrame(
            {
                "name": _names(rows, what),
                "symbol": as_symbols(rows, what, none_allowed=True) if "symbol" in rows else "",
                "about": _days(rows, known_at, what, str(request["date_format"]), time_zone),
                "known_at": known_at,
                "value": as_numbers(rows, "value", what),
                LINE: rows[LINE],
            }
        ).astype({"symbol": "str"})
        kept, counts = _unique(table, what)
        return Parsed(bars=empty_bars(), actions=empty_actions(), tables={TABLE: kept}, counts=counts)

    def _read(self, file: Path, as_of: dt.datetime) -> Answer:
        content = read_file(file, max_bytes=self._max_bytes)
        request = {
            "file": file.name,
            "columns": {name: _literal(column, file) for name, column in self._columns.items()},
            "time_zone": self._time_zone,
            "date_format": self._date_format,
            "delimiter": self._delimiter,
            "as_of": as_of.isoformat(),
        }
        rows = self.parse(content, request).tables[TABLE]
        only = rows["symbol"].unique()
        return Answer(
            content=content,
            source=self.name,
            dataset=self.dataset,
            request=request,
            known_at=as_of,
            media_type=media_type(content),
            symbol=str(only[0]) if len(only) == 1 and only[0] else None,
            first_session=rows["about"].min().date(),
            last_session=rows["about"].max().date(),
        )


def _literal(column: str, file: Path) -> str:
    return column.replace("{stem}", stem(file)) if column.startswith("=") else column


def _times(rows: pd.DataFrame, what: str, time_zone: str | None) -> pd.Series:
    """Return known_at in UTC; a part of a microsecond counts as a whole one, never as known earlier."""
    import pandas as pd

    column = rows["known_at"]
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        stamps, is_aware = column, np.ones(len(rows), dtype=bool)
    elif isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        stamps, is_aware = column, np.zeros(len(rows), dtype=bool)
    else:
        stamps, is_aware = _written_times(rows, what)
    refuse(rows, stamps.isna().to_numpy(), what, "times", "known_at must be a time that exists", ("known_at",))
    if not is_aware.all():
        stamps = _from_zone(rows, stamps, what, time_zone)
    utc: pd.Series = stamps.dt.tz_convert("UTC").dt.ceil("us").dt.as_unit("us")
    return utc


def _written_times(rows: pd.DataFrame, what: str) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Return the times that a text column holds, NaT where one does not exist, and which rows have a zone."""
    import pandas as pd

    column = rows["known_at"].astype(object)
    text = column.where(column.map(lambda value: isinstance(value, str)), "").astype("str")
    is_aware = text.str.fullmatch(_TIME + _ZONE).to_numpy(dtype=bool)
    is_local = text.str.fullmatch(_TIME).to_numpy(dtype=bool)
    rule = "known_at must be a time such as 2024-05-01T16:30:00-04:00; a day alone is not when it was known"
    refuse(rows, ~(is_aware | is_local), what, "times", rule, ("known_at",))
    if is_aware.any() and is_local.any():
        refuse(rows, is_local, what, "times", "known_at must have a zone in every row or in none", ("known_at",))
    stamps = pd.to_datetime(text, utc=bool(is_aware.all()), format="ISO8601", errors="coerce")
    return stamps, is_aware


def _from_zone(rows: pd.DataFrame, stamps: pd.Series, what: str, time_zone: str | None) -> pd.Series:
    """Return local times with their zone; an hour that daylight saving skips or repeats is refused."""
    if time_zone is None:
        raise SourceError(
            f"known_at of {what} has no zone: name the publisher's in time_zone, such as 'America/New_York'"
        )
    zoned: pd.Series = stamps.dt.tz_localize(time_zone, ambiguous="NaT", nonexistent="NaT")
    rule = f"known_at must be a time that {time_zone} has once; write the zone where the clocks are set back"
    refuse(rows, zoned.isna().to_numpy(), what, "times", rule, ("known_at",))
    return zoned


def _names(rows: pd.DataFrame, what: str) -> pd.Series:
    names = rows["name"]
    good = {
        name
        for name in names.unique()
        if isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
    }
    rule = f"a series is named with 1 to {MAX_NAME} printable characters and no spaces around them"
    refuse(rows, ~names.isin(list(good)).to_numpy(dtype=bool), what, "names", rule, ("name",))
    return names.astype("str")


def _days(rows: pd.DataFrame, known_at: pd.Series, what: str, date_format: str, time_zone: str | None) -> Any:
    if "about" in rows:
        return as_days(rows, "about", what, date_format)
    local = known_at.dt.tz_convert(time_zone or "UTC").dt.tz_localize(None)
    return local.dt.normalize().astype("datetime64[s]")


def _unique(table: pd.DataFrame, what: str) -> tuple[pd.DataFrame, dict[str, int]]:
    key = ["name", "symbol", "about", "known_at"]
    kept = table.drop_duplicates([*key, "value"]).sort_values([*key, LINE], kind="stable")
    twice = kept.duplicated(key, keep=False).to_numpy()
    rule = "a series must have one value a symbol, day and time of knowing"
    refuse(kept, twice, what, "keys_unique", rule)
    n_twice = len(table) - len(kept)
    return kept.drop(columns=LINE).reset_index(drop=True), {"rows given twice": n_twice} if n_twice else {}
