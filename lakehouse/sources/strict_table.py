"""Strict reading of tables of bars: text stays text, a number is a number, and one bad row refuses the file.

pandas by default reads the symbols NA and NULL as missing and YAML reads ON as true; here every field of a
CSV file is text until a rule says what it is. A table is refused as a whole: prices that are silently left
out change results.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from lakehouse.errors import BadName, BadPayload, BadRows, EmptyAnswer, SourceError
from lakehouse.sources.base import check_symbol
from lakehouse.sources.payload import gunzip

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("symbol", "session", "open", "high", "low", "close", "volume")
OPTIONAL = {"dividend": 0.0, "split": 1.0}
TARGETS = (*REQUIRED, *OPTIONAL)
MAX_ROWS = 50_000_000
_PRICES = ("open", "high", "low", "close")
_PLACE = "line"
_AWARE = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})"
_N_SAMPLE = 10


def read_table(
    content: bytes,
    *,
    what: str,
    columns: Mapping[str, str],
    date_format: str,
    time_zone: str | None,
    delimiter: str,
    last_session: dt.date,
    max_bytes: int,
    max_rows: int = MAX_ROWS,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the table in our names, sorted by symbol and session, and the counts of collapsed rows.

    A row given twice with equal values is one row; with different values the table is refused.

    Parameters
    ----------
    content : CSV, gzip of CSV, or Parquet
    what : named in errors, such as the file's name
    columns : our name -> the table's column; a symbol that begins with "=" is literal
    date_format : of plain dates
    time_zone : of the exchange, for timezone-aware sessions
    delimiter : of CSV
    last_session : rows after it lie in the future
    max_bytes, max_rows : limits of the unpacked table

    Returns
    -------
    symbol, session (datetime64), open, high, low, close, volume, dividend, split; float64 from open on

    Raises
    ------
    SourceError : a mapped column is not there; names the nearest.
    BadPayload : no readable table, or one past the limits.
    EmptyAnswer : no rows.
    BadRows : rows that break a rule, the first ones with their line in the file (Parquet: row number from 1).
    """
    import pandas as pd

    wanted = {name: column for name, column in columns.items() if not column.startswith("=")}
    if content.startswith(b"PAR1"):
        raw = _read_parquet(content, what, wanted, max_bytes, max_rows)
    else:
        raw = _read_csv(gunzip(content, what=what, max_bytes=max_bytes), what, wanted, delimiter, max_rows)
    if not len(raw):
        raise EmptyAnswer(f"{what} has no rows below its header")
    if "symbol" not in wanted:
        raw["symbol"] = columns["symbol"][1:]
    table = pd.DataFrame(
        {
            "symbol": _symbols(raw, what),
            "session": _sessions(raw, what, date_format, time_zone),
            **{name: _numbers(raw, name, what) for name in _PRICES},
            "volume": _numbers(raw, "volume", what),
            **{name: _numbers(raw, name, what, empty=none) for name, none in OPTIONAL.items()},
            _PLACE: raw[_PLACE],
        }
    )
    _check_values(table, what, last_session)
    kept, n_twice = _unique(table, what)
    return kept.drop(columns=_PLACE), {"rows given twice": n_twice} if n_twice else {}


def _read_csv(text: bytes, what: str, wanted: Mapping[str, str], delimiter: str, max_rows: int) -> pd.DataFrame:
    import pandas as pd

    try:
        first = text[: 1 << 16].decode("utf-8-sig", "ignore").splitlines()
        header = next(csv.reader(first[:1], delimiter=delimiter, strict=True), [])
        _check_header([name.strip() for name in header], what, wanted)
        with warnings.catch_warnings():
            # pandas warns and goes on where the first row has more fields than the header.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            raw = pd.read_csv(
                io.BytesIO(text),
                sep=delimiter,
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                index_col=False,
                encoding="utf-8-sig",
                skip_blank_lines=False,
                nrows=max_rows + 1,
                on_bad_lines="error",
            )
    except UnicodeDecodeError as error:
        raise BadPayload(f"{what} is not UTF-8 text ({error}); save it as UTF-8") from error
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise BadPayload(f"{what} is not a readable CSV file: {str(error).strip()[:300]}") from error
    if len(raw) > max_rows:
        raise BadPayload(f"{what} has more than {max_rows:,} rows (max_rows)")
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    picked = raw[list(wanted.values())].set_axis(list(wanted), axis=1)
    picked[_PLACE] = np.arange(2, len(picked) + 2)
    is_blank = (raw == "").all(axis=1)
    return picked[~is_blank].reset_index(drop=True)


def _read_parquet(content: bytes, what: str, wanted: Mapping[str, str], max_bytes: int, max_rows: int) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        meta = file.metadata
        unpacked = sum(meta.row_group(place).total_byte_size for place in range(meta.num_row_groups))
        if meta.num_rows > max_rows or unpacked > max_bytes:
            raise BadPayload(
                f"{what} has {meta.num_rows:,} rows and {unpacked:,} bytes unpacked; the limits are "
                f"{max_rows:,} (max_rows) and {max_bytes:,} (max_bytes)"
            )
        _check_header(list(file.schema_arrow.names), what, wanted)
        table = file.read(columns=list(dict.fromkeys(wanted.values())))
    except (pa.ArrowException, OSError) as error:
        raise BadPayload(f"{what} is not a readable Parquet file: {str(error)[:300]}") from error
    picked = table.select(list(wanted.values())).rename_columns(list(wanted)).to_pandas()
    picked[_PLACE] = np.arange(1, len(picked) + 1)
    frame: pd.DataFrame = picked
    return frame


def _check_header(header: list[str], what: str, wanted: Mapping[str, str]) -> None:
    for name, column in wanted.items():
        if column not in header:
            raise SourceError(f"{what} has no column {column!r} for {name!r}{nearest(column, header)}")
        if header.count(column) > 1:
            raise BadPayload(f"{what} has {header.count(column)} columns named {column!r}")


def _symbols(raw: pd.DataFrame, what: str) -> pd.Series:
    problems: dict[Any, str] = {}
    for symbol in raw["symbol"].unique():
        try:
            check_symbol(symbol)
        except BadName as error:
            problems[symbol] = str(error)
    if problems:
        bad = raw["symbol"].isin(list(problems)) | (raw["symbol"].isna() if None in problems else False)
        _refuse(raw, bad.to_numpy(), what, "usable_symbols", next(iter(problems.values())))
    return raw["symbol"].astype("str")


def _sessions(raw: pd.DataFrame, what: str, date_format: str, time_zone: str | None) -> NDArray[np.datetime64]:
    """Return the session dates; naive stamps with a time part and mixtures of forms are refused."""
    import pandas as pd

    column = raw["session"]
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return _exchange_dates(column, raw, what, time_zone)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        rule = "sessions are dates; a time of day needs a time zone"
        _refuse(raw, (column != column.dt.normalize()).to_numpy(), what, "plain_dates", rule)
        plain: NDArray[np.datetime64] = column.to_numpy().astype("datetime64[s]")
        return plain
    text = column.map(lambda value: value.isoformat() if isinstance(value, dt.date) else value)
    is_text = text.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    _refuse(raw, ~is_text, what, "plain_dates", "sessions must be dates")
    aware = text.str.fullmatch(_AWARE).to_numpy(dtype=bool)
    if aware.all():
        stamps = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
        return _exchange_dates(stamps, raw, what, time_zone)
    codes, found = pd.factorize(text)
    dates = pd.to_datetime(pd.Series(found), format=date_format, errors="coerce", exact=True)
    # Written back, a date must give its own text: strptime takes 2020-1-2 for 2020-01-02.
    good = (dates.dt.strftime(date_format) == found).to_numpy(dtype=bool)[codes]
    rule = f"sessions must all be dates written as {date_format}, or all be timestamps with a time zone"
    _refuse(raw, ~good, what, "plain_dates", rule)
    written: NDArray[np.datetime64] = dates.to_numpy().astype("datetime64[s]")[codes]
    return written


def _exchange_dates(stamps: pd.Series, raw: pd.DataFrame, what: str, time_zone: str | None) -> NDArray[np.datetime64]:
    _refuse(raw, stamps.isna().to_numpy(), what, "plain_dates", "sessions must be dates or timestamps")
    if time_zone is None:
        raise SourceError(
            f"the sessions of {what} are timestamps with a time zone: name the exchange's zone in time_zone, "
            "such as 'America/New_York', to read their dates"
        )
    local = stamps.dt.tz_convert(time_zone).dt.tz_localize(None).dt.normalize()
    dates: NDArray[np.datetime64] = local.to_numpy().astype("datetime64[s]")
    return dates


def _numbers(raw: pd.DataFrame, name: str, what: str, *, empty: float | None = None) -> NDArray[np.float64]:
    """Return a column as float64; `empty` stands for a blank field and for a column that is not mapped."""
    import pandas as pd

    if name not in raw:
        return np.full(len(raw), empty, dtype=np.float64)
    column = raw[name]
    if column.dtype == bool:
        raise BadPayload(f"{what} has true and false where {name} should be")
    numbers = pd.to_numeric(column, errors="coerce")
    values: NDArray[np.float64] = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    if empty is not None:
        blank = column.isna() | (column.astype("str").str.strip() == "")
        values = np.where(blank.to_numpy(dtype=bool), empty, values)
    _refuse(raw, ~np.isfinite(values), what, "numbers", f"{name} must be a number", (name,))
    return values


def _check_values(table: pd.DataFrame, what: str, last_session: dt.date) -> None:
    open_, high, low, close = (table[name].to_numpy() for name in _PRICES)
    broken = {
        "positive_prices": ((table[list(_PRICES)].to_numpy() <= 0.0).any(axis=1), "prices must be positive"),
        "ohlc_order": (
            (high < np.maximum(open_, close)) | (low > np.minimum(open_, close)),
            "open and close must lie within low and high",
        ),
        "volume_not_negative": (table["volume"].to_numpy() < 0.0, "volume must not be negative"),
        "dividend_not_negative": (table["dividend"].to_numpy() < 0.0, "dividends must not be negative"),
        "split_not_negative": (table["split"].to_numpy() < 0.0, "splits must not be negative"),
        "not_in_the_future": (
            (table["session"] > np.datetime64(last_session)).to_numpy(),
            f"sessions must not be after {last_session}",
        ),
    }
    for rule, (mask, text) in broken.items():
        _refuse(table, mask, what, rule, text)


def _unique(table: pd.DataFrame, what: str) -> tuple[pd.DataFrame, int]:
    values = [name for name in table.columns if name != _PLACE]
    kept = table.drop_duplicates(values).sort_values(["symbol", "session", _PLACE], kind="stable")
    twice = kept.duplicated(["symbol", "session"], keep=False).to_numpy()
    _refuse(kept, twice, what, "keys_unique", "a symbol's session must be there once, or with equal values")
    return kept.reset_index(drop=True), len(table) - len(kept)


def _refuse(
    rows: pd.DataFrame,
    mask: NDArray[np.bool_],
    what: str,
    rule: str,
    text: str,
    shown: tuple[str, ...] = (),
) -> None:
    """Raise BadRows where the mask has any row; the text holds the first and its line."""
    if not mask.any():
        return
    bad = rows[mask].head(_N_SAMPLE)
    sample = [{str(name): _plain(value) for name, value in row.items()} for row in bad.to_dict("records")]
    first = sample[0]
    values = ", ".join(f"{name} {first[name]!r}" for name in (shown or first) if name != _PLACE)
    raise BadRows(
        f"{text}: {int(mask.sum()):,} rows of {what} break it, first at {_PLACE} {first[_PLACE]} ({values})",
        rule=rule,
        rows=sample,
    )


def _plain(value: Any) -> Any:
    """Return a value as it reads best in an error: dates as dates, numbers as Python's."""
    if hasattr(value, "date") and hasattr(value, "normalize"):
        return str(value.date()) if value == value.normalize() else str(value)
    return value.item() if isinstance(value, np.generic) else value
